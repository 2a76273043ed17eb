"""Every saga, every step, every failure: what it worked on is whole afterwards, or as it was, or says why; and it can be deleted."""

from __future__ import annotations

import typing as t
from collections import Counter

import pytest

import fault.fault_images
import fault.fault_volumes  # noqa: F401  both register their scenes
from cumulet.kernel import services
from cumulet.kernel.work import REGISTRY
from cumulet.kernel.work.saga import holds_transaction, step
from fault.fault_actor import SCENES, Actor, Scene
from fault.fault_servers import BRIEF
from fault.fault_slate import check_clean, check_whole, delete_all
from fault.fault_world import Fault, FaultWorld, Place, Trouble, broken, die, doubled, fail, lost, unheard
from world import SERVICES

services.load(*SERVICES)

WITHOUT_SCENE = {"_Reshape", "Following"}
"""Sagas that only others are made of. The list may only shrink."""
KEPT_ON = {"DeleteServer", "DeleteVolume", "DeleteSnapshot", "DeleteBackup", "DeleteGroup", "DeleteGroupSnapshot"}
"""Sagas that go on until they are done."""
AS_THE_HOST_IS = {"PowerServer", "OffloadServer"}
"""Sagas after whose failure the rows follow what the host did, be it much or little."""
ASKED_AGAIN = {"compute.images", "image.want"}
"""Commands that only ask how far a host is, and are sent again where nothing is heard."""
TELLING = {"fails after", "worker dies after", "answer lost"}
"""Kinds of failure that scenes in brief go through."""


class Case(t.NamedTuple):
    """One failure of one step; `ends` says whether the saga is then done all the same."""

    saga: str
    variant: str
    step: str
    kind: str
    ends: bool

    def __str__(self) -> str:
        return "-".join(filter(None, (self.saga, self.variant.replace(" ", "_"), self.step, self.kind)))


STEPS = {"fails before": (("before", 1, fail),), "worker dies before": (("before", 1, die),)}
WAITING = {"fails after": (("after", 1, fail),), "worker dies after": (("after", 1, die),)}
UNDONE = {"undo fails once": (("before", -1, fail),), "worker dies before undo": (("before", -1, die),)}
UNDONE_WAITING = {"undo fails after": (("after", -1, fail),), "worker dies after undo": (("after", -1, die),)}
COMMANDS = {"answer lost": lost, "command lost": unheard, "host fails": broken, "command doubled": doubled, "command comes late": None}


def cases() -> t.Iterator[Case]:
    return (case for case in _all_cases() if (case.saga, case.variant) not in BRIEF or case.kind in TELLING)


def _all_cases() -> t.Iterator[Case]:
    for saga, variant in SCENES:
        yield Case(saga, variant, "end", "worker dies before", True)
        for one in REGISTRY[saga].steps:
            for kind in _kinds(one):
                survived = kind in ("worker dies before", "worker dies after", "command doubled", "command comes late")
                yield Case(saga, variant, one.name, kind, survived or saga in KEPT_ON)


def _kinds(one: step) -> t.Iterator[str]:
    yield from STEPS
    if not holds_transaction(one.forward):
        yield from WAITING
        yield from COMMANDS
    if one.backward is not None:
        yield from UNDONE
        if not holds_transaction(one.backward):
            yield from UNDONE_WAITING


def test_every_saga_has_a_scene():
    assert {saga for saga, _ in SCENES} == set(REGISTRY) - WITHOUT_SCENE


@pytest.mark.parametrize("case", cases(), ids=str)
def test_it_ends_whole_or_clean(case: Case, world: FaultWorld, actor: Actor):
    if case.kind not in COMMANDS:
        _run(case, world, actor, faults=_faults(case))
        return
    for nth in range(_commands(case, world, actor)):
        _run(case, world, actor, trouble=Trouble(case.saga, case.step, nth + 1, COMMANDS[case.kind] or world.delay))


SENT: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
"""By saga and variant how many commands each step sends where all goes well."""


def _commands(case: Case, world: FaultWorld, actor: Actor) -> int:
    scene = case.saga, case.variant
    if scene not in SENT:
        SENT[scene] = _run(case._replace(ends=True), world, actor)
    return SENT[scene][case.saga, case.step]


def _faults(case: Case) -> list[Fault]:
    kinds = STEPS | WAITING | UNDONE | UNDONE_WAITING
    found = [Fault(Place(case.saga, case.step, when, direction), do) for when, direction, do in kinds[case.kind]]
    if case.kind in UNDONE or case.kind in UNDONE_WAITING:
        after = "before" if holds_transaction(_step(case).forward) else "after"
        found.append(Fault(Place(case.saga, case.step, after), fail))
    return found


def _step(case: Case) -> step:
    return next(one for one in REGISTRY[case.saga].steps if one.name == case.step)


def _run(case: Case, world: FaultWorld, actor: Actor, **adversity: t.Any) -> Counter[tuple[str, str]]:
    """Play the scene through, in adversity, and delete everything; how many commands each step sent."""
    scene: Scene = SCENES[case.saga, case.variant](actor)
    met = world.lay(**adversity)
    id = scene.begin()
    world.settle()
    sent = Counter(world.bus.sent)
    assert met(), "the saga never came there"
    said = scene.look(id) if scene.look else actor.status(scene.kind, id)
    undone = {scene.undone} | ({scene.done} if case.saga in AS_THE_HOST_IS else set())
    trouble = adversity.get("trouble")
    survived = case.kind in ("answer lost", "command lost") and trouble is not None and trouble.command in ASKED_AGAIN
    assert said in ({scene.done} if case.ends or survived else undone)
    check_whole(world, actor)
    world.calm()
    delete_all(world, actor)
    check_clean(world)
    return sent
