"""A cloud whose control plane and agent talk through a relay that loses, doubles, delays and reorders what it passes on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from pathlib import Path

from fault.fault_world import FaultWorld
from world import World

LOST, DOUBLED, LATE, DELAYED = 0.08, 0.25, 0.5, 0.65
"""Of all messages, how many are lost; then, up to these, how many come twice, come again late, or are overtaken."""
LATER = 0.3
"""Seconds that a message may be late at most."""


class Relay:
    """Listens where the agent did, which is moved to another path. A message is lost as on every stream: with its connection."""

    def __init__(self, path: Path):
        self._path, self._agent = path, path.with_suffix(".agent")
        self.random = random.Random(1)
        self.wild = False
        self._late: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._path.rename(self._agent)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))

    async def close(self) -> None:
        self._server.close()
        for late in self._late:
            late.cancel()
        self._agent.rename(self._path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agent_reader, agent_writer = await asyncio.open_unix_connection(str(self._agent))
        passing = [asyncio.create_task(self._pass(reader, agent_writer)), asyncio.create_task(self._pass(agent_reader, writer))]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in passing:
                one.cancel()
            writer.close()
            agent_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                length = await reader.readexactly(4)
                message = length + await reader.readexactly(*struct.unpack(">I", length))
                fate = self.random.random() if self.wild else 1.0
                if fate < LOST:
                    return
                if fate < LATE or fate >= DELAYED:
                    writer.write(message * (2 if fate < DOUBLED else 1))
                if DOUBLED <= fate < DELAYED:
                    self._write_later(writer, message)

    async def quiet(self) -> None:
        """Pass on as it should be from now on, once all that is late has come."""
        self.wild = False
        while self._late:
            await asyncio.wait(self._late)

    def _write_later(self, writer: asyncio.StreamWriter, message: bytes) -> None:
        async def write() -> None:
            await asyncio.sleep(self.random.uniform(0, LATER))
            with contextlib.suppress(OSError):
                writer.write(message)

        task = asyncio.create_task(write())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


class RelayedWorld(FaultWorld):
    """Time passes here as it does."""

    def __init__(self, url: str, data: str):
        super().__init__(url, data)
        self.relay = Relay(self.root / "agent.sock")
        self.portal.call(self._relay)

    async def _relay(self) -> None:
        await self.runtime.bus.close()
        await self.relay.open()
        await self.runtime.bus.open()

    async def _work(self) -> None:
        await World._settle(self, 30.0)

    async def _close(self) -> None:
        await self.relay.close()
        await super()._close()
