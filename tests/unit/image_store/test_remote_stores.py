"""Stores on servers: what is told when those are away, full, or do not know who asks."""

from __future__ import annotations

import asyncio
import os
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from cumulet.image.stores.base import Store, StoreError, StoreFull
from cumulet.image.stores.registry import Stores
from cumulet.kernel.config import Config
from unit.image_store.conftest import Account

KEY = "5b1f51d3-5a0c-4b7c-8f1e-5f1d5a3e4c2b"
MIB = 1 << 20


async def chunks(size: int = MIB) -> AsyncIterator[bytes]:
    for _ in range(size // MIB):
        yield os.urandom(MIB)


@pytest.fixture(params=["s3", "swift"])
def table(request: pytest.FixtureRequest, account: Account, container: str) -> t.Any:
    account.make(container)
    account.make(f"{container}_segments")
    return request.getfixturevalue(f"{request.param}_table")


def made(tmp_path: Path, table: t.Any, **changes: t.Any) -> Store:
    return Stores(Config(data=str(tmp_path), image_stores=[msgspec.structs.replace(table, **changes)]))["s"]


def every(store: Store) -> t.Iterator[t.Coroutine[t.Any, t.Any, t.Any]]:
    yield from (store.put(KEY, chunks()), store.open(KEY), store.delete(KEY))


def test_a_server_that_is_away_is_named(tmp_path, table):
    where = {"endpoint": "http://127.0.0.1:9"} if hasattr(table, "endpoint") else {"auth_url": "http://127.0.0.1:9/v3"}
    for call in every(made(tmp_path, table, **where)):
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:9.* cannot be reached"):
            asyncio.run(call)


def test_a_server_that_does_not_know_the_secret_is_quoted(tmp_path, table):
    (tmp_path / "secret").write_text("wrong")
    for call in every(made(tmp_path, table)):
        with pytest.raises(StoreError, match=r"refuses .*40[13]"):
            asyncio.run(call)


def test_a_secret_that_others_can_read_is_not_used(tmp_path, table):
    (tmp_path / "secret").chmod(0o644)
    for call in every(made(tmp_path, table)):
        with pytest.raises(StoreError, match="can be read by others: chmod 0600"):
            asyncio.run(call)


def test_a_bucket_that_is_not_there_is_named(tmp_path, s3_table):
    with pytest.raises(StoreError, match="has no bucket nowhere: make it"):
        asyncio.run(made(tmp_path, s3_table, bucket="nowhere").put(KEY, chunks()))


def test_a_store_without_room_says_so_and_keeps_nothing(tmp_path, s3_table, account, container):
    for name in (container, f"{container}+segments"):
        account.make(name)
        account.limit(name, MIB)
    with pytest.raises(StoreFull, match="quota"):
        asyncio.run(made(tmp_path, s3_table).put(KEY, chunks(12 * MIB)))
    assert account.names(container) == []


@pytest.mark.parametrize("most", ["PARTS", "SEGMENTS"])
def test_an_image_of_too_many_parts_is_refused_with_what_to_do(tmp_path, s3_table, swift_table, account, container, monkeypatch, most):
    account.make(container)
    table, module = (s3_table, "s3") if most == "PARTS" else (swift_table, "swift")
    monkeypatch.setattr(f"cumulet.image.stores.{module}.{most}", 1)
    with pytest.raises(StoreError, match=r"raise (part|segment)_mib of store s"):
        asyncio.run(made(tmp_path, table).put(KEY, chunks(12 * MIB)))
    assert account.names(container) == []
