"""What a process holds for identity: its keys, the passwords it checked lately, the tokens it knows."""

from __future__ import annotations

import collections
import threading
import typing as t

from ..kernel.auth.context import Context
from ..kernel.db import Row
from ..kernel.runtime import Runtime
from . import epoch, keys
from .drivers import saml
from .epoch import Lasting
from .passwords import Checker

if t.TYPE_CHECKING:
    from .catalog import Offered
    from .role_assignments import Inference
    from .tokens.resolve import Resolved

TOKENS = 20_000
"""How many are known at once; each takes some 4 kB."""

Key = t.TypeVar("Key")
Value = t.TypeVar("Value")


class Latest(t.Generic[Key, Value]):
    """The values put in last, so many at most."""

    def __init__(self, most: int):
        self._most = most
        self._values: collections.OrderedDict[Key, Value] = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


class Known:
    """What a token came to at an epoch, and, in microseconds since 1970, until when: then a membership in a group ends. `body` is
    what clients are shown of it, without the catalog, once anyone asked; `people` are those whom it depends on and whom a
    directory has."""

    __slots__ = ("body", "context", "epoch", "people", "resolved", "until")

    def __init__(self, epoch: float, until: float, resolved: Resolved, context: Context, people: list[Row]):
        self.epoch, self.until, self.resolved, self.context, self.people = epoch, until, resolved, context, people
        self.body: dict[str, t.Any] | None = None


class State:
    def __init__(self, runtime: Runtime):
        from .directories import Directories  # stands on the tables of those who ask for this state

        self.token_keys = keys.token_keys(runtime.config)
        self.credential_keys = keys.credential_keys(runtime.config)
        self.signing_keys = keys.signing_keys(runtime.config)
        self.directories = Directories(runtime.db, self.credential_keys)
        self._saml_key = runtime.config.root / "control" / "saml.pem"
        self.passwords = Checker(runtime.config.bcrypt_rounds)
        self.tokens: Latest[str, Known] = Latest(TOKENS)
        self.offered: Lasting[Offered] = Lasting(epoch.CATALOG)
        """What all catalogs are made of."""
        self.inference: Lasting[Inference] = Lasting()
        """How roles imply each other."""
        self.providers: Lasting[list[dict]] = Lasting()
        """What every token says of the clouds that a client could go on to."""

    @property
    def saml_key(self) -> t.Any:
        """The key that SAML documents are signed with, and its certificate; made at first use."""
        return saml.signing_key(self._saml_key)


_making = threading.Lock()


def state(runtime: Runtime) -> State:
    """This process's state, made at first use."""
    if "identity" not in runtime.shared:
        with _making:
            if "identity" not in runtime.shared:
                runtime.shared["identity"] = State(runtime)
    return runtime.shared["identity"]
