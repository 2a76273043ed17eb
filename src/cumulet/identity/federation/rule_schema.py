"""What the rules of a mapping may look like: the Identity API's own JSON schema of them, and what no schema can say."""

from __future__ import annotations

import json
import typing as t

from ...kernel.json_schema import Json, errors, told
from .json_schema import DOMAIN, PROJECTS, PROJECTS_WITHOUT_DOMAIN, TEXT, schema_array, schema_object
from .patterns import PatternError, pattern
from .rules import ASKING, CONDITIONS, LISTS, PROJECTS_JSON, VERSIONS, RuleError, fill, names, referred

LARGEST, STATES = 65_535, 10_000
"""The most of a mapping: the characters of its rules, as JSON, and the states of its patterns."""

# -- the schema ----------------------------------------------------------------------------------------------------


def _condition(kind: str) -> Json:
    return schema_object({"type": TEXT, kind: schema_array(), "regex": {"type": "boolean"}}, "type", kind)


USER = schema_object(
    {"id": TEXT, "name": TEXT, "email": TEXT, "domain": DOMAIN, "type": {"type": "string", "enum": ["ephemeral", "local"]}}
)
GROUP: Json = {
    "type": "object",
    "oneOf": [schema_object({"id": TEXT}, "id"), schema_object({"name": TEXT, "domain": DOMAIN}, "name", "domain")],
}
REMOTE: Json = {"type": "object", "oneOf": [schema_object({"type": TEXT}, "type"), *(_condition(kind) for kind in CONDITIONS)]}


def _mapping(version: str) -> Json:
    projects = PROJECTS_WITHOUT_DOMAIN if version == "1.0" else PROJECTS
    local = {"user": USER, "projects": projects, "group": GROUP, "groups": TEXT, "group_ids": TEXT,
             "domain": DOMAIN} | ({PROJECTS_JSON: TEXT} if version == "3.0" else {})  # fmt: skip
    rule = schema_object({"local": schema_array(schema_object(local)), "remote": schema_array(REMOTE, minItems=1)}, "local", "remote")
    return {"type": "object", "required": ["rules"], "properties": {"rules": schema_array(rule, minItems=1), "schema_version": TEXT}}


SCHEMAS = {version: _mapping(version) for version in VERSIONS}

# -- checking ------------------------------------------------------------------------------------------------------


def check(mapping: Json) -> str:
    """The schema version of a mapping whose rules may be kept. Raises RuleError with everything that is wrong."""
    version = mapping.get("schema_version") or VERSIONS[0]
    if version not in VERSIONS:
        raise RuleError(f"{told(version)} is not one of {list(VERSIONS)!r}")
    if wrong := sorted(error.message for error in errors(mapping, SCHEMAS[version])):
        raise RuleError("\n".join(wrong))
    if len(json.dumps(mapping["rules"])) > LARGEST:
        raise RuleError(f"The rules have more than {LARGEST} characters")
    if sum(_check_condition(condition) for rule in mapping["rules"] for condition in rule["remote"]) > STATES:
        raise RuleError(f"The patterns of the rules have more than {STATES} states together: that many characters, about")
    for rule in mapping["rules"]:
        _check_local(rule["local"], [["-"] for condition in rule["remote"] if not ASKING & condition.keys()])
    return version


def _check_condition(condition: Json) -> int:
    """The states of its patterns together. Raises RuleError for values that no text of an assertion can be, and for patterns that
    are not matched here."""
    states, values = 0, next((condition[kind] for kind in CONDITIONS if kind in condition), [])
    for value in values:
        if not isinstance(value, str):
            raise RuleError(f"{told(value)} is not of type 'string'")
        if condition.get("regex"):
            try:
                states += pattern(value).size
            except PatternError as error:
                raise RuleError(str(error)) from None
    return states


def _check_local(local: t.Any, matches: list[list[str]]) -> None:
    """Raise RuleError for texts that refer to what the remote part does not let through."""
    if isinstance(local, str):
        fill(local, matches)
    for key, value in local.items() if isinstance(local, dict) else enumerate(local) if isinstance(local, list) else ():
        if key in LISTS:
            names(value, matches)
        elif key == PROJECTS_JSON:
            referred(value, matches)
        else:
            _check_local(value, matches)
