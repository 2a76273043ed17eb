"""Uploads and imports on real processes: killed at any moment, hundreds at once, stalled by the hundred."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import socket
import time
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cumulet.image.locations import locations
from cumulet.kernel.testing.engines import postgresql
from fault.fault_actor import PATHS, Actor
from fault.fault_cloud import ProcessCloud
from fault.fault_listening import Sender
from fault.fault_slate import check_clean, check_whole, delete_all
from fault.test_processes import soon
from system.cloud.world import eventually, kill, own_network

MIB = 1 << 20
DATA = os.urandom(6 * MIB)
MANY = 200
"""At once."""
MORE = 100 * MIB
"""What a process may need at most beyond what it needs when idle."""
FEW_FILES = 256
"""That the cloud may have open, as it is begun; it may allow itself more."""
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest) -> t.Iterator[ProcessCloud]:
    """A cloud on a database of this kind, all in a network of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with own_network(), contextlib.ExitStack() as stack:
        url = stack.enter_context(postgresql()) if request.param == "postgresql" else ""
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
        try:
            made = ProcessCloud(url)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        stack.callback(made.close)
        yield made


@pytest.fixture
def actor(cloud: ProcessCloud) -> Actor:
    return Actor(cloud)


on_both = pytest.mark.parametrize(
    "cloud", ["sqlite", pytest.param("postgresql", marks=pytest.mark.exhaustive)], indirect=True, scope="module"
)


def new(a: Actor, format: str = "raw") -> str:
    container = "bare" if format == "raw" else format
    return a("POST", PATHS["images"], {"name": "i", "disk_format": format, "container_format": container, "visibility": "private"})["id"]


def address(cloud: ProcessCloud) -> tuple[str, int]:
    there = urlsplit(cloud.url)
    return str(there.hostname), there.port or 80


def upload(cloud: ProcessCloud, a: Actor, image: str, where: str = "file", size: int = len(DATA)) -> Sender:
    return Sender(address(cloud), a.me.token, "PUT", f"{PATHS['images']}/{image}/{where}", size)


def comes(cloud: ProcessCloud, image: str) -> bool:
    """Whether data of an image is on its way, as far as the cloud knows. One that is staged has the status of one that is being so."""
    return bool(cloud.transact(lambda tx: tx.rows(locations, image_id=image, status="pending")))


# -- killed --------------------------------------------------------------------------------------------------------


class Death(t.NamedTuple):
    """Who is killed, how much of an upload has been sent then, and for how many milliseconds."""

    where: str
    sent: int
    killed: str
    since: int = 0

    def __str__(self) -> str:
        return f"{self.where}-{self.sent}-{self.killed}-{self.since}"


