"""Keeping hosts and records together: data without a record goes, deletions that failed start again, room is looked up."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.bus import AgentError
from ..kernel.db import Tx
from ..kernel.log import get_logger
from ..kernel.work import Reconciler
from ..kernel.work.tasks import LIVE, tasks
from .tables import backends, backups, snapshots, unmanaged, volumes
from .workflows.backups import DeleteBackup
from .workflows.delete import DeleteVolume
from .workflows.snapshots import DeleteSnapshot

log = get_logger("volume")
DELETERS: dict[t.Any, t.Any] = {volumes: DeleteVolume, snapshots: DeleteSnapshot, backups: DeleteBackup}


class VolumeData(Reconciler):
    """What a host holds has a record, and what is to be deleted is being deleted."""

    name = "volume-data"
    interval = 60.0
    nudged_by = ("volumes",)

    async def run_once(self) -> None:
        await self.runtime.db.write(_delete_again)
        for host in await self.runtime.db.read(_hosts):
            try:
                await self._look_at(host)
            except AgentError as error:
                log.info("a host was not looked at", host=host, why=str(error))

    async def _look_at(self, host: str) -> None:
        """The list comes first: what is made after it is not in it, and so not taken for a leftover."""
        held = await self.runtime.bus.call(host, "volume.list", {})
        capacity = await self.runtime.bus.call(host, "volume.capacity", {})
        await self.runtime.db.write(lambda tx: tx.update(backends, {"host": host}, capacity=capacity, last_seen=clock.now()))
        for id in await self.runtime.db.read(lambda tx: _unknown(tx, held["snapshots"])):
            await self._remove(host, "volume.delete_snapshot", id)
        for id in await self.runtime.db.read(lambda tx: _unknown(tx, held["volumes"])):
            await self._remove(host, "volume.delete", id)

    async def _remove(self, host: str, command: str, id: str) -> None:
        log.warning("removing data without a record", host=host, command=command, id=id)
        try:
            await self.runtime.bus.call(host, command, {"id": id}, subject=id)
        except AgentError as error:
            log.warning("data without a record stays for now", host=host, id=id, why=str(error))


def _hosts(tx: Tx) -> list[str]:
    return [row.host for row in tx.rows(backends)]


def _unknown(tx: Tx, held: list[str]) -> list[str]:
    """Which of these ids no record has, and no work is being done on."""
    known = {row.subject for row in tx.all(sa.select(tasks.c.subject).where(tasks.c.status == LIVE))}
    for table in (volumes, snapshots, backups, unmanaged):
        known |= {row.id for row in tx.all(sa.select(table.c.id))}
    return [id for id in held if id not in known]


def _delete_again(tx: Tx) -> None:
    """Take up the deletions that failed (one that an administrator only says has failed left no reason)."""
    for table, saga in DELETERS.items():
        for row in tx.all(sa.select(table).where(table.c.status == "error_deleting", table.c.fault.is_not(None))):
            saga.begin(tx, row)
