"""A process that works on one server until it is killed: `python compute_crasher.py HOST_DIRECTORY MACHINE_JSON`."""

from __future__ import annotations

import asyncio
import sys
from itertools import cycle
from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import Machine, Power
from cumulet.compute.drivers.qemu import QemuDriver


async def hear(id: str, power: Power) -> None:
    """Nobody is told."""


async def main(root: Path, machine: Machine) -> None:
    """Start, change, copy, suspend, resume, stop and destroy, again and again."""
    driver = QemuDriver(root, "host-1", str, "nobody", accelerator="tcg")
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


asyncio.run(main(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Machine)))
