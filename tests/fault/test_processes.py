"""Real processes killed at a saga's steps: whatever was under way comes to its end by itself, in time, and nothing is left over."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

import pytest

import fault.fault_images
import fault.fault_volumes  # noqa: F401  both register their scenes
from cumulet.kernel import services
from cumulet.kernel.testing.engines import postgresql
from cumulet.kernel.work import REGISTRY
from cumulet.kernel.work.saga import holds_transaction
from fault.fault_actor import SCENES, Actor
from fault.fault_cloud import ProcessCloud
from fault.fault_servers import BRIEF
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
    variant: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.saga, self.variant.replace(" ", "_"), self.when, self.step, "+".join(self.killed))))


CONTROL, AGENT, BOTH = ("control",), ("agent",), ("control", "agent")
SOME = {
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
    Death("ShelveServer", "save", "after", CONTROL),
    Death("UnshelveServer", "spawn", "before", AGENT),
    Death("AttachInterface", "plug", "before", BOTH),
    Death("RebuildServer", "boot", "after", CONTROL),
    Death("CreateVolume", "allocate", "after", CONTROL),
    Death("CreateVolume", "allocate", "before", AGENT),
    Death("DeleteVolume", "data", "before", BOTH),
    Death("CreateBackup", "copy", "after", CONTROL),
    Death("UploadVolume", "adopt", "before", CONTROL),
    Death("ImportImage", "fetch", "after", CONTROL, "from the web"),
    Death("ImportImage", "convert", "after", CONTROL),
    Death("CopyImage", "copy", "after", CONTROL),
    Death("ImportLocation", "read", "after", CONTROL),
}
"""What every run of the suite goes through, on SQLite; every third of it on PostgreSQL."""


def deaths() -> t.Iterator[Death]:
    """Every scene x every moment of it x who is killed then. Agents matter to steps that wait for them only."""
    for saga, variant in (key for key in SCENES if key not in BRIEF):
        for one in REGISTRY[saga].steps:
            yield from (Death(saga, one.name, "before", killed, variant) for killed in (CONTROL, BOTH))
            if not holds_transaction(one.forward):
                yield Death(saga, one.name, "before", AGENT, variant)
                yield Death(saga, one.name, "after", CONTROL, variant)
        yield from (Death(saga, "end", "before", killed, variant) for killed in (CONTROL, BOTH))


def cases() -> t.Iterator[t.Any]:
    """Ordered by database: each has one cloud for all its cases, or two where there are test processes enough."""
    assert set(deaths()) >= SOME
    often = {"sqlite": SOME, "postgresql": set(sorted(SOME)[::3])}
    for database, chosen in often.items():
        for n, death in enumerate(deaths()):
            marks = [pytest.mark.xdist_group(f"{database}-{n % 2}"), *([] if death in chosen else [pytest.mark.exhaustive])]
            yield pytest.param(database, death, marks=marks, id=f"{database}-{death}")


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest) -> t.Iterator[ProcessCloud]:
    """A cloud on a database of this kind, all in a network of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    with own_network(), contextlib.ExitStack() as stack:
        made = ProcessCloud(stack.enter_context(postgresql()) if request.param == "postgresql" else "")
        stack.callback(made.close)
        yield made


@pytest.mark.parametrize(("cloud", "death"), cases(), indirect=["cloud"], scope="module")
def test_work_outlives_the_processes_that_do_it(death: Death, cloud: ProcessCloud):
    actor = Actor(cloud)
    scene = SCENES[death.saga, death.variant](actor)
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


def soon(check: t.Callable[[], None], seconds: float = 60) -> None:
    """Wait until a check passes; in the end it says itself why it does not."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(AssertionError):
            return check()
        time.sleep(0.1)
    return check()
