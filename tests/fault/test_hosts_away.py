"""Hosts that are away for long: whoever waits for them is told, deletes win all the same, and they clean up when they are back."""

from __future__ import annotations

import inspect
import typing as t

import pytest

import fault.fault_volumes  # noqa: F401  registers its scenes
from cumulet.kernel import services
from cumulet.kernel.work import REGISTRY, Worker
from fault.fault_actor import GONE, SCENES, Actor, Scene
from fault.fault_servers import BRIEF
from fault.fault_slate import check_clean, check_whole, delete, delete_all
from fault.fault_world import Fault, FaultWorld, Place, fail
from world import SERVICES

services.load(*SERVICES)

UNTOUCHED = {"AttachVolume", "DetachVolume", "AttachInterface", "DetachInterface", "UnshelveServer", "UploadVolume"}
"""Sagas that do not make an error of their subject while they can neither go on nor back: it is of use as it is."""


class Stuck(t.NamedTuple):
    """A step that fails and whose undo needs a host that is away by then."""

    saga: str
    variant: str
    step: str

    def __str__(self) -> str:
        return "-".join(filter(None, (self.saga, self.variant.replace(" ", "_"), self.step)))


def stucks() -> t.Iterator[Stuck]:
    for saga, variant in (key for key in SCENES if key not in BRIEF):
        for one in REGISTRY[saga].steps:
            if inspect.iscoroutinefunction(one.forward) and inspect.iscoroutinefunction(one.backward):
                yield Stuck(saga, variant, one.name)


def test_a_server_is_not_made_on_a_host_that_is_away(world: FaultWorld, actor: Actor):
    world.portal.call(world.leave)
    server = actor.create_server()
    world.work()
    shown = actor.show("servers", server) or {}
    assert (shown["status"], shown["fault"]["message"]) == ("ERROR", "The agent of host host-1 is not connected.")
    delete(actor, "servers", server)
    world.work()
    assert actor.status("servers", server) == GONE
    _clean_when_back(world, actor)


def test_deletes_do_not_wait_for_ever_for_a_host_that_is_away(world: FaultWorld, actor: Actor):
    server, volume = actor.server_with_volume()
    snapshot = actor.snapshot(actor.volume())
    world.portal.call(world.leave)
    for kind, id in (("servers", server), ("snapshots", snapshot)):
        delete(actor, kind, id)
        world.work()
        assert actor.status(kind, id) == GONE
    delete(actor, "volumes", volume)
    world.work()
    assert actor.status("volumes", volume) == GONE
    _clean_when_back(world, actor)


@pytest.mark.parametrize("stuck", stucks(), ids=str)
def test_what_can_be_neither_done_nor_undone_can_be_deleted(stuck: Stuck, world: FaultWorld, actor: Actor):
    scene, id = _get_stuck(stuck, world, actor)
    if stuck.saga not in UNTOUCHED:
        assert actor.status(scene.kind, id).lower().startswith("error")
    delete(actor, scene.kind, id)
    world.work()
    assert actor.status(scene.kind, id) == GONE
    _clean_when_back(world, actor)


@pytest.mark.parametrize("stuck", stucks(), ids=str)
def test_what_could_not_be_undone_is_when_its_host_is_back(stuck: Stuck, world: FaultWorld, actor: Actor):
    scene, id = _get_stuck(stuck, world, actor)
    world.come_back()
    world.settle()
    assert (scene.look(id) if scene.look else actor.status(scene.kind, id)) == scene.undone
    check_whole(world, actor)
    _clean_when_back(world, actor)


def _get_stuck(stuck: Stuck, world: FaultWorld, actor: Actor) -> tuple[Scene, str]:
    """Play a scene until its step has failed and cannot be undone; the scene, and what it works on."""
    scene = SCENES[stuck.saga, stuck.variant](actor)
    place = Place(stuck.saga, stuck.step, "after")
    met = world.lay([Fault(place, world.leave), Fault(place, fail)])
    id = scene.begin()
    for _ in range(2):
        world.portal.call(Worker(world.runtime, world.probe).drain)
        world.hurry()
    world.portal.call(Worker(world.runtime, world.probe).drain)
    assert met()
    return scene, id


def _clean_when_back(world: FaultWorld, actor: Actor) -> None:
    world.come_back()
    world.calm()
    delete_all(world, actor)
    check_clean(world)
