"""Whose work is free at once when its worker died, and whose has to wait for the end of its lease."""

from __future__ import annotations

import os
import subprocess
import sys

from cumulet.kernel import clock
from cumulet.kernel.work import Worker
from cumulet.kernel.work.owners import is_dead, worker_name
from cumulet.kernel.work.tasks import LEASE, tasks
from fault.fault_actor import Actor
from fault.fault_slate import delete_all
from fault.fault_world import FaultWorld


def name_of_a_dead_worker() -> str:
    said = subprocess.run(
        [sys.executable, "-c", "from cumulet.kernel.work.owners import worker_name; print(worker_name())"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return said.stdout.strip()


def test_only_workers_that_are_known_to_have_ended_are_dead():
    place, _, process = worker_name().partition(":")
    _, started, number = process.split(":")
    assert is_dead(name_of_a_dead_worker())
    assert is_dead(f"{place}:{os.getpid()}:{int(started) - 1}:{number}"), "another process has its pid"
    assert not is_dead(worker_name())
    assert not is_dead(f"{place}:1:0:1") or os.getuid() == 0
    assert not is_dead(f"elsewhere:{process}")
    assert len(worker_name()) <= 64
    assert worker_name() != worker_name()


def test_a_worker_that_nobody_waited_for_is_dead():
    argv = [sys.executable, "-c", "from cumulet.kernel.work.owners import worker_name; print(worker_name(), flush=True); input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        name = process.stdout.readline().strip()
        assert not is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(name)


def test_a_worker_begins_with_what_a_dead_one_left(world: FaultWorld, actor: Actor):
    """Another's lease that runs is left alone."""
    left, others = actor.create_volume(), actor.create_volume()
    lease = {"due_at": clock.now() + LEASE}
    world.transact(lambda tx: tx.update(tasks, {"subject": left}, owner=name_of_a_dead_worker(), **lease))
    world.transact(lambda tx: tx.update(tasks, {"subject": others}, owner="elsewhere:1:1:1", **lease))
    working = world.portal.start_task_soon(Worker(world.runtime).run)
    world.until(lambda: actor.status("volumes", left) == "available")
    working.cancel()
    assert actor.status("volumes", others) == "creating"
    delete_all(world, actor)
