"""Workers: they lease tasks, run their steps, record each one, and unwind what fails."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import typing as t

from .. import clock
from ..bus import AgentAway
from ..db import Row, Tx
from ..log import get_logger
from ..metrics import ALERTS, TASKS
from . import owners, tasks
from .saga import REGISTRY, Lost, Retry, Saga, StepFailed, holds_transaction, step
from .tasks import BACKWARD, DONE, FAILED, FORWARD

if t.TYPE_CHECKING:
    from ..runtime import Runtime

log = get_logger("work")
Probe = t.Callable[[str, str, str, int], t.Awaitable[None]]
AWAY = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 6.0)
"""Seconds after which a step is tried again whose agent is away; it is given up after the last."""


class Worker:
    """Runs sagas, many at once. `probe(saga, step, "before" | "after", direction)` is awaited round each step, and before the
    end is written down, as step `end`: it is where tests fail, kill and delay. A step that holds a transaction has no
    "after": it has happened when it is recorded."""

    CONCURRENCY = 64
    TOPICS = ("work", "superseded")
    """What it is nudged by: there is work to do, or what it does is no longer to be done."""

    def __init__(self, runtime: Runtime, probe: Probe | None = None):
        self.runtime, self.probe, self.name = runtime, probe, owners.worker_name()
        self._running: dict[str, asyncio.Task] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; what workers left that died on this machine comes first."""
        work, superseded = self.TOPICS
        self.runtime.bus.on_nudge(work, self._wake.set)
        self.runtime.bus.on_nudge(superseded, lambda: asyncio.ensure_future(self._drop_lost()))
        await self.runtime.db.write(lambda tx: tasks.free(tx, owners.is_dead))
        renewing = asyncio.create_task(self._renew())
        try:
            while True:
                self._wake.clear()
                if not await self._take():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(await self._pause()):
                            await self._wake.wait()
        finally:
            renewing.cancel()
            for running in self._running.values():
                running.cancel()

    async def drain(self) -> None:
        """Run what is due until nothing is, for tests and `--once`."""
        while await self._take() or self._running:
            if self._running:
                await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)

    async def _take(self) -> int:
        room = self.CONCURRENCY - len(self._running)
        if room <= 0:
            return 0
        taken = await self.runtime.db.write(lambda tx: tasks.take(tx, self.name, room))
        for row in taken:
            if row.id in self._running:
                continue
            running = asyncio.create_task(self._run(row))
            self._running[row.id] = running
            running.add_done_callback(lambda _, id=row.id: (self._running.pop(id, None), self._wake.set()))
        return len(taken)

    async def _pause(self) -> float:
        due = await self.runtime.db.read(tasks.next_due)
        return 5.0 if due is None else min(5.0, max(0.01, (due - clock.now()).total_seconds()))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(tasks.LEASE.total_seconds() / 3)
            if self._running:
                await self._drop_lost()

    async def _drop_lost(self) -> None:
        held = dict(self._running)
        mine = await self.runtime.db.write(lambda tx: tasks.renew(tx, self.name, list(held)))
        for id, running in held.items():
            if id not in mine:
                running.cancel()

    async def _run(self, row: Row) -> None:
        saga = REGISTRY[row.saga](self.runtime, row)
        with log.bound(request_id=row.request_id, task=row.id, saga=row.saga, subject=row.subject):
            try:
                await _Run(self, saga, row).go()
            except (Lost, asyncio.CancelledError):
                log.info("work taken over", saga=row.saga)
            except Exception:
                log.exception("worker could not record its work; the lease will run out", saga=row.saga)


class _Run:
    """One task on its way, in this worker."""

    def __init__(self, worker: Worker, saga: Saga, row: Row):
        self.worker, self.db, self.saga, self.row = worker, worker.runtime.db, saga, row
        self.position, self.direction, self.error, self.attempts = row.position, row.direction, row.error, row.attempts

    async def go(self) -> None:
        steps = self.saga.steps
        while 0 <= self.position < len(steps):
            if not await (self._forward if self.direction == FORWARD else self._backward)(steps[self.position]):
                return
        await self._probe("end", "before")
        await self.db.write(self._end)

    async def _forward(self, current: step) -> bool:
        try:
            async with asyncio.timeout(max(0.0, (self.saga.ends - clock.now()).total_seconds())):
                await self._do(current, current.forward)
        except Lost:
            raise
        except Retry as wait:
            await self._later(wait.seconds, self.attempts)
            return False
        except AgentAway as error:
            return await self._without_agent(str(error))
        except TimeoutError:
            await self._turn(f"not finished by its deadline (step {current.name})")
        except StepFailed as error:
            await self._turn(str(error))
        except Exception as error:
            log.warning("step failed", step=current.name, error=f"{type(error).__name__}: {error}", exc_info=True)
            await self._turn(f"{type(error).__name__}: {error}" if not str(error) else str(error))
        return True

    async def _backward(self, current: step) -> bool:
        try:
            await self._do(current, current.backward)
            return True
        except Lost:
            raise
        except Exception as error:
            why = f"undo of {current.name} failed: {type(error).__name__}: {error}"
            log.error("undo failed, will retry", step=current.name, error=why, attempt=self.attempts, exc_info=True)
            ALERTS.labels("undo").inc()
            await self.db.write(lambda tx: self.saga.stuck(tx, why))
            await self._later(min(2.0 ** min(self.attempts, 6), tasks.RETRY_MAX.total_seconds()), self.attempts + 1)
            return False

    async def _without_agent(self, why: str) -> bool:
        """An agent that ended is started again, and then the step is: only where that takes long is it given up."""
        if self.attempts >= len(AWAY):
            await self._turn(why)
            return True
        await self._later(AWAY[self.attempts], self.attempts + 1)
        return False

    async def _do(self, current: step, fn: t.Callable | None) -> None:
        await self._probe(current.name, "before")
        if fn is None:
            await self.db.write(self._record)
        elif holds_transaction(fn):
            await self.db.write(lambda tx: self._record(tx, fn(self.saga, tx)))
        else:
            result = await fn(self.saga)
            await self._probe(current.name, "after")
            await self.db.write(lambda tx: self._record(tx, result))
        self.position += self.direction
        self.attempts = 0

    def _record(self, tx: Tx, result: dict | None = None) -> None:
        state = self.saga.state | (result or {})
        self._advance(tx, position=self.position + self.direction, state=state, attempts=0, due_at=clock.now() + tasks.LEASE)
        self.saga.state = state

    async def _turn(self, why: str) -> None:
        """Go back from here: this step is undone too, for it may have half happened."""
        self.direction, self.error = BACKWARD, why
        await self.db.write(lambda tx: self._advance(tx, direction=BACKWARD, error=why, state=self.saga.state))

    async def _later(self, seconds: float, attempts: int) -> None:
        due = clock.now() + dt.timedelta(seconds=seconds)
        await self.db.write(lambda tx: self._advance(tx, owner=None, due_at=due, attempts=attempts, state=self.saga.state))

    def _end(self, tx: Tx) -> None:
        good = self.direction == FORWARD
        self._advance(tx, status=DONE if good else FAILED)
        if good:
            self.saga.succeeded(tx)
        else:
            self.saga.failed(tx, self.error or "unknown")
        TASKS.labels(self.row.saga, "done" if good else "failed").inc()
        tx.nudge("work")

    def _advance(self, tx: Tx, **values: t.Any) -> None:
        if not tasks.advance(tx, self.row, self.worker.name, **values):
            raise Lost

    async def _probe(self, name: str, when: str) -> None:
        if self.worker.probe:
            await self.worker.probe(self.row.saga, name, when, self.direction)
