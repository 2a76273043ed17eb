"""Host commands."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUNNER = """
import asyncio, uvloop
from cumulet.kernel.process import run
with asyncio.Runner(loop_factory={loop}) as runner:
    runner.run(run("sleep", "600", timeout=600))
"""


@pytest.mark.parametrize("loop", ["asyncio.new_event_loop", "uvloop.new_event_loop"])
def test_a_command_does_not_outlive_who_runs_it(loop: str):
    runner = subprocess.Popen([sys.executable, "-c", RUNNER.format(loop=loop)])
    command = os.pidfd_open(_child(runner.pid))
    assert not select.select([command], [], [], 0)[0]
    runner.kill()
    runner.wait()
    assert select.select([command], [], [], 10)[0]
    os.close(command)


def _child(pid: int) -> int:
    """The only child of a process, once it has one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            return int(found[0])
        time.sleep(0.01)
    raise TimeoutError
