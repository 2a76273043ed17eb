"""A store in a pool of Ceph: a block image a key, with a snapshot that volumes and servers can be cloned from.

Ceph is asked by a program of its own (`rbd_program.py`): where a cluster is away, its library waits in ways that nothing but the end of
a process ends, and its Python modules are the system's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ...kernel.config_images import RbdTable
from ..drivers.base import BlockImage
from ..drivers.rbd import PYTHON, cluster_of, command
from .base import Accept, NoImageData, Stored, StoreError, StoreFull, StoreInUse
from .rbd_program import CLONED, FULL, NOT_THERE, SNAPSHOT
from .remote import Away, nothing
from .streaming import BATCH, Digest, pass_on

STALL, LONGEST = 90.0, 3600.0
"""Seconds in which something has to move, and those that removing the largest image may take."""
LEAVE = 15.0
"""Seconds for the program to let go of an image that it writes, so that the cluster does not take it for written yet."""
READ = 1 << 20


class RbdStore(Away):
    """Each upload is a process, which holds a batch as this one does."""

    def __init__(self, table: RbdTable, root: Path):
        self._table, self._conf = table, root / table.conf
        self.who = f"Ceph's pool {table.pool}"
        self.properties = {"pool": table.pool, "chunk_size": table.object_mib, "thin_provisioning": False}

    def url(self, key: str) -> str:
        return f"rbd://{cluster_of(self._conf)}/{self._table.pool}/{key}/{SNAPSHOT}"

    def block(self, key: str) -> BlockImage | None:
        return BlockImage(cluster=cluster_of(self._conf), pool=self._table.pool, name=key, snapshot=SNAPSHOT)

    async def put(self, key: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        digest, order = Digest(), (self._table.object_mib << 20).bit_length() - 1
        async with self.whole_or_nothing(key), self._program("put", key, order, leave=LEAVE) as program:

            async def take(batch: bytes) -> None:
                await asyncio.gather(digest.feed(batch), program.send(batch))

            await pass_on(chunks, take)
            stored = digest.finish(accept)
            await program.send(b"")
            await program.end(STALL)
            return stored

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and start >= end:
            return nothing()
        stack = contextlib.AsyncExitStack()
        program = await stack.enter_async_context(self._program("get", key, start, -1 if end is None else end))
        try:
            if not await program.read(1):
                await program.end(STALL)
        except BaseException:
            await stack.aclose()
            raise
        return _read(stack, program)

    async def delete(self, key: str) -> None:
        async with self._program("delete", key) as program:
            await program.end(LONGEST)

    @contextlib.asynccontextmanager
    async def _program(self, do: str, key: str, *more: int, leave: float = 0) -> AsyncIterator[_Program]:
        """leave: seconds that it has to end by itself."""
        argv = command(self._conf, self._table.user, self._table.pool, do, key, *map(str, more))
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, limit=BATCH)
        except OSError as error:
            raise StoreError(f"{self.who} cannot be asked: {PYTHON}: {error.strerror}") from None
        program = _Program(process, self.who)
        try:
            yield program
        finally:
            await asyncio.shield(program.leave(leave))


class _Program:
    """A run of the program."""

    def __init__(self, process: asyncio.subprocess.Process, who: str):
        self._process, self._who = process, who

    async def send(self, batch: bytes) -> None:
        """Raises StoreError."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            async with asyncio.timeout(STALL):
                stdin.write(len(batch).to_bytes(4, "big"))
                stdin.write(batch)
                await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            await self.end(STALL)
            raise StoreError(f"{self._who} took no more of it") from None
        except TimeoutError:
            raise self._stalled(STALL) from None

    async def read(self, size: int) -> bytes:
        """Some bytes, none at the end. Raises StoreError."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(STALL):
                return await self._process.stdout.read(size)
        except TimeoutError:
            raise self._stalled(STALL) from None

    async def end(self, within: float) -> None:
        """Wait until it has ended, and ended well. Raises StoreError, as it says."""
        assert self._process.stderr is not None
        try:
            async with asyncio.timeout(within):
                said = (await self._process.stderr.read()).decode(errors="replace").strip()[-500:]
                status = await self._process.wait()
        except TimeoutError:
            raise self._stalled(within) from None
        if status:
            kind = {NOT_THERE: NoImageData, FULL: StoreFull, CLONED: StoreInUse}.get(status, StoreError)
            raise kind(f"{self._who}: {said or f'its program ended with {status}'}")

    async def leave(self, within: float) -> None:
        if self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._process.wait()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _stalled(self, seconds: float) -> StoreError:
        return StoreError(f"{self._who} did not answer for {seconds:g} seconds")


async def _read(stack: contextlib.AsyncExitStack, program: _Program) -> AsyncIterator[bytes]:
    async with stack:
        while chunk := await program.read(READ):
            yield chunk
        await program.end(STALL)
