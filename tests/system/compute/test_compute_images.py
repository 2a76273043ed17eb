"""Real guests on hosts that have not the file of their image: it is fetched, checked, and stood on for as long as a disk needs it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from compute_conformance import booted
from compute_guest import write_image
from compute_world import CONTROL, UIDS

from ceph_server import HOSTS, Ceph
from cumulet.compute.agent.revive import revive
from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.qemu import QemuDriver
from cumulet.compute.drivers.qemu.disks import standing_on
from cumulet.compute.drivers.qemu.launch import find
from cumulet.compute.drivers.simulated import Recipe
from cumulet.image.drivers.cache import ImageCache
from cumulet.image.drivers.clones import Clones
from cumulet.image.reconcile import ImageData
from cumulet.image.stores.ceph import RbdStore
from cumulet.kernel.held import Process
from image_hosts import HostsAway

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="control groups and changing the user need root")


def make(name: str, recipe: Recipe, root: Path) -> QemuDriver:
    return QemuDriver(root, name, str, CONTROL, UIDS, ImageCache(root.parent / "images"), accelerator="tcg")


@pytest.fixture
def away(database_url: str) -> Iterator[HostsAway]:
    with tempfile.TemporaryDirectory(prefix="cumulet-") as data:
        made = HostsAway(database_url, data, hosts=2, compute=make)
        yield made
        for server in made.admin.get("/servers?all_tenants=1").json()["servers"]:
            made.admin.delete(f"/servers/{server['id']}")
        made.settle(30)
        made.close()


def test_guests_boot_from_an_image_that_their_hosts_fetched(away: HostsAway, tmp_path: Path) -> None:
    image = away.image(data=write_image(tmp_path / "image").read_bytes())
    one = {"imageRef": image, "networks": "none"}
    servers = {away.boot(away.admin, version="compute 2.90", availability_zone=f"nova:{host}", wait=False, **one): host
               for host in ("host-1", "host-1", "host-2")}  # fmt: skip
    away.settle(60)
    for server, host in servers.items():
        away.portal.call(booted, away.agent.hosts[host].compute, server)
    assert away.fetched == [image, image], "once a host"

    glance = away.caller("/image/v2", "admin", project="admin")
    assert glance.delete(f"/images/{image}").status_code == 204
    assert glance.delete("/cache").status_code == 204
    for server, host in servers.items():
        disk = away.root / host / "compute/servers" / server / "root.0.qcow2"
        assert [(disk.parent / str(qcow2.read(disk).backing)).resolve()] == away.cache(host), "a disk stands on it"
        for action in ("os-stop", "os-start"):
            assert away.admin.post(f"/servers/{server}/action", {action: None}).status_code == 202
            away.settle(60)
        away.portal.call(booted, away.agent.hosts[host].compute, server, 2)

    for server in servers:
        assert away.admin.delete(f"/servers/{server}").status_code == 204
    away.settle(60)
    assert glance.delete("/cache").status_code == 204
    assert away.cache("host-1") == away.cache("host-2") == []


class HostsWithCeph:
    """Hosts that clone images in Ceph, which the agent can be restarted with."""

    def __init__(self, ceph: Ceph):
        self._ceph, self._caches = ceph, dict[str, ImageCache]()

    def images(self, name: str, root: Path) -> ImageCache:
        directory = root / "images"
        clones = Clones(directory, self._ceph.clones, root, name)
        self._caches[name] = ImageCache(directory, lambda: standing_on(root / "compute/servers"), clones=clones)
        return self._caches[name]

    def compute(self, name: str, recipe: Recipe, root: Path) -> QemuDriver:
        return QemuDriver(root, name, str, CONTROL, UIDS, self._caches[name], accelerator="tcg")


@pytest.fixture
def near(database_url: str, near_ceph: Ceph) -> Iterator[HostsAway]:
    with tempfile.TemporaryDirectory(prefix="cumulet-") as data:
        hosts = HostsWithCeph(near_ceph)
        made = HostsAway(database_url, data, store=RbdStore(near_ceph.table, Path(data)), images=hosts.images, compute=hosts.compute)
        yield made
        for server in made.admin.get("/servers?all_tenants=1").json()["servers"]:
            made.admin.delete(f"/servers/{server['id']}")
        made.settle(30)
        cache = made.agent.hosts["host-1"].images
        made.portal.call(_emptied, cache)
        made.close()


async def _emptied(cache: ImageCache) -> None:
    cache.evict()
    await cache.settled()


async def _killed(process: Process) -> None:
    await process.kill()


def test_a_guest_runs_from_an_image_in_ceph_until_it_is_deleted_itself(near: HostsAway, near_ceph: Ceph, tmp_path: Path) -> None:
    image = near.image(data=write_image(tmp_path / "image").read_bytes())
    server = near.boot(near.admin, imageRef=image, networks="none", version="compute 2.90", wait=False)
    near.settle(60)
    near.portal.call(booted, near.agent.hosts["host-1"].compute, server)
    disk = near.root / "host-1/compute/servers" / server / "root.0.qcow2"
    file = (disk.parent / str(qcow2.read(disk).backing)).resolve()
    assert os.path.ismount(file)

    glance = near.caller("/image/v2", "admin", project="admin")
    assert glance.delete(f"/images/{image}").status_code == 204
    near.portal.call(ImageData(near.runtime).run_once)
    assert glance.delete("/cache").status_code == 204
    assert len(near_ceph.names()) == 1, "its data stays"

    def again(times: int) -> None:
        for action in ("os-stop", "os-start"):
            assert near.admin.post(f"/servers/{server}/action", {action: None}).status_code == 202
            near.settle(60)
        near.portal.call(booted, near.agent.hosts["host-1"].compute, server, times)

    again(2)
    process = find(disk.parent.parent)[server].pid
    near.restart_agent()
    assert find(disk.parent.parent)[server].pid == process, "it runs on"
    again(3)
    _host_restarts(near, file)
    near.portal.call(booted, near.agent.hosts["host-1"].compute, server, 4)
    again(5)
    assert near.fetched == []

    assert near.admin.delete(f"/servers/{server}").status_code == 204
    near.settle(60)
    assert glance.delete("/cache").status_code == 204
    near.portal.call(near.agent.hosts["host-1"].images.settled)
    assert not os.path.ismount(file)
    assert near.cache() == near_ceph.names(HOSTS) == []
    near.portal.call(ImageData(near.runtime).run_once)
    assert near_ceph.names() == [], "its data is gone"


def _host_restarts(near: HostsAway, file: Path) -> None:
    """Everything ends at once, mounts too; then the agent begins, and starts what should run."""
    near.portal.call(near.agent.close)
    for process in (*find(near.root / "host-1/compute/servers").values(), Process(int(file.with_suffix(".pid").read_text()))):
        near.portal.call(_killed, process)
    subprocess.run(["umount", file], check=True)
    near.restart_agent()
    host = near.agent.hosts["host-1"]
    near.portal.call(revive, host.compute, near.root / "host-1/compute/servers")
