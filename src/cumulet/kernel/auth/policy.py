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

from .checks import Both, Check, Compare, Constant, Either, Not, Reference, Role, Scoped
from .context import SCOPES, Context

_TOKENS = re.compile(r"\s*(\(|\)|[^\s()]*%\([^)]*\)s|[^\s()]+)")


class Rule(t.NamedTuple):
    """A rule as it is declared. `scopes`: the kinds of token that it is for; what `policy.yaml` says does not change them."""

    name: str
    check: str
    description: str = ""
    scopes: tuple[str, ...] = SCOPES


class PolicyError(Exception):
    """A rule that cannot be read; the text names it and says where it breaks."""


class Policy:
    """Every rule in force: the declared defaults, and what the operator's file says instead. Raises PolicyError for a
    rule that cannot be read, and for rules that name each other in a circle."""

    def __init__(self, defaults: t.Iterable[Rule], overrides: dict[str, str] | None = None):
        declared = {rule.name: rule for rule in defaults}
        self.overrides = overrides or {}
        self.text = {name: rule.check for name, rule in declared.items()} | self.overrides
        self.checks: dict[str, Check] = {}
        """By name, without what is asked of a token's scope: as other rules ask for them."""
        for name, check in self.text.items():
            self.checks[name] = parse(check, name, self.checks)
        _refuse_circles(self.text)
        self.whole = {name: _whole(declared.get(name), check) for name, check in self.checks.items()}
        """By name, as operations ask for them."""

    def allows(self, rule: str, context: Context, target: dict) -> bool:
        """Whether the rule passes; a rule of no such name is never allowed."""
        check = self.whole.get(rule)
        return check is not None and check.passes(context, target)


def overrides(path: Path) -> dict[str, str]:
    """An operator's `policy.yaml`. Raises PolicyError where it is not a mapping of names to rules."""
    if not path.exists():
        return {}
    loaded = yaml.safe_load(path.read_text()) or {}
    if not isinstance(loaded, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in loaded.items()):
        raise PolicyError(f"{path}: must map rule names to rules, both text")
    return loaded


def _whole(rule: Rule | None, check: Check) -> Check:
    return check if rule is None or set(rule.scopes) == set(SCOPES) else Scoped(rule.scopes, check)


def _refuse_circles(text: dict[str, str]) -> None:
    named = {name: [token[5:] for token in _TOKENS.findall(check) if token.startswith("rule:")] for name, check in text.items()}
    try:
        graphlib.TopologicalSorter(named).prepare()
    except graphlib.CycleError as error:
        raise PolicyError(f"rules name each other in a circle: {' -> '.join(error.args[1])}") from None


def parse(text: str, name: str, rules: dict[str, Check]) -> Check:
    """A rule's text as a tree; `rules` are those that it may name. Raises PolicyError."""
    tokens = _TOKENS.findall(text)
    if not tokens:
        return Constant(True)
    check, rest = _Parser(name, rules).either(tokens)
    if rest:
        raise PolicyError(f"{name}: {rest[0]!r} was not expected in {text!r}")
    return check


Parsed = tuple[Check, list[str]]


class _Parser(t.NamedTuple):
    name: str
    rules: dict[str, Check]

    def either(self, tokens: list[str]) -> Parsed:
        return self._joined("or", Either, self._both, tokens)

    def _both(self, tokens: list[str]) -> Parsed:
        return self._joined("and", Both, self._single, tokens)

    @staticmethod
    def _joined(word: str, join: t.Callable[[list[Check]], Check], part: t.Callable[[list[str]], Parsed], tokens: list[str]) -> Parsed:
        check, tokens = part(tokens)
        checks = [check]
        while tokens and tokens[0].lower() == word:
            check, tokens = part(tokens[1:])
            checks.append(check)
        return checks[0] if len(checks) == 1 else join(checks), tokens

    def _single(self, tokens: list[str]) -> Parsed:
        if not tokens:
            raise PolicyError(f"{self.name}: ends where a check is expected")
        first, rest = tokens[0], tokens[1:]
        if first.lower() == "not":
            inner, rest = self._single(rest)
            return Not(inner), rest
        if first == "(":
            inner, rest = self.either(rest)
            if not rest or rest[0] != ")":
                raise PolicyError(f"{self.name}: a parenthesis is not closed")
            return inner, rest[1:]
        return self._leaf(first), rest

    def _leaf(self, token: str) -> Check:
        if token in ("@", "!"):
            return Constant(token == "@")
        kind, colon, match = token.partition(":")
        if not colon:
            raise PolicyError(f"{self.name}: {token!r} is no check; checks look like role:admin")
        if kind == "rule":
            return Reference(match, self.rules)
        return Role(match) if kind == "role" else Compare(kind, match)
