"""An agent's side of commands: which function does which, one at a time on a subject, none that is stale."""

from __future__ import annotations

import asyncio
import inspect
import time
import typing as t
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from ..log import get_logger
from ..metrics import COMMANDS
from .base import Answer, Command

log = get_logger("agent")
Handler = Callable[..., Awaitable[t.Any]]


class Commands:
    """The commands of one host. A handler's arguments are checked by their declared types."""

    def __init__(self, ledger: Ledger):
        self._handlers: dict[str, tuple[Handler, dict[str, t.Any]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ledger = ledger

    def add(self, name: str, handler: Handler) -> None:
        hints = t.get_type_hints(handler)
        hints.pop("return", None)
        self._handlers[name] = (handler, hints)

    async def handle(self, command: Command) -> Answer:
        """Do a command and say what became of it; never raises."""
        if command.name not in self._handlers:
            return Answer(id=command.id, error="unknown", why=f"this agent knows no command {command.name}")
        started = time.perf_counter()
        with log.bound(request_id=command.request_id, command=command.name, subject=command.subject):
            answer = await self._in_turn(command)
        COMMANDS.labels(command.name, answer.error or "done").observe(time.perf_counter() - started)
        return answer

    async def _in_turn(self, command: Command) -> Answer:
        if command.subject is None:
            return await self._do(command)
        lock = self._locks.setdefault(command.subject, asyncio.Lock())
        async with lock:
            if command.generation is not None and not self._ledger.admit(command.subject, command.generation):
                return Answer(id=command.id, error="stale", why=f"{command.name}: newer work on {command.subject} has begun")
            answer = await self._do(command)
        if not lock.locked():
            self._locks.pop(command.subject, None)
        return answer

    async def _do(self, command: Command) -> Answer:
        handler, hints = self._handlers[command.name]
        try:
            arguments = {name: msgspec.convert(value, hints[name]) for name, value in command.arguments.items()}
            return Answer(id=command.id, result=msgspec.to_builtins(await handler(**arguments)))
        except Exception as error:
            log.warning("command failed", error=f"{type(error).__name__}: {error}", exc_info=not _expected(error))
            return Answer(id=command.id, error="failed", why=str(error) or type(error).__name__)


class Ledger:
    """The newest generation seen of each subject, kept on disk: an agent that restarts still refuses what is stale."""

    KEEP = 20_000

    def __init__(self, path: Path):
        self._path = path
        self._seen: dict[str, int] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                subject, _, generation = line.partition(" ")
                if generation.isdigit():
                    self._seen[subject] = int(generation)
        self._rewrite()

    def admit(self, subject: str, generation: int) -> bool:
        """Whether a command of this generation may act; if so, older ones no longer may."""
        seen = self._seen.get(subject, 0)
        if generation < seen:
            return False
        if generation > seen:
            self._seen.pop(subject, None)
            self._seen[subject] = generation
            self._file.write(f"{subject} {generation}\n")
            self._file.flush()
        return True

    def _rewrite(self) -> None:
        """Start over with the newest subjects only: the file grows while the agent runs, not for ever."""
        self._seen = dict(list(self._seen.items())[-self.KEEP :])
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{s} {g}\n" for s, g in self._seen.items()))
        fresh.replace(self._path)
        self._file = self._path.open("a")


def _expected(error: Exception) -> bool:
    """Drivers' own errors say all there is to say; anything else deserves its trace."""
    return any("DriverError" in base.__name__ or base.__name__ == "CommandFailed" for base in inspect.getmro(type(error)))
