"""An administrator deletes, disables or takes back what others rely on: nobody meets a 5xx, nothing is left half done, and who
needs what is gone is told what that is. (A test cloud fails on each status that an operation does not declare.)"""

from __future__ import annotations

import re
import typing as t

import pytest

from cumulet.kernel.testing.cloud import Caller
from world import World

PLACEMENT = "placement 1.39"
BOOT = "compute 2.100"


class Relied:
    """A project with one of each, and the administrator's callers."""

    def __init__(self, world: World):
        self.world = world
        self.compute, self.me = world.admin, world.me
        self.placement = world.caller("/placement", "admin")
        self.network, self.mine = world.caller("/network/v2.0", "admin"), world.caller("/network/v2.0")
        self.volume, self.my_volumes = world.caller("/volume/v3", "admin"), world.caller("/volume/v3")
        self.images = world.caller("/image/v2", "admin")
        pool = {"name": "pool", "prefixes": ["10.64.0.0/16"], "is_default": True, "shared": True, "default_prefixlen": 24}
        self.pool = self.network.post("/subnetpools", {"subnetpool": pool}).json()["subnetpool"]["id"]
        self.outside = world.network("172.24.0.0/24", "public", external=True)
        assert self.network.put(f"/networks/{self.outside}", {"network": {"is_default": True}}).status_code == 200
        given = self.mine.get("/auto-allocated-topology/p1")
        assert given.status_code == 200, given.text
        self.inside = given.json()["auto_allocated_topology"]["id"]
        self.flavor, self.image = world.flavor(), world.image()
        self.aggregate = self._aggregate()
        self.type = self.volume.post("/types", {"volume_type": {"name": "fast"}}).json()["volume_type"]["id"]
        self.disk = world.volume(volume_type="fast")
        assert self.me.post("/os-keypairs", {"keypair": {"name": "mine"}}).status_code == 200
        self.group = self.me.post("/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}}).json()["server_group"][
            "id"
        ]
        self.secgroup = self.mine.post("/security-groups", {"security_group": {"name": "web"}}).json()["security_group"]["id"]
        self.server = world.boot(
            imageRef=self.image, networks=[{"uuid": self.inside}], key_name="mine", availability_zone="zone",
            security_groups=[{"name": "web"}],
        )  # fmt: skip
        self.address = self._floating()
        self.service = self.compute.get("/os-services?binary=nova-compute", version=BOOT).json()["services"][0]["id"]
        self.provider = self.placement.get("/resource_providers", version=PLACEMENT).json()["resource_providers"][0]["uuid"]

    def _aggregate(self) -> str:
        body = {"aggregate": {"name": "a", "availability_zone": "zone"}}
        id = str(self.compute.post("/os-aggregates", body).json()["aggregate"]["id"])
        assert self.compute.post(f"/os-aggregates/{id}/action", {"add_host": {"host": "host-1"}}).status_code == 200
        return id

    def _floating(self) -> str:
        port = self.mine.get(f"/ports?device_id={self.server}").json()["ports"][0]["id"]
        body = {"floatingip": {"floating_network_id": self.outside, "port_id": port}}
        return self.mine.post("/floatingips", body).json()["floatingip"]["id"]

    def used(self) -> str:
        """What everybody is told who goes on to use all of it."""
        told = [answer.text for answer in self._answers()]
        self.world.settle(30)
        servers = self.compute.get("/servers/detail?all_tenants=1", version=BOOT).json()["servers"]
        assert {server["status"] for server in servers} <= {"ACTIVE", "ERROR", "VERIFY_RESIZE"}, servers
        volumes = self.volume.get("/volumes/detail?all_tenants=1").json()["volumes"]
        assert {volume["status"] for volume in volumes} <= {"available", "error", "in-use"}, volumes
        told += [message["user_message"] for message in self.my_volumes.get("/messages", version="volume 3.70").json()["messages"]]
        return "\n".join([*told, *(server["fault"]["message"] for server in servers if "fault" in server)])

    def _answers(self) -> t.Iterator[t.Any]:
        body: dict[str, t.Any] = {"name": "s", "imageRef": self.image, "flavorRef": self.flavor, "networks": [{"uuid": self.inside}],
                                  "key_name": "mine", "security_groups": [{"name": "web"}]}  # fmt: skip
        yield self.me.post("/servers", {"server": body})
        yield self.me.post("/servers", {"server": body | {"availability_zone": "zone"}})
        yield self.me.post("/servers", {"server": body, "os:scheduler_hints": {"group": self.group}})
        yield self.me.get("/servers/detail", version=BOOT)
        yield self.me.get(f"/servers/{self.server}")
        yield self.me.post(f"/servers/{self.server}/action", {"rebuild": {"imageRef": self.image}})
        self.world.settle(30)
        yield self.me.post(f"/servers/{self.server}/action", {"resize": {"flavorRef": self.flavor}})
        yield self.me.post(f"/servers/{self.server}/action", {"createImage": {"name": "shot"}})
        yield self.me.post(f"/servers/{self.server}/os-volume_attachments", {"volumeAttachment": {"volumeId": self.disk}})
        yield self.compute.get("/os-hypervisors/detail", version=BOOT)
        yield self.compute.get("/os-services")
        yield self.compute.get("/os-availability-zone/detail")
        yield self.me.get(f"/os-server-groups/{self.group}")
        yield self.my_volumes.post("/volumes", {"volume": {"size": 1}})
        yield self.my_volumes.post("/volumes", {"volume": {"size": 1, "volume_type": "fast"}})
        yield self.my_volumes.post("/volumes", {"volume": {"size": 1, "imageRef": self.image}})
        yield self.my_volumes.get("/volumes/detail")
        yield self.mine.post("/ports", {"port": {"network_id": self.inside, "security_groups": [self.secgroup]}})
        yield self.mine.post("/subnets", {"subnet": {"network_id": self.inside, "ip_version": 4, "use_default_subnetpool": True}})
        yield self.mine.post("/subnets", {"subnet": {"network_id": self.inside, "ip_version": 4, "subnetpool_id": self.pool}})
        yield self.mine.post("/floatingips", {"floatingip": {"floating_network_id": self.outside}})
        yield self.mine.get(f"/floatingips/{self.address}")
        yield self.mine.get("/ports")
        yield self.mine.get("/auto-allocated-topology/p1")
        yield self.placement.get("/allocation_candidates?resources=VCPU:1", version=PLACEMENT)
        yield self.placement.get(f"/allocations/{self.server}", version=PLACEMENT)
        yield self.placement.get(f"/resource_providers/{self.provider}/usages", version=PLACEMENT)


