"""Microversions on fields."""

from __future__ import annotations

import typing as t

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.kernel.http import UNSET, UnsetType, View, since, until
from cumulet.kernel.http.versions import prune, shape, version


class Inner(View):
    a: int
    b: t.Annotated[int, since("2.3")]


class Outer(View, rename={"dashed": "a-b"}):
    always: str
    added: t.Annotated[str | None, since("2.2")]
    removed: t.Annotated[str, until("2.4")]
    between: t.Annotated[t.Annotated[str, until("2.5")], since("2.3")]
    one: Inner
    many: list[Inner]
    dashed: t.Annotated[int | UnsetType, since("2.6")] = UNSET
    perhaps: Inner | None = None


def shown(at: tuple[int, int]) -> dict:
    inner = Inner(a=1, b=2)
    whole = Outer(always="x", added=None, removed="r", between="m", one=inner, many=[inner, inner], dashed=1, perhaps=None)
    return prune(msgspec.to_builtins(whole), shape(Outer, at))


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ((2, 1), {"removed"}),
        ((2, 2), {"removed", "added"}),
        ((2, 3), {"removed", "added", "between"}),
        ((2, 5), {"added", "between"}),
        ((2, 6), {"added", "a-b"}),
        ((2, 10), {"added", "a-b"}),
    ],
)
def test_fields_are_there_at_their_versions(at: tuple[int, int], names: set[str]):
    assert set(shown(at)) == names | {"always", "one", "many", "perhaps"}


def test_fields_inside_structs_and_lists_too():
    assert shown((2, 2))["one"] == {"a": 1}
    assert shown((2, 2))["many"] == [{"a": 1}, {"a": 1}]
    assert shown((2, 3))["many"] == [{"a": 1, "b": 2}] * 2


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_versions_are_numbers_not_texts(major: int, minor: int):
    assert version(f"{major}.{minor}") == (major, minor)


@pytest.mark.parametrize(
    "text", ["", "2", "2.", ".1", "2.01", "02.1", "0.1", "2.1.1", "v2.1", "2.-1", " 2.1", "2.1\n", "latest", "9" * 5000 + ".1"]
)
def test_what_is_no_version(text: str):
    with pytest.raises(ValueError):
        version(text)
