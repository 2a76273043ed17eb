"""A process that works on one server until it is killed: `python compute_crasher.py HOST_DIRECTORY MACHINE_JSON [INSTANT]`.

With an INSTANT, the process that is to become the guest's QEMU stops there: as soon as it is `forked`, or when nothing
but becoming QEMU is left to do (`ready`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
from compute_world import CONTROL, UIDS, images_of

from cumulet.compute.drivers.base import Machine, Power
from cumulet.compute.drivers.qemu import QemuDriver


async def hear(id: str, power: Power) -> None:
    """Nobody is told."""


async def main(root: Path, machine: Machine) -> None:
    """Start, change, copy, suspend, resume, stop and destroy, again and again."""
    driver = QemuDriver(root, "host-1", str, CONTROL, UIDS, images_of(root), accelerator="tcg")
    await driver.open(hear)
    bare = msgspec.structs.replace(machine, volumes=())
    for _ in cycle([0]):
        await driver.start(bare)
        print("started", flush=True)
        await driver.update(machine)
        await driver.snapshot(machine.id, str(root / "snapshot"))
        await driver.suspend(machine.id)
        await driver.resume(machine.id)
        await driver.stop(machine.id, 0)
        await driver.destroy(machine.id)


class Stopping(subprocess.Popen):
    """Python's, but for guests' processes. It does the work before `preexec_fn` and, where there is one, what is to be
    done after a fork."""

    def __init__(self, argv: list[str], **options: Any):
        if "-name" in argv and sys.argv[3] == "forked":
            os.register_at_fork(after_in_child=_stop)
            options["preexec_fn"] = int
        elif "-name" in argv:
            options["preexec_fn"] = _stop
        super().__init__(argv, **options)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


if len(sys.argv) > 3:
    subprocess.Popen = Stopping
asyncio.run(main(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Machine)))
