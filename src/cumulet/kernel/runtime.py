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
    `overrides` are the operator's rules, each for all services that have one of its name;
    `shared` is where a service keeps what it holds for the process (its stores, its caches), by its own name."""

    config: Config
    db: Database
    bus: Bus
    apis: dict[str, Api]
    authenticate: Authenticate
    overrides: dc.InitVar[dict[str, str] | None] = None
    shared: dict[str, t.Any] = dc.field(default_factory=dict)
    policies: dict[str, Policy] = dc.field(init=False)
    """By rule, those of its service: several services have rules of one name, such as `owner`, for others of theirs to
    name, and mean something else by it."""

    def __post_init__(self, overrides: dict[str, str] | None) -> None:
        self.policies = {}
        for api in self.apis.values():
            self.policies |= dict.fromkeys(api.rules, Policy(api.rules.values(), overrides))