@pytest.fixture
def relied(database_url: str, tmp_path):
    world = World(database_url, str(tmp_path))
    try:
        yield Relied(world)
    finally:
        world.close()


Undo = t.Callable[[Relied], tuple[Caller, str, str, t.Any]]
UNDONE: dict[str, tuple[Undo, int, str]] = {
    "a provider with servers": (lambda r: (r.placement, "DELETE", f"/resource_providers/{r.provider}", None), 409, "has allocations"),
    "a provider's inventory": (lambda r: (r.placement, "DELETE", f"/resource_providers/{r.provider}/inventories", None), 409, "in use"),
    "a server's claim": (lambda r: (r.placement, "DELETE", f"/allocations/{r.server}", None), 204, ""),
    "a host's service": (lambda r: (r.compute, "DELETE", f"/os-services/{r.service}", None), 409, "hosting instances"),
    "an aggregate with hosts": (lambda r: (r.compute, "DELETE", f"/os-aggregates/{r.aggregate}", None), 400, "not empty|has hosts|hosts"),
    "a host of an aggregate": (
        lambda r: (r.compute, "POST", f"/os-aggregates/{r.aggregate}/action", {"remove_host": {"host": "host-1"}}), 409, "zone"),
    "a flavor": (lambda r: (r.compute, "DELETE", f"/flavors/{r.flavor}", None), 202, "Flavor f1 could not be found"),
    "an image": (lambda r: (r.images, "DELETE", f"/images/{r.image}", None), 204, "(?i)image {image} could not be found|{image}"),
    "a server group": (lambda r: (r.me, "DELETE", f"/os-server-groups/{r.group}", None), 204, "(?i)group {group}"),
    "a key pair": (lambda r: (r.me, "DELETE", "/os-keypairs/mine", None), 202, "mine"),
    "a volume type in use": (lambda r: (r.volume, "DELETE", f"/types/{r.type}", None), 400, "in use|volumes present"),
    "the default pool": (lambda r: (r.network, "DELETE", f"/subnetpools/{r.pool}", None), 400, "has existing allocations"),
    "that a pool is the default": (
        lambda r: (r.network, "PUT", f"/subnetpools/{r.pool}", {"subnetpool": {"is_default": False}}), 200, "No default subnetpool found"),
    "that a network is the default": (
        lambda r: (r.network, "PUT", f"/networks/{r.outside}", {"network": {"is_default": False}}), 200, ""),
    "the external network": (lambda r: (r.network, "DELETE", f"/networks/{r.outside}", None), 409, "in use"),
    "that a network is external": (
        lambda r: (r.network, "PUT", f"/networks/{r.outside}", {"network": {"router:external": False}}), 409, "gateway"),
    "a network in use": (lambda r: (r.network, "DELETE", f"/networks/{r.inside}", None), 409, "in use"),
    "a security group in use": (lambda r: (r.network, "DELETE", f"/security-groups/{r.secgroup}", None), 409, "in use"),
    "a server's port": (
        lambda r: (r.network, "DELETE", f"/ports/{r.mine.get(f'/ports?device_id={r.server}').json()['ports'][0]['id']}", None), 204, ""),
    "the agent of a router": (
        lambda r: (r.network, "DELETE", f"/agents/{r.network.get('/agents?agent_type=L3 agent').json()['agents'][0]['id']}", None), 204, ""),
    "a volume host": (
        lambda r: (r.volume, "PUT", "/os-services/disable", {"binary": "cinder-volume", "host": "host-1@cumulet"}), 200, "No valid backend .* host-1 is disabled"),
    "a quota": (lambda r: (r.network, "PUT", "/quotas/p1", {"quota": {"port": 0}}), 200, "Quota exceeded for resources"),
    "a floating IP": (lambda r: (r.network, "DELETE", f"/floatingips/{r.address}", None), 204, "Floating IP {address} could not be found"),
}  # fmt: skip
"""What is undone: how, the answer, and what somebody is told."""


@pytest.mark.parametrize("what", UNDONE)
def test_who_relied_on_it_is_told(relied: Relied, what: str):
    undo, status, told = UNDONE[what]
    caller, method, path, body = undo(relied)
    answer = caller(method, path, body, version=PLACEMENT if caller is relied.placement else BOOT if caller is relied.compute else None)
    assert answer.status_code == status, answer.text
    wanted = told.format(image=relied.image, group=relied.group, address=relied.address)
    assert re.search(wanted, answer.text + relied.used())


def test_a_host_that_is_disabled_is_counted_out(relied: Relied):
    body = {"status": "disabled", "disabled_reason": "being mended"}
    assert relied.compute.put(f"/os-services/{relied.service}", body, version=BOOT).status_code == 200
    assert re.search("No valid host was found. enabled and up rejected 1 of 1", relied.used())


def test_a_host_that_is_forgotten_comes_back_by_itself(relied: Relied):
    """Its servers have gone, so its service may be deleted; the agent is there still."""
    assert relied.me.delete(f"/servers/{relied.server}").status_code == 204
    relied.world.settle()
    assert relied.compute.delete(f"/os-services/{relied.service}", version=BOOT).status_code == 204
    assert "No valid host" in relied.used()
