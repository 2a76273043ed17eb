"""The disks a server is asked for: images, volumes, snapshots and blanks, local or in the volume service."""

from __future__ import annotations

import contextlib
import typing as t

import msgspec

from ... import volume as volumes
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Body, OverLimit, Request, UnsetType, since
from .. import PROJECT_MEMBER, api
from ..wire import INT_MAX, Truth, number, truth
from .tables import block_devices

ATTACH_VOLUME = api.rule("os_compute_api:servers:create:attach_volume", PROJECT_MEMBER, "Create a server with volumes.")


class BlockDevice(Body):
    """One entry of `block_device_mapping_v2`."""

    source_type: t.Literal["image", "volume", "snapshot", "blank"]
    destination_type: t.Literal["local", "volume"] | None | UnsetType = UNSET
    uuid: str | None | UnsetType = UNSET
    boot_index: int | str | None | UnsetType = UNSET
    volume_size: int | str | None | UnsetType = UNSET
    delete_on_termination: Truth = False
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
    delete_on_termination: Truth = False
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
    disks = _from_mapping(mapping, image, flavor) + [_from_legacy(one) for one in legacy]
    stored = _from_mapping(_stored_in(image), image, flavor)
    named = {disk.device_name for disk in disks if disk.device_name}
    disks += [disk for disk in stored if disk.device_name not in named]
    _find_root(disks, image, flavor, anything=bool(legacy) or any(disk.boot_index == 0 for disk in stored))
    if any(disk.destination == "volume" for disk in disks):
        request.enforce(ATTACH_VOLUME)
    _find_ephemeral(disks, flavor)
    disks.sort(key=lambda disk: (disk.boot_index is None, disk.boot_index or 0))
    if image is not None:
        check_root(image, {"ram": flavor.ram, "disk": flavor.disk}, local=disks[0].destination == "local")
    return disks


def add_disks(tx: Tx, request: Request, server: Row, disks: list[Wanted]) -> int:
    """Write a server's disks down, with the volumes that have to be made; GiB of local disk that they take."""
    local = 0
    for position, disk in enumerate(disks):
        volume_id = None
        if disk.destination == "volume":
            with volume_terms():
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


def local_root(tx: Tx, server_id: str) -> Row | None:
    """A server's root disk where it lives with the server; None where that is a volume."""
    return tx.get(block_devices, server_id=server_id, boot_index=0, destination_type="local")


@contextlib.contextmanager
def volume_terms() -> t.Iterator[None]:
    """The volume service's quotas with this API's status for them."""
    try:
        yield
    except OverLimit as error:
        raise OverLimit(error.message) from None


def check_root(image: t.Any, flavor: dict, *, local: bool) -> None:
    """The image must be usable, and fit a flavor. Raises BadRequest."""
    if image.status != "active":
        raise BadRequest(f"Image {image.id} is not active.")
    if image.packed:
        raise BadRequest(f"Image {image.id} is unacceptable: a disk in the container format {image.container_format} cannot be booted.")
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


# -- helpers -------------------------------------------------------------------------------------------------------


def _find_root(disks: list[Wanted], image: t.Any, flavor: Row, *, anything: bool) -> None:
    """See to it that there is one disk to boot from: the image's own, where none was named. Beside an image another root is a
    mistake unless it may be `anything`. Raises BadRequest."""
    roots = [disk for disk in disks if disk.boot_index == 0]
    if image is not None and not roots:
        disks.append(Wanted("image", "local", image.id, flavor.disk, 0, delete=True))
    elif not roots or (image is not None and not anything and roots[0].source != "image"):
        raise BadRequest(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid."
        )
    if len(roots) > 1:
        raise BadRequest("Block Device Mapping is Invalid: more than one device has boot_index 0.")


def _find_ephemeral(disks: list[Wanted], flavor: Row) -> None:
    """See to it that empty local disks have the size that the flavor has for them. Raises BadRequest where they are larger."""
    sizes = [disk.size_gib for disk in disks if disk.source == "blank" and disk.destination == "local"]
    if sum(sizes) > flavor.ephemeral or 0 in sizes:
        raise BadRequest(
            "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device mapping, "
            f"flavor ephemeral size will be used: it is {flavor.ephemeral} GiB."
        )
    if flavor.ephemeral and not sizes:
        disks.append(Wanted("blank", "local", None, flavor.ephemeral, None, delete=True))


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


