"""What every image store does that can be read, those of others' servers too."""

from __future__ import annotations

import asyncio
import os
import typing as t
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cumulet.image.stores.base import NoImageData, Store, StoreError
from cumulet.image.stores.http import HttpStore
from cumulet.image.stores.registry import Stores
from cumulet.kernel import ids
from cumulet.kernel.config import Config
from cumulet.kernel.config_images import FileTable, HttpTable
from cumulet.kernel.config_imports import ImageImport
from unit.image_store.conftest import make_kept, put, read
from web_server import WebServer, web_server

MIB = 1 << 20
CONTENT = b"\x01" + os.urandom(11 * MIB)
"""More than two parts of a multipart upload, whose smallest are 5 MiB."""
HERE = ImageImport(allowed_ports=[], allowed_networks=["127.0.0.1/32"])


class Readable(t.NamedTuple):
    """A store, a key that it has no data of, and how data comes there: the key that it has then."""

    store: Store
    nothing: str
    bring: t.Callable[[bytes], str]


@pytest.fixture
def web() -> t.Iterator[WebServer]:
    with web_server() as server:
        yield server


def over_http(path: Path, rules: ImageImport = HERE, **more: t.Any) -> Store:
    tables = [FileTable(id="f", default=True), HttpTable(id="s")]
    return Stores(Config(data=str(path), image_stores=tables, image_import=rules, **more))["s"]


@pytest.fixture(params=["file", "s3", "swift", "rbd", "http", "http without parts"])
def readable(request: pytest.FixtureRequest, tmp_path: Path) -> Readable:
    if not request.param.startswith("http"):
        store = make_kept(request, request.param, tmp_path).store

        def keep(content: bytes) -> str:
            put(store, key := ids.new(), content)
            return key

        return Readable(store, ids.new(), keep)
    web: WebServer = request.getfixturevalue("web")
    serve = web.serve_parts if request.param == "http" else web.serve
    return Readable(over_http(tmp_path), f"{web.url}/nothing", lambda content: serve("/disk", content))


def test_any_range_can_be_read(readable: Readable) -> None:
    key, size, edge = readable.bring(CONTENT), len(CONTENT), 5 * MIB
    for start, end in ((0, None), (0, 1), (size - 1, None), (size, None), (edge - 3, edge + 3), (10, 10), (2, size + 9)):
        assert read(readable.store, key, start, end) == CONTENT[start:end], (start, end)


def test_data_that_is_not_there(readable: Readable) -> None:
    for _ in range(2):
        with pytest.raises(NoImageData):
            read(readable.store, readable.nothing)
        readable.bring(b"another")


def test_a_read_that_nobody_ends_lets_go(readable: Readable) -> None:
    async def begin() -> None:
        chunks = await readable.store.open(key)
        await anext(aiter(chunks))
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()

    key = readable.bring(CONTENT)
    for _ in range(5):
        asyncio.run(begin())
    assert read(readable.store, key, 7, 9) == CONTENT[7:9]


# -- others' servers -----------------------------------------------------------------------------------------------


def test_others_servers_are_only_read(tmp_path: Path, web: WebServer) -> None:
    store, url = over_http(tmp_path), web.serve("/disk", b"data")
    assert store.read_only and store.url(url) == url
    with pytest.raises(StoreError, match="takes no data"):
        put(store, url, b"other")
    (tmp_path / "file").write_bytes(b"other")
    with pytest.raises(StoreError, match="takes no data"):
        asyncio.run(store.adopt(url, tmp_path / "file"))
    asyncio.run(store.delete(url))
    assert read(store, url) == b"data" and asyncio.run(store.list()) == []


def test_a_size_is_told_without_the_data(tmp_path: Path, web: WebServer) -> None:
    store = t.cast(HttpStore, over_http(tmp_path, image_size_max_gib=1))

    def size(url: str) -> int:
        return asyncio.run(store.size(url))

    web.serve("/moved", b"", 302, Location="/disk")
    assert size(web.serve_parts("/disk", CONTENT)) == len(CONTENT) == size(f"{web.url}/moved")
    with pytest.raises(NoImageData, match="answered 404"):
        size(f"{web.url}/nothing")
    with pytest.raises(StoreError, match="does not say how many bytes"):
        size(web.serve("/empty", b""))
    with pytest.raises(StoreError, match="the limit is"):
        size(web.serve("/large", b"", Content_Length=str(2 << 30)))


@pytest.mark.parametrize(("status", "headers", "why"), [
    (206, {"Content-Range": "bytes 0-3/9"}, "another part"),
    (206, {}, "another part"),
    (500, {}, "answered 500"),
    (200, {"Content-Encoding": "gzip"}, "encoded"),
    (302, {"Location": "/disk"}, "redirects more than 5 times"),
    (302, {"Location": "http://10.9.8.7/disk"}, "no public address"),
    (302, {"Location": "file:///etc/passwd"}, "the scheme is file"),
])  # fmt: skip
def test_what_is_not_the_part_that_was_asked_for_is_not_given(
    tmp_path: Path, web: WebServer, status: int, headers: dict[str, str], why: str
) -> None:
    url = web.serve("/disk", b"data", status, **headers)
    with pytest.raises(StoreError, match=why):
        read(over_http(tmp_path), url, 2, 4)


def test_no_more_is_read_than_was_asked_for(tmp_path: Path, web: WebServer) -> None:
    """Whatever the server sends beside."""
    url = web.serve("/disk", CONTENT, 206, Content_Range=f"bytes 1-{len(CONTENT)}/{len(CONTENT)}")
    assert read(over_http(tmp_path), url, 1, 4) == CONTENT[:3]


def test_only_what_the_settings_admit_is_asked(tmp_path: Path, web: WebServer) -> None:
    url = web.serve("/disk", b"data")
    for rules in (ImageImport(allowed_ports=[]), ImageImport(allowed_networks=["127.0.0.1/32"])):
        store = t.cast(HttpStore, over_http(tmp_path, rules))
        with pytest.raises(StoreError, match=r"no public address|from port"):
            read(store, url)
        with pytest.raises(StoreError, match=r"no public address|from port"):
            asyncio.run(store.size(url))
    assert web.asked == []
