"""What a process holds for identity: its keys, the passwords it checked lately, the tokens it knows."""

from __future__ import annotations

import collections
import threading
import typing as t

from ..kernel.auth.context import Context
from ..kernel.runtime import Runtime
from .fernet import Repository
from .passwords import Checker

if t.TYPE_CHECKING:
    from .tokens.resolve import Resolved

KEEP_MOST = 20_000
"""Tokens known at once."""


class Known(t.NamedTuple):
    """What a token came to at an epoch."""

    epoch: int
    resolved: Resolved
    context: Context


class State:
    def __init__(self, runtime: Runtime):
        control = runtime.config.root / "control"
        self.token_keys = Repository(control / "fernet-keys")
        self.credential_keys = Repository(control / "credential-keys")
        self.passwords = Checker(runtime.config.bcrypt_rounds)
        self._known: collections.OrderedDict[str, Known] = collections.OrderedDict()
        self._lock = threading.Lock()

    def known(self, token: str) -> Known | None:
        return self._known.get(token)

    def remember(self, token: str, known: Known) -> None:
        with self._lock:
            self._known[token] = known
            while len(self._known) > KEEP_MOST:
                self._known.popitem(last=False)


_making = threading.Lock()


def state(runtime: Runtime) -> State:
    """This process's state, made at first use."""
    if "identity" not in runtime.shared:
        with _making:
            if "identity" not in runtime.shared:
                runtime.shared["identity"] = State(runtime)
    return runtime.shared["identity"]
