"""The devices of a machine, as QEMU's `-device` and `device_add` take them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import DriverError, Machine, Nic, RootDisk, Throttle, VolumeDisk
from cumulet.compute.drivers.qemu.disks import Layer, layers, root_path, volume_layers
from cumulet.compute.drivers.qemu.record import Record

PC_SLOTS = (5, 31)
"""Free slots of the pc machine's PCI bus: 0 to 4 are bridges, VGA, entropy and balloon."""

ROOT_PORTS = 24
"""PCI Express ports of a q35 machine, eight to a slot from 0x10 on, each for one device."""

SCSI_TARGETS = (0, 127)
CONFIG_DRIVE, CDROM, SCSI = "config", "cdrom", "scsi"
CONFIG_FILE = "config.iso"

NIC_MODELS = {"virtio": "virtio-net-pci", "e1000": "e1000", "e1000e": "e1000e", "rtl8139": "rtl8139"}


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """A disk of a machine, whatever its kind: `device` is its id in QEMU and its block node's name."""

    device: str
    key: str
    files: list[Layer]
    bus: str
    serial: str = ""
    boot_order: int | None = None
    read_only: bool = False
    cdrom: bool = False
    throttle: Throttle = Throttle()

    @property
    def backend(self) -> str:
        """What `block_set_io_throttle` and `query-blockstats` call the disk."""
        path = f"/machine/peripheral/{self.device}"
        return f"{path}/virtio-backend" if self.bus == "virtio" else path


def device_id(kind: str, id: str) -> str:
    """A name that fits QEMU's 31 characters for block nodes."""
    return f"{kind}-{''.join(filter(str.isalnum, id))[:24]}"


def is_q35(machine: Machine) -> bool:
    """Whether the image asks for the PCI Express machine."""
    return "q35" in machine.properties.get("hw_machine_type", "pc")


def root_drive(directory: Path, disk: RootDisk, boot_index: int | None) -> Drive:
    """A root disk, in its server's directory."""
    return Drive(
        device=device_id("disk", disk.id),
        key=disk.id,
        files=layers(root_path(directory, disk), "qcow2"),
        bus=disk.bus,
        serial=disk.id[:20],
        boot_order=_boot_order(boot_index),
        throttle=disk.throttle,
    )


def volume_drive(volume: VolumeDisk) -> Drive:
    """A volume; its serial number is the first 20 characters of its id, as cloud images expect."""
    return Drive(
        device=device_id("disk", volume.id),
        key=volume.id,
        files=volume_layers(volume),
        bus=volume.bus,
        serial=volume.id[:20],
        boot_order=_boot_order(volume.boot_index),
        read_only=volume.read_only,
        throttle=volume.throttle,
    )


def drives(machine: Machine, directory: Path) -> list[Drive]:
    """Every disk that a machine starts with."""
    explicit = any(disk.boot_index is not None for disk in (*machine.roots, *machine.volumes))
    found = [root_drive(directory, disk, 0 if index == 0 and not explicit else disk.boot_index) for index, disk in enumerate(machine.roots)]
    found += [volume_drive(volume) for volume in machine.volumes]
    if machine.config_drive is not None:
        image = [Layer(directory / CONFIG_FILE, "raw")]
        first = found[0].bus if found else "virtio"
        bus, cdrom = ("virtio", False) if first in ("virtio", "scsi") else ("ide", True)
        found.append(Drive(device=CONFIG_DRIVE, key=CONFIG_DRIVE, files=image, bus=bus, read_only=True, cdrom=cdrom))
    if machine.cdrom_image_path is not None:
        image = [Layer(Path(machine.cdrom_image_path), "raw")]
        # Before every disk: an installer or rescue system is there to be booted. Before all is a kernel, in the same place.
        order = None if machine.kernel else 0
        found.append(Drive(device=CDROM, key=CDROM, files=image, bus="ide", boot_order=order, read_only=True, cdrom=True))
    return found


def needs_scsi(machine: Machine) -> bool:
    """Whether any disk hangs on the SCSI controller."""
    return any(disk.bus == "scsi" for disk in (*machine.roots, *machine.volumes))


def forget_absent(record: Record, directory: Path) -> None:
    """Free the places of devices that a machine about to start afresh no longer has."""
    machine = record.machine
    present = {drive.device for drive in drives(machine, directory)}
    present |= {device_id("nic", nic.port_id) for nic in machine.nics} | ({SCSI} if needs_scsi(machine) else set())
    for key in [*record.places]:
        device = key.partition("/")[2]
        if device not in present:
            record.release(device)


def drive_device(drive: Drive, record: Record, q35: bool) -> dict:
    """The device of a disk at its place on its bus, which is recorded. Raises DriverError for an unknown bus."""
    options: dict = {"id": drive.device, "drive": drive.device}
    if drive.boot_order is not None:
        options["bootindex"] = drive.boot_order
    if drive.serial:
        options["serial"] = drive.serial
    match drive.bus:
        case "virtio":
            return {"driver": "virtio-blk-pci", **options, **pci_address(drive.device, record, q35)}
        case "scsi":
            target = record.place("scsi", drive.device, *SCSI_TARGETS)
            return {"driver": "scsi-hd", **options, "bus": f"{SCSI}.0", "scsi-id": target, "lun": 0}
        case "ide" | "sata":
            return {"driver": "ide-cd" if drive.cdrom else "ide-hd", **options, **_ide_address(drive, record, q35)}
    raise DriverError(f"disk {drive.key}: this host has no disk bus {drive.bus} (virtio, scsi, ide, sata)")


def nic_device(nic: Nic, record: Record, q35: bool) -> dict:
    """The device of a network card at its place. Raises DriverError for an unknown model."""
    if nic.model not in NIC_MODELS:
        raise DriverError(f"port {nic.port_id}: this host has no card model {nic.model} ({', '.join(NIC_MODELS)})")
    device = device_id("nic", nic.port_id)
    options: dict = {"driver": NIC_MODELS[nic.model], "id": device, "netdev": f"net-{device}", "mac": nic.mac}
    if nic.model == "virtio":
        options["host_mtu"] = nic.mtu
    # No boot ROM: it would cost each start half a second, and servers boot from disks.
    return {**options, "romfile": "", **pci_address(device, record, q35)}


def scsi_device(record: Record, q35: bool) -> dict:
    """The controller that SCSI disks hang on."""
    return {"driver": "virtio-scsi-pci", "id": SCSI, **pci_address(SCSI, record, q35)}


def pci_address(device: str, record: Record, q35: bool) -> dict:
    """A device's slot on the PCI bus, or its PCI Express port."""
    if q35:
        return {"bus": f"port{record.place('pci', device, 0, ROOT_PORTS - 1)}", "addr": "0x0"}
    return {"bus": "pci.0", "addr": hex(record.place("pci", device, *PC_SLOTS))}


def _boot_order(boot_index: int | None) -> int | None:
    """QEMU's order from 1, which leaves 0 to the CD; a negative index is a disk that is never booted."""
    return boot_index + 1 if boot_index is not None and boot_index >= 0 else None


def _ide_address(drive: Drive, record: Record, q35: bool) -> dict:
    if q35:
        return {"bus": f"ide.{record.place('ide', drive.device, 0, 5)}"}
    place = record.place("ide", drive.device, 0, 3)
    return {"bus": f"ide.{place // 2}", "unit": place % 2}
