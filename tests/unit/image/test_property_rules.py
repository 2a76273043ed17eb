"""The file of property protections: what it says, and what is told of one that says nothing of use."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.image.property_rules import OPERATIONS, RulesError, parse

ROLES = ("admin", "billing", "member", "reader")
permissions = st.one_of(st.sampled_from(["@", "!", ""]), st.lists(st.sampled_from(ROLES), max_size=4).map(", ".join))
sections = st.dictionaries(st.sampled_from(["^x_", "x_own", "^os_", "a.c", ".*", "z$"]), st.tuples(*[permissions] * 4), max_size=6)


def written(of: dict[str, tuple[str, ...]]) -> str:
    lines = []
    for pattern, allowed in of.items():
        lines += [f"[{pattern}]", *(f"{operation} = {who}" for operation, who in zip(OPERATIONS, allowed, strict=True))]
    return "\n".join(lines)


def never(rule: str) -> bool:
    raise AssertionError(f"{rule} is a role")


@given(sections, st.sampled_from(["x_own", "x_a", "os_type", "abc", "nothing", "z"]), st.frozensets(st.sampled_from(ROLES)))
def test_more_roles_never_allow_less_and_what_is_not_told_of_is_refused(of, name, roles):
    rules = parse(written(of), ())
    for operation in OPERATIONS:
        allowed = rules.allow(operation, name, roles, never)
        assert not allowed or rules.allow(operation, name, roles | {"admin", "more"}, never)
    if not of:
        assert not rules.allow("read", name, roles, never)


@given(sections, st.sampled_from(["x_own", "x_a", "os_type"]), st.frozensets(st.sampled_from(ROLES)))
def test_the_first_that_is_found_in_a_name_counts_whatever_comes_after_it(of, name, roles):
    first = {"^(x|os)_": ("@", "billing", "!", "")}
    rules, alone = parse(written(first | of), ()), parse(written(first), ())
    for operation in OPERATIONS:
        assert rules.allow(operation, name, roles, never) == alone.allow(operation, name, roles, never)


@pytest.mark.parametrize(("who", "roles", "allowed"), [
    ("@", set(), True), ("!", {"admin"}, False), ("admin, !", {"admin"}, False), ("", {"admin"}, False),
    ("Admin,Billing", {"billing"}, True), ("admin", {"member"}, False),
])  # fmt: skip
def test_who_is_meant(who, roles, allowed):
    rules = parse(written({"x": (who,) * 4}), ())
    assert all(rules.allow(operation, "an x", frozenset(roles), never) is allowed for operation in OPERATIONS)


def test_the_service_has_its_own_properties_whatever_is_said_of_them():
    rules = parse(written({"os_glance.*": ("!",) * 4, ".*": ("!",) * 4}), ())
    assert rules.allow("create", "os_glance_import_task", frozenset(), never)
    assert not rules.allow("create", "os_type", frozenset(), never)


def test_rules_of_policy_in_the_place_of_roles():
    text = "[DEFAULT]\nproperty_protection_rule_format = policies\n" + written({"x": ("makers", "@", "!", "makers")})
    rules = parse(text, {"makers"})
    asked: list[str] = []
    assert rules.allow("create", "x", frozenset({"makers"}), lambda rule: bool(asked.append(rule))) is False
    assert asked == ["makers"]
    assert rules.allow("delete", "x", frozenset(), lambda rule: True)
    assert rules.allow("read", "x", frozenset(), never)
    assert not rules.allow("update", "x", frozenset(), never)


@pytest.mark.parametrize(("text", "told"), [
    ("create = @", "no section headers"),
    ("[x\ncreate = @", "no section headers"),
    ("[x]\ncreate = @\nread = @\nupdate = @", "[x] does not say who may delete: nobody is `delete = !`"),
    ("[x{99999999999999999999}]\ncreate = @", "[x{99999999999999999999}] is no regular expression"),
    ("[(x]\ncreate = @", "[(x] is no regular expression: missing ), unterminated subpattern"),
    ("[x]\ncreate = @, !\nread = @\nupdate = @\ndelete = @", "[x] create = @, !: '@' (everybody) and '!' (nobody) are mutually exclusive"),
    ("[x]\ncreate = @\n[x]\nread = @", "section 'x' already exists"),
    ("[DEFAULT]\nproperty_protection_rule_format = rules", "[DEFAULT] property_protection_rule_format is rules"),
    ("[DEFAULT]\nproperty_protection_rule_format = policies\n[x]\ncreate = a, b\nread = @\nupdate = @\ndelete = @", "[x] create = a, b: one rule"),
    ("[DEFAULT]\nproperty_protection_rule_format = policies\n[x]\ncreate = none\nread = @\nupdate = @\ndelete = @",
     "[x] create = none: there is no rule none in policy.yaml"),
])  # fmt: skip
def test_a_file_of_no_use_is_told_of_by_its_section(text, told):
    with pytest.raises(RulesError) as refused:
        parse(text, {"a", "b"})
    assert told in str(refused.value)


@given(st.text(max_size=200))
def test_whatever_the_file_holds_it_is_read_or_refused_in_words(text):
    with contextlib.suppress(RulesError):
        assert not parse(text, ()).by_policy
