"""The checker of JSON schemas says what the library says."""

from __future__ import annotations

import typing as t

import jsonschema
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema.exceptions import best_match

from cumulet.kernel.json_schema import errors, worst

SCHEMA = {
    "definitions": {
        "natural": {"type": "integer", "minimum": 0},
        "other": {"allOf": [{"$ref": "#/definitions/natural"}, {"default": 0}]},
        "texts": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 1},
        "things": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["a", "b"],
                "properties": {"a": {"type": "string", "enum": ["x", "xy", None]}, "b": {"$ref": "#/definitions/other"}, "c": {"type": "number"}},
            },
        },
    },
    "properties": {
        "a": {"type": "string", "maxLength": 1}, "b": {"$ref": "#/definitions/texts"}, "c": {"$ref": "#/definitions/things"},
        "d": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "boolean"}}}}, "e": {"$ref": "#/definitions/natural"},
    },
    "additionalProperties": False,
    "required": ["a"],
}  # fmt: skip
keys = st.sampled_from("abcdef")
plain = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, 1.5, -0.5]) | st.sampled_from(["", "x", "xy"])
anything = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=10)
things = st.dictionaries(keys, st.dictionaries(keys, plain, max_size=3) | plain, max_size=3)
values = st.fixed_dictionaries(
    {}, optional={"a": plain, "b": st.lists(plain, max_size=3), "c": things, "d": st.lists(things | plain), "e": plain, "f": plain}
)


def by_the_library(value: t.Any) -> list[jsonschema.ValidationError]:
    """What the library says, save of elements that are the same and no texts."""
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(value)
    return [one for one in found if one.validator != "uniqueItems" or has_twice(one.instance)]


def has_twice(value: list) -> bool:
    texts = [one for one in value if isinstance(one, str)]
    return len(set(texts)) < len(texts)


@settings(max_examples=500, deadline=None)
@given(values | anything)
def test_errors_are_those_of_the_library(value):
    assert {(one.message, one.at) for one in errors(value, SCHEMA)} == {(one.message, tuple(one.path)) for one in by_the_library(value)}


@settings(max_examples=500, deadline=None)
@given(values)
@example({"a": "", "d": [None] * 11})
def test_of_several_the_library_tells_the_same_one(value):
    best, mine = best_match(by_the_library(value)), worst(value, SCHEMA)
    assert (best and (best.message, tuple(best.path))) == (mine and (mine.message, mine.at))


def test_a_long_value_is_cut():
    wrong = worst({"a": "x" * 10_000}, SCHEMA)
    assert wrong is not None and len(wrong.message) < 500
