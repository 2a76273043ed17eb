"""Having a host remove data, while it can be reached in time."""

from __future__ import annotations

import datetime as dt

from ...kernel import clock
from ...kernel.bus import AgentFailed, AgentUnreachable
from ...kernel.work import Retry, Saga

PATIENCE = dt.timedelta(minutes=3)
"""How long before the deadline a host is last asked; what it keeps after that, a reconciler removes. It is longer than an
answer is waited for: however many things there are to remove, the work is over before its deadline."""
ANSWER = 120
"""Seconds."""


async def remove(saga: Saga, host: str, command: str, id: str) -> None:
    """Have a host remove what `id` names, now or, where it cannot be reached for long, once it is back."""
    if saga.ends - clock.now() <= PATIENCE:
        return
    try:
        await saga.runtime.bus.call(host, command, {"id": id}, subject=id, generation=saga.generation, timeout=ANSWER)
    except (AgentFailed, AgentUnreachable) as error:
        raise Retry(str(error), 2) from None
