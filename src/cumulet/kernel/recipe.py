"""How slow and how faulty a simulated driver is: what befalls each kind of its calls."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import typing as t
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

File = t.Annotated[str, msgspec.Meta(pattern="^/")]
"""An absolute path: drivers run in a process of which nobody knows the directory."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What befalls one kind of call.

    It takes `latency` seconds, give or take up to `spread`. It fails with probability `chance`; the times listed in `nth` (from 1);
    each `every`th time; and as long as `while_file` exists: before it has done anything, or, with `after`, when it has
    done everything. `message` is the reason told.
    """

    latency: t.Annotated[float, msgspec.Meta(ge=0)] = 0
    spread: t.Annotated[float, msgspec.Meta(ge=0)] = 0
    chance: t.Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    nth: tuple[t.Annotated[int, msgspec.Meta(ge=1)], ...] = ()
    every: t.Annotated[int, msgspec.Meta(ge=1)] | None = None
    while_file: File | None = None
    after: bool = False
    message: str = "it fails, as the recipe says"


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """By the name of a call ("*" for the rest) what befalls it.

    Drivers that are handed the same recipe are counted together. `seed` makes chances come in the same order each time.
    `file` is a JSON file of the same form whose `calls`, while it exists, go before those here.
    """

    calls: dict[str, Trouble] = {}
    file: File | None = None
    seed: int | None = None

    @functools.cached_property
    def _counts(self) -> Counter[str]:
        return Counter()

    @functools.cached_property
    def _dice(self) -> random.Random:
        return random.Random(self.seed)

    @contextlib.asynccontextmanager
    async def call(self, name: str, what: str, error: Callable[[str], Exception]) -> AsyncIterator[None]:
        """Do a call inside this, and it meets what it is to meet. `what`: how it is named to people who are told the failure,
        which is raised as an `error`."""
        self._counts[name] += 1
        count = self._counts[name]
        trouble = self._trouble(name, error)
        await asyncio.sleep(max(0, trouble.latency + self._dice.uniform(-trouble.spread, trouble.spread)))
        fails = self._fails(trouble, count)
        if fails and not trouble.after:
            raise error(f"{what}: {trouble.message}")
        yield
        if fails:
            raise error(f"{what}: {trouble.message}")

    def _trouble(self, name: str, error: Callable[[str], Exception]) -> Trouble:
        calls = self.calls
        if self.file is not None:
            try:
                calls = calls | msgspec.json.decode(Path(self.file).read_bytes(), type=type(self)).calls
            except FileNotFoundError:
                pass
            except msgspec.MsgspecError as wrong:
                raise error(f"the recipe {self.file} cannot be read: {wrong}") from None
        return calls.get(name) or calls.get("*") or Trouble()

    def _fails(self, trouble: Trouble, count: int) -> bool:
        if trouble.while_file is not None and os.path.exists(trouble.while_file):
            return True
        if count in trouble.nth or (trouble.every and count % trouble.every == 0):
            return True
        return self._dice.random() < trouble.chance
