"""What clients send is checked before anything is done with it, and refused in words that name the place."""

from __future__ import annotations

import typing as t

import msgspec
import pytest

from cumulet.kernel.http import BadRequest, Body, OpenBody, Query, since, until
from cumulet.kernel.http.wire import DEPTH, check_query, decode, load, load_query


class Port(Body):
    id: int
    zone: t.Annotated[str | None, since("2.5")] = None


class Server(Body):
    name: t.Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    ports: list[Port] = []
    old: t.Annotated[str, until("2.2")] = ""


class Listing(Query):
    limit: int | None = None
    ratio: float | None = None
    deleted: bool = False
    tag: list[str] = []


def refusal(fn: t.Callable, *arguments: t.Any) -> str:
    with pytest.raises(BadRequest) as raised:
        fn(*arguments)
    return raised.value.message


@pytest.mark.parametrize("raw", [b"", b"  \n"])
def test_no_body_is_none(raw: bytes):
    assert decode(raw) is None


def test_what_can_be_kept_is_taken():
    text = '{"name": "Grüße 🖧", "big": 9223372036854775807, "small": -9223372036854775808, "x": [1.5, null, true]}'
    assert decode(text.encode()) == {"name": "Grüße 🖧", "big": 2**63 - 1, "small": -(2**63), "x": [1.5, None, True]}


@pytest.mark.parametrize(
    "raw",
    [b"{", b"NaN", b'"\xff"', b'{"\xff": 1}', b'"\\ud800"', b'"\\udc00"', b"1e999", b"1" * 5000, b"[" * 100_000, b"\xef\xbb\xbf{}",
     "{}".encode("utf-16"), b'"a\x00b"', b"{'a': 1}", b"[1,]"],
)  # fmt: skip
def test_what_is_no_json_is_refused(raw: bytes):
    assert refusal(decode, raw).startswith("Malformed request body: ")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"server": {"name": "a\\u0000b"}}', "Invalid input for field/attribute server.name: it has a NUL character"),
        (b'{"server": {"a\\u0000b": 1}}', "Invalid input for field/attribute server.a\\0b: it has a NUL character"),
        (b'["x", ["\\u0000"]]', "Invalid input for field/attribute [1][0]: it has a NUL character"),
        (b'{"size": 9223372036854775808}', "Invalid input for field/attribute size: it is an integer of more than 64 bits"),
        (b'{"size": [-9223372036854775809]}', "Invalid input for field/attribute size[0]: it is an integer of more than 64 bits"),
        (b'"\\u0000"', "Invalid input for field/attribute body: it has a NUL character"),
    ],
)
def test_what_no_database_keeps_is_refused(raw: bytes, message: str):
    assert refusal(decode, raw) == message


def test_depth_has_a_limit():
    assert decode(b"[" * DEPTH + b"]" * DEPTH)
    assert f"nested deeper than {DEPTH} levels" in refusal(decode, b"[" * (DEPTH + 2) + b"]" * (DEPTH + 2))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": ""}, "Invalid input for field/attribute server.name: Expected `str` of length >= 1"),
        ({"name": "toolong"}, "Invalid input for field/attribute server.name: Expected `str` of length <= 5"),
        ({}, "Invalid input for field/attribute server: Object missing required field `name`"),
        ({"name": "a", "x": 1}, "Invalid input: Additional properties are not allowed ('x' was unexpected) in server"),
        ({"name": "a", "ports": [{"id": "1"}]}, "Invalid input for field/attribute server.ports[0].id: Expected `int`, got `str`"),
        ([], "Invalid input for field/attribute server: Expected `object`, got `array`"),
    ],
)
def test_a_body_of_another_type_is_refused_by_its_field(data: t.Any, message: str):
    assert refusal(load, data, Server, (2, 5), "server") == message


def test_a_field_of_another_microversion_is_unknown():
    data = {"name": "a", "ports": [{"id": 1, "zone": "z"}]}
    assert load(data, Server, (2, 5), "server").ports[0].zone == "z"
    assert "('zone' was unexpected)" in refusal(load, data, Server, (2, 4), "server")
    assert load({"name": "a", "old": "x"}, Server, (2, 2), "server").old == "x"
    assert "('old' was unexpected)" in refusal(load, {"name": "a", "old": "x"}, Server, (2, 3), "server")


def test_an_open_body_ignores_what_it_does_not_know():
    class Lenient(OpenBody):
        name: str = ""

    assert load({"name": "a", "x": 1}, Lenient, (1, 0)).name == "a"


def test_a_query_is_converted():
    pairs = [("limit", "1"), ("limit", "2"), ("deleted", "true"), ("tag", "a"), ("tag", "b"), ("unknown", "x")]
    assert load_query(pairs, Listing) == Listing(limit=2, deleted=True, tag=["a", "b"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "x"), ("limit", ""), ("limit", "1.5"), ("limit", "9" * 30), ("limit", "9" * 9000), ("limit", "٣"), ("ratio", "nan"),
     ("ratio", "inf"), ("ratio", "1e999"), ("deleted", "perhaps")],
)  # fmt: skip
def test_a_query_of_another_type_is_refused_by_its_parameter(name: str, value: str):
    assert refusal(load_query, [(name, value)], Listing).startswith(f"Invalid input for query parameters {name}: ")


def test_a_query_with_nul_is_refused():
    check_query([("name", "a b")])
    assert refusal(check_query, [("name", "a\0b")]) == "Invalid input for query parameters name: it has a NUL character"
    assert "a\\0b" in refusal(check_query, [("a\0b", "")])


def test_a_query_with_more_values_than_a_database_takes_conditions_is_refused():
    check_query([("tags", "a," * 400), ("name", "x")])
    assert "more than 500" in refusal(check_query, [("tags", "a," * 500)])
    assert "more than 500" in refusal(check_query, [("name", "x")] * 501)
