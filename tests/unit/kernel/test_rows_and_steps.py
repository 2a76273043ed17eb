"""Mistakes in our own code that are told where they are made: a row that is not there, an undo in its step's place."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from cumulet.kernel.db import Tx, metadata
from cumulet.kernel.work import step
from cumulet.kernel.work.tasks import tasks


def test_a_row_that_has_to_be_there_is_named_where_it_is_not():
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection, [tasks])
        with pytest.raises(LookupError, match=r"no row of tasks with id t1, owner me\."):
            Tx(connection).one(tasks, id="t1", owner="me")


def test_an_undo_cannot_take_its_steps_place():
    async def spawn(saga: object) -> None: ...

    with pytest.raises(TypeError, match="call it undo_spawn"):
        step(spawn).undo(spawn)
