"""Reading images whose stores break off in the middle."""

from __future__ import annotations

import hashlib

import pytest
from image_imports import COPY, OCTETS, ask, make, tasks

from cumulet.image import locations
from cumulet.image.stores.base import StoreError
from cumulet.kernel import ids
from web_server import web_server

DATA = b"\x01" + bytes(range(256)) * 40_000


@pytest.fixture
def web():
    """A server that gives the first half of whatever it is asked for, as S3 would and as a web server."""

    def half(handler):
        start, _, end = handler.headers.get("Range", "").removeprefix("bytes=").partition("-")
        part = DATA[int(start or 0) : int(end) + 1 if end else None]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(part)))
        handler.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        handler.end_headers()
        handler.wfile.write(part[: len(part) // 2])

    with web_server() as server:
        server.answers["/bucket/key"] = half
        yield server


@pytest.fixture
def cloud(database_url: str, tmp_path, web):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    s3 = {"type": "s3", "endpoint": web.url, "bucket": "bucket", "access_key": "x", "secret_key_file": str(secret)}
    made = make(
        database_url, tmp_path, image_import={"allowed_ports": [], "allowed_networks": ["127.0.0.1/32"]}, image_stores=[
            {"type": "file", "id": "file", "default": True}, {"type": "file", "id": "more", "directory": "more"},
            s3 | {"id": "s3", "weight": 8}, s3 | {"id": "another", "weight": 7}, {"type": "http", "id": "web", "weight": 9},
        ],
    )  # fmt: skip
    yield made
    made.close()


@pytest.fixture
def broken(cloud, me, web, image):
    """Have the image in stores that break off, and come before the others."""

    def add(*stores: str) -> None:
        for store in stores:
            key = f"{web.url}/bucket/key" if store == "web" else "key"
            cloud.transact(lambda tx, store=store, key=key: locations.add(tx, image, store, key, {}))

    return add


def upload(who, id: str) -> None:
    assert who("PUT", f"/images/{id}/file", content=DATA, headers=OCTETS).status_code == 204


def lose(cloud) -> None:
    """The file goes of which the file store's data is."""
    for path in (cloud.runtime.config.root / "images").glob("*-*"):
        path.unlink()


def test_a_download_goes_on_from_the_next_store(me, web, image, broken):
    upload(me, image)
    broken("s3", "another")
    answer = me.get(f"/images/{image}/file")
    assert answer.status_code == 200 and answer.content == DATA
    assert hashlib.md5(answer.content).hexdigest() == answer.headers["Content-MD5"]
    assert len(web.asked) == 2, "both were asked, each for what was missing"
    part = me("GET", f"/images/{image}/file", headers={"Range": "bytes=1000-9000"})
    assert part.status_code == 206 and part.content == DATA[1000:9001]


def test_a_download_that_no_store_can_end_breaks_off(cloud, me, image, broken):
    upload(me, image)
    broken("s3")
    lose(cloud)
    with pytest.raises(StoreError, match=r"s3: .*; file: there is no image data"):
        me.get(f"/images/{image}/file")


def test_what_others_keep_is_put_together_with_nothing(cloud, me, image, broken):
    """It may be other data since."""
    upload(me, image)
    broken("web")
    with pytest.raises(StoreError, match=r"^web: "):
        me.get(f"/images/{image}/file")
    lose(cloud)
    broken("another")
    with pytest.raises(StoreError, match=r"^web: "):
        me.get(f"/images/{image}/file")


def test_a_copy_goes_on_from_the_next_store(cloud, me, admin, image, broken):
    upload(me, image)
    broken("s3")
    assert ask(admin, image, COPY | {"stores": ["more"]}).status_code == 202
    cloud.settle()
    [task] = tasks(me, image)
    assert task["status"] == "success", task
    [copied] = (cloud.runtime.config.root / "more").glob("*-*")
    assert copied.read_bytes() == DATA
    assert ids.is_uuid(copied.name)
