"""Making steps fail on purpose: what the fault tests of real processes steer, through one file.

`CUMULET_PROBE` names a file of JSON: {"saga", "step", "when": "before" | "after", "direction": 1 | -1, "do": "fail" | "kill" |
"hold"}. It is read at each step; the process that acts on it removes it first, so that it happens once. One that holds a
step renames it to `.held`, and goes on when that is removed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import typing as t
from pathlib import Path

import msgspec

from .saga import StepFailed
from .worker import Probe


class Fault(msgspec.Struct):
    saga: str
    step: str
    when: str
    do: t.Literal["fail", "kill", "hold"]
    direction: int = 1


def from_environment() -> Probe | None:
    """The probe that the environment asks for; in a cloud that serves people there is none."""
    named = os.environ.get("CUMULET_PROBE")
    if not named:
        return None
    path = Path(named)

    async def probe(saga: str, step: str, when: str, direction: int) -> None:
        if not path.exists():
            return
        fault = msgspec.json.decode(path.read_bytes(), type=Fault)
        if (fault.saga, fault.step, fault.when, fault.direction) != (saga, step, when, direction):
            return
        held = path.rename(path.with_suffix(".held"))
        while fault.do == "hold" and held.exists():  # noqa: ASYNC110  another process removes it
            await asyncio.sleep(0.01)
        held.unlink(missing_ok=True)
        if fault.do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.do == "fail":
            raise StepFailed(f"made to fail {when} {step}")

    return probe
