"""Adding a network card to a server that is there, and taking one away."""

from __future__ import annotations

import datetime as dt

from ... import network
from ...kernel.db import Tx
from ...kernel.work import Saga, StepFailed, step
from ..servers.tables import nics
from .restart import server
from .tell import tell
from .volumes import update_machine


class AttachInterface(Saga):
    """`port` is bound to the server's host already, in the rows."""

    deadline = dt.timedelta(minutes=5)

    @step
    async def network(self) -> None:
        await network.realize(self.runtime, (await server(self)).host, self.subject)

    @network.undo
    def undo_network(self, tx: Tx) -> None:
        forget_card(tx, self.subject, self.state["port"])

    @step
    async def plug(self) -> None:
        await tell(self)
        await update_machine(self)

    @plug.undo
    async def undo_plug(self) -> None:
        await self.write(lambda tx: forget_card(tx, self.subject, self.state["port"]))
        await update_machine(self)


class DetachInterface(Saga):
    """Takes the card from the guest, then the port from the host. `card` is its row, kept for as long as it may have to
    come back."""

    deadline = dt.timedelta(minutes=5)

    @step
    def forget(self, tx: Tx) -> dict:
        card = tx.get(nics, server_id=self.subject, port_id=self.state["port"])
        if card is None:
            raise StepFailed(f"Port id {self.state['port']} not found.")
        tx.delete(nics, id=card.id)
        return {"card": {name: getattr(card, name) for name in ("id", "position", "tag", "ours")}}

    @forget.undo
    def undo_forget(self, tx: Tx) -> None:
        self._put_back(tx)

    @step
    async def unplug(self) -> None:
        await tell(self)
        await update_machine(self)

    @unplug.undo
    async def undo_unplug(self) -> None:
        await self.write(self._put_back)
        await tell(self)
        await update_machine(self)

    def succeeded(self, tx: Tx) -> None:
        network.release_port(tx, self.state["port"], delete=self.state["card"]["ours"])

    def _put_back(self, tx: Tx) -> None:
        put_back(tx, self.subject, self.state)


def put_back(tx: Tx, server_id: str, state: dict) -> None:
    """Give a server the card again that a DetachInterface with this state has taken from it."""
    card = state.get("card")
    if card and tx.get(nics, server_id=server_id, port_id=state["port"]) is None:
        tx.insert(nics, server_id=server_id, port_id=state["port"], **card)


def forget_card(tx: Tx, server_id: str, port_id: str) -> None:
    card = tx.get(nics, server_id=server_id, port_id=port_id)
    if card is not None:
        network.release_port(tx, port_id, delete=card.ours)
        tx.delete(nics, id=card.id)
