"""Every rule that the released service has is here, and means the same by default: the same roles, the same kinds of token."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from cumulet.kernel import services
from cumulet.kernel.auth.checks import Both, Either, Not
from cumulet.kernel.auth.context import SCOPES
from cumulet.kernel.auth.policy import Rule, parse

RECORDED = sorted((Path(__file__).parent.parent / "upstream").glob("*-policy.json"))
EXCEPTIONS: dict[str, set[str]] = {
    "image": {
        "manage_image_cache", "download_from_store",
        "add_task", "get_task", "get_tasks", "modify_task",  # of which upstream says that tasks_api_access is asked in their place
    },
}  # fmt: skip
"""Rules that are not here yet, or need not be. May only shrink."""


def meaning(check: t.Any) -> t.Any:
    """A rule's tree where neither the order of clauses nor superfluous parentheses make a difference."""
    if isinstance(check, Either | Both):
        parts: set[t.Any] = set()
        for part in map(meaning, check.parts):
            parts |= part[1] if isinstance(part, tuple) and part[0] == type(check).__name__ else {part}
        return (type(check).__name__, frozenset(parts)) if len(parts) > 1 else parts.pop()
    return ("Not", meaning(check.part)) if isinstance(check, Not) else str(check)


def told(name: str, check: str) -> t.Any:
    return meaning(parse(check, name, {}))


def alike(ours: Rule, check: str, scopes: t.Iterable[str] | None) -> bool:
    """Whether a rule means what upstream's does. Where that is for any token, as those are that only others name, it makes no
    difference for which kinds ours is."""
    return told(ours.name, ours.check) == told(ours.name, check) and (scopes is None or set(scopes) == set(ours.scopes))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_rule_means_what_it_means_upstream(path: Path):
    service = path.stem.removesuffix("-policy")
    ours: dict[str, Rule] = services.load(service)[service].rules
    theirs = json.loads(path.read_text())["rules"]
    assert theirs.keys() - ours.keys() == EXCEPTIONS.get(service, set())
    different = [
        f"{name}: {ours[name].check} {ours[name].scopes}, upstream {rule['check']} {rule['scopes']}"
        for name, rule in theirs.items()
        if name in ours and not alike(ours[name], rule["check"], rule["scopes"])
    ]
    assert not different, "\n".join(different)


def test_the_comparison_sees_what_makes_a_difference():
    same = [("role:a or (role:b or role:c)", "(role:c or role:b) or role:a"), ("(role:a and role:b)", "role:b and role:a")]
    other = [("role:a and role:b", "role:a or role:b"), ("not role:a", "role:a"), ("role:a or role:b", "role:a"), ("@", "!")]
    assert all(told("x", a) == told("x", b) for a, b in same)
    assert all(told("x", a) != told("x", b) for a, b in other)
    every, project = Rule("x", "@", "", SCOPES), Rule("x", "@", "", ("project",))
    assert alike(project, "@", ["project"]) and alike(project, "@", None) and alike(every, "@", SCOPES)
    assert not alike(every, "@", ["project"]) and not alike(project, "@", SCOPES)
