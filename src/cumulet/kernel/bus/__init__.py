"""Messages between the control plane and its hosts."""

from .base import (
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
