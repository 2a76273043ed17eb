"""Creating servers: `POST /servers` in every form that clients send."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import secrets
import typing as t

import msgspec

from ... import image as images
from ... import network
from ...kernel import ids
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Conflict, NotFound, Reply, Request, UnsetType, since, until
from .. import PROJECT_MEMBER, api
from ..flavors import find_flavor
from ..hosts import compute_hosts
from ..keypairs import keypairs
from ..placing import place
from ..quotas import check_quota, fitting
from ..scheduler import NoValidHost
from ..server_groups import join_group
from ..wire import Name, links
from ..workflows.boot import BootServer
from ..workflows.faults import fault
from .disks import BlockDevice, LegacyBlockDevice, add_disks, wanted_disks
from .find import record
from .kernels import check_kernel
from .states import Task, Vm
from .tables import nics, servers
from .views import Created, wire

# -- wire ----------------------------------------------------------------------------------------------------------

Text = t.Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00]*$")]
Metadata = dict[t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]+$")], Text]
LABEL = r"[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]"
"""One label of a host name."""
Hostname = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9._-]*$")]
Tag = t.Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=r"^[^,/\x00]*$")]


class NetworkWanted(Body):
    uuid: str | None | UnsetType = UNSET
    port: str | None | UnsetType = UNSET
    fixed_ip: str | UnsetType = UNSET
    tag: t.Annotated[Tag | UnsetType, since("2.32")] = UNSET


class GroupWanted(Body):
    name: Text


class File(Body):
    path: Text
    contents: str


class ServerCreate(Body):
    name: Name
    flavor: str | int = wire("flavorRef")
    image: str | UnsetType = wire("imageRef", UNSET)
    admin_pass: Text | UnsetType = wire("adminPass", UNSET)
    metadata: Metadata = {}
    networks: list[NetworkWanted] | t.Literal["auto", "none"] | None | UnsetType = UNSET
    security_groups: list[GroupWanted] | UnsetType = UNSET
    key_name: Name | None | UnsetType = UNSET
    user_data: t.Annotated[str, msgspec.Meta(max_length=65535)] | None | UnsetType = UNSET
    config_drive: bool | str | None | UnsetType = UNSET
    availability_zone: Text | None | UnsetType = UNSET
    disk_config: t.Literal["AUTO", "MANUAL"] = wire("OS-DCF:diskConfig", "MANUAL")
    access_ipv4: str | UnsetType = wire("accessIPv4", UNSET)
    access_ipv6: str | UnsetType = wire("accessIPv6", UNSET)
    personality: t.Annotated[list[File] | UnsetType, until("2.56")] = UNSET
    block_device_mapping_v2: list[BlockDevice] | UnsetType = UNSET
    block_device_mapping: list[LegacyBlockDevice] | UnsetType = UNSET
    min_count: int | str = 1
    max_count: int | str | UnsetType = UNSET
    return_reservation_id: bool | str = False
    description: t.Annotated[Text | None | UnsetType, since("2.19")] = UNSET
    tags: t.Annotated[t.Annotated[list[Tag], msgspec.Meta(max_length=50)] | UnsetType, since("2.52")] = UNSET
    trusted_image_certificates: t.Annotated[list[str] | None | UnsetType, since("2.63")] = UNSET
    host: t.Annotated[str | UnsetType, since("2.74")] = UNSET
    hypervisor_hostname: t.Annotated[str | UnsetType, since("2.74")] = UNSET
    hostname: t.Annotated[Hostname | UnsetType, since("2.90")] = UNSET


class ServerCreateRequest(Body):
    server: ServerCreate
    hints: dict | UnsetType = wire("os:scheduler_hints", UNSET)
    old_hints: dict | UnsetType = wire("OS-SCH-HNT:scheduler_hints", UNSET)


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("os_compute_api:servers:create", PROJECT_MEMBER, "Create a server.")
ATTACH_NETWORK = api.rule("os_compute_api:servers:create:attach_network", PROJECT_MEMBER, "Create a server with networks.")
FORCED_HOST = api.rule("os_compute_api:servers:create:forced_host", "rule:context_is_admin", "Name the host in availability_zone.")
REQUESTED = api.rule("compute:servers:create:requested_destination", "rule:context_is_admin", "Name the host.")
CERTIFICATES = api.rule("os_compute_api:servers:create:trusted_certs", PROJECT_MEMBER, "Create a server with trusted certificates.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/servers", policy=CREATE, status=202, errors=(400, 403, 404, 409))
def create(tx: Tx, request: Request, body: ServerCreateRequest) -> Reply:
    """Create one server or several."""
    wanted = body.server
    check_hostname(request, wanted.hostname)
    hints = body.hints or body.old_hints or {}
    if request.version >= (2, 37) and wanted.networks is UNSET:
        raise BadRequest("Invalid input for field/attribute server. 'networks' is a required property")
    if wanted.host or wanted.hypervisor_hostname:
        request.enforce(REQUESTED)
    least, most = _counts(wanted)
    reservation = "r-" + secrets.token_hex(4)
    try:
        plan = _Plan(tx, request, wanted, hints, several=most > 1)
        rows = [plan.make(reservation, i) for i in range(_allowed(tx, request, plan.flavor, least, most))]
    except NotFound as error:
        raise BadRequest(error.message) from None
    if wanted.return_reservation_id in (True, "True", "true", "1"):
        return Reply({"reservation_id": reservation})
    first = rows[0]
    groups = [{"name": g.name} for g in wanted.security_groups or []] or [{"name": "default"}]
    made = Created(id=first.id, links=links(request, "servers", first.id), disk_config=first.disk_config, security_groups=groups,
                   admin_pass=plan.admin_pass)  # fmt: skip
    return Reply({"server": msgspec.to_builtins(made)}, headers={"Location": f"{request.base}/v2.1/servers/{first.id}"})


class _Plan:
    """A request to create servers, checked; `make` makes one."""

    def __init__(self, tx: Tx, request: Request, wanted: ServerCreate, hints: dict, several: bool):
        self.tx, self.request, self.wanted, self.hints, self.several = tx, request, wanted, hints, several
        self.project = request.project
        check_quota(tx, self.project, metadata_items=len(wanted.metadata))
        self.flavor = named_flavor(tx, request, wanted.flavor)
        self.image = self._image()
        self.key = self._key()
        self.zone, self.host = self._destination()
        self.user_data = base64_text(wanted.user_data)
        self.admin_pass = wanted.admin_pass or secrets.token_urlsafe(9)
        self.groups = network.named_groups(tx, self.project, [g.name for g in wanted.security_groups or []])
        self.networks = self._networks()
        self.disks = wanted_disks(tx, request, self.image, self.flavor, wanted.block_device_mapping_v2 or [],
                                  wanted.block_device_mapping or [])  # fmt: skip

    def make(self, reservation: str, index: int) -> Row:
        name = f"{self.wanted.name}-{index + 1}" if self.several else self.wanted.name
        row = self._insert(name, reservation, index)
        record(self.tx, self.request, row, "create")
        local_gib = add_disks(self.tx, self.request, row, self.disks)
        try:
            with self.tx.savepoint():
                self._place(row, local_gib)
                self._plug(row)
        except NoValidHost as error:
            self._fail(row, str(error))
            return row
        except Conflict as error:
            if error.kind != "IpAddressGenerationFailure":
                raise
            self._fail(row, error.message)
            return row
        BootServer.start(self.tx, row.id, request_id=self.request.id, pinned=self.host is not None)
        return row

    def _insert(self, name: str, reservation: str, index: int) -> Row:
        wanted, image = self.wanted, self.image
        return self.tx.insert(
            servers, project_id=self.project, user_id=self.request.context.user_id, name=name,
            description=wanted.description or None if wanted.description is not UNSET
            else (name if self.request.version < (2, 19) else None),
            hostname=wanted.hostname or hostname(name), vm_state=Vm.BUILDING, task_state=Task.SCHEDULING,
            power_state=0, progress=0, availability_zone=self.zone, flavor=flavor_copy(self.flavor),
            vcpus=self.flavor.vcpus, memory_mib=self.flavor.ram,
            image_id=image.id if image and self.disks[0].destination == "local" else None,
            image_properties=image.properties if image else {}, root_epoch=0, key_name=self.key.name if self.key else None,
            public_key=self.key.public_key if self.key else None, user_data=self.user_data,
            config_drive=_truth(wanted.config_drive), **access_addresses(wanted), disk_config=wanted.disk_config,
            reservation_id=reservation, launch_index=index, metadata=wanted.metadata, tags=sorted(set(wanted.tags or [])),
            scheduler_hints=self.hints, trusted_certificates=wanted.trusted_image_certificates or None,
        )  # fmt: skip

    def _place(self, row: Row, local_gib: int) -> None:
        join_group(self.tx, self.request, row.id, self.hints.get("group"))
        host = place(self.tx, row, local_gib, zone=self.zone, host=self.host)
        self.tx.update(servers, row.id, host=host)

    def _plug(self, row: Row) -> None:
        host = self.tx.one(servers, id=row.id).host
        for position, card in enumerate(self.networks):
            if card.port:
                port = network.claim_port(self.tx, card.port, project_id=self.project, device_id=row.id)
            else:
                port = network.allocate_port(
                    self.tx, project_id=self.project, network_id=card.uuid, device_id=row.id, device_owner="compute:nova",
                    security_groups=self.groups, fixed_ip=card.fixed_ip or None,
                )  # fmt: skip
            network.bind_port(self.tx, port.id, host=host, device_id=row.id, device_owner="compute:nova")
            self.tx.insert(nics, server_id=row.id, position=position, port_id=port.id, tag=card.tag or None, ours=not card.port)

    def _fail(self, row: Row, why: str) -> None:
        self.tx.update(servers, row.id, vm_state=Vm.ERROR, task_state=None, fault=fault(why))

    def _image(self) -> t.Any:
        if not self.wanted.image:
            return None
        image = images.find(self.tx, self.request, self.wanted.image.rsplit("/", 1)[-1])
        check_kernel(self.tx, self.request, image, self.flavor.ram)
        return image

    def _key(self) -> Row | None:
        if not self.wanted.key_name:
            return None
        row = self.tx.get(keypairs, user_id=self.request.context.user_id, name=self.wanted.key_name)
        if row is None:
            raise BadRequest("Invalid key_name provided.")
        return row

    def _destination(self) -> tuple[str | None, str | None]:
        """The zone and the host that were asked for; administrators may write ZONE:HOST."""
        zone, _, host = (self.wanted.availability_zone or "").partition(":")
        if host:
            self.request.enforce(FORCED_HOST)
        return zone or None, self._named_host() or host.partition(":")[0] or None

    def _named_host(self) -> str | None:
        """The host that was asked for by its name, its hypervisor's, or both. Raises BadRequest."""
        named = {"host": self.wanted.host or None, "hypervisor_hostname": self.wanted.hypervisor_hostname or None}
        if not any(named.values()):
            return None
        found = self.tx.rows(compute_hosts, **{column: name for column, name in named.items() if name})
        if not found:
            raise BadRequest(f"Compute host {named['host'] or named['hypervisor_hostname']} could not be found.")
        return found[0].host

    def _networks(self) -> list[NetworkWanted]:
        asked = self.wanted.networks
        if asked == "none":
            return []
        if isinstance(asked, list) and asked:
            return self._checked(asked)
        usable = network.usable_networks(self.tx, self.project)
        if len(usable) > 1:
            raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
        if not usable and asked == "auto":
            return [NetworkWanted(uuid=network.auto_network(self.tx, self.request.context, self.project))]
        return [NetworkWanted(uuid=usable[0].id)] if usable else []

    def _checked(self, asked: list[NetworkWanted]) -> list[NetworkWanted]:
        for card in asked:
            if not card.port and not card.uuid:
                raise BadRequest("Bad networks format: network uuid or port is needed")
            if card.port and card.fixed_ip:
                raise BadRequest("Specified Fixed IP addresses are not used with ports: give one or the other.")
            if not card.port:
                network.find_network(self.tx, self.request.context, card.uuid)
        if self.several and any(card.port for card in asked):
            raise BadRequest("Unable to launch multiple instances with a single configured port ID.")
        return asked


