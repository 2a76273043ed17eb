"""The rules of mappings: from what an identity provider says of somebody (an assertion) to a user, groups and projects.

A rule has a remote part, what the assertion has to say, and a local part, what follows from it. `{0}` in a text of the
local part stands for what the first of the remote part's conditions let through, `{1}` for the second's, and so on;
conditions that only ask (any_one_of, not_any_of) are not counted. The language is that of the Identity API's federation,
schema versions 1.0 to 3.0. From 2.0 on, users and projects without a domain of their own are in the local part's. In 3.0 an
assertion may have projects as JSON too, and what a user no longer has there is taken away (by whoever applies the outcome).
"""

from __future__ import annotations

import ast
import json
import re
import typing as t

from ...kernel.json_schema import Json, errors
from .json_schema import PROJECTS
from .patterns import pattern

VERSIONS = ("1.0", "2.0", "3.0")
ASSERTION, TEXT = 32_768, 1_024
"""The most characters: of an assertion (a web server takes no more in headers), and of a text with what it stands for."""
STEPS = 2_000_000
"""The most that patterns may take together on an assertion, which is a second: each a step for each of its states and each character."""
Matches = list[list[str]]
Assertion = t.Mapping[str, str | list[str]]
"""What an identity provider says: names, each with its values, or with a text that holds several with semicolons between them."""


class RuleError(ValueError):
    """Rules that are none, or that cannot be applied to an assertion."""


class Mapped(t.NamedTuple):
    """What the rules make of an assertion. `groups` are those told by name, with their domain: `{"name": ..., "domain": ...}`."""

    user: Json
    group_ids: list[str]
    groups: list[Json]
    projects: list[Json]


def evaluate(rules: list[Json], assertion: Assertion, version: str = "1.0") -> Mapped:
    """Apply checked rules to an assertion. Raises RuleError."""
    said = {name: value.split(";") if isinstance(value, str) else value for name, value in assertion.items()}
    if sum(len(name) + sum(map(len, values)) for name, values in said.items()) > ASSERTION:
        raise RuleError(f"The assertion has more than {ASSERTION} characters")
    if sum(_steps(condition, said) for rule in rules for condition in rule["remote"] if condition.get("regex")) > STEPS:
        raise RuleError("The assertion is too long for the patterns of the mapping")
    found: list[Json] = []
    for rule in rules:
        matches = _matches(rule["remote"], said)
        if matches is not None:
            found += (_filled(local, matches) for local in rule["local"])
    if not found:
        raise RuleError(
            "Could not map any federated user properties to identity values. Check debug logs or the mapping used for additional details."
        )
    return _together(found, inherits=version != "1.0")


# -- the remote part -----------------------------------------------------------------------------------------------

CONDITIONS = ("any_one_of", "not_any_of", "blacklist", "whitelist")
ASKING = {"any_one_of", "not_any_of"}
"""Of these, those that let nothing through."""


def _matches(remote: list[Json], said: dict[str, list[str]]) -> Matches | None:
    """What the conditions let through; None where one is not met."""
    matches: Matches = []
    for condition in remote:
        values = said.get(condition["type"])
        if values is None:
            return None
        kind = next((name for name in CONDITIONS if name in condition), None)
        hits = _hits(values, condition[kind], condition.get("regex", False)) if kind else dict.fromkeys(values)
        if (kind == "any_one_of" and not hits) or (kind == "not_any_of" and hits):
            return None
        if kind == "blacklist":
            matches.append([value for value in dict.fromkeys(values) if value not in hits])
        elif kind not in ASKING:
            matches.append(list(hits))
    return matches


def _steps(condition: Json, said: dict[str, list[str]]) -> int:
    """The most steps that a condition's patterns may take."""
    wanted = next((condition[kind] for kind in CONDITIONS if kind in condition), [])
    return sum(pattern(one).size for one in wanted) * sum(len(value) + 1 for value in said.get(condition["type"], []))


def _hits(values: list[str], wanted: list[str], regex: bool) -> dict[str, None]:
    """The values that are wanted, each once, in their order."""
    if regex:
        return {value: None for value in values if any(pattern(one).found_in(value) for one in wanted)}
    known = set(wanted)
    return {value: None for value in values if value in known}


# -- the local part ------------------------------------------------------------------------------------------------

LISTS = {"groups", "group_ids"}
"""Texts that stand for several names."""
PROJECTS_JSON = "projects_json"
"""A text that refers to projects with their roles, as JSON."""
PIECE = re.compile(r"\{\{|\}\}|\{([0-9]{1,4})\}|[{}]")


def fill(text: str, matches: Matches) -> str:
    """A text with what it refers to. Two braces are one that stands for itself. Raises RuleError."""
    filled = PIECE.sub(lambda piece: _piece(piece, matches), text)
    if len(filled) > TEXT:
        raise RuleError(f"With what it stands for, the text {text[:80]!r} has more than {TEXT} characters")
    return filled


