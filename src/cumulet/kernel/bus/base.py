"""What carries commands to hosts, their events back, and nudges among processes. It never carries state.

A lost, doubled or reordered message loses nothing: commands carry the generation of what they act on and an
agent refuses a stale one; nudges only make somebody look at the database sooner.
"""

from __future__ import annotations

import typing as t
from collections.abc import Awaitable, Callable

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command to one host. `subject` is what it acts on; agents do one command on a subject at a time."""

    id: str
    host: str
    name: str
    arguments: dict
    subject: str | None = None
    generation: int | None = None
    request_id: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a command. `error` is `failed`, `stale` or `unknown`, with `why`."""

    id: str
    result: t.Any = None
    error: str | None = None
    why: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a host saw by itself, or `hello` when it comes up."""

    host: str
    name: str
    data: dict = {}


class AgentError(Exception):
    """A command did not succeed; the text says why."""


class AgentUnreachable(AgentError):
    """Nobody answered for the host: its agent is away, or took too long."""


class AgentAway(AgentUnreachable):
    """Its agent is not connected, or went away over the command: it is started again, and the command can be too."""


class AgentFailed(AgentError):
    """The host tried and could not."""


class AgentRefused(AgentError):
    """The command was older than what the agent has seen of its subject."""


class Bus(t.Protocol):
    """The control plane's end."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def call(self, host: str, name: str, arguments: dict, *, subject: str | None = None,
                   generation: int | None = None, timeout: float = 60) -> t.Any:  # fmt: skip
        """Have a host do something and return what it answers. Raises AgentError."""

    def nudge(self, topic: str) -> None:
        """Wake those who listen for `topic`, in this process and the others. Returns at once; may be lost."""

    def on_nudge(self, topic: str, wake: Callable[[], t.Any]) -> None: ...
    def on_event(self, hear: Callable[[Event], Awaitable[None]]) -> None: ...


class AgentPort(t.Protocol):
    """The host's end."""

    async def open(self, handle: Callable[[Command], Awaitable[Answer]]) -> None: ...
    async def close(self) -> None: ...

    async def emit(self, event: Event) -> None:
        """Tell the control plane. Lost where none is listening."""


def unwrap(command: Command, answer: Answer) -> t.Any:
    """The result of an answer, or the error it stands for."""
    if answer.error is None:
        return answer.result
    kind = AgentRefused if answer.error == "stale" else AgentFailed
    raise kind(answer.why or f"{command.name} on {command.host}: {answer.error}")


class Nudges:
    """Who listens for which topic, in this process."""

    def __init__(self) -> None:
        self._wakers: dict[str, list[Callable[[], t.Any]]] = {}

    def heard(self, topic: str) -> bool:
        """Whether anyone listens for it in this process."""
        return topic in self._wakers

    def on(self, topic: str, wake: Callable[[], t.Any]) -> None:
        self._wakers.setdefault(topic, []).append(wake)

    def fire(self, topic: str) -> None:
        for wake in self._wakers.get(topic, ()):
            wake()
