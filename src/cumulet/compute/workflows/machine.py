"""From rows to the description that a server's host is handed."""

from __future__ import annotations

import base64
import typing as t

import msgspec
import sqlalchemy as sa

from ... import image, network
from ...image.drivers.base import ImageSource
from ...kernel.db import Row, Tx
from ...kernel.http import NotFound
from ...kernel.runtime import Runtime
from ..drivers.base import Machine, Nic, RootDisk, Throttle, VolumeDisk
from ..metadata import files
from ..servers.kernels import boot_images
from ..servers.tables import block_devices, nics, servers

CONSOLES = "console=tty0 console=ttyS0 console=hvc0 no_timer_check"
"""What a kernel is told by whoever boots it for an image that does not say; the last, for emulated processors on busy hosts."""


def describe(tx: Tx, runtime: Runtime, id: str, generation: int, *, running: bool = True) -> Machine:
    """The whole of a server, as it should be now."""
    row = tx.get(servers, id=id)
    if row is None:
        raise NotFound(f"Instance {id} could not be found.")
    disks = tx.all(sa.select(block_devices).where(block_devices.c.server_id == id).order_by(block_devices.c.position))
    return Machine(
        id=row.id, name=row.name, generation=generation, vcpus=row.flavor["vcpus"], memory_mib=row.flavor["ram"],
        roots=tuple(_roots(tx, runtime, row, disks)),
        volumes=tuple(_volume(disk, row) for disk in disks if disk.destination_type == "volume" and disk.connection),
        nics=tuple(_nics(tx, id)),
        **_direct_boot(tx, runtime, row),
        config_drive=tree_of(tx, row) if row.config_drive else None,
        properties={k: str(v) for k, v in row.image_properties.items() if k.startswith(("hw_", "os_"))},
        cpu_quota=_quota(row.flavor), running=running,
    )  # fmt: skip


def _roots(tx: Tx, runtime: Runtime, row: Row, disks: list[Row]) -> t.Iterator[RootDisk]:
    """Disks that live with the server; where it is rescued, the rescue image's before all."""
    bus = str(row.image_properties.get("hw_disk_bus", "virtio"))
    if row.rescue:
        yield _local(tx, runtime, row, id="rescue", image_id=row.rescue["image_id"], size=row.flavor["disk"], boot=0,
                     epoch=row.rescue["epoch"], bus=bus)  # fmt: skip
    for disk in disks:
        if disk.destination_type != "local":
            continue
        boot = disk.boot_index if not row.rescue else None
        image_id = (row.shelved_image_id or row.image_id) if disk.boot_index == 0 else disk.image_id
        yield _local(tx, runtime, row, id="root" if disk.boot_index == 0 else disk.id, image_id=image_id, size=disk.size_gib,
                     boot=boot, epoch=row.root_epoch if disk.boot_index == 0 else 0, bus=disk.disk_bus or bus)  # fmt: skip
    if row.flavor["swap"]:
        yield RootDisk(id="swap", size_gib=max(1, row.flavor["swap"] // 1024), bus=bus)


def _direct_boot(tx: Tx, runtime: Runtime, row: Row) -> dict[str, t.Any]:
    """Kernel, ramdisk and command line, where the server's image names them."""
    named = boot_images(row.image_properties)
    if "kernel" not in named:
        return {}
    bus = str(row.image_properties.get("hw_disk_bus", "virtio"))
    default = f"root=/dev/{'vda' if bus == 'virtio' else 'sda'} {CONSOLES}"
    found = {name: RootDisk(id=name, size_gib=0, image=id, source=_as_is(image.source(tx, runtime, id))) for name, id in named.items()}
    return {**found, "command_line": str(row.image_properties.get("os_command_line") or default)}


def _as_is(source: ImageSource | None) -> ImageSource | None:
    return source and msgspec.structs.replace(source, as_is=True)


def _local(tx: Tx, runtime: Runtime, row: Row, *, id: str, image_id: str | None, size: int, boot: int | None, epoch: int,
           bus: str) -> RootDisk:  # fmt: skip
    return RootDisk(
        id=id, size_gib=size, image=image_id, source=image.source(tx, runtime, image_id) if image_id else None, epoch=epoch,
        boot_index=boot, bus=bus, throttle=_throttle(row.flavor["extra_specs"]),
    )  # fmt: skip


def _volume(disk: Row, row: Row) -> VolumeDisk:
    return VolumeDisk(
        id=disk.volume_id, connection={k: v for k, v in disk.connection.items() if k != "throttle"},
        boot_index=disk.boot_index if not row.rescue else None, bus=disk.disk_bus or "virtio",
        throttle=msgspec.convert(disk.connection.get("throttle", {}), Throttle),
    )  # fmt: skip


def _nics(tx: Tx, id: str) -> t.Iterator[Nic]:
    found = {card.port_id: card for card in network.interfaces(tx, [id]).get(id, [])}
    for row in tx.all(sa.select(nics).where(nics.c.server_id == id).order_by(nics.c.position)):
        if card := found.get(row.port_id):
            yield Nic(port_id=card.port_id, mac=card.mac, mtu=card.mtu)


def tree_of(tx: Tx, row: Row) -> dict[str, str]:
    """A server's metadata: path -> base64 of the file."""
    return {path: base64.b64encode(content).decode() for path, content in files(tx, row).items()}


def _throttle(specs: dict[str, str]) -> Throttle:
    """I/O limits by the flavor's `quota:disk_*` extra specs."""
    value = lambda name: int(specs.get(f"quota:disk_{name}", 0))
    return Throttle(
        read_bytes=value("read_bytes_sec"), write_bytes=value("write_bytes_sec"), total_bytes=value("total_bytes_sec"),
        read_iops=value("read_iops_sec"), write_iops=value("write_iops_sec"), total_iops=value("total_iops_sec"),
    )  # fmt: skip


def _quota(flavor: dict) -> float | None:
    """Cores that the guest may use, by `quota:cpu_quota` over `quota:cpu_period` (microseconds) for each processor."""
    specs = flavor["extra_specs"]
    if "quota:cpu_quota" not in specs:
        return None
    return flavor["vcpus"] * int(specs["quota:cpu_quota"]) / int(specs.get("quota:cpu_period", 100_000))
