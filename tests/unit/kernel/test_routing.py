"""Finding a path's operations."""

from __future__ import annotations

import pytest

from cumulet.kernel.db import Tx
from cumulet.kernel.http import Api, Dialect, Request
from cumulet.kernel.http.routing import Routes

PATHS = (
    "/things",
    "/things/detail",
    "/things/{id}",
    "/things/{id}/tags/{tag}",
    "/things/{thing_id}/parts",
    "/files/{name}",
    "/files/{rest:path}",
)


@pytest.fixture(scope="module")
def routes() -> Routes:
    api = Api("test", prefix="/test", base="/v2", also=("/v2/{project_id}",), dialect=Dialect())
    for method, path in (*(("GET", path) for path in (*PATHS, "/v1/{id}", "")), ("PUT", "/things/{name}"), ("DELETE", "/things/detail")):

        @api.op(method, path, policy=None)
        def handler(tx: Tx, request: Request) -> None: ...

    return Routes(api)


def found(routes: Routes, path: str) -> tuple[str, dict] | None:
    match = routes.find(path, "GET")
    return match and (match.methods["GET"][0].path, match.params)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ("", {})),
        ("/", ("", {})),
        ("/v2/things", ("/things", {})),
        ("/v2//things/", ("/things", {})),
        ("/v2/things/detail", ("/things/detail", {})),
        ("/v2/things/7", ("/things/{id}", {"id": "7"})),
        ("/v2/things/7/tags/a%2Fb%3F%20%C3%BC", ("/things/{id}/tags/{tag}", {"id": "7", "tag": "a/b? ü"})),
        ("/v2/things/detail/parts", ("/things/{thing_id}/parts", {"thing_id": "detail"})),
        ("/v2/p1/things/7", ("/things/{id}", {"project_id": "p1", "id": "7"})),
        ("/v2/files/a", ("/files/{name}", {"name": "a"})),
        ("/v2/files/a/b/c", ("/files/{rest:path}", {"rest": "a/b/c"})),
        ("/v1/7", ("/v1/{id}", {"id": "7"})),
        ("/v2/things/7/other", None),
        ("/v2", None),
        ("/v3/things", None),
        ("/v2/things/a%00b", None),
    ],
)
def test_paths(routes: Routes, path: str, expected: tuple[str, dict] | None):
    assert found(routes, path) == expected


def test_invalid_utf8_in_a_path_is_still_a_name(routes: Routes):
    assert found(routes, "/v2/things/%FF") == ("/things/{id}", {"id": "\N{REPLACEMENT CHARACTER}"})


def test_a_path_spelled_in_two_ways_is_found_by_its_method(routes: Routes):
    match = routes.find("/v2/things/7", "PUT")
    assert match and match.params == {"name": "7"}
    match = routes.find("/v2/things/detail", "PUT")
    assert match and match.params == {"name": "detail"}, "what is fixed for another method is a name for this one"


def test_a_method_that_is_not_there_is_told_all_that_are(routes: Routes):
    match = routes.find("/v2/things/detail", "PATCH")
    assert match and set(match.methods) == {"GET", "PUT", "DELETE"}
    match = routes.find("/v2/things/7", "HEAD")
    assert match and match.methods["GET"][0].path == "/things/{id}" and match.params == {"id": "7"}
