"""Real guests on hosts that have not the file of their image: it is fetched, checked, and stood on for as long as a disk needs it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from compute_conformance import booted
from compute_guest import write_image
from compute_world import CONTROL, UIDS

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.qemu import QemuDriver
from cumulet.compute.drivers.simulated import Recipe
from cumulet.image.drivers.cache import ImageCache
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
