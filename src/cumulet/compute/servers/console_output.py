"""What a server's guest wrote to its console: `os-getConsoleOutput`."""

from __future__ import annotations

import re
import typing as t

import msgspec

from ...kernel.http import UNSET, Body, Reply, Request, UnsetType
from .. import PROJECT_MEMBER, api
from ..wire import INT_MAX
from .ask import ask, found
from .find import target

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f]")


class GetConsoleOutput(Body):
    length: (
        t.Annotated[int, msgspec.Meta(ge=-1)] | t.Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]+$", max_length=20)] | None | UnsetType
    ) = UNSET


READ = api.rule("os_compute_api:os-console-output", PROJECT_MEMBER, "Show what a server wrote to its console.")


@api.op("POST", "/servers/{id}/action", action="os-getConsoleOutput", policy=READ, target=target, errors=(404, 409))
async def console_output(request: Request, id: str, body: GetConsoleOutput) -> Reply:
    """Show the last lines that a server wrote to its console, or all that is kept (-1 or null)."""
    row = await found(request, id)
    length = -1 if body.length in (None, UNSET) else int(t.cast(int, body.length))
    lines = None if length < 0 else min(length, INT_MAX)
    return Reply({"output": _CONTROL.sub("", await ask(request, row, "compute.console_log", lines=lines))})
