"""Stores on servers that go away in the middle: an upload is refused in words and in time, and nothing is left once they are back."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import typing as t
from pathlib import Path

import pytest

from api.image.image_imports import DIRECT, OCTETS, ask, left, make, stage, tasks
from cumulet.kernel import ids
from cumulet.kernel.testing.cloud import Caller, Cloud
from fault.fault_listening import Address, sender
from fault.fault_wire import Trouble, Wire
from swift_server import PASSWORD, USER, swift_server
from unit.image_store.conftest import Account

MIB = 1 << 20
DATA = os.urandom(11 * MIB)
"""Three parts, of which the last is small."""
MIDDLE = 6 * MIB


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Which kind of database it is makes no difference to stores."""
    return f"sqlite:///{tmp_path}/cloud.db"


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    with swift_server(tmp_path_factory.mktemp("swift")) as url:
        yield url


class Far(Account):
    """What is in the container of the test's own, and beside it."""

    container: str

    def left(self) -> list[str]:
        """All names, parts of uploads included."""
        return self.names(self.container)


@pytest.fixture
def far(swift: str) -> Far:
    found = Far(swift)
    found.container = f"c{ids.new_hex()}"
    for name in ("", "_segments", "+segments"):
        found.make(found.container + name)
    return found


@pytest.fixture
def wire(swift: str) -> t.Iterator[Wire]:
    with contextlib.closing(Wire(swift)) as made:
        yield made


def table(kind: str, url: str, container: str, secret: Path) -> dict[str, t.Any]:
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    if kind == "s3":
        more = {"endpoint": url, "bucket": container, "access_key": USER, "secret_key_file": str(secret), "part_mib": 5}
    else:
        more = {"auth_url": f"{url}/auth/v1.0", "auth": "v1", "user": USER, "password_file": str(secret), "container": container,
                "segment_mib": 5}  # fmt: skip
    return {"type": kind, "id": "far", "default": True} | more


@pytest.fixture(params=["s3", "swift"])
def cloud(request: pytest.FixtureRequest, wire: Wire, far: Far, database_url: str, tmp_path: Path) -> t.Iterator[Cloud]:
    stores = [table(request.param, wire.url, far.container, tmp_path / "secret"), {"type": "file", "id": "near", "directory": "near"}]
    with contextlib.closing(make(database_url, tmp_path, image_stores=stores)) as made:
        yield made


troubles = pytest.mark.parametrize("trouble", t.get_args(Trouble))


def new(me: Caller) -> str:
    return me.post("/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]


def upload(me: Caller, image: str, store: str = "far"):
    return me("PUT", f"/images/{image}/file", content=DATA, headers=OCTETS | {"X-Image-Meta-Store": store})


def status(me: Caller, image: str) -> str:
    return me.get(f"/images/{image}").json()["status"]


@contextlib.contextmanager
def wrong(wire: Wire, trouble: Trouble, after: int) -> t.Iterator[None]:
    """Something is wrong with the wire, and nobody's patience is long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cumulet.image.stores.remote.STALL", 1.0)
        wire.go_wrong(trouble, after)
        yield
        wire.mend()


@troubles
@pytest.mark.parametrize("after", [
    pytest.param(0, id="at once", marks=pytest.mark.exhaustive), pytest.param(MIDDLE, id="in the middle"),
    pytest.param(len(DATA), id="behind the last byte", marks=pytest.mark.exhaustive),
])  # fmt: skip
def test_an_upload_is_refused_and_leaves_nothing(cloud: Cloud, me: Caller, wire: Wire, far: Far, trouble: Trouble, after: int):
    image, other = new(me), new(me)
    assert upload(me, other, "near").status_code == 204
    with wrong(wire, trouble, after):
        answer = upload(me, image)
        assert answer.status_code == 503 and "cannot be reached" in answer.text
        assert status(me, image) == "queued"
        assert me.delete(f"/images/{other}").status_code == 204
        assert left(cloud)["near"] == 0, "the other store is seen to"
    left(cloud)
    assert far.left() == []
    assert upload(me, image).status_code == 204
    assert me.get(f"/images/{image}/file").content == DATA
    assert me.delete(f"/images/{image}").status_code == 204
    left(cloud)
    assert far.left() == []


def test_an_upload_on_a_connection_comes_out_as_it_went_in(cloud: Cloud, me: Caller, address: Address):
    image = new(me)
    sending = sender(address, me, "PUT", f"/images/{image}/file", len(DATA))
    sending.send(DATA)
    assert sending.answer().status == 204
    assert me.get(f"/images/{image}/file").content == DATA
    assert me.get(f"/images/{image}").json()["checksum"] == hashlib.md5(DATA).hexdigest()


@troubles
def test_an_import_fails_in_words_and_can_be_asked_for_again(cloud: Cloud, me: Caller, wire: Wire, far: Far, trouble: Trouble):
    image = new(me)
    assert stage(me, image, DATA).status_code == 204
    with wrong(wire, trouble, MIDDLE):
        assert ask(me, image, DIRECT | {"all_stores": True}).status_code == 202
        cloud.settle()
        task = tasks(me, image)[-1]
        assert task["status"] == "failure" and "could not be kept in far: " in task["message"] and "cannot be reached" in task["message"]
        assert status(me, image) == "queued"
    assert left(cloud) == {"far": 0, "near": 0, "staging": 0} and far.left() == []
    assert stage(me, image, DATA).status_code == 204
    assert ask(me, image, DIRECT | {"all_stores": True}).status_code == 202
    cloud.settle()
    assert status(me, image) == "active"


@troubles
def test_a_download_that_breaks_off_is_seen_to(cloud: Cloud, me: Caller, address: Address, wire: Wire, trouble: Trouble):
    image = new(me)
    assert upload(me, image).status_code == 204
    with wrong(wire, trouble, MIDDLE):
        answer = sender(address, me, "GET", f"/images/{image}/file").answer()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)) as cut:
            answer.read()
        assert not isinstance(cut.value, http.client.IncompleteRead) or DATA.startswith(cut.value.partial)
        assert me.get(f"/images/{image}/file").status_code == 503
    assert me.get(f"/images/{image}/file").content == DATA


def test_an_image_that_is_deleted_under_a_download(cloud: Cloud, me: Caller, address: Address, far: Far):
    """What comes of it is of it, and all of it or visibly less."""
    image = new(me)
    assert upload(me, image).status_code == 204
    answer = sender(address, me, "GET", f"/images/{image}/file").answer()
    begun = answer.read(1000)
    assert me.delete(f"/images/{image}").status_code == 204
    left(cloud)
    assert far.left() == []
    came = begun
    with contextlib.suppress(http.client.IncompleteRead):
        came += answer.read()
        assert came == DATA
    assert DATA.startswith(came)


def test_what_is_to_be_removed_from_a_store_that_is_away_waits_together(cloud: Cloud, me: Caller, wire: Wire, far: Far):
    for image in [new(me) for _ in range(10)]:
        assert me("PUT", f"/images/{image}/file", content=b"x", headers=OCTETS).status_code == 204
        assert me.delete(f"/images/{image}").status_code == 204
    with wrong(wire, "dead", 0):
        before = wire.connections
        left(cloud)
        assert wire.connections - before == 1
    left(cloud)
    assert far.left() == []
