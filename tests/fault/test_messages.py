"""Messages lost, doubled, late and out of order, on a real socket: all work is done all the same."""

from __future__ import annotations

import zlib

import pytest

import fault.fault_servers
import fault.fault_volumes  # noqa: F401  both register their scenes
from cumulet.kernel import services
from fault.fault_actor import SCENES, Actor
from fault.fault_relay import RelayedWorld
from fault.fault_slate import check_clean, check_whole, delete_all
from world import SERVICES

services.load(*SERVICES)


WORLD = RelayedWorld


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Which kind of database it is makes no difference to messages."""
    return f"sqlite:///{tmp_path_factory.mktemp('db')}/cloud.db"


@pytest.mark.parametrize(("saga", "variant"), SCENES)
def test_no_message_is_needed_once_and_in_order(saga: str, variant: str, world: RelayedWorld, actor: Actor):
    scene = SCENES[saga, variant](actor)
    world.relay.random.seed(zlib.crc32(f"{saga} {variant}".encode()))
    world.relay.wild = True
    id = scene.begin()
    world.work()
    world.portal.call(world.relay.quiet)
    world.settle()
    assert (scene.look(id) if scene.look else actor.status(scene.kind, id)) == scene.done
    check_whole(world, actor)
    delete_all(world, actor)
    check_clean(world)