def _from_mapping(mapping: list[BlockDevice], image: t.Any, flavor: Row) -> list[Wanted]:
    """Disks by their newer form. Swap space is the flavor's, and asking for it changes nothing. Raises BadRequest."""
    return [_device(one, image, flavor) for one in mapping if not _is_swap(one, flavor)]


def _device(one: BlockDevice, image: t.Any, flavor: Row) -> Wanted:
    source = one.source_type
    destination = one.destination_type or ("local" if source in ("image", "blank") else "volume")
    boot = _number(one.boot_index, "boot_index", least=-INT_MAX)
    size = _number(one.volume_size, "volume_size") or 0
    if source in ("volume", "snapshot") and destination == "local":
        raise BadRequest(f"Block Device Mapping is Invalid: mapping a {source} to local is not supported.")
    if source != "blank" and not one.uuid:
        raise BadRequest(f"Invalid input for field/attribute block_device_mapping_v2: Value: {source}. It needs a uuid.")
    if destination == "volume" and source in ("image", "blank") and size < 1:
        raise BadRequest("Block Device Mapping is Invalid: Images with destination_type 'volume' need to have a non-zero size specified")
    if destination == "local":
        if source == "image" and (image is None or boot != 0):
            raise BadRequest("Block Device Mapping is Invalid: Mapping image to local is not supported.")
        size = flavor.disk if source == "image" else size or flavor.ephemeral
    return Wanted(
        source, destination, one.uuid or None, size, None if boot is None or boot < 0 else boot, one.device_name or None,
        one.disk_bus or None, one.device_type or None, one.tag or None, truth(one.delete_on_termination), one.volume_type or None,
    )  # fmt: skip


def _is_swap(one: BlockDevice, flavor: Row) -> bool:
    """Whether this is swap space, of which sizes are in MiB. Raises BadRequest where it is more than the flavor's."""
    if one.guest_format != "swap":
        return False
    if (_number(one.volume_size, "volume_size") or 0) > flavor.swap:
        raise BadRequest(f"Swap drive requested is larger than instance type allows: that is {flavor.swap} MiB.")
    return True


def _from_legacy(one: LegacyBlockDevice) -> Wanted:
    boot = 0 if (one.device_name or "").rstrip("0123456789") in ("vda", "/dev/vda", "sda", "/dev/sda") else None
    source, id = ("snapshot", one.snapshot_id) if one.snapshot_id else ("volume", one.volume_id)
    if not id:
        raise BadRequest("Block Device Mapping is Invalid: volume_id or snapshot_id is needed.")
    size = _number(one.volume_size, "volume_size") or 0
    return Wanted(source, "volume", id, size, boot, one.device_name or None, delete=truth(one.delete_on_termination))


def _stored_in(image: t.Any) -> list[BlockDevice]:
    """What an image of a server's volumes stands for: its property `block_device_mapping`. Raises BadRequest."""
    if image is None or image.properties.get("bdm_v2", "").lower() not in ("true", "1"):
        return []
    try:
        entries = msgspec.json.decode(image.properties.get("block_device_mapping", "[]"), type=list[dict[str, t.Any]])
        return [msgspec.convert(_named(entry), BlockDevice) for entry in entries if not entry.get("no_device")]
    except msgspec.MsgspecError as error:
        raise BadRequest(f"Block Device Mapping is Invalid: that of image {image.id} is of no use: {error}") from None


def _named(entry: dict[str, t.Any]) -> dict[str, t.Any]:
    """An image's entry as a client would write it: there each kind of source has an id of its own, and much is null."""
    known = {name: entry[name] for name in BlockDevice.__struct_fields__ if entry.get(name) is not None}
    return known | {"uuid": entry.get(f"{entry.get('source_type')}_id")}


def _number(given: t.Any, name: str, least: int = 0) -> int | None:
    if given in (UNSET, None, ""):
        return None
    try:
        return number(name, given, least)
    except ValueError:
        raise BadRequest(f"Invalid input for field/attribute {name}: {given!r} is not a number") from None
