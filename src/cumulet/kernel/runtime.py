"""What a control process stands on, handed to every handler, saga and reconciler."""

from __future__ import annotations

import dataclasses as dc
import typing as t

from .auth.context import Context
from .auth.policy import Policy
from .bus import Bus
from .config import Config
from .db import Database, Tx

if t.TYPE_CHECKING:
    from .http.api import Api
    from .http.request import Request

Authenticate = t.Callable[["Request", Tx, str], Context]


@dc.dataclass
class Runtime:
    """One process's services. `authenticate(request, tx, token)` raises Unauthorized for a token that is no good for it;
    `shared` is where a service keeps what it holds for the process (its stores, its caches), by its own name."""

    config: Config
    db: Database
    bus: Bus
    policy: Policy
    apis: dict[str, Api]
    authenticate: Authenticate
    shared: dict[str, t.Any] = dc.field(default_factory=dict)
