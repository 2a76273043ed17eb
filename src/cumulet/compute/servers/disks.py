"""The disks a server is asked for: images, volumes, snapshots and blanks, local or in the volume service."""

from __future__ import annotations

import typing as t

from ... import volume as volumes
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, Request, UnsetType, since
from .. import PROJECT_MEMBER, api
from .tables import block_devices

ATTACH_VOLUME = api.rule("os_compute_api:servers:create:attach_volume", PROJECT_MEMBER, "Create a server with volumes.")


class BlockDevice(Body):
    """One entry of `block_device_mapping_v2`."""

    source_type: t.Literal["image", "volume", "snapshot", "blank"]
    destination_type: t.Literal["local", "volume"] | None | UnsetType = UNSET
    uuid: str | None | UnsetType = UNSET
    boot_index: int | str | None | UnsetType = UNSET
    volume_size: int | str | None | UnsetType = UNSET
    delete_on_termination: bool | str = False
    device_name: str | None | UnsetType = UNSET
    guest_format: str | None | UnsetType = UNSET
    disk_bus: str | None | UnsetType = UNSET
    device_type: str | None | UnsetType = UNSET
    no_device: bool | str | None | UnsetType = UNSET
    tag: t.Annotated[str | UnsetType, since("2.32")] = UNSET
    volume_type: t.Annotated[str | None | UnsetType, since("2.67")] = UNSET


class LegacyBlockDevice(Body):
    """One entry of `block_device_mapping`: a volume or a snapshot."""

    volume_id: str | None | UnsetType = UNSET
    snapshot_id: str | None | UnsetType = UNSET
    virtual_name: str | None | UnsetType = UNSET
    volume_size: int | str | None | UnsetType = UNSET
    device_name: str | None | UnsetType = UNSET
    delete_on_termination: bool | str = False
    no_device: bool | str | None | UnsetType = UNSET
    connection_info: str | None | UnsetType = UNSET


class Wanted(t.NamedTuple):
    """A disk that was asked for, checked."""

    source: str
    destination: str
    id: str | None
    size_gib: int
    boot_index: int | None
    device_name: str | None = None
    bus: str | None = None
    device_type: str | None = None
    tag: str | None = None
    delete: bool = False
    volume_type: str | None = None


def wanted_disks(tx: Tx, request: Request, image: t.Any, flavor: Row, mapping: list[BlockDevice],
                 legacy: list[LegacyBlockDevice]) -> list[Wanted]:  # fmt: skip
    """Every disk of a server to be, root first. Raises BadRequest for what cannot be booted."""
    if mapping and legacy:
        raise BadRequest("Using different block_device_mapping syntaxes is not allowed in the same request.")
    disks = [_from_mapping(request, one) for one in mapping] + [_from_legacy(i, one) for i, one in enumerate(legacy)]
    if image is not None and not any(d.boot_index == 0 for d in disks):
        disks.insert(0, Wanted("image", "local", image.id, flavor.disk, 0, delete=True))
    if image is not None and not legacy and any(d.boot_index == 0 and d.source != "image" for d in disks):
        raise BadRequest(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid."
        )
    roots = [d for d in disks if d.boot_index == 0]
    if not roots:
        raise BadRequest(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid."
        )
    if len(roots) > 1:
        raise BadRequest("Block Device Mapping is Invalid: more than one device has boot_index 0.")
    if any(d.destination == "volume" for d in disks):
        request.enforce(ATTACH_VOLUME)
    disks.sort(key=lambda d: (d.boot_index is None, d.boot_index or 0))
    if flavor.ephemeral and not any(d.source == "blank" and d.destination == "local" for d in disks):
        disks.append(Wanted("blank", "local", None, flavor.ephemeral, None, delete=True))
    if image is not None:
        check_root(image, {"ram": flavor.ram, "disk": flavor.disk}, local=roots[0].destination == "local")
    return disks


