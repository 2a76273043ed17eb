"""Following what is done to the members of a group, until the group itself is made or gone."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.work import Retry, Saga, StepFailed, step, supersede
from ..tables import group_snapshots, groups, snapshots, volumes

PAUSE = 0.3
"""Seconds between looks at the members."""


class Following(Saga):
    """Base: `owner` is the row followed for, `members` are found by their column `key`."""

    owner: t.ClassVar[sa.Table]
    members: t.ClassVar[sa.Table]
    key: t.ClassVar[str]

    @classmethod
    def begin(cls, tx: Tx, row: Row, request_id: str | None = None) -> None:
        """Stop what is being done, and wait for the members' end."""
        supersede(tx, row.id)
        tx.update(cls.owner, row.id, status="deleting")
        cls.start(tx, row.id, request_id=request_id)

    async def made(self) -> None:
        """Until no member is being made. Raises StepFailed where one was not."""
        found = await self._statuses()
        if found & {"creating", "downloading"}:
            raise Retry("members are being made", PAUSE)
        if "error" in found:
            raise StepFailed("one of the members could not be made")

    async def gone(self) -> None:
        """Until there is no member."""
        if await self._statuses():
            raise Retry("members are being deleted", PAUSE)

    async def _statuses(self) -> set[str]:
        rows = await self.runtime.db.read(lambda tx: tx.rows(self.members, **{self.key: self.subject}))
        return {row.status for row in rows}

    def succeeded(self, tx: Tx) -> None:
        tx.update(self.owner, self.subject, status="available")

    def failed(self, tx: Tx, why: str) -> None:
        tx.update(self.owner, self.subject, status="error")

    def end(self, tx: Tx) -> None:
        """The row goes, whatever keeps its members: they are by themselves from now on."""
        tx.update(self.members, {self.key: self.subject}, **{self.key: None})
        tx.delete(self.owner, id=self.subject)


class FillGroup(Following):
    deadline = dt.timedelta(hours=2)
    owner, members, key = groups, volumes, "group_id"

    @step
    async def wait(self) -> None:
        await self.made()


class DeleteGroup(Following):
    deadline = dt.timedelta(minutes=12)
    owner, members, key = groups, volumes, "group_id"

    @step
    async def wait(self) -> None:
        await self.gone()

    def succeeded(self, tx: Tx) -> None:
        self.end(tx)

    def failed(self, tx: Tx, why: str) -> None:
        self.end(tx)


class CreateGroupSnapshot(Following):
    deadline = dt.timedelta(hours=2)
    owner, members, key = group_snapshots, snapshots, "group_snapshot_id"

    @step
    async def wait(self) -> None:
        await self.made()


class DeleteGroupSnapshot(Following):
    deadline = dt.timedelta(minutes=12)
    owner, members, key = group_snapshots, snapshots, "group_snapshot_id"

    @step
    async def wait(self) -> None:
        await self.gone()

    def succeeded(self, tx: Tx) -> None:
        self.end(tx)

    def failed(self, tx: Tx, why: str) -> None:
        self.end(tx)
