"""Rounds: a host is described and brought to the description. However many ask, a host has one round under way and at
most one waiting, and hosts that are described at one time are described together."""

from __future__ import annotations

import asyncio
import datetime as dt
import typing as t

import msgspec

from ...kernel import clock
from ...kernel.bus.base import AgentRefused
from ...kernel.db import Row, Tx
from ...kernel.runtime import Runtime
from ..drivers.base import Applied
from ..hosts import homeless, known_hosts, place, take_number
from ..workflows.hosts import Description, describe
from ..workflows.outcome import outcome, record, settle

HEAL = dt.timedelta(minutes=5)
"""A host that should be as it is gets its description again after this time: its agent looks for itself."""
APPLY_TIMEOUT = 120.0
TRIES = 5
MOST_TOGETHER = 100

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")
Failed = dict[str, str]
"""Ids of what could not be made, with the reasons."""


class Task(t.NamedTuple):
    """A host's description, and whether the host has to be told."""

    description: Description
    needed: bool


class Rounds:
    """One process's rounds. Other processes may have their own: the agent takes the higher generation."""

    def __init__(self, runtime: Runtime):
        self.runtime = runtime
        self._waiting: dict[str, asyncio.Task[Failed]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._describing = Together(self._describe)
        self._recording = Together(self._record)

    async def run(self, host: str) -> Failed:
        """Bring a host to a description that begins after this call; what of it failed. Raises AgentError."""
        waiting = self._waiting.get(host)
        if waiting is None:
            waiting = self._waiting[host] = asyncio.create_task(self._round(host))
        return await asyncio.shield(waiting)

    async def _round(self, host: str) -> Failed:
        async with self._locks.setdefault(host, asyncio.Lock()):
            del self._waiting[host]  # the description begins: who asks from now on waits for the next round
            for _ in range(TRIES):
                try:
                    return await self._bring(host)
                except AgentRefused:
                    continue  # another process's description, of a higher generation, was there first
            raise AgentRefused(f"The network of host {host} was described anew {TRIES} times while it was being applied.")

    async def _bring(self, host: str) -> Failed:
        task = await self._describing.ask(host)
        wanted = task.description.wanted
        failed: Failed = {}
        if task.needed:
            arguments = {"wanted": msgspec.to_builtins(wanted)}
            answer = await self.runtime.bus.call(
                host, "network.apply", arguments, subject=f"network:{host}", generation=wanted.generation, timeout=APPLY_TIMEOUT
            )
            failed = msgspec.convert(answer, Applied).failed
        if task.needed or not task.description.settled:
            await self._recording.ask((task, failed))
        return failed

    async def _describe(self, hosts: list[str]) -> list[Task]:
        """Look what the hosts should be; those that are not take a number and are looked at once more, by it."""
        db = self.runtime.db
        if await db.read(homeless):
            await db.write(place)
        found, known = await db.read(lambda tx: (describe(tx, hosts, 0), known_hosts(tx, hosts)))
        stale = [host for host in hosts if not _as_described(found[host], known.get(host))]
        if stale:
            number = await db.write(lambda tx: take_number(tx, stale))
            found |= await db.read(lambda tx: describe(tx, stale, number))
        return [Task(found[host], host in stale) for host in hosts]

    async def _record(self, done: list[tuple[Task, Failed]]) -> list[None]:
        def write(tx: Tx) -> None:
            for (description, needed), failed in done:
                if needed:
                    record(tx, description.wanted, description.digest, failed)
                else:
                    settle(tx, description.wanted, outcome(description.wanted, {}))

        await self.runtime.db.write(write)
        return [None] * len(done)


def _as_described(description: Description, host: Row | None) -> bool:
    """Whether a host is known to be so already, lately, and nobody is sending it anything else."""
    if host is None or host.applied_digest != description.digest or host.generation != host.applied_generation:
        return False
    return host.applied_at is not None and clock.now() - host.applied_at < HEAL


class Together(t.Generic[Item, Result]):
    """Has everything that is asked for while `do` is busy done by its next call."""

    def __init__(self, do: t.Callable[[list[Item]], t.Awaitable[list[Result]]]):
        self._do = do
        self._asked: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._asked.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._asked:
            batch, self._asked = self._asked[:MOST_TOGETHER], self._asked[MOST_TOGETHER:]
            try:
                results = await self._do([item for item, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)


def rounds_of(runtime: Runtime) -> Rounds:
    """This process's rounds."""
    return runtime.shared.setdefault("network.rounds", Rounds(runtime))
