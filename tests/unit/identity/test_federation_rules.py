"""The rules of mappings: what may be one, and what they make of assertions."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from cumulet.identity.federation.rule_schema import LARGEST, SCHEMAS, check
from cumulet.identity.federation.rules import ASSERTION, Mapped, RuleError, evaluate, fill, names
from cumulet.kernel.json_schema import errors

DEFAULT = {"name": "Default"}
WHO = {"UserName": "bob", "Email": "bob@example.com", "Groups": "devs;ops;admins", "Type": "Employee"}


def made(local: list | dict, remote: list | dict, assertion: dict[str, str] | None = None, version: str = "1.0") -> Mapped:
    """What one rule, which may be kept, makes of an assertion."""
    rule = {"local": local if isinstance(local, list) else [local], "remote": remote if isinstance(remote, list) else [remote]}
    return together([rule], assertion, version)


def together(rules: list[dict], assertion: dict[str, str] | None = None, version: str = "1.0") -> Mapped:
    kept = json.dumps(rules)
    assert check({"rules": rules, "schema_version": version}) == version
    mapped = evaluate(rules, WHO if assertion is None else assertion, version)
    assert json.dumps(rules) == kept, "rules are used again, and stay as they are"
    return mapped


def applies(condition: dict, value: str = "Employee") -> bool:
    rule = {"local": [{"user": {"name": "x"}}], "remote": [{"type": "Type"} | condition]}
    always = {"local": [{"group_ids": "always"}], "remote": [{"type": "Always"}]}
    return together([rule, always], {"Type": value, "Always": ""}).user.get("name") == "x"


def let_through(condition: dict, values: str) -> list[str]:
    return made({"group_ids": "{0}"}, {"type": "T"} | condition, {"T": values}).group_ids


def test_a_user_and_a_group():
    local = [{"user": {"name": "{0}", "email": "{1}"}}, {"group": {"id": "abc"}}]
    mapped = made(local, [{"type": "UserName"}, {"type": "Email"}, {"type": "Type", "any_one_of": ["Employee"]}])
    assert mapped == Mapped({"name": "bob", "email": "bob@example.com", "type": "ephemeral"}, ["abc"], [], [])


def test_a_local_user():
    user = {"name": "{0}", "type": "local", "domain": {"id": "default"}}
    assert made({"user": user}, {"type": "UserName"}).user == {"name": "bob", "type": "local", "domain": {"id": "default"}}


def test_projects_as_json():
    project = {"name": "a;b", "roles": [{"name": "member"}]}
    fixed, domain = {"name": "{0}", "roles": []}, {"id": "d"}
    for text in ("{1}", "1"):
        local = {"projects": [fixed], "projects_json": text, "domain": domain}
        mapped = made(local, [{"type": "UserName"}, {"type": "P"}], WHO | {"P": json.dumps([project])}, "3.0")
        assert mapped.projects == [fixed | {"name": "bob", "domain": domain}, project | {"domain": domain}]
    kept = lambda text, version="3.0": check({"rules": [RULE | {"local": [{"projects_json": text}]}], "schema_version": version})
    assert kept("{0}") == "3.0"
    for wrong in ("x", "{0}{1}", "{7}", "", "{0" * 100):
        with pytest.raises(RuleError):
            kept(wrong)
    with pytest.raises(RuleError, match="'projects_json' was unexpected"):
        kept("{0}", "2.0")


def test_conditions_that_ask():
    assert applies({}) and applies({}, "") and applies({"any_one_of": ["Employee", "x"]}) and not applies({"any_one_of": ["x"]})
    assert applies({"not_any_of": ["x"]}) and not applies({"not_any_of": ["Employee"]}) and not applies({"any_one_of": []})
    assert applies({"any_one_of": ["b"]}, "a;b") and not applies({"not_any_of": ["b"]}, "a;b")
    assert not applies({"any_one_of": ["Emp"]}) and applies({"any_one_of": ["Emp"], "regex": True})
    assert not applies({"any_one_of": ["^mp", "ee $"], "regex": True}) and applies({"any_one_of": ["(?i)^EMPLOYEE$"], "regex": True})
    assert not applies({"not_any_of": ["l.y"], "regex": True})


def test_conditions_that_let_through():
    assert let_through({}, "a;b") == ["a", "b"]
    assert let_through({"whitelist": ["b", "c"]}, "a;b;c;b") == ["b", "c"] and let_through({"blacklist": ["b"]}, "a;b;c") == ["a", "c"]
    assert let_through({"whitelist": ["x"]}, "a;b") == [] and let_through({"blacklist": ["a"]}, "a") == []
    assert let_through({"whitelist": ["^a"], "regex": True}, "ab;ba;ac") == ["ab", "ac"]
    assert let_through({"blacklist": ["^a"], "regex": True}, "ab;ba;ac") == ["ba"]
    assert let_through({"whitelist": ["a.c"]}, "abc;a.c") == ["a.c"]


def test_references_count_what_is_let_through():
    remote = [{"type": "Type", "any_one_of": ["Employee"]}, {"type": "UserName"}, {"type": "Type", "not_any_of": ["x"]}, {"type": "Email"}]
    assert made({"user": {"name": "{1}/{0}/{1}", "email": "{{0}}"}}, remote).user["name"] == "bob@example.com/bob/bob@example.com"
    assert made({"user": {"email": "{{0}} }}{{"}}, remote).user["email"] == "{0} }{"
    assert made({"user": {"name": "{0}"}}, {"type": "Groups"}).user["name"] == "['devs', 'ops', 'admins']"


def test_where_no_rule_applies():
    with pytest.raises(RuleError, match="Could not map any federated user properties to identity values"):
        made({"user": {"name": "{0}"}}, [{"type": "UserName"}, {"type": "Nothing"}])


def test_groups_by_name():
    assert made({"groups": "{0}", "domain": DEFAULT}, {"type": "Groups"}).groups == [
        {"name": n, "domain": DEFAULT} for n in ("devs", "ops", "admins")
    ]
    assert [g["name"] for g in made({"groups": "of-{0}", "domain": DEFAULT}, {"type": "UserName"}).groups] == ["of-bob"]
    assert [g["name"] for g in made({"groups": "['x', '{0}']", "domain": DEFAULT}, {"type": "UserName"}).groups] == ["x", "bob"]
    assert [g["name"] for g in made({"groups": "['x', 1]", "domain": DEFAULT}, {"type": "UserName"}).groups] == ["['x', 1]"]
    assert made({"group": {"name": "{0}", "domain": {"id": "default"}}}, {"type": "UserName"}).groups == [
        {"name": "bob", "domain": {"id": "default"}}
    ]
    many = [f"{n:032x}" for n in range(100)]
    assert made({"group_ids": str(many)}, {"type": "UserName"}).group_ids == many
    for odd in ("[" * 2000, "[" + "-" * 30000, "[" + "1+" * 30000):
        with pytest.raises(RuleError):
            made({"groups": odd, "domain": DEFAULT}, {"type": "UserName"})
    asserted = made({"groups": "{0}", "domain": DEFAULT}, {"type": "T"}, {"T": "['admins', 'root']"})
    assert [g["name"] for g in asserted.groups] == ["['admins', 'root']"], "what somebody says is a name, however it looks"
    with pytest.raises(RuleError, match="Both 'groups' and 'domain' keywords must be specified"):
        made({"groups": "{0}"}, {"type": "Groups"})


def test_groups_with_their_domain():
    told = 'JSON:{"name": "devs", "domain": {"name": "Elsewhere", "x": 1}}'
    assert made({"groups": "{0}"}, {"type": "G"}, {"G": told}).groups == [{"name": "devs", "domain": {"name": "Elsewhere"}}]
    for wrong in (
        "JSON:",
        "JSON:[]",
        'JSON:{"name": "devs"}',
        'JSON:{"name": 1, "domain": {"id": "x"}}',
        'JSON:{"name": "x", "domain": {"id": 1}}',
        "JSON:" + "[" * 9999,
    ):
        with pytest.raises(RuleError, match="JSON"):
            made({"groups": "{0}", "domain": DEFAULT}, {"type": "G"}, {"G": wrong})


def test_several_rules():
    rule = lambda local, type="UserName": {"local": local, "remote": [{"type": type}]}
    first, second = {"name": "p", "roles": [{"name": "member"}]}, {"name": "{0}", "roles": [{"name": "{0}"}]}
    mapped = together([
        rule([{"group": {"id": "g1"}}, {"projects": [first]}]), rule([{"user": {"name": "never"}}], "Nothing"), rule([{"user": {"name": "one"}}]),
        rule([{"user": {"name": "two"}, "group_ids": "['g1', 'g2']"}, {"projects": [second]}, {"groups": "x", "domain": DEFAULT}]),
        rule([{"group": {"name": "x", "domain": DEFAULT}}, {"group": {"name": "x", "domain": {"id": "default"}}}]),
    ])  # fmt: skip
    assert mapped.user["name"] == "one" and mapped.group_ids == ["g1", "g2"]
    assert mapped.groups == [{"name": "x", "domain": DEFAULT}, {"name": "x", "domain": {"id": "default"}}]
    assert mapped.projects == [{"name": "bob", "roles": [{"name": "bob"}]}]


def test_version_2_has_a_domain_for_all():
    projects = [{"name": "p", "roles": []}, {"name": "q", "roles": [], "domain": {"id": "own"}}]
    local = {"user": {"name": "{0}"}, "projects": projects, "domain": DEFAULT}
    mapped = made(local, {"type": "UserName"}, version="2.0")
    assert mapped.user["domain"] == DEFAULT and [p["domain"] for p in mapped.projects] == [DEFAULT, {"id": "own"}]
    before = made(local | {"projects": projects[:1]}, {"type": "UserName"})
    assert "domain" not in before.user and before.projects == projects[:1]


def test_sizes():
    with pytest.raises(RuleError, match="assertion has more than"):
        made({"user": {"name": "x"}}, {"type": "T"}, {"T": "x" * ASSERTION})
    with pytest.raises(RuleError, match="more than 1024 characters"):
        made({"user": {"name": "{0}" * 100}}, {"type": "T"}, {"T": "x" * 100})
    with pytest.raises(RuleError, match="The rules have more than"):
        check({"rules": [{"local": [], "remote": [{"type": "x" * LARGEST}]}]})


# -- what may be a rule --------------------------------------------------------------------------------------------

RULE = {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "UserName"}]}


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "'rules' is a required property"),
        ({"rules": []}, "[] should be non-empty"),
        ({"rules": {}}, "{} is not of type 'array'"),
        ({"rules": [{"local": []}]}, "'remote' is a required property"),
        ({"rules": [{"remote": [{"type": "x"}]}]}, "'local' is a required property"),
        ({"rules": [RULE | {"remote": []}]}, "[] should be non-empty"),
        ({"rules": [RULE | {"x": 1, "y": 2}]}, "Additional properties are not allowed ('x', 'y' were unexpected)"),
        ({"rules": [RULE | {"remote": [{"type": 1}]}]}, "{'type': 1} is not valid under any of the given schemas"),
        ({"rules": [RULE | {"remote": [{"type": "x", "whitelist": [], "blacklist": []}]}]}, "is not valid under any of the given schemas"),
        ({"rules": [RULE | {"local": [{"user": {"type": "odd"}}]}]}, "'odd' is not one of ['ephemeral', 'local']"),
        ({"rules": [RULE | {"local": [{"projects": [{"name": "p"}]}]}]}, "'roles' is a required property"),
        ({"rules": [RULE | {"local": [{"projects": [{"name": "p", "roles": [], "domain": {}}]}]}]}, "('domain' was unexpected)"),
        ({"rules": [RULE | {"local": [{"group": {"name": "g"}}]}]}, "is not valid under any of the given schemas"),
        ({"rules": [RULE], "schema_version": "4.0"}, "'4.0' is not one of ['1.0', '2.0', '3.0']"),
        ({"rules": [RULE], "schema_version": 2}, "2 is not one of"),
        ({"rules": [RULE | {"remote": [{"type": "x", "any_one_of": [1]}]}]}, "1 is not of type 'string'"),
        ({"rules": [RULE | {"remote": [{"type": "x", "whitelist": ["(a"], "regex": True}]}]}, "'(a' is no regular expression: missing )"),
        ({"rules": [RULE | {"local": [{"user": {"name": "{1}"}}]}]}, "refers to a remote match that doesn't exist"),
        ({"rules": [RULE | {"local": [{"groups": "{1}"}]}]}, "refers to a remote match that doesn't exist"),
        ({"rules": [RULE | {"local": [{"user": {"name": "{0.real}"}}]}]}, "brace"),
        ({"rules": [RULE | {"local": [{"projects": [{"name": "{}", "roles": []}]}]}]}, "brace"),
    ],
)  # fmt: skip
def test_what_may_not_be_kept(mapping, says):
    with pytest.raises(RuleError) as raised:
        check(mapping)
    assert says in str(raised.value)


def test_everything_that_is_wrong_is_said():
    with pytest.raises(RuleError) as raised:
        check({"rules": [{"local": {}, "x": 1}]})
    assert str(raised.value).split("\n") == ["'remote' is a required property", "Additional properties are not allowed ('x' was unexpected)",
                                             "{} is not of type 'array'"]  # fmt: skip


keys = st.sampled_from(["rules", "local", "remote", "user", "name", "type", "domain", "id", "group", "groups", "projects", "roles", "any_one_of",
                        "whitelist", "blacklist", "not_any_of", "regex", "other"])  # fmt: skip
anything = st.recursive(st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "x", "local"]),
                        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)  # fmt: skip


def holding(one: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(one | anything, max_size=2) | anything


conditions = st.fixed_dictionaries(
    {"type": st.just("x") | anything}, optional={kind: anything for kind in ("any_one_of", "whitelist", "regex", "other")}
)
users = st.dictionaries(st.sampled_from(["name", "type", "domain"]), anything, max_size=3)
projects = st.fixed_dictionaries({}, optional={"name": st.just("x"), "roles": holding(st.just({"name": "x"})), "domain": anything})
locals_ = st.fixed_dictionaries(
    {}, optional={"user": users | anything, "group": users | anything, "groups": anything, "projects": holding(projects)}
)
rules = st.fixed_dictionaries({}, optional={"local": holding(locals_), "remote": holding(conditions), "other": anything})
mappings = st.fixed_dictionaries({}, optional={"rules": holding(rules), "schema_version": anything})


@settings(max_examples=400, deadline=None)
@given(mappings | anything, st.sampled_from(sorted(SCHEMAS)))
def test_errors_are_those_of_json_schema(mapping, version):
    schema = SCHEMAS[version]
    expected = sorted(error.message[:400] for error in jsonschema.Draft4Validator(schema).iter_errors(mapping))
    assert sorted(error.message[:400] for error in errors(mapping, schema)) == expected


texts = st.sampled_from(["{0}", "{1}", "x", "['{0}', 'y']", "{0}{0}", "{{", "{", "JSON:{{}}", "['"])
domains = st.dictionaries(st.sampled_from(["id", "name"]), texts)
asked = st.builds(
    lambda kind, values, regex: {"type": "b", kind: values, "regex": regex},
    st.sampled_from(["any_one_of", "not_any_of", "whitelist", "blacklist"]),
    st.lists(st.sampled_from(["x", "", "x*", "(", "[xy]"]), max_size=2), st.booleans(),
)  # fmt: skip
good_locals = st.fixed_dictionaries({}, optional={
    "user": st.dictionaries(st.sampled_from(["id", "name", "email"]), texts), "domain": domains, "groups": texts, "group_ids": texts,
    "group": st.fixed_dictionaries({"id": texts}) | st.fixed_dictionaries({"name": texts, "domain": domains}),
    "projects": st.lists(st.fixed_dictionaries({"name": texts, "roles": st.lists(st.fixed_dictionaries({"name": texts}), max_size=1)}), max_size=2),
})  # fmt: skip
good_rules = st.fixed_dictionaries(
    {"local": st.lists(good_locals, max_size=2), "remote": st.lists(st.just({"type": "a"}) | asked, min_size=1, max_size=3)}
)


@settings(max_examples=600, deadline=None)
@given(
    st.lists(good_rules, min_size=1, max_size=2),
    st.sampled_from(sorted(SCHEMAS)),
    st.dictionaries(st.sampled_from("ab"), st.text("xy;{}['")),
)
def test_what_may_be_kept_can_be_applied(rules, version, assertion):
    """Whatever rules are kept, and whatever is asserted: they are applied, or are refused with a reason."""
    try:
        check({"rules": rules, "schema_version": version})
        mapped = evaluate(rules, assertion, version)
    except RuleError as refused:
        event(str(refused)[-30:])
        return
    event("applied")
    assert mapped.user["type"] == "ephemeral" and len(mapped.group_ids) == len(set(mapped.group_ids))
    assert all(isinstance(group["name"], str) and group["domain"] is not None for group in mapped.groups)


@given(st.text(max_size=50), st.lists(st.lists(st.text(max_size=5), max_size=3), max_size=3))
def test_texts_without_references_stand_for_themselves(text, matches):
    assert fill(text.replace("{", "{{").replace("}", "}}"), matches) == text


@given(st.lists(st.text(max_size=5), max_size=5), st.lists(st.text(max_size=5), max_size=3))
def test_names_are_those_that_were_said(first, second):
    assert names("{0}", [first, second]) == first and names("{1}", [first, second]) == second
    for one in first:
        assert fill("{0}", [[one]]) == one and fill("a{0}b", [[one]]) == f"a{one}b"