# -- helpers -------------------------------------------------------------------------------------------------------


def _counts(wanted: ServerCreate) -> tuple[int, int]:
    try:
        least = int(wanted.min_count)
        most = least if wanted.max_count is UNSET else int(wanted.max_count)
    except ValueError:
        raise BadRequest("Invalid input for field/attribute min_count or max_count: must be a number") from None
    if least < 1 or most < 1:
        raise BadRequest("Invalid input for field/attribute min_count or max_count: must be at least 1")
    if least > most:
        raise BadRequest("min_count must be <= max_count")
    return least, most


def _allowed(tx: Tx, request: Request, flavor: Row, least: int, most: int) -> int:
    """How many servers are made: as many as quotas allow. Raises OverLimit where these are too few."""
    project, user = request.project, str(request.context.user_id)
    each = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.ram}
    count = most if least == most else max(least, fitting(tx, project, user, each, most))
    check_quota(tx, project, user, **{name: amount * count for name, amount in each.items()})
    return count


def base64_text(text: str | None | UnsetType) -> str | None:
    """User data as it is kept. Raises BadRequest where it is no base64."""
    if not text:
        return None
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"Invalid input for field/attribute user_data. Value: {text[:40]}. It is not a 'base64'") from None
    return text


def _access_address(given: str | None, version: int) -> str | None:
    """An address that people are to reach a server by, as it is kept. Raises BadRequest where it is none of this version."""
    if not given:
        return None
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise BadRequest(f"Invalid input for field/attribute accessIPv{version}. Value: {given}. {given!r} is not a 'ipv{version}'")
    return str(address)


