"""Clients of image data that stall, come back late or never: they cost little, hold up nobody, and leave nothing."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import http.client
import os
import time
import typing as t
from pathlib import Path

import pytest

from api.image.image_imports import DATA, OCTETS, left, make
from cumulet.image import locations
from cumulet.image.reconcile import ImageData
from cumulet.image.stores.file import FileStore
from cumulet.image.stores.registry import stores
from cumulet.kernel.testing.cloud import Caller, Cloud
from cumulet.run import connection
from fault.fault_listening import sender

LARGE = os.urandom(1 << 20) * 40
"""More than the system keeps of it on its way to a client that does not read."""
HALF = len(DATA) // 2
NOTHING = {"file": 0, "staging": 0}


@pytest.fixture
def cloud(database_url: str, tmp_path: Path) -> t.Iterator[Cloud]:
    with contextlib.closing(make(database_url, tmp_path)) as made:
        yield made


@pytest.fixture
def image(me: Caller) -> str:
    return me.post("/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]


def status(me: Caller, image: str) -> str:
    return me.get(f"/images/{image}").json()["status"]


def until(true: t.Callable[[], t.Any]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize(("where", "waits"), [("file", "saving"), ("stage", "uploading")])
def test_an_upload_that_stalls_is_given_up(cloud, address, me, image, where, waits, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 1.0)
    upload = sender(address, me, "PUT", f"/images/{image}/{where}", len(DATA))
    upload.send(DATA[:HALF])
    until(lambda: status(me, image) == waits)
    answer = upload.answer()
    assert answer.status == 408 and b"did not come, or hardly any" in answer.read()
    until(lambda: status(me, image) == "queued")
    assert left(cloud) == NOTHING
    assert me("PUT", f"/images/{image}/{where}", content=DATA, headers=OCTETS).status_code == 204, "it waits for another"


@pytest.mark.parametrize("where", ["file", "stage"])
def test_a_delete_wins_over_an_upload_that_stalls(cloud, address, me, image, where, monkeypatch):
    monkeypatch.setattr(locations, "BEAT", 0.05)
    upload = sender(address, me, "PUT", f"/images/{image}/{where}", len(DATA))
    upload.send(DATA[:HALF])
    until(lambda: status(me, image) != "queued")
    assert me.delete(f"/images/{image}").status_code == 204
    answer = upload.answer()
    assert answer.status == 410 and b"may have been deleted during the upload" in answer.read()
    assert me.get(f"/images/{image}").status_code == 404
    assert left(cloud) == NOTHING


@pytest.mark.parametrize("where", ["file", "stage"])
def test_an_upload_that_comes_back_late_harms_nothing(cloud, address, me, image, where):
    """It was taken for dead, and another came in its place."""
    late = sender(address, me, "PUT", f"/images/{image}/{where}", len(DATA))
    late.send(DATA[:HALF])
    until(lambda: status(me, image) != "queued")
    cloud.transact(lambda tx: tx.update(locations.locations, {"status": "pending"}, updated_at=dt.datetime(2001, 1, 1)))
    left(cloud)
    assert me("PUT", f"/images/{image}/file", content=b"in time", headers=OCTETS).status_code == 204
    late.send(DATA[HALF:])
    assert late.answer().status == 410
    assert me.get(f"/images/{image}/file").content == b"in time"
    assert left(cloud) == {"file": 1, "staging": 0}


class Slow(FileStore):
    """Takes its time to say that data is removed."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.removed, self.go_on = asyncio.Event(), asyncio.Event()

    async def delete(self, key: str) -> None:
        await super().delete(key)
        self.removed.set()
        await self.go_on.wait()


def test_an_upload_that_ends_while_its_data_is_removed_leaves_nothing(cloud, address, me, image):
    slow = Slow(cloud.runtime.config.root / "images")
    stores(cloud.runtime)._stores["file"] = slow
    upload = sender(address, me, "PUT", f"/images/{image}/file", len(DATA))
    upload.send(DATA[:HALF])
    until(lambda: status(me, image) == "saving")
    assert me.delete(f"/images/{image}").status_code == 204
    removing = cloud.portal.start_task_soon(ImageData(cloud.runtime).run_once)
    cloud.portal.call(slow.removed.wait)
    upload.send(DATA[HALF:])
    assert upload.answer().status == 410
    cloud.portal.call(slow.go_on.set)
    removing.result()
    assert left(cloud) == NOTHING


