"""Telling a server's host what the guest may read of itself, whenever that changes."""

from __future__ import annotations

import datetime as dt

from ...kernel.bus import AgentUnreachable
from ...kernel.db import Tx
from ...kernel.work import Retry, Saga, step
from ..servers.tables import servers
from .machine import tree_of


class TellServer(Saga):
    """Renews the metadata that the server's guest is served. A host that cannot be told now is told when next the server
    is started there."""

    deadline = dt.timedelta(minutes=1)

    @step
    async def tell(self) -> None:
        try:
            await tell(self)
        except AgentUnreachable as error:
            raise Retry(str(error), 5) from None


async def tell(saga: Saga) -> None:
    """Give the host of the saga's server its metadata as it is now; without a host there is nobody to tell."""
    host, tree = await saga.runtime.db.read(lambda tx: _known(tx, saga.subject))
    if host is not None:
        await saga.call(host, "compute.metadata", id=saga.subject, tree=tree)


def _known(tx: Tx, id: str) -> tuple[str | None, dict[str, str]]:
    row = tx.get(servers, id=id)
    return (row.host, tree_of(tx, row)) if row is not None and row.host else (None, {})
