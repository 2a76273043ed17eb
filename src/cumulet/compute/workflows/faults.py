"""What a server shows of why it failed."""

from __future__ import annotations

from ...kernel import clock
from ...kernel.db import Tx
from ..servers.states import Vm
from ..servers.tables import servers


def fault(why: str, code: int = 500) -> dict:
    """The `fault` of a server in ERROR."""
    return {"code": code, "message": why[:255], "details": why if len(why) > 255 else "", "created": clock.iso(clock.now())}


def show_stuck(tx: Tx, id: str, why: str) -> None:
    """Let a server's owner see that what was done to it can neither go on nor back for now. The work goes on trying: when it
    ends it says what the server is then."""
    tx.update(servers, id, vm_state=Vm.ERROR, fault=fault(why))
