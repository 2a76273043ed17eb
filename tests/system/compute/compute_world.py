"""A host for tests of the QEMU driver: a directory, and taps in the network namespace that the test runs in."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compute_guest import write_image

from cumulet.compute.drivers.base import Nic, Power, VolumeDisk
from cumulet.compute.drivers.qemu import QemuDriver
from cumulet.compute.drivers.qemu.disks import standing_on
from cumulet.compute.drivers.qemu.launch import find
from cumulet.compute.drivers.qemu.qmp import connect_unix
from cumulet.image.drivers.cache import ImageCache
from cumulet.kernel.held import Process

CONTROL, UIDS = "nobody", range(2_100_000_000, 2_100_000_100)
"""Who may reach the consoles, and whom guests may run as."""


class QemuWorld:
    """A directory that everybody gets to, as a cloud's is."""

    def __init__(self, path: Path):
        self.path, self.heard = path, []
        path.chmod(0o755)
        self._driver: QemuDriver | None = None

    async def driver(self) -> QemuDriver:
        await self.close()
        self.images = images_of(self.path / "host")
        self._driver = QemuDriver(self.path / "host", "host-1", tap_name, CONTROL, UIDS, self.images, accelerator="tcg")
        await self._driver.open(self._hear)
        return self._driver

    async def close(self) -> None:
        if self._driver is not None:
            await self._driver.close()

    async def clear(self) -> None:
        """Destroy every server that a test left."""
        driver = await self.driver()
        for found in await driver.list():
            await driver.destroy(found.id)
        await self.close()

    def image(self) -> Path:
        path = self.path / "image"
        return path if path.exists() else write_image(path)

    def volume(self) -> VolumeDisk:
        id = str(uuid.uuid4())
        path = self.path / f"volume-{id}"
        with path.open("wb") as file:
            file.truncate(1 << 20)
        path.chmod(0o600)
        return VolumeDisk(id=id, connection={"driver": "file", "path": str(path), "format": "raw"})

    def nic(self) -> Nic:
        port = str(uuid.uuid4())
        subprocess.run(["ip", "tuntap", "add", tap_name(port), "mode", "tap"], check=True)
        subprocess.run(["ip", "link", "set", tap_name(port), "up"], check=True)
        return Nic(port_id=port, mac="fa:16:3e:00:00:01", mtu=1450)

    def leftovers(self, id: str) -> list[str]:
        # No deeper: a search that looks into the groups of others fails where one of those goes at that moment.
        groups = [str(path) for depth in ("", "*/") for path in Path("/sys/fs/cgroup").glob(f"{depth}cumulet-*/{id}")]
        files = [str(path) for path in self.path.glob(f"host/**/{id}*")]
        return groups + files + [f"process {pid}" for pid in _processes(id)]

    async def crash(self, id: str) -> None:
        os.kill(self.processes()[id].pid, signal.SIGKILL)

    async def power_off(self, id: str) -> None:
        """The guest switches off when it is sent a `q` on its serial port."""
        with socket.socket(socket.AF_UNIX) as serial:
            connect_unix(serial, Path(await self._driver.console_path(id, "serial")))
            serial.sendall(b"q")
            async with asyncio.timeout(20):
                while not self.heard:
                    await asyncio.sleep(0.02)

    def processes(self) -> dict[str, Process]:
        """Server id -> process, as the driver finds them."""
        return find(self.path.resolve() / "host/servers")

    async def _hear(self, id: str, power: Power) -> None:
        self.heard.append((id, power))

    def end_processes(self) -> None:
        """End the guests that a test left running."""
        for process in self.processes().values():
            os.kill(process.pid, signal.SIGKILL)


def images_of(root: Path) -> ImageCache:
    """The image cache of the host whose directory this is."""
    cache = ImageCache(root / "images", lambda: standing_on(root / "servers"))
    cache.open()
    return cache


def tap_name(port_id: str) -> str:
    """The tap of a port."""
    return f"tap{port_id[:11]}"


def _processes(id: str) -> list[int]:
    """Every process that names a server in its arguments, or is in a directory of its name, there or removed."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if id.encode() in (path / "cmdline").read_bytes() or id in os.readlink(path / "cwd"):
                found.append(int(path.name))
    return found


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """In the block, files and processes are reached with the rights of that user and group, and no others."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextmanager
def qemu_world() -> Iterator[QemuWorld]:
    """A host that is gone afterwards with all its guests."""
    path = Path(tempfile.mkdtemp(prefix="cumulet-"))
    world = QemuWorld(path)
    try:
        yield world
    finally:
        world.end_processes()
        shutil.rmtree(path)
