"""Images in a real Ceph on a host that clones them: no byte is fetched, and nothing is lost or left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import typing as t
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path

import msgspec
import pytest

from ceph_server import HOSTS, Ceph
from cumulet.image.drivers import clones
from cumulet.image.drivers.base import ImageDriverError, ImageSource
from cumulet.image.drivers.cache import ImageCache
from cumulet.image.drivers.clones import Clones
from cumulet.image.stores.base import StoreInUse
from cumulet.image.stores.ceph import RbdStore
from cumulet.kernel import ids
from cumulet.kernel.held import Process
from cumulet.volume.drivers.base import Source
from cumulet.volume.drivers.file import FileDriver
from unit.image_cache.origin import Server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
T = t.TypeVar("T")
DATA = os.urandom(3 << 20) + bytes(2 << 20) + os.urandom(777)


class Host:
    """A host, an image in Ceph, and what the control plane would give of it. `users` is what disks stand on."""

    def __init__(self, ceph: Ceph, root: Path, server: Server):
        self.ceph, self.root, self.server = ceph, root, server
        self.store, self.users = RbdStore(ceph.table, root), set[str]()
        self.clones = ceph.clones
        self.data(DATA)
        self.start()

    def data(self, data: bytes) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        key, self.server.data = ids.new(), data
        stored = asyncio.run(self.store.put(key, chunks()))
        self.source = ImageSource(id=key, size=len(data), hash_value=stored.os_hash_value, block=self.store.block(key))

    def start(self) -> None:
        """The agent begins, anew."""
        directory = self.root / "cache"
        self.cache = ImageCache(directory, lambda: self.users, clones=Clones(directory, self.clones, self.root, "h"))
        self.run(self._open())

    async def _open(self) -> None:
        self.cache.open()

    def run(self, work: Coroutine[t.Any, t.Any, T]) -> T:
        """Do something, and what follows from it."""

        async def whole() -> T:
            try:
                return await work
            finally:
                await self.cache.settled()

        return asyncio.run(whole())

    async def want(self) -> None:
        async with asyncio.timeout(60):
            while not await self.cache.want(self.source, self.server.origin):
                pass

    async def read(self) -> tuple[bytes, str]:
        async with self.cache.base(self.source) as (path, format):
            self.file = path
            return await asyncio.to_thread(path.read_bytes), format

    async def evict(self) -> int:
        return self.cache.evict().files

    @property
    def pid(self) -> int:
        return int(next((self.root / "cache").glob("*.pid")).read_text())

    def end_daemon(self, number: signal.Signals) -> None:
        """As things end that the agent did not wish to."""
        daemon = Process(self.pid)
        daemon.send(number)
        assert asyncio.run(daemon.ended(20))

    @property
    def left(self) -> list[str]:
        """What there is of clones."""
        return self.ceph.names(HOSTS) + [path.name for path in (self.root / "cache").iterdir()]


@pytest.fixture
def host(near_ceph: Ceph, tmp_path: Path) -> Iterator[Host]:
    server = Server(DATA)
    made = Host(near_ceph, tmp_path, server)
    yield made
    made.users.clear()
    made.run(made.evict())
    server.end()
    near_ceph.clear()


def qcow2(tmp_path: Path, *options: str) -> bytes:
    (tmp_path / "raw").write_bytes(DATA)
    subprocess.run(["qemu-img", "convert", "-O", *options, tmp_path / "raw", tmp_path / "converted"], check=True)
    return (tmp_path / "converted").read_bytes()


def test_an_image_is_read_where_it_is(host: Host) -> None:
    host.run(host.want())
    for _ in range(2):
        read, format = host.run(host.read())
        assert format == "raw"
        assert read == DATA.ljust(-(-len(DATA) // 512) * 512, b"\0"), "in whole sectors, as disks are"
    assert host.server.ranges == [], "nothing was fetched"
    assert host.ceph.names(HOSTS) == [f"{host.source.id}.h"]
    assert [(file.key, file.size, file.hits) for file in host.cache.files()] == [(host.source.key, len(DATA), 2)]
    assert host.run(host.evict()) == 1
    assert host.left == []


def test_a_disk_is_what_its_content_is(host: Host, tmp_path: Path) -> None:
    host.data(qcow2(tmp_path, "qcow2"))
    host.run(host.want())
    read, format = host.run(host.read())
    assert (read[: len(host.server.data)], format) == (host.server.data, "qcow2")


def test_a_volume_is_made_of_what_is_read(host: Host, tmp_path: Path) -> None:
    driver, volume = FileDriver(tmp_path / "volumes", host.cache), ids.new()
    host.run(driver.open())
    host.run(host.want())
    host.run(driver.create(volume, 1, Source(image=host.source)))
    assert Path(host.run(driver.connection(volume, "h"))["path"]).read_bytes()[: len(DATA)] == DATA
    assert host.server.ranges == []


def test_what_disks_stand_on_stays_and_so_does_its_data_when_the_image_is_deleted(host: Host) -> None:
    host.run(host.want())
    host.run(host.read())
    host.users.add(host.file.name)
    assert host.run(host.evict()) == 0
    with pytest.raises(StoreInUse, match=f"{host.source.id}.h"):
        asyncio.run(host.store.delete(host.source.id))
    assert host.run(host.read())[0][: len(DATA)] == DATA
    host.users.clear()
    assert host.run(host.evict()) == 1
    asyncio.run(host.store.delete(host.source.id))
    assert host.source.id not in host.ceph.names()


def test_an_image_that_is_cloned_while_it_is_removed_is_removed_later(host: Host) -> None:
    """As it is when the clone is made after its snapshot was seen to have none."""
    host.run(host.want())
    host.ceph.ask("rbd", "snap", "unprotect", f"images/{host.source.id}@snap")
    host.ceph.ask("rbd", "snap", "rm", f"images/{host.source.id}@snap")
    with pytest.raises(StoreInUse):
        asyncio.run(host.store.delete(host.source.id))
    assert host.run(host.read())[0][: len(DATA)] == DATA
    host.run(host.evict())
    asyncio.run(host.store.delete(host.source.id))
    assert host.source.id not in host.ceph.names()


def test_the_agent_finds_what_is_given(host: Host) -> None:
    host.run(host.want())
    before = host.pid
    host.start()
    assert host.run(host.read())[0][: len(DATA)] == DATA
    assert host.pid == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_file_that_nobody_gives_any_more_is_given_again(host: Host, number: signal.Signals) -> None:
    host.run(host.want())
    host.run(host.read())
    host.end_daemon(number)
    assert host.run(host.read())[0][: len(DATA)] == DATA


def test_nobody_waits_for_a_cluster_that_is_away(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.run(host.want())
    host.run(host.read())
    monkeypatch.setattr(clones, "ANSWER", 2.0)
    with host.ceph.away(), pytest.raises(ImageDriverError, match="cannot be read from Ceph: head failed"):
        host.run(host.cache.ready([host.file]))
    monkeypatch.undo()
    assert host.run(host.read())[0][: len(DATA)] == DATA


def test_after_the_host_was_started_there_is_no_file_until_it_is_given(host: Host) -> None:
    host.run(host.want())
    host.run(host.read())
    host.users.add(host.file.name)
    host.end_daemon(signal.SIGTERM)
    host.start()
    assert not host.file.exists(), "a disk that stands on an empty file has lost everything"
    host.run(host.cache.ready([host.file]))
    assert host.run(host.read())[0][: len(DATA)] == DATA


def test_what_was_cut_off_is_taken_back(host: Host) -> None:
    host.run(host.want())
    host.cache._clones._path(host.source.key, ".rbd").rename(host.cache._clones._path(host.source.key, ".cloning"))
    host.start()
    assert host.left == []


def _readable_keyring(host: Host) -> None:
    (host.ceph.root / f"client.{host.clones.user}.keyring").chmod(0o644)


def _other_cluster(host: Host) -> None:
    conf = host.root / "ceph.conf"
    conf.write_text(host.ceph.conf.read_text().replace(host.ceph.fsid, ids.new()))
    host.clones = msgspec.structs.replace(host.clones, conf=str(conf))


def _no_pool(host: Host) -> None:
    host.clones = msgspec.structs.replace(host.clones, pool="nothing")


def _gone(host: Host) -> None:
    asyncio.run(host.store.delete(host.source.id))


def _disk_format(host: Host) -> None:
    host.data(qcow2(host.root, "vmdk"))


@pytest.mark.parametrize("change", [_readable_keyring, _other_cluster, _no_pool, _gone, _disk_format])
def test_what_cannot_be_cloned_is_fetched(host: Host, change: t.Callable[[Host], None]) -> None:
    change(host)
    host.start()
    try:
        host.run(host.want())
        assert host.server.ranges == [None]
        host.run(host.read())
        assert host.file.suffix in (".raw", ".qcow2")
    finally:
        (host.ceph.root / f"client.{host.ceph.clones.user}.keyring").chmod(0o600)
    assert [name for name in host.left if not name.startswith(host.source.key)] == [], "no clone"
    assert not list((host.root / "cache").glob("*.cloning")), "nor what is yet to be removed"


def test_an_image_that_lies_is_refused(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(bytes(1 << 20))
    lying = tmp_path / "lying"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", other, "-F", "raw", lying], check=True)
    host.data(lying.read_bytes())
    with pytest.raises(ImageDriverError, match="safety checks"):
        host.run(host.want())
    assert (host.server.ranges, host.left) == ([], [])
