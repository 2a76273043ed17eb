"""Property protections in force: the operator's file, read anew when it changes, and what it lets one caller do.

Administrators are no exception. Without a file everybody may do everything that policy lets them do to the image.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from ..kernel.errors import Forbidden
from ..kernel.log import get_logger
from ..kernel.runtime import Runtime
from . import policy
from .property_rules import Rules, RulesError, parse

if t.TYPE_CHECKING:
    from ..kernel.http import Request

log = get_logger("image")


class Guard:
    """What one caller may do with properties."""

    def __init__(self, rules: Rules | None, passes: t.Callable[[str], bool], roles: frozenset[str]):
        self._rules, self._passes, self._roles = rules, passes, roles
        self._known: dict[tuple[str, str], bool] = {}

    def allows(self, operation: str, name: str) -> bool:
        """operation: create, read, update or delete."""
        if self._rules is None:
            return True
        if (operation, name) not in self._known:
            self._known[operation, name] = self._rules.allow(operation, name, self._roles, self._passes)
        return self._known[operation, name]

    def check(self, operation: str, *names: str) -> None:
        """Raise Forbidden for the first of these properties with which the caller may not do that."""
        for name in names:
            if not self.allows(operation, name):
                raise Forbidden(f"Attribute '{name}' is reserved.")

    def readable(self, properties: dict[str, str]) -> dict[str, str]:
        """Those that the caller may see."""
        if self._rules is None:
            return properties
        return {name: value for name, value in properties.items() if self.allows("read", name)}

    def replaced(self, properties: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
        """An image's properties, where those that the caller sees become `wanted`; the others stay. Raises Forbidden."""
        seen = self.readable(properties)
        self.check("create", *(name for name in wanted if name not in seen))
        self.check("update", *(name for name in wanted if name in seen and wanted[name] != seen[name]))
        self.check("delete", *(name for name in seen if name not in wanted))
        return {name: value for name, value in properties.items() if name not in seen} | wanted


def guard(request: Request) -> Guard:
    """What the caller may do with properties, asked once a request however many images there are."""
    runtime, context = request.runtime, request.context
    rules = runtime.policies[policy.GET]
    return Guard(in_force(runtime), lambda rule: rules.allows(rule, context, {}), context.roles)


def in_force(runtime: Runtime) -> Rules | None:
    """What the operator's file says; None where there is none. A file that was changed and is of no use changes nothing, and
    is logged. Raises RulesError where it never was of use."""
    if not runtime.config.image_property_protections:
        return None
    path = runtime.config.root / runtime.config.image_property_protections
    held: _Held | None = runtime.shared.get("image.protections")
    mark = _mark(path)
    if held is None or held.mark != mark:
        held = runtime.shared["image.protections"] = _Held(mark, _read(path, runtime, held))
    return held.rules


class _Held(t.NamedTuple):
    mark: tuple[int, ...]
    """What tells the file as it was read from any other; empty for one that is not there."""
    rules: Rules


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path, runtime: Runtime, held: _Held | None) -> Rules:
    try:
        return parse(path.read_text(), runtime.policies[policy.GET].text)
    except (OSError, UnicodeDecodeError, RulesError) as error:
        told = f"image_property_protections: {path}: {error}"
        if held is None:
            raise RulesError(told) from None
        log.error("property protections stay as they were", reason=told)
        return held.rules
