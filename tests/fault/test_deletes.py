"""Delete always wins: at whatever step of whatever work it comes, it ends in 404, and nothing is left over.

The worker that it overtakes hears nothing of it, and goes on when the delete is long done."""

from __future__ import annotations

import asyncio
import typing as t

import pytest

import fault.fault_servers
import fault.fault_volumes  # noqa: F401  both register their scenes
from cumulet.kernel import services
from cumulet.kernel.work import REGISTRY, Worker
from cumulet.kernel.work.saga import holds_transaction
from fault.fault_actor import SCENES, Actor
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
    for saga, variant in SCENES:
        for one in REGISTRY[saga].steps:
            yield Moment(saga, variant, one.name, "before")
            if not holds_transaction(one.forward):
                yield Moment(saga, variant, one.name, "after")
                yield Moment(saga, variant, one.name, "during")
        yield Moment(saga, variant, "end", "before")


@pytest.mark.parametrize("moment", moments(), ids=str)
def test_a_delete_in_the_midst_of_work_wins(moment: Moment, world: FaultWorld, actor: Actor):
    scene = SCENES[moment.saga, moment.variant](actor)
    begun: list[str] = []

    async def delete_now() -> None:
        if await asyncio.to_thread(actor.show, scene.kind, begun[0]):
            await asyncio.to_thread(delete, actor, scene.kind, begun[0])

    async def delete_whole() -> None:
        await delete_now()
        await Worker(world.runtime).drain()

    async def delete_meanwhile(send: Send) -> t.Any:
        sending = asyncio.ensure_future(send())
        await delete_now()
        return await sending

    if moment.when == "during":
        met = world.lay(trouble=Trouble(moment.saga, moment.step, 1, delete_meanwhile))
    else:
        met = world.lay([Fault(Place(moment.saga, moment.step, moment.when), delete_whole)])
    begun.append(scene.begin())
    world.settle()
    if met():
        assert actor.show(scene.kind, begun[0]) is None
    else:
        assert moment.when == "during", "the saga never came there"
    world.calm()
    delete_all(world, actor)
    check_clean(world)
