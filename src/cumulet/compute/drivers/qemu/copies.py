"""Writing a guest's memory and disk to files, and reading the memory back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import DriverError, Power
from cumulet.compute.drivers.qemu.disks import Layer
from cumulet.compute.drivers.qemu.guest import Guest
from cumulet.compute.drivers.qemu.hotplug import add_node, remove_node
from cumulet.compute.drivers.qemu.qmp import heard
from cumulet.kernel.files import settle, sync
from cumulet.kernel.process import CommandFailed, run

MEMORY = "memory"
SNAPSHOT = "snapshot"
BANDWIDTH = 1 << 40
"""Bytes per second that memory may be written at; QEMU's default is meant for a shared network."""

COPY_SECONDS = 6 * 3600


async def save_memory(guest: Guest, directory: Path) -> None:
    """Write a guest's memory to its directory and end it. A guest that cannot be saved goes on as it was."""
    path, part = directory / MEMORY, directory / f"{MEMORY}.part"
    before = guest.power
    await guest.pause()
    guest.power = Power.SUSPENDED
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        await guest.qmp.execute("migrate-set-parameters", {"max-bandwidth": BANDWIDTH})
        await _transfer(guest, "migrate", fd)
        await asyncio.to_thread(settle, part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        guest.power = Power.PAUSED
        if before == Power.RUNNING:
            await guest.run()
        raise
    await guest.end()


async def load_memory(guest: Guest, directory: Path) -> None:
    """Fill a guest that was started to wait for its memory, and let it run.

    The file is removed first: a guest that ran on must never be started from it again.
    """
    path = directory / MEMORY
    await _transfer(guest, "migrate-incoming", os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    path.unlink()
    await asyncio.to_thread(sync, directory)
    await guest.run()


async def copy_running(guest: Guest, root: Path, node: str, path: Path) -> None:
    """Copy a disk as it is at this moment, while its guest runs on."""
    part = path.with_name(path.name + ".part")
    await guest.cancel_job(SNAPSHOT)
    await remove_node(guest, SNAPSHOT)
    part.write_bytes(qcow2.empty(qcow2.read(root).size))
    await add_node(guest, SNAPSHOT, [Layer(part, "qcow2")])
    try:
        await guest.job("blockdev-backup", SNAPSHOT, {"device": node, "target": SNAPSHOT, "sync": "full", "auto-dismiss": False})
    finally:
        await remove_node(guest, SNAPSHOT)
    await asyncio.to_thread(settle, part, path)


async def copy_stopped(root: Path, path: Path) -> None:
    """Copy a disk that no guest writes to, with all that it stands on."""
    part = path.with_name(path.name + ".part")
    try:
        await run(
            *("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", str(root), str(part)),
            timeout=COPY_SECONDS,
        )
    except CommandFailed as error:
        raise DriverError(f"{root} could not be copied: {error}") from None
    await asyncio.to_thread(settle, part, path)


async def _transfer(guest: Guest, command: str, fd: int) -> None:
    """Move memory through an open file, which is closed. Raises DriverError with what went wrong."""
    try:
        await guest.qmp.execute("getfd", {"fdname": MEMORY}, fd)
    finally:
        os.close(fd)
    wanted = [{"capability": "events", "state": True}]
    await guest.qmp.execute("migrate-set-capabilities", {"capabilities": wanted})
    with guest.qmp.listen() as events:
        await guest.qmp.execute(command, {"uri": f"fd:{MEMORY}"})
        status = ""
        while status not in ("completed", "failed"):
            status = (await heard(events, "MIGRATION", 60) or {}).get("status", "")
    if status == "failed":
        said = (await guest.qmp.execute("query-migrate")).get("error-desc", "no reason given")
        raise DriverError(f"server {guest.id}: its memory could not be moved: {said}")
