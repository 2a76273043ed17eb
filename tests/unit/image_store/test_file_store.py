"""The file store: whole or not at all, whatever happens on the way."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.image.formats import Inspected
from cumulet.image.stores.base import NoImageData, Stored, StoreError, StoreFull
from cumulet.image.stores.file import FileStore
from cumulet.image.stores.streaming import BATCH
from cumulet.kernel import ids
from unit.image_store.small_disk import small_disk

MIB = 1 << 20
CONTENT = b"\x01" + bytes(range(256)) * 20_000
"""A bit over 4 MiB, so that it takes more than one batch."""


class ClientGone(Exception):
    """What a server raises when the client closes its connection in the middle of an upload."""


async def chunks(content: bytes, size: int = 65536, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]
    if then is not None:
        raise then


async def whole(store: FileStore, image: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in await store.open(image, start, end)])


def put(store: FileStore, image: str, content: bytes) -> Stored:
    return asyncio.run(store.put(image, chunks(content)))


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "images")


def assert_empty(store: FileStore, root: Path) -> None:
    assert asyncio.run(store.list()) == []
    assert [path for path in root.rglob("*") if path.is_file()] == []


def described(content: bytes) -> Stored:
    return Stored(
        size=len(content),
        checksum_md5=hashlib.md5(content).hexdigest(),
        os_hash_value=hashlib.sha512(content).hexdigest(),
        inspected=Inspected("raw", len(content)),
    )


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, CONTENT * 3])
def test_what_is_put_comes_out(store: FileStore, content: bytes) -> None:
    image = ids.new()
    assert put(store, image, content) == described(content)
    assert asyncio.run(whole(store, image)) == content
    assert asyncio.run(store.list()) == [image]
    assert store.path(image).read_bytes() == content
    assert store.path(image).stat().st_mode & 0o777 == 0o640


def test_the_mode_does_not_hang_on_the_umask(store: FileStore) -> None:
    image, before = ids.new(), os.umask(0o077)
    try:
        put(store, image, CONTENT)
    finally:
        os.umask(before)
    assert store.path(image).stat().st_mode & 0o777 == 0o640


@settings(deadline=None)
@given(
    start=st.integers(0, len(CONTENT) + 10),
    end=st.none() | st.integers(0, len(CONTENT) + 10),
)
def test_any_range_can_be_read(tmp_path_factory: pytest.TempPathFactory, start: int, end: int | None) -> None:
    root = tmp_path_factory.getbasetemp() / "ranges"
    store, image = FileStore(root), "5b1f51d3-5a0c-4b7c-8f1e-5f1d5a3e4c2b"
    if not store.path(image).exists():
        put(store, image, CONTENT)
    assert asyncio.run(whole(store, image, start, end)) == CONTENT[start:end]


def test_a_second_put_replaces_the_first(store: FileStore) -> None:
    image = ids.new()
    put(store, image, b"first")
    put(store, image, b"second")
    assert asyncio.run(whole(store, image)) == b"second"


def test_a_dead_client_leaves_what_was_there(store: FileStore) -> None:
    image = ids.new()
    put(store, image, CONTENT)
    with pytest.raises(ClientGone):
        asyncio.run(store.put(image, chunks(b"half", then=ClientGone())))
    assert asyncio.run(whole(store, image)) == CONTENT


@pytest.mark.parametrize("id", ["../escape", "", "a/b", "incoming", ".."])
def test_only_uuids_are_keys(store: FileStore, tmp_path: Path, id: str) -> None:
    for call in (store.put(id, chunks(b"x")), store.open(id), store.delete(id), store.adopt(id, tmp_path / "x")):
        with pytest.raises(ValueError, match="not a UUID"):
            asyncio.run(call)
    assert os.listdir(tmp_path) == []


def test_a_finished_file_is_taken_over_without_a_copy(store: FileStore, tmp_path: Path) -> None:
    image, snapshot = ids.new(), tmp_path / "snapshot"
    snapshot.write_bytes(CONTENT)
    snapshot.chmod(0o600)
    inode = snapshot.stat().st_ino
    assert asyncio.run(store.adopt(image, snapshot)) == described(CONTENT)
    assert not snapshot.exists()
    assert store.path(image).stat().st_ino == inode
    assert store.path(image).stat().st_mode & 0o777 == 0o640
    assert asyncio.run(store.adopt(image, snapshot)) == described(CONTENT)
    with pytest.raises(NoImageData):
        asyncio.run(store.adopt(ids.new(), snapshot))


def test_a_file_of_another_file_system_is_copied_and_removed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with small_disk(tmp_path / "other") as disk:
        store, image, snapshot = FileStore(tmp_path / "images"), ids.new(), disk / "snapshot"
        snapshot.write_bytes(CONTENT)
        assert asyncio.run(store.adopt(image, snapshot)) == described(CONTENT)
        assert not snapshot.exists()
        assert asyncio.run(whole(store, image)) == CONTENT


UPLOAD = """
import asyncio, sys
from pathlib import Path
from cumulet.image.stores.file import FileStore

async def endless():
    while True:
        yield bytes(1 << 20)
        await asyncio.sleep(0.001)

asyncio.run(FileStore(Path(sys.argv[1])).put(sys.argv[2], endless()))
"""


def test_a_sweep_removes_what_a_killed_upload_left_and_nothing_else(store: FileStore, tmp_path: Path) -> None:
    incoming, kept = tmp_path / "images" / "incoming", ids.new()
    put(store, kept, CONTENT)
    upload = subprocess.Popen([sys.executable, "-c", UPLOAD, str(tmp_path / "images"), ids.new()])
    try:
        while not any(path.stat().st_size > MIB for path in incoming.iterdir()):
            assert upload.poll() is None
        assert asyncio.run(store.sweep()) == []
    finally:
        upload.send_signal(signal.SIGKILL)
        upload.wait()
    left = os.listdir(incoming)
    assert len(left) == 1
    assert asyncio.run(store.sweep()) == left
    assert os.listdir(incoming) == []
    assert asyncio.run(store.list()) == [kept]


@pytest.mark.parametrize("size", [64 * MIB, 256 * MIB])
def test_the_memory_of_an_upload_does_not_grow_with_it(store: FileStore, size: int) -> None:
    async def large() -> AsyncIterator[bytes]:
        for _ in range(size // MIB):
            yield bytes(MIB)

    tracemalloc.start()
    stored = asyncio.run(store.put(ids.new(), large()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stored.size == size
    # Three batches are in use; each of the three threads may be about to let go of an older one.
    assert peak < (3 + 3) * BATCH + 2 * MIB


def test_a_full_disk_says_how_much_is_free_and_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        root, kept = disk / "images", ids.new()
        store = FileStore(root)
        put(store, kept, CONTENT)
        with pytest.raises(StoreFull, match=re.escape(str(root)) + r".* is full: \d\.\d MiB free"):
            put(store, ids.new(), CONTENT * 3)
        assert os.listdir(root / "incoming") == []
        assert asyncio.run(whole(store, kept)) == CONTENT
        put(store, ids.new(), b"small")


def test_a_disk_that_takes_no_other_file_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path, "nr_inodes=4") as disk:
        store = FileStore(disk / "images")
        put(store, ids.new(), b"the last one")
        with pytest.raises(StoreFull, match="is full: it takes no more files"):
            put(store, ids.new(), b"x")


def test_another_error_of_the_disk_is_told_and_not_called_full(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the store's directory should be")
    with pytest.raises(StoreError, match="images cannot be written: ") as raised:
        put(store, ids.new(), CONTENT)
    assert not isinstance(raised.value, StoreFull)
