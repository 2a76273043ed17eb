"""What the store in Ceph alone does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from ceph_server import POOL, Ceph
from cumulet.image.stores.base import NoImageData, StoreError
from cumulet.image.stores.ceph import RbdStore
from cumulet.kernel import ids
from cumulet.kernel.config_images import RbdTable
from unit.image_store.conftest import put, read


@pytest.fixture
def store(rbd_table: RbdTable, tmp_path: Path) -> RbdStore:
    return RbdStore(rbd_table, tmp_path)


def test_an_image_can_be_cloned_and_then_goes_after_its_clones(store: RbdStore, ceph: Ceph) -> None:
    key, clone = ids.new(), f"clone-{ids.new_hex()}"
    put(store, key, b"data")
    assert store.url(key) == f"rbd://{ceph.fsid}/{POOL}/{key}/snap"
    ceph.ask("rbd", "-p", POOL, "clone", f"{key}@snap", f"{POOL}/{clone}")
    with pytest.raises(StoreError, match=f"are there yet: {clone}"):
        asyncio.run(store.delete(key))
    assert read(store, key) == b"data"
    ceph.ask("rbd", "-p", POOL, "snap", "create", f"{key}@another")
    ceph.ask("rbd", "-p", POOL, "rm", clone)
    asyncio.run(store.delete(key))
    assert key not in ceph.names()


def test_an_image_takes_the_room_that_its_data_does(store: RbdStore, ceph: Ceph) -> None:
    key = ids.new()
    put(store, key, bytes(range(256)) * 5000 + b"x")
    assert json.loads(ceph.ask("rbd", "-p", POOL, "info", key, "--format", "json"))["size"] == 256 * 5000 + 1
    asyncio.run(store.delete(key))


def test_data_comes_twice_where_the_first_time_was_cut_off_before_it_was_told(store: RbdStore) -> None:
    key = ids.new()
    for data in (b"first", b"second"):
        put(store, key, data)
    assert read(store, key) == b"second"
    asyncio.run(store.delete(key))


def test_what_is_wrong_with_the_settings_is_said(rbd_table: RbdTable, ceph: Ceph, tmp_path: Path) -> None:
    for change, why in (({"pool": "nothing"}, "nothing"), ({"user": "nobody"}, "Ceph"), ({"conf": "/nothing"}, "/nothing")):
        store = RbdStore(msgspec.structs.replace(rbd_table, **change), tmp_path)
        for ask in (store.delete, store.open, lambda key, store=store: store.put(key, _nothing())):
            with pytest.raises(StoreError, match=why) as told:
                asyncio.run(ask(ids.new()))
            assert not isinstance(told.value, NoImageData)


async def _nothing():
    for chunk in (b"x",):
        yield chunk
