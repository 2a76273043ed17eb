"""A cloud of simulated parts that is slow and faulty as its settings say, as a client sees it."""

from __future__ import annotations

import json

import pytest
from openstack.exceptions import ResourceFailure

from .world import Cloud, eventually

SETTINGS = """
hypervisor = "simulated"
network = "simulated"

[simulated.compute]
vcpus = 8
file = "{steering}"

[simulated.compute.calls.start]
every = 3
message = "the rack has no power"

[simulated.volume.calls.create]
latency = 0.2
chance = 1
message = "no disk spins"
"""


@pytest.fixture
def faulty(new_clouds) -> Cloud:
    """A cloud whose first start finds its settings there."""
    cloud: Cloud = new_clouds()
    (cloud.data / "cumulet.toml").write_text(SETTINGS.format(steering=cloud.data / "steering.json"))
    cloud.up()
    return cloud


def test_what_the_recipe_says_befalls_a_client(faulty):
    me, admin = faulty.connect(), faulty.connect("cumulet")
    (host,) = admin.compute.get("/os-hypervisors/detail", microversion="2.53").json()["hypervisors"]
    assert host["vcpus"] == 8
    image = me.image.create_image(name="empty", disk_format="raw", container_format="bare", data=b"\0" * 1024)
    flavor = me.compute.find_flavor("m1.tiny", ignore_missing=False)

    def boot(name: str):
        server = me.compute.create_server(name=name, image_id=image.id, flavor_id=flavor.id, networks="none")
        try:
            return me.compute.wait_for_server(server, interval=0.2, wait=60)
        except ResourceFailure:
            return me.compute.get_server(server)

    servers = [boot(f"s{n}") for n in range(1, 7)]
    assert [server.status for server in servers] == ["ACTIVE", "ACTIVE", "ERROR"] * 2
    assert "the rack has no power" in servers[2].fault["message"]

    volume = me.block_storage.create_volume(size=1, name="v")
    eventually("an answer for the volume", lambda: me.block_storage.get_volume(volume.id).status == "error")

    steered = faulty.data / "steering.new"
    steered.write_text(json.dumps({"calls": {"start": {"nth": [7], "message": "a cable was pulled"}}}))
    steered.replace(faulty.data / "steering.json")
    assert "a cable was pulled" in boot("s7").fault["message"]
    (faulty.data / "steering.json").unlink()
    assert boot("s8").status == "ACTIVE"


def test_a_recipe_that_cannot_be_used_keeps_the_cloud_from_starting(new_clouds):
    cloud: Cloud = new_clouds()
    (cloud.data / "cumulet.toml").write_text('hypervisor = "simulated"\n[simulated.compute.calls.strat]\nevery = 3\n')
    done = cloud.command("up", "--detach")
    assert done.returncode == 1
    assert "simulated.compute.calls.strat cannot be used" in done.stderr and "start, stop" in done.stderr
    assert list(cloud.data.iterdir()) == [cloud.data / "cumulet.toml"]
    assert "simulated.compute.calls.strat" in cloud.command("doctor").stdout
