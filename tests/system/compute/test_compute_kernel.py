"""A guest that boots a kernel and a ramdisk which are images of their own: those of the guest image."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from compute_conformance import booted, machine, until
from compute_namespace import own_network
from compute_world import QemuWorld, qemu_world

from cumulet.compute.drivers.base import DriverError, RootDisk
from cumulet.compute.drivers.qemu import QemuDriver
from cumulet.image.drivers.base import ImageSource

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces, control groups and changing the user need root"),
]

BUILD = Path(__file__).parents[3] / "guest/build.py"
PARTITION = 1 << 20
RAMDISK = ("/boot/initrd.head", "/usr/bin/busybox", "/boot/initrd.tail")
"""Parts that a boot loader puts one after the other, each padded to four bytes."""


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files of a kernel and a ramdisk, as the image store may have them: nobody but their owner reads them."""
    directory = tmp_path_factory.mktemp("boot")
    subprocess.run([sys.executable, BUILD, directory / "guest.qcow2"], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "raw", directory / "guest.qcow2", directory / "raw"], check=True)
    with (directory / "raw").open("rb") as disk, (directory / "root").open("wb") as root:
        disk.seek(PARTITION)
        root.write(disk.read())
    kernel, ramdisk = directory / "vmlinuz", directory / "initrd"
    kernel.write_bytes(_dumped(directory, "/boot/vmlinuz"))
    parts = [_dumped(directory, name) for name in RAMDISK]
    ramdisk.write_bytes(b"".join(part.ljust(-(-len(part) // 4) * 4, b"\0") for part in parts))
    for file in (kernel, ramdisk):
        file.chmod(0o600)
    return kernel, ramdisk


def _dumped(directory: Path, name: str) -> bytes:
    target = directory / "dumped"
    subprocess.run(["debugfs", "-R", f"dump {name} {target}", directory / "root"], check=True, capture_output=True)
    return target.read_bytes()


@pytest.fixture
async def world() -> AsyncIterator[QemuWorld]:
    with qemu_world() as made:
        yield made
        await made.clear()


def image(id: str, path: Path | None) -> RootDisk:
    source = ImageSource(id=f"image-of-{id}", path=str(path), as_is=True) if path else None
    return RootDisk(id=id, size_gib=0, image=f"image-of-{id}", source=source)


async def says(driver: QemuDriver, id: str, text: str) -> None:
    async def said() -> bool:
        return text in await driver.console_log(id, None)

    await until(said, 60)


async def test_a_guest_boots_the_kernel_and_ramdisk_of_its_own_until_it_has_none(world: QemuWorld, boot: tuple[Path, Path]) -> None:
    driver = await world.driver()
    plain = machine(world, memory_mib=128, nics=(world.nic(),), config_drive={"a": "Yg=="})
    line = "console=ttyS0 no_timer_check given=by,the image"
    spec = msgspec.structs.replace(plain, kernel=image("kernel", boot[0]), ramdisk=image("ramdisk", boot[1]), command_line=line)
    await driver.start(spec)
    await says(driver, spec.id, f"Command line: {line}")
    await says(driver, spec.id, "Run /init as init process")
    directory = world.path / f"host/servers/{spec.id}"
    assert {(path.name, oct(path.stat().st_mode & 0o777)) for path in directory.glob("*.boot")} == {
        ("image-of-kernel.boot", "0o440"),
        ("image-of-ramdisk.boot", "0o440"),
    }
    assert {path.stat().st_gid for path in directory.glob("*.boot")} == {(directory / "process").stat().st_gid}
    gone = msgspec.structs.replace(spec, kernel=image("kernel", None), ramdisk=None, command_line="console=ttyS0 the=second")
    world.images.evict()
    await driver.reboot(gone, hard=True)
    await says(driver, spec.id, "Command line: console=ttyS0 the=second")
    await driver.reboot(plain, hard=True)
    await booted(driver, spec.id)
    assert not [*directory.glob("*.boot")]


async def test_a_kernel_that_is_not_there_is_named(world: QemuWorld) -> None:
    driver = await world.driver()
    with pytest.raises(DriverError, match="image image-of-kernel is not on this host"):
        await driver.start(machine(world, kernel=image("kernel", world.path / "nowhere")))
