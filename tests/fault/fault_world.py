"""A cloud on which faults can be laid: at a saga's step, or on the commands that a step sends. Time that only passes is skipped."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses as dc
import typing as t
from collections import Counter

import msgspec

from cumulet.kernel import clock
from cumulet.kernel.bus import AgentAway, AgentFailed, AgentUnreachable, Bus, Event
from cumulet.kernel.config import Config
from cumulet.kernel.db import Tx
from cumulet.kernel.work import RECONCILERS, StepFailed, Worker
from cumulet.kernel.work.tasks import LIVE, tasks
from fault.fault_actor import SETTINGS, Kept
from web_server import web_server
from world import World

ROUNDS = 400
"""How often work may be put off until it counts as work that does not end."""

Send = t.Callable[[], t.Awaitable[t.Any]]
MADE_TO_FAIL = "made to fail"


class Place(t.NamedTuple):
    """Where in a saga: before or after a step, forward or backward."""

    saga: str
    step: str
    when: str = "before"
    direction: int = 1


@dc.dataclass
class Fault:
    """What befalls the first who comes to a place: `do` is awaited there."""

    place: Place
    do: t.Callable[[], t.Awaitable[None]]
    met: bool = False


@dc.dataclass
class Trouble:
    """What befalls the command that a step sends as its `nth`: `do` gets what sends it, and answers in its stead. `command` is what
    that was."""

    saga: str
    step: str
    nth: int
    do: t.Callable[[Send], t.Awaitable[t.Any]]
    met: bool = False
    command: str = ""


async def fail() -> None:
    raise StepFailed(MADE_TO_FAIL)


async def die() -> None:
    """What the worker had taken stays with it until its lease runs out."""
    raise asyncio.CancelledError


async def lost(send: Send) -> t.Any:
    """The host did it, and its answer did not come."""
    await send()
    raise AgentUnreachable(MADE_TO_FAIL)


async def unheard(send: Send) -> t.Any:
    """The command did not come to the host."""
    raise AgentUnreachable(MADE_TO_FAIL)


async def broken(send: Send) -> t.Any:
    """The host did it and then failed."""
    await send()
    raise AgentFailed(MADE_TO_FAIL)


async def doubled(send: Send) -> t.Any:
    """The command comes twice at once."""
    answers = await asyncio.gather(send(), send())
    return answers[0]


class FaultyBus:
    """A bus on which commands get into trouble, or come to nobody while the agents are `away`. `sent` is how many each step, by saga and name, has sent."""

    def __init__(self, bus: Bus):
        self._bus = bus
        self.trouble: Trouble | None = None
        self.away = False
        self.sent: Counter[tuple[str, str]] = Counter()
        self.step: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("step", default=None)

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._bus, name)

    async def call(self, host: str, name: str, arguments: dict, **more: t.Any) -> t.Any:
        def send() -> t.Awaitable[t.Any]:
            return self._bus.call(host, name, arguments, **more)

        if self.away:
            raise AgentAway(f"The agent of host {host} is not connected.")
        trouble, step = self.trouble, self.step.get()
        if step:
            self.sent[step] += 1
        if trouble is None or trouble.met or step != (trouble.saga, trouble.step) or self.sent[step] != trouble.nth:
            return await send()
        trouble.met, trouble.command = True, name
        return await trouble.do(send)


class FaultWorld(World):
    """`faults` is what lies in wait."""

    def __init__(self, url: str, data: str):
        settings = msgspec.convert(SETTINGS, Config)
        super().__init__(url, data, probe=self._probe, config={name: getattr(settings, name) for name in SETTINGS})
        self.faults: t.Sequence[Fault] = ()
        self.bus = FaultyBus(self.runtime.bus)
        self.runtime.bus = self.bus
        self.late: list[Send] = []
        self.reconcilers = [kind(self.runtime) for kind in RECONCILERS]
        self.hosts = list(self.agent.hosts)
        self._serving = web_server()
        self.web = self._serving.__enter__()
        self.image_store = self.runtime.config.root / "images"
        self.flavor("f2", vcpus=2, ram=128)
        self.flavor("f1")
        self.image_id, self.network_id = self.image(), self.network()

    def close(self) -> None:
        self._serving.__exit__(None, None, None)
        super().close()

    def kept(self, host: str) -> Kept:
        root = self.root / host
        return Kept(
            root / "compute" / f"{host}.json", root / "network" / "network.json", root / "volumes.json", self.root / "metadata" / "servers"
        )

    def calm(self) -> None:
        """Nothing lies in wait any longer, and the hosts are heard of."""
        self.lay()
        self.late = []
        self.portal.call(self._beat)

    def lay(self, faults: t.Sequence[Fault] = (), trouble: Trouble | None = None) -> t.Callable[[], bool]:
        """Have this lie in wait, and nothing else; what is returned tells whether all of it was met."""
        self.faults, self.bus.trouble = faults, trouble
        self.bus.sent.clear()
        return lambda: all(one.met for one in (*faults, *([trouble] if trouble else [])))

    async def _beat(self) -> None:
        """What the agent says every ten seconds."""
        for host in self.agent.hosts:
            await self.agent.port.emit(Event(host=host, name="alive", data={"hosts": [host]}))

    async def _probe(self, saga: str, step: str, when: str, direction: int) -> None:
        self.bus.step.set((saga, step) if direction == 1 and when == "before" else None)
        here = Place(saga, step, when, direction)
        for fault in self.faults:
            if fault.place == here and not fault.met:
                fault.met = True
                await fault.do()

    def hurry(self) -> None:
        """Let what waits for its time wait no longer."""
        self.transact(_hurry)

    def work(self) -> None:
        """Work until there is none."""
        self.portal.call(self._work)

    async def _settle(self, patience: float = 10.0) -> None:
        """Work until there is none, with the reconcilers' rounds that follow."""
        await self._work()
        while self.late:
            await asyncio.gather(self.late.pop()(), return_exceptions=True)
        for reconciler in self.reconcilers:
            await reconciler.run_once()
        await self._work()

    async def _work(self) -> None:
        """A worker that died has no successor before its lease ran out, and what is to be tried again waits its time: here
        both pass at once."""
        for _ in range(ROUNDS):
            if not await self.runtime.db.write(_hurry):
                return
            await Worker(self.runtime, self.probe).drain()
        live = await self.runtime.db.read(lambda tx: [(row.saga, row.position, row.error) for row in tx.rows(tasks, status=LIVE)])
        raise TimeoutError(f"there is work that does not end: {live}")

    async def leave(self) -> None:
        """The agents go away."""
        self.bus.away = True

    def come_back(self) -> None:
        """The agents are back, and say hello."""
        self.bus.away = False
        for hello in self.agent.hellos:
            self.portal.call(self.agent.port.emit, hello)

    async def delay(self, send: Send) -> t.Any:
        """The command comes a second time when everything is over."""
        self.late.append(send)
        return await send()


def _hurry(tx: Tx) -> int:
    """Let the time come of everything that waits for it, as if it had passed; how much there is."""
    live, now = tx.rows(tasks, status=LIVE), clock.now()
    for row in live:
        if row.due_at > now:
            tx.update(tasks, row.id, due_at=now, deadline=row.deadline - (row.due_at - now))
    return len(live)
