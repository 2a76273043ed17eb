"""How servers look to clients, at every microversion."""

from __future__ import annotations

import hashlib
import typing as t

import msgspec
import sqlalchemy as sa

from ... import network
from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, Request, UnsetType, View, since
from ..aggregates import zones_of_hosts
from ..hosts import COMPUTE, compute_services, is_up
from ..server_groups import groups_of
from ..wire import links
from .addresses import Addresses, addresses, plain
from .kernels import boot_images
from .states import status
from .tables import block_devices, servers

WHOLE = (2, 75)
"""From this microversion on, changing a server answers all that looking it up does."""


def wire(name: str, default: t.Any = msgspec.NODEFAULT) -> t.Any:
    """A field with a name that Python has no identifier for."""
    return msgspec.field(name=name, default=default)


class Fault(View):
    code: int
    message: str
    created: str
    details: str | UnsetType = UNSET


class AttachedVolume(View):
    id: str
    delete_on_termination: t.Annotated[bool, since("2.3")]


class Brief(View, kw_only=True):
    """A server as changing it answers until 2.75."""

    id: str
    name: str
    status: str
    tenant_id: str
    user_id: str
    metadata: dict[str, str]
    host_id: str = wire("hostId")
    image: dict | str
    flavor: dict
    created: str
    updated: str
    addresses: Addresses
    access_ipv4: str = wire("accessIPv4")
    access_ipv6: str = wire("accessIPv6")
    links: list[dict]
    progress: int | UnsetType = UNSET
    fault: Fault | UnsetType = UNSET
    disk_config: str = wire("OS-DCF:diskConfig")
    locked: t.Annotated[bool, since("2.9")]
    description: t.Annotated[str | None, since("2.19")]
    tags: t.Annotated[list[str], since("2.26")]
    trusted_image_certificates: t.Annotated[list[str] | None, since("2.63")] = None
    server_groups: t.Annotated[list[str] | UnsetType, since("2.71")] = UNSET
    locked_reason: t.Annotated[str | None, since("2.73")] = None


class BriefRebuilt(Brief, kw_only=True):
    """A server as rebuilding it answers until 2.75."""

    admin_pass: str = wire("adminPass")
    key_name: t.Annotated[str | None, since("2.54")]
    user_data: t.Annotated[str | None, since("2.57")]


class Server(Brief, kw_only=True):
    """A server whole."""

    config_drive: str
    key_name: str | None
    security_groups: list[dict] | UnsetType = UNSET
    zone: str = wire("OS-EXT-AZ:availability_zone")
    launched: str | None = wire("OS-SRV-USG:launched_at")
    terminated: str | None = wire("OS-SRV-USG:terminated_at", None)
    task_state: str | None = wire("OS-EXT-STS:task_state")
    vm_state: str = wire("OS-EXT-STS:vm_state")
    power_state: int = wire("OS-EXT-STS:power_state")
    volumes: list[AttachedVolume] = wire("os-extended-volumes:volumes_attached")
    host: str | None | UnsetType = wire("OS-EXT-SRV-ATTR:host", UNSET)
    instance_name: str | UnsetType = wire("OS-EXT-SRV-ATTR:instance_name", UNSET)
    node: str | None | UnsetType = wire("OS-EXT-SRV-ATTR:hypervisor_hostname", UNSET)
    reservation_id: t.Annotated[str | UnsetType, since("2.3")] = wire("OS-EXT-SRV-ATTR:reservation_id", UNSET)
    launch_index: t.Annotated[int | UnsetType, since("2.3")] = wire("OS-EXT-SRV-ATTR:launch_index", UNSET)
    hostname: t.Annotated[str | UnsetType, since("2.3")] = wire("OS-EXT-SRV-ATTR:hostname", UNSET)
    kernel_id: t.Annotated[str | UnsetType, since("2.3")] = wire("OS-EXT-SRV-ATTR:kernel_id", UNSET)
    ramdisk_id: t.Annotated[str | UnsetType, since("2.3")] = wire("OS-EXT-SRV-ATTR:ramdisk_id", UNSET)
    root_device_name: t.Annotated[str | UnsetType, since("2.3")] = wire("OS-EXT-SRV-ATTR:root_device_name", UNSET)
    own_data: t.Annotated[str | None | UnsetType, since("2.3")] = wire("OS-EXT-SRV-ATTR:user_data", UNSET)
    host_status: t.Annotated[str | UnsetType, since("2.16")] = UNSET
    pinned_availability_zone: t.Annotated[str | None, since("2.96")] = None
    scheduler_hints: t.Annotated[dict, since("2.100")]


class Rebuilt(Server, kw_only=True):
    """A server as rebuilding it answers from 2.75 on."""

    admin_pass: str = wire("adminPass")
    user_data: str | None


class Summary(View):
    id: str
    name: str
    links: list[dict]


class Created(View, kw_only=True):
    id: str
    links: list[dict]
    disk_config: str = wire("OS-DCF:diskConfig")
    security_groups: list[dict]
    admin_pass: str | UnsetType = wire("adminPass", UNSET)


def summary(request: Request, row: Row) -> Summary:
    return Summary(id=row.id, name=row.name, links=links(request, "servers", row.id))


def views(tx: Tx, request: Request, rows: t.Sequence[Row], *, detail: bool = False) -> list[Server]:
    """Servers whole, in a handful of queries however many they are. detail: as in a list, without what only one shows."""
    ids = [row.id for row in rows]
    cards = network.interfaces(tx, ids)
    volumes: dict[str, list[AttachedVolume]] = {}
    b = block_devices.c
    held = sa.select(b.server_id, b.volume_id, b.delete_on_termination).where(b.server_id.in_(ids), b.volume_id.is_not(None))
    for server, volume, goes_with_it in tx.all(held.order_by(b.position)):
        volumes.setdefault(server, []).append(AttachedVolume(id=volume, delete_on_termination=goes_with_it))
    shown = _Shown(tx, request, detail)
    return [shown.server(row, cards.get(row.id, []), volumes.get(row.id, [])) for row in rows]


