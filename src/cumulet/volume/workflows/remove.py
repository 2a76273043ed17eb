"""Having a host remove data, while it can be reached in time."""

from __future__ import annotations

import datetime as dt

from ...kernel import clock
from ...kernel.bus import AgentFailed, AgentUnreachable
from ...kernel.work import Retry, Saga

PATIENCE = dt.timedelta(minutes=3)
"""How long before the deadline a host is still asked again; what it keeps after that, a reconciler removes."""


async def remove(saga: Saga, host: str, command: str, id: str) -> None:
    """Have a host remove what `id` names, now or, where it cannot be reached for long, once it is back."""
    try:
        await saga.runtime.bus.call(host, command, {"id": id}, subject=id, generation=saga.generation, timeout=120)
    except (AgentFailed, AgentUnreachable) as error:
        if saga.ends - clock.now() > PATIENCE:
            raise Retry(str(error), 2) from None
