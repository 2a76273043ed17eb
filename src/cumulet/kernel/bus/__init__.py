"""Messages between the control plane and its hosts."""

from .base import (
    AgentAway,
    AgentError,
    AgentFailed,
    AgentPort,
    AgentRefused,
    AgentUnreachable,
    Answer,
    Bus,
    Command,
    Event,
)

__all__ = [
    "AgentAway",
    "AgentError",
    "AgentFailed",
    "AgentPort",
    "AgentRefused",
    "AgentUnreachable",
    "Answer",
    "Bus",
    "Command",
    "Event",
]
