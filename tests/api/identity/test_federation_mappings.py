"""Mappings as a client sees them; what rules mean is in the unit tests of the rules."""

from __future__ import annotations

import pytest

MAPPINGS = "/OS-FEDERATION/mappings"
RULES = [
    {
        "local": [
            {"user": {"name": "{0}", "domain": {"name": "Default"}}, "group": {"id": "0cd5e9"}},
            {"groups": "{1}", "domain": {"id": "default"}},
        ],
        "remote": [
            {"type": "UserName"},
            {"type": "Groups", "whitelist": ["^dev", "ops$"], "regex": True},
            {"type": "Kind", "not_any_of": ["Guest"]},
        ],
    }
]
PROJECTS = [
    {"local": [{"projects": [{"name": "p", "roles": [{"name": "member"}], "domain": {"name": "{0}"}}]}], "remote": [{"type": "Domain"}]}
]


def told(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


def put(admin, **mapping: object):
    return admin.put(f"{MAPPINGS}/m", {"mapping": mapping})


def test_a_mapping(admin):
    made = put(admin, rules=RULES)
    shown = {"id": "m", "rules": RULES, "schema_version": "1.0", "links": {"self": f"http://cloud/identity/v3{MAPPINGS}/m"}}
    assert made.status_code == 201 and made.json() == {"mapping": shown} == admin.get(f"{MAPPINGS}/m").json()
    assert admin.get(MAPPINGS).json()["mappings"] == [shown]
    assert told(put(admin, rules=RULES)) == (409, "Conflict occurred attempting to store mapping - Duplicate entry.")
    changed = admin.patch(f"{MAPPINGS}/m", {"mapping": {"rules": PROJECTS, "schema_version": "2.0"}}).json()["mapping"]
    assert changed == shown | {"rules": PROJECTS, "schema_version": "2.0"}
    assert admin.patch(f"{MAPPINGS}/m", {"mapping": {"rules": RULES}}).json()["mapping"] == shown
    assert admin("HEAD", f"{MAPPINGS}/m").status_code == 200 and admin.delete(f"{MAPPINGS}/m").status_code == 204
    for method, body in (("GET", None), ("PATCH", {"mapping": {"rules": RULES}}), ("DELETE", None)):
        assert told(admin(method, f"{MAPPINGS}/m", body)) == (404, "Could not find mapping: m.")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({}, "'rules' is a required property"),
        ({"rules": []}, "[] should be non-empty"),
        ({"rules": [{"local": [], "remote": [{"type": "a", "any_one_of": ["x"], "not_any_of": ["x"]}], "more": 1}]},
         "Additional properties are not allowed ('more' was unexpected)\n"
         "{'type': 'a', 'any_one_of': ['x'], 'not_any_of': ['x']} is not valid under any of the given schemas"),
        ({"rules": PROJECTS}, "Additional properties are not allowed ('domain' was unexpected)"),
        ({"rules": PROJECTS, "schema_version": "9"}, "'9' is not one of ['1.0', '2.0', '3.0']"),
        ({"rules": [RULES[0] | {"remote": [{"type": "UserName"}]}]},
         "Local section in mapping refers to a remote match that doesn't exist (e.g. {0} in a local section)."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(admin, mapping, message):
    assert told(put(admin, **mapping)) == (400, message)
    assert admin.get(f"{MAPPINGS}/m").status_code == 404
    put(admin, rules=RULES)
    assert told(admin.patch(f"{MAPPINGS}/m", {"mapping": mapping})) == (400, message)
    assert admin.get(f"{MAPPINGS}/m").json()["mapping"]["rules"] == RULES


def test_patterns_are_such_as_can_be_matched(admin):
    with_pattern = lambda text: put(admin, rules=[{"local": [], "remote": [{"type": "a", "any_one_of": [text], "regex": True}]}])
    assert told(with_pattern("(x"))[0] == 400 and "no regular expression" in told(with_pattern("(x"))[1]
    assert told(with_pattern("(?=x)"))[0] == 400 and "x" * 40 in told(with_pattern("x" * 300))[1]
    assert with_pattern("(a+)+$").status_code == 201