def view(tx: Tx, request: Request, id: str) -> Server:
    """One server whole, as it is now in this transaction."""
    return views(tx, request, tx.rows(servers, id=id))[0]


def changed(tx: Tx, request: Request, id: str) -> Brief:
    """A server as the answer to a change of it."""
    shown = view(tx, request, id)
    return shown if request.version >= WHOLE else _as(Brief, shown, addresses=plain(shown.addresses))


def rebuilt(tx: Tx, request: Request, id: str, admin_pass: str) -> Brief:
    """A server as the answer to rebuilding it."""
    shown, more = view(tx, request, id), {"admin_pass": admin_pass, "user_data": tx.rows(servers, id=id)[0].user_data}
    if request.version >= WHOLE:
        return _as(Rebuilt, shown, **more, own_data=UNSET)
    return _as(BriefRebuilt, shown, **more, addresses=plain(shown.addresses))


def _as(cls: type[Brief], shown: Server, **more: t.Any) -> Brief:
    """What `cls` has of a server, and more."""
    same = {name: getattr(shown, name) for name in cls.__struct_fields__ if name not in more}
    return cls(**same, **more)


class _Shown:
    """What is the same for all servers of one answer."""

    def __init__(self, tx: Tx, request: Request, detail: bool):
        self.tx, self.request, self.detail = tx, request, detail
        self.attributes = request.allows("os_compute_api:os-extended-server-attributes")
        self.hosts = {s.host: _host_status(s) for s in tx.rows(compute_services, binary=COMPUTE)}
        self.zones = zones_of_hosts(tx)

    def server(self, row: Row, cards: list, volumes: list[AttachedVolume]) -> Server:
        shown = status(row.vm_state, row.task_state)
        made = Server(
            id=row.id, name=row.name, status=shown, tenant_id=row.project_id, user_id=row.user_id, metadata=row.metadata,
            host_id=hashlib.sha224((row.project_id + row.host).encode()).hexdigest() if row.host else "",
            image=self._image(row), flavor=self._flavor(row), created=clock.iso(row.created_at) or "",
            updated=clock.iso(row.updated_at or row.created_at) or "", addresses=addresses(cards),
            access_ipv4=row.access_ipv4 or "", access_ipv6=row.access_ipv6 or "", links=links(self.request, "servers", row.id),
            config_drive="True" if row.config_drive else "", key_name=row.key_name, disk_config=row.disk_config,
            zone=self.zones.get(row.host, "nova") if row.host else row.availability_zone or "",
            launched=row.launched_at and row.launched_at.isoformat(timespec="microseconds"), task_state=row.task_state,
            vm_state=row.vm_state, power_state=row.power_state, volumes=volumes, locked=row.locked_by is not None,
            description=row.description, tags=row.tags, trusted_image_certificates=row.trusted_certificates,
            locked_reason=row.locked_reason, pinned_availability_zone=row.availability_zone, scheduler_hints=row.scheduler_hints,
        )  # fmt: skip
        if shown in ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"):
            made.progress = 100 if shown == "ACTIVE" else row.progress
        if row.fault and shown in ("ERROR", "DELETED"):
            made.fault = self._fault(row.fault)
        if groups := {name: None for card in cards for name in card.security_groups}:
            made.security_groups = [{"name": name} for name in groups]
        if not self.detail and self.request.version >= (2, 71):
            made.server_groups = groups_of(self.tx, row.id)
        if self.request.version >= (2, 90):
            made.hostname = row.hostname
        if self.attributes:
            self._attributes(made, row)
        return made

    def _attributes(self, made: Server, row: Row) -> None:
        """What administrators see besides."""
        made.host, made.node = row.host, row.host
        made.instance_name = f"instance-{row.id[:8]}"
        made.reservation_id, made.launch_index, made.hostname = row.reservation_id, row.launch_index, row.hostname
        named = boot_images(row.image_properties)
        made.kernel_id, made.ramdisk_id = named.get("kernel", ""), named.get("ramdisk", "")
        made.root_device_name, made.own_data = "/dev/vda", row.user_data
        made.host_status = self.hosts.get(row.host, "")

    def _image(self, row: Row) -> dict | str:
        if not row.image_id:
            return ""
        shown = {"id": row.image_id, "links": [{"rel": "bookmark", "href": f"{self.request.base}/images/{row.image_id}"}]}
        if self.request.version >= (2, 98):
            shown["properties"] = {name: str(value) for name, value in row.image_properties.items() if len(str(value)) <= 255}
        return shown

    def _flavor(self, row: Row) -> dict:
        flavor = row.flavor
        if self.request.version < (2, 47):
            return {"id": flavor["id"], "links": [{"rel": "bookmark", "href": f"{self.request.base}/flavors/{flavor['id']}"}]}
        shown = {name: flavor[name] for name in ("vcpus", "ram", "disk", "ephemeral", "swap")} | {"original_name": flavor["name"]}
        if self.request.allows("os_compute_api:os-flavor-extra-specs:index"):
            shown["extra_specs"] = flavor["extra_specs"]
        return shown

    def _fault(self, fault: dict) -> Fault:
        details = fault.get("details") if self.request.context.is_admin or fault["code"] != 500 else None
        return Fault(code=fault["code"], message=fault["message"], created=fault["created"], details=details or UNSET)


def _host_status(service: Row) -> str:
    if service.disabled:
        return "MAINTENANCE"
    return "UP" if is_up(service) else "DOWN"
