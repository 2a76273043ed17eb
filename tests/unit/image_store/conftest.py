from __future__ import annotations

import asyncio
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from ceph_server import Ceph, running_ceph  # noqa: F401
from cumulet.image.stores.base import Store, Stored
from cumulet.image.stores.registry import Stores
from cumulet.kernel.config import Config
from cumulet.kernel.config_images import FileTable, RbdTable, S3Table, StoreTable, SwiftTable
from swift_server import PASSWORD, USER, swift_server


class Kept(t.NamedTuple):
    """A store, the settings that made it, and what is in it as one sees who looks at it from outside."""

    store: Store
    config: Config
    names: t.Callable[[], list[str]]


async def chunks(content: bytes, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 65536):
        yield content[at : at + 65536]
    if then is not None:
        raise then


def put(store: Store, key: str, content: bytes) -> Stored:
    return asyncio.run(store.put(key, chunks(content)))


def read(store: Store, key: str, start: int = 0, end: int | None = None) -> bytes:
    async def whole() -> bytes:
        return b"".join([chunk async for chunk in await store.open(key, start, end)])

    return asyncio.run(whole())


class Account:
    """The object store's own account, asked past any store."""

    def __init__(self, url: str):
        login = httpx2.get(f"{url}/auth/v1.0", headers={"X-Auth-User": USER, "X-Auth-Key": PASSWORD})
        self._client = httpx2.Client(base_url=login.headers["X-Storage-Url"], headers={"X-Auth-Token": login.headers["X-Auth-Token"]})

    def make(self, container: str) -> None:
        assert self._client.put(f"/{container}").status_code in (201, 202)

    def limit(self, container: str, most: int) -> None:
        """Let no more than so many bytes be in a container."""
        assert self._client.post(f"/{container}", headers={"X-Container-Meta-Quota-Bytes": str(most)}).status_code == 204

    def names(self, container: str) -> list[str]:
        """Of all objects in the containers that begin with this."""
        found = [one["name"] for one in self._client.get("", params={"format": "json", "prefix": container}).json()]
        return [one["name"] for name in found for one in self._client.get(f"/{name}", params={"format": "json"}).json()]


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    with swift_server(tmp_path_factory.mktemp("swift")) as url:
        yield url


@pytest.fixture
def rbd_table(ceph: Ceph) -> RbdTable:
    return ceph.table


@pytest.fixture
def account(swift: str) -> Account:
    return Account(swift)


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def container(tmp_path: Path) -> str:
    """The name of a container, or bucket, of the test's own."""
    return f"c{abs(hash(tmp_path)):x}"


@pytest.fixture
def swift_table(swift: str, secret: str, container: str) -> SwiftTable:
    return SwiftTable(
        id="s", default=True, auth_url=f"{swift}/auth/v1.0", auth="v1", user=USER, password_file=secret, container=container, segment_mib=5
    )


@pytest.fixture
def s3_table(swift: str, secret: str, container: str) -> S3Table:
    return S3Table(
        id="s", default=True, endpoint=swift, bucket=container, prefix="images/", access_key=USER, secret_key_file=secret, part_mib=5
    )


@pytest.fixture
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """A store of the kind that the test's parameter names."""
    return make_kept(request, request.param, tmp_path)


def make_kept(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Kept:
    root, names = tmp_path / "images", lambda: [path.name for path in root.rglob("*") if path.is_file()]
    table: StoreTable = FileTable(id="s", default=True)
    if kind == "rbd":
        table, names = request.getfixturevalue("rbd_table"), request.getfixturevalue("ceph").names
        request.getfixturevalue("ceph").clear()
    elif kind != "file":
        account, container = request.getfixturevalue("account"), request.getfixturevalue("container")
        account.make(container)
        table, names = request.getfixturevalue(f"{kind}_table"), lambda: account.names(container)
    config = Config(data=str(tmp_path), image_stores=[table])
    return Kept(Stores(config)["s"], config, names)
