"""A Ceph for the tests: one monitor, and one place for objects, which is memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t
import uuid
from pathlib import Path

import pytest

from cumulet.kernel.config_images import ImageClones, RbdTable
from cumulet.kernel.testing.engines import free_port

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "rbd", "ceph-authtool", "monmaptool")
POOL, HOSTS = "images", "hosts"
CONTROL, HOST = "cumulet", "cumulet-host"
CAPS = {
    CONTROL: f"profile rbd pool={POOL}, profile rbd-read-only pool={HOSTS}",
    HOST: f"profile rbd pool={HOSTS}, profile rbd-read-only pool={POOL}",
}
"""Users, and what they may do: as docs/images.md says."""
CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{port}/0]
mon initial members = a
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon data avail warn = 1
mon data avail crit = 1
public addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr1 = false
run dir = {root}
admin socket = {root}/$name.asok
log file = {root}/$name.log
pid file = {root}/$name.pid
keyring = {root}/$name.keyring
mon data = {root}/mon
osd data = {root}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
"""


def missing() -> str:
    """Why there can be no Ceph here; empty where there can be one."""
    without = [name for name in PROGRAMS if shutil.which(name) is None]
    if subprocess.run(["/usr/bin/python3", "-I", "-c", "import rados, rbd"], capture_output=True).returncode:
        without.append("python3-rbd")
    return f"no {', '.join(without)} here: apt-get install ceph-mon ceph-osd ceph-common python3-rbd" if without else ""


def unreadable() -> str:
    """Why hosts here cannot read images in a Ceph without a copy; empty where they can."""
    if not Path("/dev/fuse").exists():
        return "no FUSE in this kernel"
    nowhere = "driver=rbd,node-name=n,pool=p,image=i,conf=/nothing"
    said = subprocess.run(["qemu-storage-daemon", "--blockdev", nowhere], capture_output=True, text=True).stderr
    return "no driver of QEMU for it here: apt-get install qemu-block-extra" if "Unknown driver" in said else ""


class Ceph:
    """A running one. `conf` is its configuration, which names the administrator's keyring."""

    def __init__(self, root: Path):
        self.root, self.conf = root, root / "ceph.conf"
        self.fsid = str(uuid.uuid4())
        self.daemons: list[subprocess.Popen[bytes]] = []

    def ask(self, program: str, *arguments: str) -> str:
        ran = subprocess.run([program, "-c", str(self.conf), *arguments], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, f"{program} {arguments[0]}: {ran.stderr[-2000:]}"
        return ran.stdout

    @contextlib.contextmanager
    def away(self) -> t.Iterator[None]:
        """Nobody answers inside the block."""
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for daemon in self.daemons:
                daemon.send_signal(signal.SIGCONT)

    @property
    def table(self) -> RbdTable:
        """The settings of a store here."""
        return RbdTable(id="s", default=True, user=CONTROL, conf=str(self.conf), object_mib=4)

    @property
    def clones(self) -> ImageClones:
        """The settings of a host."""
        return ImageClones(pool=HOSTS, user=HOST, conf=str(self.conf))

    def names(self, pool: str = POOL) -> list[str]:
        return self.ask("rbd", "-p", pool, "ls").split()

    def clear(self) -> None:
        for name in self.names():
            self.ask("rbd", "-p", POOL, "snap", "unprotect", f"{name}@snap")
            self.ask("rbd", "-p", POOL, "snap", "purge", name)
            self.ask("rbd", "-p", POOL, "rm", name)


@pytest.fixture(scope="session", name="ceph")
def running_ceph() -> t.Iterator[Ceph]:
    """For the conftest of tests that need one."""
    if why := missing():
        pytest.skip(f"no Ceph to ask: {why}")
    with ceph_server() as server:
        yield server


@pytest.fixture(scope="session", name="near_ceph")
def readable_ceph(request: pytest.FixtureRequest) -> Ceph:
    """One whose images hosts here can clone and read."""
    if why := missing() or unreadable():
        pytest.skip(f"no images in a Ceph: {why}")
    return request.getfixturevalue("ceph")


@contextlib.contextmanager
def ceph_server() -> t.Iterator[Ceph]:
    # Sockets' paths have an end, which a test's own directory may be beyond.
    root = Path(tempfile.mkdtemp(prefix="ceph-"))
    try:
        with contextlib.ExitStack() as stack:
            yield _started(Ceph(root), stack)
    finally:
        shutil.rmtree(root)


def _started(ceph: Ceph, stack: contextlib.ExitStack) -> Ceph:
    (ceph.root / "osd").mkdir()
    ceph.conf.write_text(CONF.format(root=ceph.root, port=(port := free_port()), fsid=ceph.fsid))
    _make_keys(ceph)
    monmap, osd = str(ceph.root / "monmap"), str(uuid.uuid4())
    subprocess.run(
        ["monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{port}]", "--fsid", ceph.fsid, monmap], check=True, capture_output=True
    )
    ceph.ask("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", str(ceph.root / "mon.keyring"))
    _run(ceph, stack, "ceph-mon", "a")
    ceph.ask("ceph", "--connect-timeout", "30", "mon", "versions")
    ceph.ask("ceph", "osd", "new", osd)
    ceph.ask("ceph", "auth", "get-or-create", "osd.0", "mon", "allow profile osd", "osd", "allow *", "-o", str(ceph.root / "osd.0.keyring"))
    ceph.ask("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    _run(ceph, stack, "ceph-osd", "0")
    _wait(lambda: '"num_up_osds":1' in ceph.ask("ceph", "osd", "stat", "-f", "json"))
    for pool in (POOL, HOSTS):
        ceph.ask("ceph", "osd", "pool", "create", pool, "8")
        ceph.ask("rbd", "pool", "init", pool)
    for user, may in CAPS.items():
        keyring = ceph.root / f"client.{user}.keyring"
        ceph.ask("ceph", "auth", "get-or-create", f"client.{user}", "mon", "profile rbd", "osd", may, "-o", str(keyring))
        keyring.chmod(0o600)
    return ceph


def _make_keys(ceph: Ceph) -> None:
    mon, admin = str(ceph.root / "mon.keyring"), str(ceph.root / "client.admin.keyring")
    make = ["ceph-authtool", "--create-keyring", "--gen-key"]
    subprocess.run([*make, mon, "-n", "mon.", "--cap", "mon", "allow *"], check=True, capture_output=True)
    caps = [word for service in ("mon", "osd", "mgr") for word in ("--cap", service, "allow *")]
    subprocess.run([*make, admin, "-n", "client.admin", *caps], check=True, capture_output=True)
    subprocess.run(["ceph-authtool", mon, "--import-keyring", admin], check=True, capture_output=True)
    shutil.copy(mon, ceph.root / "mon.a.keyring")


def _run(ceph: Ceph, stack: contextlib.ExitStack, program: str, name: str) -> None:
    daemon = stack.enter_context(subprocess.Popen([program, "-f", "-c", str(ceph.conf), "-i", name], stdout=subprocess.DEVNULL,
                                                  stderr=subprocess.DEVNULL, cwd=ceph.root, env=os.environ))  # fmt: skip
    stack.callback(daemon.kill)
    ceph.daemons.append(daemon)


def _wait(true: t.Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends, "Ceph did not start"
        time.sleep(0.2)