def access_addresses(body: t.Any) -> dict[str, str | None]:
    """The columns of those access addresses that a body names."""
    named = (("access_ipv4", body.access_ipv4, 4), ("access_ipv6", body.access_ipv6, 6))
    return {column: _access_address(given, version) for column, given, version in named if given is not UNSET}


def _truth(given: bool | str | None | UnsetType) -> bool:
    if given in (UNSET, None, ""):
        return False
    if isinstance(given, bool):
        return given
    if given.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise BadRequest(f"Invalid input for field/attribute config_drive. Value: {given}. It is no boolean")
    return given.lower() in ("true", "1", "yes", "on")


def hostname(name: str) -> str:
    """A host name from a server's display name, as RFC 1123 allows it: at most 63 letters, digits and dashes."""
    plain = re.sub(r"[^a-z0-9-]", "", re.sub(r"[ _.]", "-", name.lower())).strip("-")
    return plain[:63].rstrip("-") or "server-" + ids.new()


def check_hostname(request: Request, given: str | UnsetType) -> None:
    """Until 2.94 a host name is one label; since then it may be with its domain. Raises BadRequest."""
    label = request.version < (2, 94)
    if given is not UNSET and not re.fullmatch(LABEL if label else r"[a-zA-Z0-9._-]{1,255}", given):
        taken = "2 to 63 letters, digits and dashes inside" if label else "1 to 255 letters, digits, dots, dashes and underscores"
        raise BadRequest(f"Invalid input for field/attribute hostname. Value: {given}. It is not {taken}.")


def named_flavor(tx: Tx, request: Request, reference: str | int) -> Row:
    """The flavor that a body refers to, by its id or its link. Raises BadRequest."""
    try:
        return find_flavor(tx, request, str(reference).rsplit("/", 1)[-1])
    except NotFound as error:
        raise BadRequest(error.message) from None


def flavor_copy(flavor: Row) -> dict:
    """What a server keeps of its flavor, whatever becomes of it."""
    return {
        "id": flavor.flavorid, "name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram, "disk": flavor.disk,
        "ephemeral": flavor.ephemeral, "swap": flavor.swap, "extra_specs": flavor.extra_specs,
    }  # fmt: skip
