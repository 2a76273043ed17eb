"""What every image store does, whichever kind it is. What one alone does is tested beside."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
import tracemalloc
import typing as t
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from cumulet.image.formats import Inspected, UnsafeImage, check
from cumulet.image.stores.base import NoImageData, Stored, StoreError
from cumulet.kernel import ids
from unit.image_store.conftest import Kept, chunks, put, read

MIB = 1 << 20
CONTENT = b"\x01" + os.urandom(11 * MIB)
"""More than two parts of a multipart upload, whose smallest are 5 MiB."""
pytestmark = pytest.mark.parametrize("kept", ["file", "s3", "swift", "rbd"], indirect=True)
KEY = "5b1f51d3-5a0c-4b7c-8f1e-5f1d5a3e4c2b"


class ClientGone(Exception):
    """What a server raises when the client closes its connection in the middle of an upload."""


def until(true: t.Callable[[], t.Any]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_what_is_put_comes_out(kept: Kept, content: bytes) -> None:
    assert put(kept.store, KEY, content) == Stored(
        size=len(content), checksum_md5=hashlib.md5(content).hexdigest(), os_hash_value=hashlib.sha512(content).hexdigest(),
        inspected=Inspected("raw", len(content)),
    )  # fmt: skip
    assert read(kept.store, KEY) == content == read(kept.store, KEY, 0, len(content))


def test_delete_can_be_repeated_and_takes_nothing_else_with_it(kept: Kept) -> None:
    other = ids.new()
    asyncio.run(kept.store.delete(KEY))
    put(kept.store, KEY, CONTENT)
    put(kept.store, other, b"other")
    for _ in range(2):
        asyncio.run(kept.store.delete(KEY))
        with pytest.raises(NoImageData):
            read(kept.store, KEY)
    assert read(kept.store, other) == b"other"
    asyncio.run(kept.store.delete(other))
    assert kept.names() == []


@pytest.mark.parametrize("content", [b"", b"x", CONTENT])
def test_a_dead_client_leaves_nothing(kept: Kept, content: bytes) -> None:
    with pytest.raises(ClientGone):
        asyncio.run(kept.store.put(KEY, chunks(content, ClientGone())))
    assert kept.names() == []


def test_a_cancelled_upload_leaves_nothing(kept: Kept) -> None:
    async def cancel() -> None:
        sent = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield CONTENT
            sent.set()
            await asyncio.Event().wait()

        upload = asyncio.create_task(kept.store.put(KEY, endless()))
        await sent.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload

    asyncio.run(cancel())
    assert kept.names() == []


UPLOAD = """
import asyncio, sys
import msgspec
from cumulet.image.stores.registry import Stores
from cumulet.kernel.config import Config

async def endless():
    for _ in range(12):
        yield bytes(1 << 20)
    print("sent", flush=True)
    await asyncio.Event().wait()

asyncio.run(Stores(msgspec.json.decode(sys.argv[1], type=Config))["s"].put(sys.argv[2], endless()))
"""


def test_what_a_killed_upload_left_goes_with_its_key(kept: Kept) -> None:
    """Its process is gone in the middle: nobody is there to take anything back, until somebody deletes the key."""
    upload = subprocess.Popen([sys.executable, "-c", UPLOAD, msgspec.json.encode(kept.config), KEY], stdout=subprocess.PIPE)
    with upload:
        assert upload.stdout is not None and upload.stdout.readline() == b"sent\n"
        until(kept.names)
        upload.kill()
    assert kept.names()
    asyncio.run(kept.store.delete(KEY))
    asyncio.run(kept.store.sweep())
    assert kept.names() == []


def test_an_image_that_is_not_accepted_leaves_nothing(kept: Kept, tmp_path: Path) -> None:
    header = b"QFI\xfb" + (3).to_bytes(4, "big") + (104).to_bytes(8, "big") + (8).to_bytes(4, "big") + bytes(1000)
    file = tmp_path / "image.qcow2"
    file.write_bytes(header)
    with pytest.raises(UnsafeImage, match="backing file"):
        asyncio.run(kept.store.put(KEY, chunks(header), partial(check, "qcow2")))
    with pytest.raises(UnsafeImage, match="backing file"):
        asyncio.run(kept.store.adopt(KEY, file, partial(check, "qcow2")))
    assert kept.names() == [] and file.read_bytes() == header


def test_a_finished_file_is_taken_over(kept: Kept, tmp_path: Path) -> None:
    file = tmp_path / "snapshot"
    file.write_bytes(CONTENT)
    assert asyncio.run(kept.store.adopt(KEY, file)).os_hash_value == hashlib.sha512(CONTENT).hexdigest()
    assert read(kept.store, KEY) == CONTENT
    with pytest.raises(NoImageData):
        asyncio.run(kept.store.adopt(ids.new(), tmp_path / "nothing"))


def test_only_a_regular_file_is_taken_over(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    for path in (tmp_path / "link", tmp_path):
        with pytest.raises(StoreError, match="not a regular file"):
            asyncio.run(kept.store.adopt(KEY, path))
    assert kept.names() == []


def test_a_url_tells_no_secret(kept: Kept) -> None:
    url = kept.store.url(KEY)
    assert KEY in url and "testing" not in url and "tester" not in url


def test_memory_does_not_grow_with_an_upload(kept: Kept) -> None:
    async def large(size: int) -> AsyncIterator[bytes]:
        for _ in range(size):
            yield bytes(MIB)

    peaks = []
    for size in (24, 72):
        tracemalloc.start()
        assert asyncio.run(kept.store.put(KEY, large(size))).size == size * MIB
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        asyncio.run(kept.store.delete(KEY))
    assert max(peaks) < 32 * MIB, peaks