MOMENTS = {"first": 0, "middle": len(DATA) // 2, "last": len(DATA)}
SOME = {
    Death("file", MOMENTS["middle"], "api"), Death("file", MOMENTS["last"], "all", 3),
    Death("stage", MOMENTS["first"], "all"), Death("stage", MOMENTS["middle"], "worker"),
}  # fmt: skip


def deaths() -> t.Iterator[t.Any]:
    for where in ("file", "stage"):
        for killed in ("api", "worker", "all"):
            found = [Death(where, MOMENTS[name], killed) for name in ("first", "middle")]
            found += [Death(where, MOMENTS["last"], killed, since) for since in (0, 3, 10, 20, 40, 80)]
            for death in found:
                yield pytest.param(death, id=str(death), marks=[] if death in SOME else pytest.mark.exhaustive)


@on_both
@pytest.mark.parametrize("death", deaths())
def test_an_upload_whose_process_is_killed_is_whole_or_begins_anew(cloud: ProcessCloud, actor: Actor, death: Death):
    image = new(actor)
    cloud.rest()
    sending = upload(cloud, actor, image, death.where)
    sending.send(DATA[: death.sent])
    eventually("it has begun", lambda: actor.status("images", image) != "queued", 20, 0.01)
    time.sleep(death.since / 1000)
    kill(*cloud.parts()[death.killed])
    sending.close()
    cloud.grow_old()
    ends = {"queued", "active"} if death.where == "file" else {"queued", "uploading"}
    eventually("nobody is taken to bring data", lambda: not comes(cloud, image), 20, 0.1)
    status = eventually("it is at rest", lambda: {actor.status("images", image)} & ends, 20, 0.1).pop()
    if status == "queued":
        again = upload(cloud, actor, image, death.where)
        again.send(DATA)
        assert again.answer().status == 204
    if death.where == "stage":
        actor("POST", f"{PATHS['images']}/{image}/import", {"method": {"name": "glance-direct"}})
        cloud.work()
    assert actor.status("images", image) == "active"
    if death.where == "file":
        assert actor.me.get(f"{PATHS['images']}/{image}/file").content == DATA
    cloud.grow_old()
    soon(lambda: check_whole(cloud, actor))
    delete_all(cloud, actor)
    soon(lambda: check_clean(cloud))


# -- many at once --------------------------------------------------------------------------------------------------


class Memory:
    """What the control plane's processes need beyond what they need now."""

    def __init__(self, cloud: ProcessCloud):
        self._before = {pid: _memory(pid, "VmRSS") for pid in cloud.parts()["all"]}
        for pid in self._before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from here

    def more(self) -> int:
        """Bytes, of the process that needed most."""
        return max(_memory(pid, "VmHWM") - before for pid, before in self._before.items())


def _memory(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


def content(n: int) -> bytes:
    """An image of 1 MiB like no other."""
    return n.to_bytes(4, "big") + DATA[: MIB - 4]


def check_digests(a: Actor, made: dict[str, int]) -> None:
    for image, n in made.items():
        shown = a.show("images", image)
        assert shown and (shown["status"], shown["os_hash_value"]) == ("active", hashlib.sha512(content(n)).hexdigest())


@on_both
def test_many_uploads_at_once(cloud: ProcessCloud, actor: Actor):
    """Every fifth image is deleted when half of it has come."""
    made = {new(actor): n for n in range(MANY)}
    memory, begun = Memory(cloud), time.monotonic()
    under_way = {image: upload(cloud, actor, image, size=MIB) for image in made}
    for image, sending in under_way.items():
        sending.send(content(made[image])[: MIB // 2])
    for image in list(made)[::5]:
        actor("DELETE", f"{PATHS['images']}/{image}")
    for image, sending in under_way.items():
        with contextlib.suppress(ConnectionError):  # a deleted one may have been answered
            sending.send(content(made[image])[MIB // 2 :])
    statuses = [sending.answer().status for sending in under_way.values()]
    print(f"\n{MANY} uploads: {time.monotonic() - begun:.1f} s, {memory.more() / MIB:.0f} MiB more")
    assert statuses == [410 if n % 5 == 0 else 204 for n in range(MANY)]
    check_digests(actor, {image: n for image, n in made.items() if n % 5})
    assert memory.more() < MORE
    soon(lambda: check_whole(cloud, actor))
    delete_all(cloud, actor)
    soon(lambda: check_clean(cloud))


@on_both
def test_many_imports_at_once(cloud: ProcessCloud, actor: Actor):
    """Every fifth image is deleted when its import has been asked for."""
    made = {new(actor, "aki"): n for n in range(MANY)}
    memory, begun = Memory(cloud), time.monotonic()
    for image, n in made.items():
        method = {"name": "web-download", "uri": cloud.web.serve(f"/{n}", content(n))}
        actor("POST", f"{PATHS['images']}/{image}/import", {"method": method})
        if n % 5 == 0:
            actor("DELETE", f"{PATHS['images']}/{image}")
    left = {image: n for image, n in made.items() if n % 5}
    eventually("all are imported", lambda: not cloud.live(), 120, 0.1)
    print(f"\n{MANY} imports: {time.monotonic() - begun:.1f} s, {memory.more() / MIB:.0f} MiB more")
    check_digests(actor, left)
    assert memory.more() < MORE
    soon(lambda: check_whole(cloud, actor))
    delete_all(cloud, actor)
    soon(lambda: check_clean(cloud))


@on_both
def test_many_clients_that_stall_hold_up_nobody(cloud: ProcessCloud, actor: Actor):
    """More than there could be files open when the cloud was begun. Some have sent half of what they have, some but a part of their
    request's head."""
    memory = Memory(cloud)
    with contextlib.ExitStack() as opened:
        for n in range(MANY):
            sending = opened.enter_context(contextlib.closing(upload(cloud, actor, new(actor))))
            sending.send(DATA[: (n % 6) * MIB])
        for _ in range(2 * FEW_FILES):
            nothing = opened.enter_context(socket.create_connection(address(cloud)))
            nothing.sendall(b"GET /image/v2/images HTTP/1.1\r\nHost:")
        image = new(actor)
        sending = upload(cloud, actor, image)
        sending.send(DATA)
        assert sending.answer().status == 204
        assert actor.me.get(f"{PATHS['images']}/{image}/file").content == DATA
        print(f"\n{MANY} stalled: {memory.more() / MIB:.0f} MiB more")
        assert memory.more() < MORE
    eventually(
        "they are gone", lambda: "saving" not in {one["status"] for one in actor("GET", f"{PATHS['images']}?limit=500")["images"]}, 30
    )
    delete_all(cloud, actor)
    soon(lambda: check_clean(cloud))
