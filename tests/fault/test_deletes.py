"""Delete always wins: at whatever step of whatever work it comes, it ends in 404, and nothing is left over.

The worker that it overtakes hears nothing of it, and goes on when the delete is long done."""

from __future__ import annotations

import asyncio
import itertools
import typing as t

import pytest

import fault.fault_images
import fault.fault_volumes  # noqa: F401  both register their scenes
from cumulet.kernel import services
from cumulet.kernel.work import REGISTRY, Worker
from cumulet.kernel.work.saga import holds_transaction
from fault.fault_actor import SCENES, Actor
from fault.fault_servers import BRIEF
from fault.fault_slate import check_clean, delete, delete_all
from fault.fault_world import Fault, FaultWorld, Place, Send, Trouble
from world import SERVICES

services.load(*SERVICES)


class Moment(t.NamedTuple):
    """When the delete comes."""

    saga: str
    variant: str
    step: str
    when: str

    def __str__(self) -> str:
        return "-".join(filter(None, (self.saga, self.variant.replace(" ", "_"), self.when, self.step)))


def moments() -> t.Iterator[Moment]:
    for saga, variant in (key for key in SCENES if key not in BRIEF):
        for one in REGISTRY[saga].steps:
            yield Moment(saga, variant, one.name, "before")
            if not holds_transaction(one.forward):
                yield Moment(saga, variant, one.name, "after")
                yield Moment(saga, variant, one.name, "answered")
        yield Moment(saga, variant, "end", "before")


@pytest.mark.parametrize("moment", moments(), ids=str)
def test_a_delete_in_the_midst_of_work_wins(moment: Moment, world: FaultWorld, actor: Actor):
    if moment.when != "answered":
        assert _deleted(moment, world, actor), "the saga never came there"
        return
    for nth in itertools.count(1):
        if not _deleted(moment, world, actor, nth):
            return


def _deleted(moment: Moment, world: FaultWorld, actor: Actor, nth: int = 0) -> bool:
    """Play a scene with a delete in it, before or after a step, or before the answer to a step's `nth` command; whether it
    came to that."""
    scene = SCENES[moment.saga, moment.variant](actor)
    begun: list[str] = []

    async def delete_it() -> None:
        await asyncio.to_thread(delete, actor, scene.kind, begun[0])
        await Worker(world.runtime).drain()

    async def delete_meanwhile(send: Send) -> t.Any:
        answer = await send()
        await delete_it()
        return answer

    if nth:
        met = world.lay(trouble=Trouble(moment.saga, moment.step, nth, delete_meanwhile))
    else:
        met = world.lay([Fault(Place(moment.saga, moment.step, moment.when), delete_it)])
    begun.append(scene.begin())
    world.settle()
    came = met()
    assert not came or actor.show(scene.kind, begun[0]) is None
    world.calm()
    delete_all(world, actor)
    check_clean(world)
    return came