def _piece(piece: re.Match[str], matches: Matches) -> str:
    if piece[0] in ("{{", "}}"):
        return piece[0][0]
    if piece[1] is None:
        raise RuleError(
            f"{piece.string[:80]!r} has a brace that is not part of a reference, as in {{0}}; to stand for itself it is doubled"
        )
    values = match(int(piece[1]), matches)
    return values[0] if len(values) == 1 else str(values)[: TEXT + 1]


def match(index: int, matches: Matches) -> list[str]:
    if index >= len(matches):
        raise RuleError("Local section in mapping refers to a remote match that doesn't exist (e.g. {0} in a local section).")
    return matches[index]


def names(text: str, matches: Matches) -> list[str]:
    """The names that a text stands for: all that `{0}` alone refers to, those of a list, or the text itself. Raises RuleError."""
    whole = re.fullmatch(r"\{([0-9]{1,4})\}", text)
    return list(match(int(whole[1]), matches)) if whole else [fill(part, matches) for part in _literal(text)]


def _literal(text: str) -> list[str]:
    """The texts of a list, as `['a', 'b']`."""
    try:
        found = ast.literal_eval(text) if text.startswith("[") else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        found = None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else [text]


def referred(text: str, matches: Matches) -> str:
    """What `{0}` or `0` refers to, whole: a semicolon in it parts no values. Raises RuleError."""
    whole = re.fullmatch(r"\{?([0-9]{1,4})\}?", text)
    if whole is None:
        raise RuleError(f"{text[:80]!r} does not refer to a part of the assertion, as {{0}} does")
    return ";".join(match(int(whole[1]), matches))


def _projects(text: str, matches: Matches) -> list[Json]:
    told = referred(text, matches)
    try:
        found = json.loads(told)
    except (ValueError, RecursionError):
        raise RuleError("The projects of the assertion are not told as JSON") from None
    if wrong := sorted(error.message for error in errors(found, PROJECTS)):
        raise RuleError("\n".join(wrong))
    return found


def _filled(local: t.Any, matches: Matches) -> t.Any:
    if isinstance(local, dict):
        return {key: _value(key, value, matches) for key, value in local.items()}
    if isinstance(local, list):
        return [_filled(one, matches) for one in local]
    return fill(local, matches)


def _value(key: str, value: t.Any, matches: Matches) -> t.Any:
    if key in LISTS:
        return names(value, matches)
    return _projects(value, matches) if key == PROJECTS_JSON else _filled(value, matches)


# -- what comes of all that apply ----------------------------------------------------------------------------------


def _together(found: list[Json], *, inherits: bool) -> Mapped:
    """The first user, all groups, and the projects of the last that has any."""
    user = next((dict(local["user"]) for local in found if local.get("user")), {})
    user.setdefault("type", "ephemeral")
    projects: list[Json] = []
    groups: list[Json] = []
    group_ids: list[str] = []
    for local in found:
        group_ids += local.get("group_ids", [])
        if "id" in local.get("group", {}):
            group_ids.append(local["group"]["id"])
        groups += _named_groups(local)
        if not local.keys().isdisjoint({"projects", PROJECTS_JSON}):
            projects = [*local.get("projects", []), *local.get(PROJECTS_JSON, [])]
            if inherits:
                projects = [project | {"domain": project.get("domain") or local.get("domain")} for project in projects]
    if inherits and not user.get("domain"):
        user["domain"] = found[-1].get("domain")
    return Mapped(user, list(dict.fromkeys(group_ids)), _once(groups), projects)


def _named_groups(local: Json) -> list[Json]:
    single = [local["group"]] if "name" in local.get("group", {}) else []
    return single + [_group(name, local) for name in local.get("groups", [])]


def _group(name: str, local: Json) -> Json:
    """A group by its name in the domain beside it, or, after `JSON:`, with its own."""
    if name.startswith("JSON:"):
        return _told_in_json(name.removeprefix("JSON:"))
    if "domain" not in local:
        raise RuleError(f"Invalid rule: {str(local)[:TEXT]}. Both 'groups' and 'domain' keywords must be specified.")
    return {"name": name, "domain": local["domain"]}


def _told_in_json(text: str) -> Json:
    try:
        group = json.loads(text)
    except (ValueError, RecursionError):
        group = None
    domain = group.get("domain") if isinstance(group, dict) else None
    named = isinstance(domain, dict) and any(isinstance(domain.get(key), str) for key in ("id", "name"))
    if not (isinstance(group, dict) and isinstance(group.get("name"), str) and named):
        raise RuleError(f"The group {text[:80]!r} is not told as JSON with its name and its domain")
    return {"name": group["name"], "domain": {key: value for key, value in t.cast(Json, domain).items() if key in ("id", "name")}}


def _once(groups: list[Json]) -> list[Json]:
    return list({(one["name"], one["domain"].get("id"), one["domain"].get("name")): one for one in groups}.values())