@pytest.mark.parametrize("size", [0, len(DATA)], ids=["before a byte", "behind the last"])
def test_a_client_that_goes_away_leaves_the_image_queued(cloud, address, me, image, size):
    upload = sender(address, me, "PUT", f"/images/{image}/file", len(DATA) + 1)
    upload.send(DATA[:size])
    until(lambda: status(me, image) == "saving")
    upload.close()
    until(lambda: status(me, image) == "queued")
    assert left(cloud) == NOTHING


@pytest.mark.parametrize("where", ["file", "stage"])
@pytest.mark.parametrize(("said", "word"), [(len(LARGE) - 1, "exceeds"), (len(LARGE) + 1, "mismatch")], ids=["more", "less"])
def test_an_upload_of_another_size_than_was_said_is_refused(cloud, address, me, image, where, said, word):
    """In the middle of it, or at its end; the connection is good for another."""
    path = f"{me.prefix}/images/{image}/{where}"
    headers = OCTETS | {"X-Auth-Token": me.token}
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
        connection.request("PUT", path, LARGE, headers | {"X-OpenStack-Image-Size": str(said)})
        answer = connection.getresponse()
        assert answer.status == 400 and f"Size {word}" in answer.read().decode()
        assert status(me, image) == "queued" and left(cloud) == NOTHING
        connection.request("PUT", path, LARGE, headers)
        assert connection.getresponse().status == 204


def test_an_upload_that_is_larger_than_images_may_be_is_refused(cloud, address, me, image, monkeypatch):
    monkeypatch.setattr(cloud.runtime.config, "image_size_max_gib", 0)
    upload = sender(address, me, "PUT", f"/images/{image}/file", len(LARGE))
    upload.send(LARGE)
    answer = upload.answer()
    assert answer.status == 413 and b"larger than the limit" in answer.read()
    assert status(me, image) == "queued" and left(cloud) == NOTHING


def test_an_upload_has_its_digests(address, me, image):
    upload = sender(address, me, "PUT", f"/images/{image}/file", len(LARGE))
    upload.send(LARGE)
    assert upload.answer().status == 204
    shown = me.get(f"/images/{image}").json()
    digests = hashlib.md5(LARGE).hexdigest(), hashlib.sha512(LARGE).hexdigest()
    assert (shown["checksum"], shown["os_hash_value"], shown["size"]) == (*digests, len(LARGE))
    assert sender(address, me, "GET", f"/images/{image}/file").answer().read() == LARGE


def test_a_download_that_nobody_reads_is_given_up(cloud, address, me, image, monkeypatch):
    """Its file is closed, so that a deleted image gives its room back."""
    monkeypatch.setattr(connection, "PATIENCE", 1.0)
    assert me("PUT", f"/images/{image}/file", content=LARGE, headers=OCTETS).status_code == 204
    download = sender(address, me, "GET", f"/images/{image}/file")
    until(lambda: files_open(cloud))
    assert me.delete(f"/images/{image}").status_code == 204
    assert left(cloud) == NOTHING
    until(lambda: not files_open(cloud))
    download.close()


def files_open(cloud: Cloud) -> list[str]:
    """Image files that this process has open."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{entry}"))
    return [path for path in found if path.startswith(f"{cloud.runtime.config.root}/images/")]


def test_an_image_that_is_deleted_under_a_download_comes_whole(cloud, address, me, image):
    assert me("PUT", f"/images/{image}/file", content=LARGE, headers=OCTETS).status_code == 204
    answer = sender(address, me, "GET", f"/images/{image}/file").answer()
    begun = answer.read(1000)
    assert me.delete(f"/images/{image}").status_code == 204
    assert left(cloud) == NOTHING
    assert begun + answer.read() == LARGE


def test_clients_that_stall_hold_up_nobody(cloud, address, me, image):
    with contextlib.ExitStack() as opened:
        for n in range(100):
            id = me.post("/images", {"disk_format": "raw", "container_format": "bare"}).json()["id"]
            stalled = opened.enter_context(contextlib.closing(sender(address, me, "PUT", f"/images/{id}/file", len(DATA))))
            stalled.send(DATA[: n * 1000])
        upload = sender(address, me, "PUT", f"/images/{image}/file", len(DATA))
        upload.send(DATA)
        assert upload.answer().status == 204
        assert sender(address, me, "GET", f"/images/{image}/file").answer().read() == DATA
    until(lambda: {one["status"] for one in me.get("/images?limit=200").json()["images"]} == {"queued", "active"})
    assert left(cloud) == {"file": 1, "staging": 0}
