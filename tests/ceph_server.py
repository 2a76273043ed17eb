"""A Ceph for the tests: one monitor, and one place for objects, which is memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import typing as t
import uuid
from pathlib import Path

from cumulet.kernel.testing.engines import free_port

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "rbd", "ceph-authtool", "monmaptool")
POOL = "images"
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


class Ceph:
    """A running one. `conf` is its configuration, which names the administrator's keyring."""

    def __init__(self, root: Path):
        self.root, self.conf = root, root / "ceph.conf"
        self.fsid = str(uuid.uuid4())

    def ask(self, program: str, *arguments: str) -> str:
        ran = subprocess.run([program, "-c", str(self.conf), *arguments], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, f"{program} {arguments[0]}: {ran.stderr[-2000:]}"
        return ran.stdout

    def names(self) -> list[str]:
        return self.ask("rbd", "-p", POOL, "ls").split()

    def clear(self) -> None:
        for name in self.names():
            self.ask("rbd", "-p", POOL, "snap", "unprotect", f"{name}@snap")
            self.ask("rbd", "-p", POOL, "snap", "purge", name)
            self.ask("rbd", "-p", POOL, "rm", name)


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
    ceph.ask("ceph", "osd", "pool", "create", POOL, "8")
    ceph.ask("rbd", "pool", "init", POOL)
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


def _wait(true: t.Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends, "Ceph did not start"
        time.sleep(0.2)
