"""The policy language: rules as operators write them in `policy.yaml`, checked against a caller and a target.

The grammar is oslo.policy's, as its documentation gives it: `role:admin`, `rule:other`, `project_id:%(project_id)s`,
`system_scope:all`, `True:%(flag)s`, `'literal':%(attribute)s`, `@` (always), `!` (never), `and`, `or`, `not`, parentheses.
"""

from __future__ import annotations

import graphlib
import re
import typing as t
from pathlib import Path

import yaml

from .context import Context

_TOKENS = re.compile(r"\s*(\(|\)|[^\s()]*%\([^)]*\)s|[^\s()]+)")
Check = t.Callable[["Policy", Context, dict], bool]


class Rule(t.NamedTuple):
    name: str
    check: str
    description: str = ""


class PolicyError(Exception):
    """A rule that cannot be read; the text names it and says where it breaks."""


class Policy:
    """Every rule in force: the declared defaults, and what the operator's file says instead. Raises PolicyError for a
    rule that cannot be read, and for rules that name each other in a circle."""

    def __init__(self, defaults: t.Iterable[Rule], overrides: dict[str, str] | None = None):
        self.text = {rule.name: rule.check for rule in defaults} | (overrides or {})
        self._checks = {name: parse(check, name) for name, check in self.text.items()}
        named = {name: [token[5:] for token in _TOKENS.findall(check) if token.startswith("rule:")] for name, check in self.text.items()}
        try:
            graphlib.TopologicalSorter(named).prepare()
        except graphlib.CycleError as error:
            raise PolicyError(f"rules name each other in a circle: {' -> '.join(error.args[1])}") from None

    def allows(self, rule: str, context: Context, target: dict) -> bool:
        """Whether the rule passes; a rule of no such name is never allowed."""
        check = self._checks.get(rule)
        return check is not None and check(self, context, target)


def overrides(path: Path) -> dict[str, str]:
    """An operator's `policy.yaml`. Raises PolicyError where it is not a mapping of names to rules."""
    if not path.exists():
        return {}
    loaded = yaml.safe_load(path.read_text()) or {}
    if not isinstance(loaded, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in loaded.items()):
        raise PolicyError(f"{path}: must map rule names to rules, both text")
    return loaded


def parse(text: str, name: str = "rule") -> Check:
    """A rule's text as a function. Raises PolicyError."""
    tokens = _TOKENS.findall(text)
    if not tokens:
        return _always
    check, rest = _either(tokens, name)
    if rest:
        raise PolicyError(f"{name}: {rest[0]!r} was not expected in {text!r}")
    return check


def _either(tokens: list[str], name: str) -> tuple[Check, list[str]]:
    checks = []
    while True:
        check, tokens = _both(tokens, name)
        checks.append(check)
        if not tokens or tokens[0].lower() != "or":
            break
        tokens = tokens[1:]
    if len(checks) == 1:
        return checks[0], tokens
    return (lambda p, c, t: any(check(p, c, t) for check in checks)), tokens


def _both(tokens: list[str], name: str) -> tuple[Check, list[str]]:
    checks = []
    while True:
        check, tokens = _single(tokens, name)
        checks.append(check)
        if not tokens or tokens[0].lower() != "and":
            break
        tokens = tokens[1:]
    if len(checks) == 1:
        return checks[0], tokens
    return (lambda p, c, t: all(check(p, c, t) for check in checks)), tokens


def _single(tokens: list[str], name: str) -> tuple[Check, list[str]]:
    if not tokens:
        raise PolicyError(f"{name}: ends where a check is expected")
    first, rest = tokens[0], tokens[1:]
    if first.lower() == "not":
        inner, rest = _single(rest, name)
        return (lambda p, c, t: not inner(p, c, t)), rest
    if first == "(":
        inner, rest = _either(rest, name)
        if not rest or rest[0] != ")":
            raise PolicyError(f"{name}: a parenthesis is not closed")
        return inner, rest[1:]
    return _leaf(first, name), rest


def _leaf(token: str, name: str) -> Check:
    if token == "@":
        return _always
    if token == "!":
        return lambda p, c, t: False
    kind, colon, match = token.partition(":")
    if not colon:
        raise PolicyError(f"{name}: {token!r} is no check; checks look like role:admin")
    if kind == "rule":
        return lambda p, c, t: p.allows(match, c, t)
    if kind == "role":
        role = match.lower()
        return lambda p, c, t: role in c.roles
    return _compare(kind, match)


def _compare(kind: str, match: str) -> Check:
    attribute = match[2:-2] if match.startswith("%(") and match.endswith(")s") else None

    def check(_: Policy, context: Context, target: dict) -> bool:
        if attribute is None:
            return str(_credential(context, kind)) == match
        wanted, held = _lookup(target, attribute), _credential(context, kind)
        if wanted is None or held is None:
            return wanted is None and kind == "None"
        return str(held) == str(wanted)

    return check


def _credential(context: Context, kind: str) -> t.Any:
    if kind == "system_scope":
        return "all" if context.system else None
    if kind in ("is_admin", "is_admin_project"):
        return context.is_admin if kind == "is_admin" else True
    if kind == "tenant":
        return context.project_id
    if kind in Context.__struct_fields__:
        return getattr(context, kind)
    if kind in context.extra:
        return context.extra[kind]
    return kind.strip("'\"")


def _lookup(target: dict, path: str) -> t.Any:
    """`target.user.domain_id` in a flat target (as written) or a nested one."""
    if path in target:
        return target[path]
    found: t.Any = target
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _always(_: Policy, __: Context, ___: dict) -> bool:
    return True
