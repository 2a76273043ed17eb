"""Disks of images that are full in the middle: what was asked for is refused in words, its room is given back, and the rest goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import os
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.image.image_imports import DIRECT, OCTETS, ask, fetch, left, make, stage, tasks
from cumulet.kernel.testing.cloud import Caller, Cloud
from fault.fault_listening import Address
from unit.image_store.small_disk import small_disk
from web_server import WebServer, web_server

MIB = 1 << 20
FITS, FILLS = os.urandom(5 * MIB), os.urandom(12 * MIB)
"""What a disk of 8 MiB takes once, and never."""
STORES = [{"type": "file", "id": "small", "directory": "small", "default": True}, {"type": "file", "id": "large", "directory": "large"}]
IMPORTS = {"allowed_ports": [], "allowed_networks": ["127.0.0.1"], "plugins": ["image_decompression", "image_conversion"],
           "output_format": "qcow2"}  # fmt: skip
EMPTY = {"small": 0, "large": 0, "staging": 0}


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> t.Iterator[Path]:
    """A small disk, at a directory of images that the test's parameter names: a store's, or the staging area's."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "cloud" / "images").mkdir(parents=True)
    with small_disk(tmp_path / "disk") as mounted:
        (tmp_path / "cloud" / request.param).symlink_to(mounted)
        yield mounted


@pytest.fixture
def cloud(disk: Path, database_url: str, tmp_path: Path) -> t.Iterator[Cloud]:
    with contextlib.closing(make(database_url, tmp_path / "cloud", image_stores=STORES, image_import=IMPORTS)) as made:
        yield made


@pytest.fixture
def web() -> t.Iterator[WebServer]:
    with web_server() as there:
        yield there


full_store = pytest.mark.parametrize("disk", ["small"], indirect=True)
full_staging = pytest.mark.parametrize("disk", ["images/staging"], indirect=True)


def new(me: Caller) -> str:
    return me.post("/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]


def upload(me: Caller, image: str, data: t.Any, store: str = "small"):
    return me("PUT", f"/images/{image}/file", content=data, headers=OCTETS | {"X-Image-Meta-Store": store})


def show(me: Caller, image: str) -> dict:
    return me.get(f"/images/{image}").json()


def files(disk: Path) -> int:
    """Bytes of all files on the disk."""
    return sum(path.stat().st_size for path in disk.rglob("*") if path.is_file())


def imported(cloud: Cloud, me: Caller, image: str) -> str:
    """What the image's import has to say, once it has ended."""
    cloud.settle()
    return tasks(me, image)[-1]["message"]


@full_store
def test_an_upload_is_refused_and_others_go_on(cloud: Cloud, me: Caller, disk: Path):
    refused, other, again = new(me), new(me), new(me)
    both = asyncio.Event()

    async def slow() -> t.AsyncIterator[bytes]:
        yield FILLS[:MIB]
        await both.wait()
        yield FILLS[MIB:]

    with ThreadPoolExecutor(1) as thread:
        going_on = thread.submit(upload, me, other, slow(), "large")
        answer = upload(me, refused, FILLS)
        assert answer.status_code == 413 and "is full: " in answer.text and "Delete images or enlarge the disk" in answer.text
        cloud.portal.call(both.set)
        assert going_on.result().status_code == 204
    assert show(me, refused)["status"] == "queued" and show(me, other)["size"] == len(FILLS)
    assert files(disk) == 0
    assert upload(me, again, FITS).status_code == 204, "there is room again"
    assert upload(me, refused, FILLS, "large").status_code == 204
    assert left(cloud) == {"small": 1, "large": 2, "staging": 0}


@full_store
def test_a_client_on_a_connection_is_told_and_goes_on_there(cloud: Cloud, address: Address, me: Caller, disk: Path):
    image = new(me)
    headers = OCTETS | {"X-Auth-Token": me.token or ""}
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
        for data, store, status in ((FILLS, "small", 413), (FILLS, "large", 204)):
            more = {"X-Image-Meta-Store": store}
            connection.request("PUT", f"{me.prefix}/images/{image}/file", data, headers | more)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == status and (b"is full: " in said) == (status == 413)
    assert files(disk) == 0 and left(cloud) == EMPTY | {"large": 1}


@full_store
def test_two_uploads_that_have_no_room_together(cloud: Cloud, me: Caller, disk: Path):
    both = [new(me), new(me)]
    with ThreadPoolExecutor(2) as threads:
        statuses = list(threads.map(lambda image: upload(me, image, FITS).status_code, both))
    assert set(statuses) <= {204, 413} and statuses.count(204) <= 1
    assert left(cloud) == EMPTY | {"small": statuses.count(204)}
    assert files(disk) == len(FITS) * statuses.count(204)


@full_store
@pytest.mark.parametrize("every", [True, False])
def test_an_import_to_several_stores(cloud: Cloud, me: Caller, disk: Path, every: bool):
    image = new(me)
    assert stage(me, image, FILLS).status_code == 204
    assert ask(me, image, DIRECT | {"stores": ["large", "small"], "all_stores_must_succeed": every}).status_code == 202
    cloud.settle()
    shown, task = show(me, image), tasks(me, image)[-1]
    assert files(disk) == 0
    if every:
        assert task["status"] == "failure" and "could not be kept in small: The image store" in task["message"]
        assert shown["status"] == "queued" and left(cloud) == EMPTY
    else:
        assert task["status"] == "success" and shown["status"] == "active"
        assert shown["os_glance_failed_import"] == "small" and left(cloud) == EMPTY | {"large": 1}


@full_store
def test_a_copy_leaves_the_image_as_it_was(cloud: Cloud, me: Caller, disk: Path):
    image, admin = new(me), cloud.caller("/image/v2", "admin")
    assert upload(me, image, FILLS, "large").status_code == 204
    assert ask(admin, image, {"method": {"name": "copy-image"}, "stores": ["small"]}).status_code == 202
    assert "could not be kept in small: The image store" in imported(cloud, me, image)
    assert me.get(f"/images/{image}/file").content == FILLS
    assert left(cloud) == EMPTY | {"large": 1} and files(disk) == 0


@full_staging
def test_what_is_staged_is_refused(cloud: Cloud, me: Caller, disk: Path):
    image = new(me)
    answer = stage(me, image, FILLS)
    assert answer.status_code == 413 and "is full: " in answer.text
    assert show(me, image)["status"] == "queued" and files(disk) == 0
    assert stage(me, image, FITS).status_code == 204, "there is room again"


@full_staging
@pytest.mark.parametrize("data", [FILLS, gzip.compress(bytes(12 * MIB)), FITS], ids=["fetched", "decompressed", "converted"])
def test_an_import_has_no_room_on_its_way(cloud: Cloud, me: Caller, disk: Path, web: WebServer, data: bytes):
    image = new(me)
    assert fetch(me, image, web.serve("/image", data)).status_code == 202
    said = imported(cloud, me, image)
    assert tasks(me, image)[-1]["status"] == "failure"
    assert "is full: " in said if data is not FITS else "No space left on device" in said
    assert show(me, image)["status"] == "queued"
    assert left(cloud) == EMPTY and files(disk) == 0
    assert fetch(me, image, web.serve("/less", b"x" * MIB)).status_code == 202
    cloud.settle()
    assert show(me, image)["status"] == "active"
