"""Clones of images in Ceph, as far as no Ceph is needed for them. `tests/system/image` asks a real one."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import DriverError, RootDisk
from cumulet.compute.drivers.qemu.disks import ready, root_path
from cumulet.image.drivers.base import BlockImage, ImageDriverError, ImageSource
from cumulet.image.drivers.cache import ImageCache
from cumulet.image.drivers.clones import Clone, Clones
from cumulet.image.stores.ceph import RbdStore
from cumulet.kernel import ids
from cumulet.kernel.config_images import ImageClones, RbdTable
from unit.image_cache.origin import DATA, Server

CLUSTER = ids.new()
BLOCK = BlockImage(cluster=CLUSTER, pool="images", name=ids.new(), snapshot="snap")
SOURCE = ImageSource(id="i", size=len(DATA), hash_value=hashlib.sha512(DATA).hexdigest(), block=BLOCK)


@pytest.fixture
def table(tmp_path: Path) -> ImageClones:
    """Of a cluster that has no monitors, and so is away at once."""
    conf = tmp_path / "ceph.conf"
    conf.write_text(f"[global]\nfsid = {CLUSTER}\n")
    return ImageClones(pool="hosts", conf=str(conf))


def clones(tmp_path: Path, table: ImageClones) -> Clones:
    (tmp_path / "cache").mkdir(exist_ok=True)
    return Clones(tmp_path / "cache", table, tmp_path, "h")


def recorded(tmp_path: Path, key: str = "kept") -> Path:
    """The record of a clone, as it was found after a start of the host."""
    path = tmp_path / "cache" / f"{key}.rbd"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.encode(Clone(pool="hosts", name="n.h", format="raw", size=4242)))
    return path


def test_the_store_says_where_hosts_find_its_images(table: ImageClones, tmp_path: Path) -> None:
    store = RbdStore(RbdTable(id="s", conf=table.conf), tmp_path)
    assert store.block(BLOCK.name) == BLOCK
    assert store.path(BLOCK.name) is None


def test_what_is_cloned_is_what_the_settings_say(table: ImageClones, tmp_path: Path) -> None:
    with_settings, without = clones(tmp_path, table), clones(tmp_path, ImageClones())
    assert with_settings.reach(SOURCE)
    assert not without.reach(SOURCE), "no pool"
    assert not clones(tmp_path, msgspec.structs.replace(table, conf="nothing")).reach(SOURCE), "no configuration"
    for changes in ({"block": None}, {"as_is": True}, {"block": msgspec.structs.replace(BLOCK, cluster=ids.new())}):
        assert not with_settings.reach(msgspec.structs.replace(SOURCE, **changes)), changes
    table_without_id = msgspec.structs.replace(table, conf=os.devnull)
    assert not clones(tmp_path, table_without_id).reach(msgspec.structs.replace(SOURCE, block=msgspec.structs.replace(BLOCK, cluster="")))


def test_an_image_whose_cluster_is_away_is_fetched(table: ImageClones, server: Server, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache", clones=clones(tmp_path, table))

    async def wanted() -> tuple[bytes, str]:
        cache.open()
        async with asyncio.timeout(60):
            while not await cache.want(SOURCE, server.origin):
                pass
        await cache.settled()
        async with cache.base(SOURCE) as (path, format):
            return path.read_bytes(), format

    assert asyncio.run(wanted()) == (DATA, "raw")
    assert server.ranges == [None]
    assert [(file.key, file.size) for file in cache.files()] == [(SOURCE.key, len(DATA))]


def test_a_clone_that_a_disk_stands_on_stays(table: ImageClones, tmp_path: Path) -> None:
    used, unused = recorded(tmp_path, "used"), recorded(tmp_path, "unused")
    cache = ImageCache(tmp_path / "cache", lambda: {"used.mapped"}, clones=clones(tmp_path, table))
    assert {(file.key, file.size) for file in cache.files()} == {("used", 4242), ("unused", 4242)}

    async def evicted() -> int:
        removed = cache.evict()
        await cache.settled()
        return removed.files

    assert asyncio.run(evicted()) == 1
    assert used.exists() and not unused.exists()
    assert unused.with_suffix(".cloning").exists(), "it is in Ceph yet, which is away: it is tried again"


def test_files_that_nothing_is_behind_are_removed_before_anybody_opens_them(table: ImageClones, tmp_path: Path) -> None:
    recorded(tmp_path).with_suffix(".mapped").touch()
    ImageCache(tmp_path / "cache", clones=clones(tmp_path, table)).open()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["kept.rbd"]


def test_a_disk_whose_image_cannot_be_read_is_not_opened(table: ImageClones, tmp_path: Path) -> None:
    base = recorded(tmp_path).with_suffix(".mapped")
    cache = ImageCache(tmp_path / "cache", clones=clones(tmp_path, table))
    disk = RootDisk(id="root", size_gib=1)
    root_path(tmp_path, disk).write_bytes(qcow2.empty(1 << 30, os.path.relpath(base, tmp_path), "raw"))
    with pytest.raises(DriverError, match="cannot be read from Ceph"):
        asyncio.run(ready(tmp_path, [disk], cache))
    assert base.exists() is False, "an empty file is no base"


def test_a_clone_that_nobody_knows_is_no_base(table: ImageClones, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache", clones=clones(tmp_path, table))
    cache.open()
    with pytest.raises(ImageDriverError, match="unknown cannot be read"):
        asyncio.run(cache.ready([tmp_path / "cache" / "unknown.mapped"]))
