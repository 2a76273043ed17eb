"""The policy language."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.kernel.auth.context import ANONYMOUS, Context
from cumulet.kernel.auth.explain import Step, explain
from cumulet.kernel.auth.policy import Policy, PolicyError, Rule, overrides, parse
from cumulet.kernel.bus.local import LocalBus
from cumulet.kernel.config import Config
from cumulet.kernel.db import Database
from cumulet.kernel.http import Api, Dialect
from cumulet.kernel.runtime import Runtime

ADMIN = Context(user_id="root", project_id="p0", roles=frozenset({"admin", "member"}), is_admin=True)
MEMBER = Context(user_id="u1", project_id="p1", roles=frozenset({"member"}), user_domain_id="d1")
SYSTEM = Context(user_id="u2", roles=frozenset({"reader"}), system=True)
OWNED = {"project_id": "p1", "user_id": "u1", "target": {"domain": {"id": "d1"}}, "shared": True, "flat.name": "x"}


def allows(check: str, context: Context = MEMBER, target: dict = OWNED) -> bool:
    return Policy([Rule("it", check)]).allows("it", context, target)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("", True), ("@", True), ("!", False),
        ("role:member", True), ("role:MEMBER", True), ("role:admin", False),
        ("project_id:%(project_id)s", True), ("project_id:%(other)s", False), ("user_id:u1", True), ("user_id:u2", False),
        ("user_domain_id:%(target.domain.id)s", True), ("tenant:%(project_id)s", True),
        ("True:%(shared)s", True), ("False:%(shared)s", False), ("'x':%(flat.name)s", True), ("None:%(missing)s", True),
        ("is_admin:True", False), ("system_scope:all", False), ("token.project.domain.id:%(target.domain.id)s", False),
        ("not role:admin", True), ("not not role:member", True), ("not (role:member or role:admin)", False),
        ("role:admin or role:member", True), ("role:admin and role:member", False),
        ("role:admin and role:admin or role:member", True), ("role:admin and (role:admin or role:member)", False),
        ("not role:admin and role:member", True), ("(role:member)", True), ("role:member AND NOT role:admin", True),
        ("((role:admin) or (role:member and project_id:%(project_id)s))", True),
    ],
)  # fmt: skip
def test_checks(check: str, expected: bool):
    assert allows(check) is expected


def test_scope_and_administrators():
    assert allows("system_scope:all", SYSTEM)
    assert allows("is_admin:True", ADMIN)
    assert not allows("role:reader", ANONYMOUS)
    assert not allows("project_id:%(project_id)s", ANONYMOUS, {"project_id": None}), "nobody's things are not everybody's"


def test_who_has_no_project_is_not_in_the_project_named_none():
    for check in ("project_id:%(project_id)s", "domain_id:%(project_id)s", "token.domain.id:%(project_id)s"):
        assert not allows(check, Context(user_id="u", roles=frozenset({"member"})), {"project_id": "None"}), check


def test_rules_that_go_round_in_circles_are_refused_at_the_start():
    with pytest.raises(PolicyError, match=r"circle: .*here"):
        Policy([Rule("here", "role:a or (not rule:there)"), Rule("there", "rule:here")])
    Policy([Rule("twice", "rule:once and rule:once"), Rule("once", "@")])


def test_a_rule_may_name_another():
    policy = Policy([Rule("admin", "role:admin"), Rule("owner", "project_id:%(project_id)s"), Rule("it", "rule:admin or rule:owner")])
    assert policy.allows("it", MEMBER, OWNED)
    assert policy.allows("it", ADMIN, OWNED)
    assert not policy.allows("it", MEMBER, {"project_id": "p2"})


def test_services_have_names_of_their_own(tmp_path: Path):
    apis = {}
    for name, owner in (("one", "user_id:%(user_id)s"), ("two", "project_id:%(project_id)s")):
        apis[name] = Api(name, prefix=f"/{name}", dialect=Dialect())
        apis[name].rule("owner", owner)
        apis[name].rule(f"{name}:show", "rule:owner")
    runtime = Runtime(
        Config(), Database(f"sqlite:///{tmp_path}/db"), LocalBus([]), apis, lambda *_: MEMBER, {"two:show": "rule:owner or role:admin"}
    )
    theirs = {"user_id": "u2", "project_id": "p1"}
    assert not runtime.policies["one:show"].allows("one:show", MEMBER, theirs)
    assert runtime.policies["two:show"].allows("two:show", MEMBER, theirs)
    assert runtime.policies["two:show"].allows("two:show", ADMIN, theirs)
    assert not runtime.policy("owner", apis["one"]).allows("owner", MEMBER, theirs)
    assert runtime.policy("owner", apis["two"]).allows("owner", MEMBER, theirs)
    assert runtime.policy("two:show", apis["one"]).allows("two:show", MEMBER, theirs)


def test_a_rule_that_is_not_there_allows_nobody():
    policy = Policy([Rule("it", "rule:missing")])
    assert not policy.allows("it", ADMIN, OWNED)
    assert not policy.allows("missing", ADMIN, OWNED)


def test_an_operators_rule_wins():
    policy = Policy([Rule("it", "role:admin")], {"it": "role:member", "extra": "@"})
    assert policy.allows("it", MEMBER, OWNED)
    assert policy.allows("extra", MEMBER, OWNED)


@pytest.mark.parametrize("check", ["role:admin or", "and role:admin", "(role:admin", "role:admin)", "role:a role:b", "admin", "not", "()"])
def test_a_rule_that_cannot_be_read_is_told_by_its_name(check: str):
    with pytest.raises(PolicyError, match=r"^it: "):
        Policy([Rule("it", check)])


def test_the_operators_file(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    assert overrides(path) == {}
    path.write_text("# nothing\n")
    assert overrides(path) == {}
    path.write_text('"os_compute_api:servers:index": "role:reader"\n')
    assert overrides(path) == {"os_compute_api:servers:index": "role:reader"}
    path.write_text("- a list\n")
    with pytest.raises(PolicyError, match=r"policy\.yaml: must map"):
        overrides(path)


LEAVES = st.sampled_from([("@", True), ("!", False), ("role:member", True), ("role:admin", False)])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]}) and ({p[1][0]})", p[0][1] and p[1][1])),
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]}) or ({p[1][0]})", p[0][1] or p[1][1])),
        inner.map(lambda one: (f"not ({one[0]})", not one[1])),
    ),
)


@given(TREES)
def test_any_nesting_means_what_it_says(tree: tuple[str, bool]):
    text, expected = tree
    assert parse(text, "it", {}).passes(MEMBER, OWNED) is expected


@given(TREES)
def test_what_is_explained_is_what_is_decided(tree: tuple[str, bool]):
    step = explain(Policy([Rule("it", tree[0])]), "it", MEMBER, OWNED)
    assert step.passes is tree[1]
    assert consistent(step)


def consistent(step: Step) -> bool:
    """Whether what decides would have been enough by itself for each clause to come out as it did."""
    deciding = [part for part in step.parts if part.decides]
    if step.parts and step.decides:
        came = [part.passes for part in deciding]
        expected = {"any of": any(came), "all of": all(came), "not": not all(came)}.get(step.clause, all(came))
        if not deciding or expected is not step.passes:
            return False
    return all(consistent(part) for part in step.parts)


def test_an_explanation_tells_what_was_compared():
    rules = [Rule("it", "rule:boss or (role:member and project_id:%(project_id)s)", scopes=("project",)), Rule("boss", "role:admin")]
    policy = Policy(rules, {"boss": "role:chief"})
    step = explain(policy, "it", MEMBER, {"project_id": "p2"})
    scope, either = step.parts
    assert (step.passes, scope.passes, scope.decides, scope.why) == (False, True, False, "it is of project")
    boss, owner = either.parts
    assert (boss.clause, boss.why, boss.parts[0].clause) == ("rule:boss", "from policy.yaml", "role:chief")
    assert [(part.clause, part.why, part.decides) for part in owner.parts] == [
        ("role:member", "roles: member", False),
        ("project_id:%(project_id)s", "project_id is p1; project_id is p2", True),
    ]
    with pytest.raises(LookupError, match="no rule that"):
        explain(policy, "that", MEMBER, {})


def test_a_rule_is_for_its_kinds_of_token_alone_and_an_operators_text_does_not_change_that():
    for written in ({}, {"it": "@"}):
        policy = Policy([Rule("it", "role:reader or role:member", scopes=("project",)), Rule("by", "rule:it")], written)
        assert policy.allows("it", MEMBER, {})
        assert not policy.allows("it", SYSTEM, {})
        assert policy.allows("by", SYSTEM, {}), "a rule that another names is asked for its check alone"
