"""Sagas: work that outlives a request, as ordered steps with each one's undo beside it.

class CreateVolume(Saga):
    @step
    async def allocate(self): ...      # waits on the world; holds no transaction
    @allocate.undo
    async def undo_allocate(self): ...
    @step
    def publish(self, tx): ...         # holds a transaction, which also records that the step is done

Every step and undo is idempotent: after a crash it runs again.
"""

from __future__ import annotations

import datetime as dt
import inspect
import typing as t

from ..db import Row, Tx
from . import tasks

if t.TYPE_CHECKING:
    from ..runtime import Runtime

REGISTRY: dict[str, type[Saga]] = {}
StepFunction = t.Callable[..., t.Any]
Undo = t.TypeVar("Undo", bound=StepFunction)
Result = t.TypeVar("Result")


class step:
    """A forward action, recorded under its function's name. `.undo` registers its inverse, a method with a name of its own."""

    def __init__(self, fn: StepFunction):
        self.name, self.forward = fn.__name__, fn
        self.backward: StepFunction | None = None

    def undo(self, fn: Undo) -> Undo:
        if fn.__name__ == self.name:
            raise TypeError(f"the undo of {self.name} would take its place: call it undo_{self.name}")
        self.backward = fn
        return fn


class StepFailed(Exception):
    """A step's reason for failing, in words for the resource's owner. Any other exception is told as a fault of the host."""


class Retry(Exception):
    """A step's condition is not met yet: run it again after `seconds`, until the saga's deadline."""

    def __init__(self, why: str, seconds: float = 1.0):
        super().__init__(why)
        self.seconds = seconds


class Lost(Exception):
    """The task is another's now, or over: the worker that still has it in hand lets go of it."""


class Saga:
    """Base of all durable work. `state` is kept with the task; what a step returns (a dict) is added to it."""

    deadline = dt.timedelta(minutes=10)
    steps: t.ClassVar[list[step]]

    def __init_subclass__(cls) -> None:
        if taken := [name for name, value in vars(cls).items() if isinstance(value, step) and hasattr(Saga, name)]:
            raise TypeError(f"{cls.__name__}: a step cannot be called {taken[0]}, that is a saga's own")
        cls.steps = [value for value in vars(cls).values() if isinstance(value, step)]
        REGISTRY[cls.__name__] = cls

    def __init__(self, runtime: Runtime, task: Row):
        self.runtime, self.subject, self.generation = runtime, task.subject, task.generation
        self.task_id, self.request_id, self.ends, self._owner = task.id, task.request_id, task.deadline, task.owner
        self.state: dict = dict(task.state)

    @classmethod
    def start(cls, tx: Tx, subject: str, *, request_id: str | None = None, **state: t.Any) -> Row:
        """Record the work in the caller's transaction: it happens if and only if that commits."""
        return tasks.record(tx, cls.__name__, subject, state, cls.deadline, request_id)

    def succeeded(self, tx: Tx) -> None:
        """Called in the transaction that ends the task well."""

    def failed(self, tx: Tx, why: str) -> None:
        """Called in the transaction that ends the task after everything is undone."""

    def stuck(self, tx: Tx, why: str) -> None:
        """Called when an undo fails (it is retried): let the resource's owner see it."""

    async def write(self, fn: t.Callable[[Tx], Result]) -> Result:
        """A transaction in the midst of a step that waits. Raises Lost where the task is no longer this worker's: what came
        since, a delete perhaps, is not to be written over."""

        def held(tx: Tx) -> Result:
            if not tasks.is_held(tx, self.task_id, self._owner):
                raise Lost
            return fn(tx)

        return await self.runtime.db.write(held)

    async def call(self, host: str, command: str, timeout: float = 60, **arguments: t.Any) -> t.Any:
        """An agent's command on this saga's subject. Each is newer than the one before, and the agent refuses one that is
        older than what it has seen: a message that comes late, or once more, undoes nothing."""
        self.generation += 1
        return await self.runtime.bus.call(host, command, arguments, subject=self.subject, generation=self.generation, timeout=timeout)


def holds_transaction(fn: StepFunction) -> bool:
    return not inspect.iscoroutinefunction(fn)
