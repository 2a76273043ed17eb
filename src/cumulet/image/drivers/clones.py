"""Images in Ceph that are used without a copy: a host's clones of them, and the files by which they are read.

An image that was cloned is not removed by its store, whoever deletes it meanwhile: so a clone says, where no host's absence can make
it forgotten, that this host's disks stand on the image. A daemon (qemu-storage-daemon), which alone of all that deal with the clone has
Ceph's key, gives it as a file, by FUSE; it lives as long as that is given, and outlives the agent as guests do.

In the cache's directory, KEY.rbd is the record of a clone that was found good, KEY.cloning that of one on its way here or away,
KEY.mapped the file, which is there only while a daemon gives it, and KEY.pid the daemon's process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections import defaultdict
from pathlib import Path

import msgspec
from msgspec import json

from ...kernel.config_images import ImageClones
from ...kernel.files import sync, write
from ...kernel.held import Process
from ...kernel.log import get_logger
from ...kernel.process import CommandFailed, run
from ..stores.rbd_program import NO_POOL
from .base import LIKE_DISKS, ImageDriverError, ImageSource
from .rbd import cluster_of, command
from .sound import inspect

RECORD, CLONING, MAPPED, PID = ".rbd", ".cloning", ".mapped", ".pid"
DAEMON = "qemu-storage-daemon"
SECTOR = 512
ANSWER, START, END, REMOVE = 10.0, 60.0, 10.0, 90.0
"""Seconds for a daemon to answer, to be ready and to end; and for a clone to be removed, which one who died holds for a while."""

log = get_logger("agent")


class Clone(msgspec.Struct, frozen=True, kw_only=True):
    """A block image of this host. `format` is what its content is, raw or qcow2, and `size` its bytes, once they are known."""

    pool: str
    name: str
    format: str = ""
    size: int = 0


class CloneFailed(Exception):
    """An image is not to be had by a clone; the text says why."""


class Clones:
    """Those of one host, `host`, whose records and files are in `directory`. Paths of `table` are relative to `root`."""

    def __init__(self, directory: Path, table: ImageClones, root: Path, host: str):
        self._directory, self._table, self._conf, self._host = directory, table, root / table.conf, host
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._leaving: set[asyncio.Task[None]] = set()
        self._one_leaves = asyncio.Lock()

    def open(self) -> None:
        """Remove the files that nothing is behind since the host was started: a disk that stood on one would be all zeros."""
        for path in self._directory.glob(f"*{MAPPED}"):
            with contextlib.suppress(OSError):  # the kernel removes none that something is mounted on
                path.unlink()

    def reach(self, source: ImageSource) -> bool:
        """Whether this host may clone an image: its settings are of the same cluster. What a kernel is has to be copied anyway."""
        block = source.block
        return bool(self._table.pool and block and block.cluster and not source.as_is and block.cluster == cluster_of(self._conf))

    def find(self, key: str) -> Path | None:
        """The record of a clone that was found good and is given as a file."""
        record = self._path(key, RECORD)
        return record if record.exists() and f"{key}{MAPPED}" in os.listdir(self._directory) else None

    async def make(self, source: ImageSource) -> Path:
        """Clone an image, look at it, and have it given as a file; its record. Raises ImageDriverError where the image is not sound,
        CloneFailed, CommandFailed and OSError where it has to be got in another way."""
        block, key = source.block, source.key
        assert block is not None
        clone = Clone(pool=self._table.pool, name=f"{block.name}.{self._host}")
        async with self._turns[key]:
            record, cloning = self._path(key, RECORD), self._path(key, CLONING)
            if record.exists():
                await self._give(key, self._read(record))
                return record
            await asyncio.to_thread(write, cloning, json.encode(clone))
            try:
                await run(*self._command("clone", clone, block.pool, block.name, block.snapshot))
                await self._give(key, clone)
                clone = await self._judged(source, clone)
            except BaseException:
                self._spawn(key)
                raise
            await asyncio.to_thread(write, cloning, json.encode(clone))
            cloning.rename(record)
            await asyncio.to_thread(sync, self._directory)
            return record

    async def base(self, key: str) -> tuple[Path, str]:
        """The file by which a clone is read, which is given from now on, and its format. Raises ImageDriverError."""
        record = self._path(key, RECORD)
        try:
            async with self._turns[key]:
                await self._give(key, clone := self._read(record))
        except (CommandFailed, OSError) as error:
            raise ImageDriverError(f"{key} cannot be read from Ceph: {error}") from None
        return self._path(key, MAPPED), clone.format

    def size(self, key: str) -> int:
        """Bytes of an image that was cloned."""
        return self._read(self._path(key, RECORD)).size

    def let_go(self, key: str) -> None:
        """Have a clone removed, for nothing stands on it: it cannot be found from now on, and is gone some time later."""
        with contextlib.suppress(FileNotFoundError):
            self._path(key, RECORD).rename(self._path(key, CLONING))
        self._spawn(key)

    def tidy(self) -> None:
        """Have those removed whose making was cut off, and those that could not be removed before."""
        for path in self._directory.glob(f"*{CLONING}"):
            if not self._turns[path.stem].locked():
                self._spawn(path.stem)

    async def settled(self) -> None:
        """Wait until nothing is being removed."""
        while self._leaving:
            await asyncio.wait(self._leaving)

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _path(self, key: str, suffix: str) -> Path:
        return self._directory / f"{key}{suffix}"

    def _read(self, record: Path) -> Clone:
        return json.decode(record.read_bytes(), type=Clone)

    def _command(self, do: str, clone: Clone, *more: str) -> tuple[str, ...]:
        return command(self._conf, self._table.user, clone.pool, do, clone.name, *more)

    async def _judged(self, source: ImageSource, clone: Clone) -> Clone:
        """With what it is. Raises as `make`."""
        path = self._path(source.key, MAPPED)
        size, wanted = int(await run("stat", "--format=%s", str(path), timeout=ANSWER)), source.size
        if wanted is not None and size != -(-wanted // SECTOR) * SECTOR:
            raise CloneFailed(f"it has {size} bytes, not the {wanted} that the image has")
        format = await inspect(source, path)
        if format not in LIKE_DISKS:
            raise CloneFailed(f"disks cannot stand on its format, {format}")
        return msgspec.structs.replace(clone, format=format, size=size if wanted is None else wanted)

    async def _give(self, key: str, clone: Clone) -> None:
        """Have the file read from the cluster, if it is not. Raises CommandFailed, OSError."""
        path = self._path(key, MAPPED)
        if await self._given(key):
            return
        await self._take_away(key)
        path.touch(0o400)
        disk = {"driver": "rbd", "node-name": "clone", "pool": clone.pool, "image": clone.name, "user": self._table.user}
        disk |= {"conf": str(self._conf.absolute()), "read-only": True}
        export = {"type": "fuse", "id": "file", "node-name": "clone", "mountpoint": str(path.absolute()), "writable": False}
        export |= {"allow-other": "on"}  # guests ask for the length of what they were handed open; the file is root's
        pid = str(self._path(key, PID).absolute())
        # Whoever has the lock is a daemon, also one that was cut off from us while it started.
        argv = ("flock", "--no-fork", "--nonblock", pid, DAEMON, "--daemonize", "--pidfile", pid)
        try:
            await run(*argv, "--blockdev", json.encode(disk).decode(), "--export", json.encode(export).decode(), timeout=START)
        except BaseException:
            await self._take_away(key)
            raise
        log.info("an image is read from Ceph", pool=clone.pool, clone=clone.name)

    async def _given(self, key: str) -> bool:
        """Whether a daemon gives it, and the cluster answers. Raises CommandFailed where the latter does not: that is asked by
        programs, which can be ended while they wait."""
        path = self._path(key, MAPPED)
        if _daemon(self._path(key, PID)) is None or path.name not in os.listdir(self._directory):
            return False
        there, here = (await run("stat", "--format=%d", str(path), str(self._directory), timeout=ANSWER)).split()
        if there != here:
            await run("head", f"--bytes={SECTOR}", str(path), timeout=ANSWER)
        return there != here

    async def _take_away(self, key: str) -> None:
        path = self._path(key, MAPPED)
        if daemon := _daemon(self._path(key, PID)):
            daemon.send(signal.SIGTERM)
            if not await daemon.ended(END):
                await daemon.kill()
        with contextlib.suppress(FileNotFoundError):
            while True:
                try:
                    path.unlink()
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise
                    await run("umount", "--lazy", str(path))

    def _spawn(self, key: str) -> None:
        task = asyncio.create_task(self._remove(key))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _remove(self, key: str) -> None:
        cloning = self._path(key, CLONING)
        try:
            async with self._one_leaves, self._turns[key]:
                if not cloning.exists():
                    return  # it was wanted again, or somebody else removed it
                clone = self._read(cloning)
                await self._take_away(key)
                await run(*self._command("delete", clone), ok=(0, NO_POOL), timeout=REMOVE)  # no daemon has it open
                self._path(key, PID).unlink(missing_ok=True)
                cloning.unlink()
            log.info("a clone of an image in Ceph is removed", pool=clone.pool, clone=clone.name)
        except (CommandFailed, OSError) as error:
            log.warning("a clone in Ceph could not be removed; it is tried again", key=key, why=str(error))


def _daemon(pid: Path) -> Process | None:
    """The daemon of a file, if it lives: a process that was told the name of this very file."""
    try:
        process = Process(int(pid.read_text()))
        told = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return process if bytes(pid.absolute()) in told and process.alive() else None
