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
    _own: dict[str, Policy] = dc.field(init=False)
    policies: dict[str, Policy] = dc.field(init=False)
    """By rule, those of its service. Several services have rules of one name, such as `owner` and `default`, and mean something
    else by it: see `policy`."""

    def __post_init__(self, overrides: dict[str, str] | None) -> None:
        self.policies, self._own = {}, {}
        for api in self.apis.values():
            self._own[api.service] = Policy(api.rules.values(), overrides)
            self.policies |= dict.fromkeys(api.rules, self._own[api.service])

    def policy(self, rule: str, api: Api) -> Policy:
        """What a rule means in a request to a service: what that service says, or else the one that has it."""
        return self._own[api.service] if rule in api.rules else self.policies[rule]