def add_disks(tx: Tx, request: Request, server: Row, disks: list[Wanted]) -> int:
    """Write a server's disks down, with the volumes that have to be made; GiB of local disk that they take."""
    local = 0
    for position, disk in enumerate(disks):
        volume_id = None
        if disk.destination == "volume":
            volume_id = _volume(tx, request, server, disk)
        else:
            local += disk.size_gib
        tx.insert(
            block_devices, server_id=server.id, position=position, source_type=disk.source, destination_type=disk.destination,
            boot_index=disk.boot_index, device_name=disk.device_name or device_name(position), size_gib=disk.size_gib,
            image_id=disk.id if disk.source == "image" else None, volume_id=volume_id, disk_bus=disk.bus,
            device_type=disk.device_type, tag=disk.tag, delete_on_termination=disk.delete,
        )  # fmt: skip
    return local


def device_name(position: int) -> str:
    """The name under which a Linux guest finds its disk of this position: vda, vdb, ... vdz, vdaa."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(97 + rest) + letters
    return "/dev/vd" + letters


def _volume(tx: Tx, request: Request, server: Row, disk: Wanted) -> str:
    """The volume behind a disk: the one named, or one to be made from what was named. It is reserved."""
    if disk.source == "volume":
        row = volumes.find(tx, request.context, disk.id)
    else:
        row = volumes.create(
            tx, request, size_gib=disk.size_gib, image_id=disk.id if disk.source == "image" else None,
            snapshot_id=disk.id if disk.source == "snapshot" else None, volume_type=disk.volume_type,
        )  # fmt: skip
    volumes.reserve(tx, row.id, server.id)
    return row.id


def _from_mapping(request: Request, one: BlockDevice) -> Wanted:
    source = one.source_type
    destination = one.destination_type or ("local" if source in ("image", "blank") else "volume")
    if source in ("volume", "snapshot") and destination == "local":
        raise BadRequest(f"Block Device Mapping is Invalid: mapping a {source} to local is not supported.")
    if source != "blank" and not one.uuid:
        raise BadRequest(f"Invalid input for field/attribute block_device_mapping_v2: Value: {source}. It needs a uuid.")
    size = _number(one.volume_size, "volume_size") or 0
    if destination == "volume" and source in ("image", "blank") and size < 1:
        raise BadRequest("Block Device Mapping is Invalid: Images with destination_type 'volume' need to have a non-zero size specified")
    boot = _number(one.boot_index, "boot_index")
    return Wanted(
        source, destination, one.uuid or None, size, None if boot is None or boot < 0 else boot, one.device_name or None,
        one.disk_bus or None, one.device_type or None, one.tag or None, one.delete_on_termination in (True, "True", "true", "1"),
        one.volume_type or None,
    )  # fmt: skip


def _from_legacy(position: int, one: LegacyBlockDevice) -> Wanted:
    boot = 0 if (one.device_name or "").rstrip("0123456789") in ("vda", "/dev/vda", "sda", "/dev/sda") else None
    source, id = ("snapshot", one.snapshot_id) if one.snapshot_id else ("volume", one.volume_id)
    if not id:
        raise BadRequest("Block Device Mapping is Invalid: volume_id or snapshot_id is needed.")
    return Wanted(source, "volume", id, _number(one.volume_size, "volume_size") or 0, boot, one.device_name or None,
                  delete=one.delete_on_termination in (True, "True", "true", "1"))  # fmt: skip


def check_root(image: t.Any, flavor: dict, *, local: bool) -> None:
    """The image must be usable, and fit a flavor. Raises BadRequest."""
    if image.status != "active":
        raise BadRequest(f"Image {image.id} is not active.")
    if image.min_ram > flavor["ram"]:
        raise BadRequest(f"Flavor's memory is too small for requested image: it has {flavor['ram']} MiB, the image needs {image.min_ram}.")
    if not local or not flavor["disk"]:
        return
    if image.min_disk > flavor["disk"]:
        raise BadRequest(
            f"Flavor's disk is smaller than the minimum size specified in image metadata: {flavor['disk']} GiB < {image.min_disk} GiB."
        )
    size = image.virtual_size or image.size or 0
    if size > flavor["disk"] << 30:
        raise BadRequest(f"Flavor's disk is too small for requested image: {flavor['disk']} GiB, the image has {size} bytes.")


def _number(given: t.Any, name: str) -> int | None:
    if given in (UNSET, None, ""):
        return None
    try:
        return int(given)
    except ValueError:
        raise BadRequest(f"Invalid input for field/attribute {name}: {given!r} is not a number") from None
