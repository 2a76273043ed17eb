"""One cloud for the cases of a file, made anew where a case left something behind."""

from __future__ import annotations

import typing as t

import pytest

from cumulet.kernel.testing.cloud import Caller, Cloud
from fault.fault_actor import Actor
from fault.fault_listening import Address, listening
from fault.fault_world import FaultWorld


class Keeper:
    """The cloud of the cases that run now. kind: which; a module of tests names another as its `WORLD`."""

    def __init__(self, kind: type[FaultWorld], url: str, new_directory: t.Callable[[], str]):
        self._kind, self._url, self._new_directory = kind, url, new_directory
        self._world: FaultWorld | None = None

    def take(self) -> FaultWorld:
        self._world = self._world or self._kind(self._url, self._new_directory())
        self._world.calm()
        return self._world

    def drop(self) -> None:
        if self._world:
            self._world.close()
        self._world = None


@pytest.fixture(scope="module")
def keeper(database_url: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Keeper]:
    kind = getattr(request.module, "WORLD", FaultWorld)
    made = Keeper(kind, database_url, lambda: str(tmp_path_factory.mktemp("cloud")))
    yield made
    made.drop()


@pytest.fixture
def world(keeper: Keeper, request: pytest.FixtureRequest) -> t.Iterator[FaultWorld]:
    """A clean one: whatever a case that failed has left, no later one suffers for it."""
    failed = request.session.testsfailed
    yield keeper.take()
    if request.session.testsfailed > failed:
        keeper.drop()


@pytest.fixture
def actor(world: FaultWorld) -> Actor:
    return Actor(world)


@pytest.fixture
def address(cloud: Cloud) -> t.Iterator[Address]:
    """Where a cloud in the test's process listens."""
    with listening(cloud) as there:
        yield there


@pytest.fixture
def me(cloud: Cloud) -> Caller:
    return cloud.caller("/image/v2")
