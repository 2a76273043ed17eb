"""A mapping's rules and an identity provider's words are other people's texts: neither together nor alone do they take long, or much."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from cumulet.identity.federation.rules import ASSERTION, RuleError, evaluate

EVIL = [
    "(a+)+$",
    "(a|aa)+$",
    "(a|a?)+$",
    "(.*a){20}",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "([a-zA-Z]+)*$",
    "(a*)*b",
    "(x+x+)+y",
    "a?" * 60 + "a" * 60,
]
"""Patterns for which a matcher that backtracks needs ages."""
LOCAL = [{"user": {"name": "{0}"}}]


def rules(*conditions: dict) -> list[dict]:
    return [{"local": LOCAL, "remote": list(conditions)}]


def put(admin, name: str, *conditions: dict, local: t.Any = None, **more: t.Any):
    said = [{"local": LOCAL if local is None else local, "remote": list(conditions)}]
    return admin.put(f"/OS-FEDERATION/mappings/{name}", {"mapping": {"rules": said, **more}})


def tried(said: list[dict], text: str) -> None:
    """Apply rules; that it ends is what is asked, and what they are refused for is an answer."""
    with contextlib.suppress(RuleError):
        evaluate(said, {"x": text})


@pytest.mark.parametrize("evil", EVIL)
def test_a_pattern_that_others_choke_on(admin, evil: str):
    """Exponential time would be ages for fifty letters, and here there are thousands."""
    condition = {"type": "x", "whitelist": [evil], "regex": True}
    assert put(admin, "m", condition).status_code == 201
    tried(rules(condition), "a" * 5000 + "!")


def test_many_patterns_and_a_long_text():
    """What each would do in a moment, thousands would not."""
    many = {"type": "x", "whitelist": [f"(a|b)*c{number}" for number in range(1000)], "regex": True}
    with pytest.raises(RuleError, match="too long for the patterns"):
        evaluate(rules(many), {"x": "a" * 30_000})
    whole = {"type": "x", "any_one_of": [".*" * 80 + "z"], "regex": True}
    for length in (100, 10_000):
        tried(rules(whole, {"type": "x"}), "a" * length)
    assert evaluate(rules({"type": "x", "whitelist": ["^b.*"] * 20, "regex": True}), {"x": "b;" * 200 + "bob"}).user["name"]


def test_patterns_that_are_too_many_are_not_kept(admin):
    condition = {"type": "x", "whitelist": [f"x{number}" for number in range(5000)], "regex": True}
    answer = put(admin, "many", condition)
    assert answer.status_code == 400 and "10000 states" in answer.text
    assert admin.get("/OS-FEDERATION/mappings/many").status_code == 404


@pytest.mark.parametrize("pattern", ["a{1,1000}", "(a{50}){50}", "(" * 300 + ")" * 300, "(?:" * 80 + "a" + ")" * 80, "a" * 256, "((a{9}){9}){9}",
                                     "[" , "(?P<x>a)(?P=x)", "(?=a)", "(?<!a)b", "a++", "(?>a)", "\\", "(?i", "*", "a{99999999999}"])  # fmt: skip
def test_patterns_that_are_not_taken(admin, pattern: str):
    answer = put(admin, "m", {"type": "x", "not_any_of": [pattern], "regex": True})
    assert answer.status_code in (201, 400)
    if answer.status_code == 201:
        tried(rules({"type": "x"}, {"type": "x", "any_one_of": [pattern], "regex": True}), "a" * 2000)


def test_rules_that_are_too_large(admin):
    for conditions in ([{"type": "x" * 70_000}], [{"type": "x", "any_one_of": ["y" * 70_000]}], [{"type": "x"}] * 7000):
        assert put(admin, "m", *conditions).status_code == 400
    for local in ([{"user": {"name": "x" * 70_000}}], [{"group_ids": "{0}" * 30_000}]):
        assert put(admin, "m", {"type": "x"}, local=local).status_code == 400


@pytest.mark.parametrize(
    "text", ["{0.__class__}", "{0!r}", "{0:>9999999999}", "{}", "{x}", "{-1}", "{99999}", "{0", "0}", "%(x)s", "${x}", "{{0}}"]
)
def test_references_are_numbers_and_nothing_else(admin, text: str):
    """No format of a language is behind them, that would reach into things or make texts of gigabytes."""
    kept = put(admin, "m", {"type": "x"}, local=[{"user": {"name": text}}])
    assert kept.status_code in (201, 400)
    try:
        named = evaluate([{"local": [{"user": {"name": text}}], "remote": [{"type": "x"}]}], {"x": "bob"}).user["name"]
    except RuleError:
        named = ""
    assert "class" not in named.replace("__class__}", "") and len(named) < 100


def test_an_assertion_that_is_too_long():
    with pytest.raises(RuleError, match=str(ASSERTION)):
        evaluate(rules({"type": "x"}), {"x": "a" * (ASSERTION + 1)})
    with pytest.raises(RuleError, match="more than 1024 characters"):
        evaluate([{"local": [{"user": {"name": "{0}" * 100}}], "remote": [{"type": "x"}]}], {"x": "a" * 500})


@pytest.mark.parametrize(
    "value", ["[" * 1000, "['a'" + ", 'a'" * 190 + "]", "__import__('os')", "[1,2]", "{0}", "('a',)*9999999", "[" + "'a'," * 200 + "]"]
)
def test_lists_in_texts_are_texts(value: str):
    """They are read as lists of texts, and nothing in them is run."""
    local = [{"user": {"name": "u"}, "group_ids": "{0}"}]
    assert evaluate([{"local": local, "remote": [{"type": "x"}]}], {"x": value}).group_ids == [value]
    with pytest.raises(RuleError):
        evaluate(
            [{"local": [{"user": {"name": "u"}, "groups": "JSON:" + "[" * 900, "domain": {"id": "d"}}], "remote": [{"type": "x"}]}],
            {"x": value},
        )
