"""An operator's file of who may do what with which properties of images: upstream's property protection file, read and asked.

Its sections are regular expressions, which are searched for in a property's name; the first that is found there counts, and
what none of them knows nobody may do anything with. Each section says for `create`, `read`, `update` and `delete` who may:
roles with commas between them, `@` for everybody, `!` for nobody. With `property_protection_rule_format = policies` in the
section `DEFAULT`, which upstream leaves aside, each says one rule of `policy.yaml` instead.
"""

from __future__ import annotations

import configparser
import re
import typing as t

OPERATIONS = ("create", "read", "update", "delete")
FORMAT = "property_protection_rule_format"
OWN = "os_glance"
"""What the names of the service's own properties begin with, which no rule is about."""

Passes = t.Callable[[str], bool]
"""Whether a rule of `policy.yaml` lets the caller."""


class RulesError(Exception):
    """A file that cannot be used; the text says which section, and why."""


class Section(t.NamedTuple):
    pattern: re.Pattern[str]
    allowed: dict[str, frozenset[str]]
    """Roles, or one rule, by operation."""


class Rules(t.NamedTuple):
    """What a file says."""

    sections: tuple[Section, ...]
    by_policy: bool

    def allow(self, operation: str, name: str, roles: frozenset[str], passes: Passes) -> bool:
        """Whether somebody with these roles may do that to a property. Roles are in lower case."""
        if name.startswith(OWN):
            return True
        section = next((one for one in self.sections if one.pattern.search(name)), None)
        allowed = frozenset() if section is None else section.allowed[operation]
        if "!" in allowed:
            return False
        if "@" in allowed:
            return True
        return any(map(passes, allowed)) if self.by_policy else not allowed.isdisjoint(roles)


def parse(text: str, known: t.Container[str]) -> Rules:
    """The rules of a file; `known` are the rules of policy that it may name. Raises RulesError."""
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read_string(text)
    except configparser.Error as error:
        raise RulesError(" ".join(str(error).split())) from None
    kind = file.defaults().get(FORMAT, "roles").lower()
    if kind not in ("roles", "policies"):
        raise RulesError(f"[DEFAULT] {FORMAT} is {kind}: it is one of roles and policies")
    sections = tuple(_section(file[name], kind == "policies", known) for name in file.sections() if not name.startswith(OWN))
    return Rules(sections, kind == "policies")


def _section(section: configparser.SectionProxy, by_policy: bool, known: t.Container[str]) -> Section:
    try:
        pattern = re.compile(section.name)
    except (re.error, OverflowError, RecursionError) as error:
        raise RulesError(f"[{section.name}] is no regular expression: {error}") from None
    allowed = {}
    for operation in OPERATIONS:
        if operation not in section:
            raise RulesError(f"[{section.name}] does not say who may {operation}: nobody is `{operation} = !`")
        names = frozenset(name.strip() for name in section[operation].split(",") if name.strip())
        _refuse_muddled(f"[{section.name}] {operation} = {section[operation]}", names, by_policy, known)
        allowed[operation] = names if by_policy else frozenset(name.lower() for name in names)
    return Section(pattern, allowed)


def _refuse_muddled(told: str, names: frozenset[str], by_policy: bool, known: t.Container[str]) -> None:
    if {"@", "!"} <= names:
        raise RulesError(f"{told}: '@' (everybody) and '!' (nobody) are mutually exclusive")
    if not by_policy:
        return
    if len(names) > 1:
        raise RulesError(f"{told}: one rule of policy.yaml, not several: put them together there")
    if unknown := next((name for name in names if name not in known and name not in ("@", "!")), None):
        raise RulesError(f"{told}: there is no rule {unknown} in policy.yaml")
