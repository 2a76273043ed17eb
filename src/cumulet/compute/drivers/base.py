"""What a hypervisor driver must do, and the machine description it is handed.

A driver knows nothing of the API, the database or the bus: it turns a whole `Machine` into a running
guest on this host and answers what it finds there. Every call is idempotent: asking for what is already
so succeeds and changes nothing, and a call repeated after a crash finishes what the first one began.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from cumulet.image.drivers.base import ImageSource


class Power(enum.StrEnum):
    """What a guest is doing, as the driver sees it."""

    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    CRASHED = "crashed"


class Throttle(msgspec.Struct, frozen=True, omit_defaults=True):
    """I/O limits of one disk; 0 is unlimited. Bytes per second and operations per second."""

    read_bytes: int = 0
    write_bytes: int = 0
    total_bytes: int = 0
    read_iops: int = 0
    write_iops: int = 0
    total_iops: int = 0


class RootDisk(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A root (or ephemeral, or swap) disk that lives and dies with the server, in its own directory.

    `image` is the id of the image it starts from; None makes an empty disk. `source` says where the image's data is, while the
    disk is yet to be made of it; None where the image is gone: a disk that is there does not need it.
    `epoch` grows by one with each rebuild: a disk of an older epoch is made anew.
    """

    id: str
    size_gib: int
    image: str | None = None
    source: ImageSource | None = None
    epoch: int = 0
    boot_index: int | None = None
    bus: str = "virtio"
    throttle: Throttle = Throttle()


class VolumeDisk(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A volume, reached through what its volume driver said of it in `connection`.

    `connection` is `{"driver": "file", "path": ..., "format": "raw"}` or, later, rbd, iscsi, nbd.
    The guest sees the first 20 characters of `id` as the disk's serial number.
    """

    id: str
    connection: dict
    boot_index: int | None = None
    bus: str = "virtio"
    read_only: bool = False
    throttle: Throttle = Throttle()


class Nic(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A network card on the tap device that the network driver made for `port_id`."""

    port_id: str
    mac: str
    mtu: int = 1500
    model: str = "virtio"


class Machine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A whole server as its host needs it: enough to bring it back with the control plane away."""

    id: str
    name: str
    generation: int
    vcpus: int
    memory_mib: int
    roots: tuple[RootDisk, ...] = ()
    volumes: tuple[VolumeDisk, ...] = ()
    nics: tuple[Nic, ...] = ()
    config_drive: dict[str, str] | None = None
    """Files of the config drive, path -> base64 of the content; None for no drive."""
    cdrom_image_path: str | None = None
    """A rescue or installer ISO, where there is one."""
    kernel: RootDisk | None = None
    ramdisk: RootDisk | None = None
    """Images that are booted, with `command_line`, before any disk is looked at; their sources are taken as they are."""
    command_line: str = ""
    properties: dict[str, str] = {}
    """Image properties that bear on virtual hardware (`hw_disk_bus`, `hw_vif_model`, `hw_machine_type`, ...)."""
    cpu_quota: float | None = None
    """Processor time in cores that the guest may use at most; None is no limit."""
    cpu_shares: int | None = None
    running: bool = True
    """What the host should bring back after it restarts."""

    @property
    def boots(self) -> tuple[RootDisk, ...]:
        """What is booted instead of a disk: a kernel, and perhaps a ramdisk."""
        return tuple(image for image in (self.kernel, self.ramdisk) if self.kernel and image)


class Found(msgspec.Struct, frozen=True):
    """A machine that the driver found on its host."""

    id: str
    power: Power
    generation: int


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What the host has in all, before ratios and reservations."""

    vcpus: int
    memory_mib: int
    disk_gib: int
    hypervisor_type: str
    hypervisor_version: int
    hypervisor_hostname: str
    cpu_info: dict
    traits: tuple[str, ...] = ()


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver can do, as data: the caller looks here instead of trying."""

    name: str
    live_attach: bool = True
    pause: bool = True
    suspend: bool = True
    snapshot: bool = True
    serial_console: bool = True
    vnc_console: bool = True


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a running guest: seconds, bytes and operations since it started."""

    uptime: int
    cpu_time: float
    memory_mib: int
    memory_used_mib: int
    disks: dict[str, dict[str, int]]
    """disk id -> read_bytes, read_requests, write_bytes, write_requests, errors"""
    nics: dict[str, dict[str, int]]
    """port id -> rx_octets, rx_packets, rx_drop, rx_errors and the same with tx_"""


class DriverError(Exception):
    """The host could not do what was asked; the text says what and why, to the operator."""


class NoSuchMachine(DriverError):
    """The driver has no machine of that id on this host."""


def source_of(disk: RootDisk) -> ImageSource:
    """Where the data is that a disk is to be made of. Raises DriverError where that is gone."""
    if disk.source is None:
        raise DriverError(f"image {disk.image} is gone, and disk {disk.id} was to be made of it")
    return disk.source


PowerWatcher = Callable[[str, Power], Awaitable[None]]


class ComputeDriver(Protocol):
    """One host's hypervisor."""

    capabilities: Capabilities

    async def open(self, on_power: PowerWatcher) -> None:
        """Find again what this host was running and watch it; `on_power` hears of every later change
        that nobody asked for (the guest powered itself off, or crashed)."""

    async def close(self) -> None:
        """Let go of the guests without touching them."""

    async def resources(self) -> Resources: ...

    async def list(self) -> list[Found]:
        """Every machine with a directory on this host, whatever it is doing."""
        ...

    def unmade(self, machine: Machine) -> Sequence[RootDisk]:
        """What of the machine's root disks, kernel and ramdisk is yet to be made."""
        ...

    async def start(self, machine: Machine) -> None:
        """Make what is missing (directory, disks, config drive) and run the guest. A suspended one resumes."""

    async def stop(self, id: str, grace: float) -> None:
        """Press the power button, wait at most `grace` seconds, then cut the power. Disks stay."""

    async def reboot(self, machine: Machine, hard: bool) -> None:
        """Soft: a reset that the guest survives as a process. Hard: power cut, description renewed, power on."""

    async def destroy(self, id: str) -> None:
        """Cut the power and remove everything of it from the host. No machine of that id is success."""

    async def pause(self, id: str) -> None: ...
    async def unpause(self, id: str) -> None: ...
    async def suspend(self, id: str) -> None:
        """Write memory to the machine's directory and end the process."""

    async def resume(self, id: str) -> None: ...

    async def update(self, machine: Machine) -> None:
        """Bring a stopped or running machine to a new description: plug and unplug the volumes and cards
        that differ (waiting for the guest to let go, DriverError if it won't within 20 s), apply throttles
        and processor limits, remember the rest for the next start."""

    async def resize_disk(self, id: str, disk: str, size_bytes: int) -> None:
        """Tell a running guest that one of its disks grew; the disk's file has grown already."""

    async def snapshot(self, id: str, path: str) -> None:
        """Write the first root disk, as it is now, to `path` as one standalone qcow2 without backing file."""

    async def console_log(self, id: str, lines: int | None) -> str:
        """The last `lines` lines that the guest wrote to its serial port (all that is kept, for None)."""
        ...

    async def console_path(self, id: str, kind: str) -> str:
        """The UNIX socket of the guest's console; kind is `serial` or `vnc`. A running guest only."""
        ...

    async def statistics(self, id: str) -> Statistics: ...
