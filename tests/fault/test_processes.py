"""Real processes killed at a saga's steps: whatever was under way comes to its end by itself, in time, and nothing is left over."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

import pytest

import fault.fault_servers
import fault.fault_volumes  # noqa: F401  both register their scenes
from cumulet.kernel import services
from cumulet.kernel.testing.engines import postgresql
from fault.fault_actor import SCENES, Actor
from fault.fault_cloud import ProcessCloud
from fault.fault_slate import check_clean, check_whole, delete_all
from system.cloud.world import own_network
from world import SERVICES

services.load(*SERVICES)


class Death(t.NamedTuple):
    """Who is killed, and at which step of which scene."""

    saga: str
    step: str
    when: str
    killed: tuple[str, ...]

    def __str__(self) -> str:
        return "-".join((self.saga, self.when, self.step, "+".join(self.killed)))


CONTROL, AGENT, BOTH = ("control",), ("agent",), ("control", "agent")
DEATHS = [
    Death("BootServer", "network", "before", CONTROL),
    Death("BootServer", "spawn", "after", CONTROL),
    Death("BootServer", "end", "before", BOTH),
    Death("BootServer", "volumes", "before", AGENT),
    Death("DeleteServer", "destroy", "after", CONTROL),
    Death("DeleteServer", "forget", "before", BOTH),
    Death("ResizeServer", "reshape", "before", CONTROL),
    Death("ResizeServer", "boot", "before", AGENT),
    Death("AttachVolume", "plug", "after", CONTROL),
    Death("DetachVolume", "unplug", "before", AGENT),
    Death("ShelveServer", "save", "after", BOTH),
    Death("UnshelveServer", "spawn", "before", AGENT),
    Death("AttachInterface", "plug", "before", BOTH),
    Death("RebuildServer", "boot", "after", CONTROL),
    Death("CreateVolume", "allocate", "after", CONTROL),
    Death("CreateVolume", "allocate", "before", AGENT),
    Death("DeleteVolume", "data", "before", BOTH),
    Death("CreateBackup", "copy", "after", CONTROL),
    Death("UploadVolume", "adopt", "before", CONTROL),
]


CASES = [("sqlite", death) for death in DEATHS] + [("postgresql", death) for death in DEATHS[::3]]


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest) -> t.Iterator[ProcessCloud]:
    """A cloud on a database of this kind, all in a network of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    with own_network(), contextlib.ExitStack() as stack:
        made = ProcessCloud(stack.enter_context(postgresql()) if request.param == "postgresql" else "")
        stack.callback(made.close)
        yield made


@pytest.mark.parametrize(("cloud", "death"), CASES, indirect=["cloud"], ids=str)
def test_work_outlives_the_processes_that_do_it(death: Death, cloud: ProcessCloud):
    actor = Actor(cloud)
    scene = SCENES[death.saga, ""](actor)
    cloud.rest()
    if death.killed == CONTROL:
        cloud.lay(death.saga, death.step, death.when, "kill")
        id = scene.begin()
        cloud.met()
    else:
        cloud.lay(death.saga, death.step, death.when, "hold")
        id = scene.begin()
        cloud.met()
        cloud.kill_held(*death.killed)
    cloud.work()
    assert (scene.look(id) if scene.look else actor.status(scene.kind, id)) == scene.done
    soon(lambda: check_whole(cloud, actor))
    delete_all(cloud, actor)
    soon(lambda: check_clean(cloud))


def soon(check: t.Callable[[], None], seconds: float = 20) -> None:
    """Wait until a check passes; in the end it says itself why it does not."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(AssertionError):
            return check()
        time.sleep(0.1)
    return check()
