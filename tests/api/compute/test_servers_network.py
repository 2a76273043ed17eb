"""Addresses and security groups that a running server is given and loses, in the forms of before 2.44."""

from __future__ import annotations

import pytest


@pytest.fixture
def network(world) -> str:
    return world.network()


@pytest.fixture
def id(world, network) -> str:
    return world.boot(networks=[{"uuid": network}])


def act(world, id: str, by=None, version: str | None = None, **body) -> int:
    status = (by or world.me).post(f"/servers/{id}/action", body, version=version).status_code
    world.settle()
    return status


def addresses(world, id: str, kind: str = "fixed") -> list[str]:
    return [one["addr"] for entries in world.show(id)["addresses"].values() for one in entries if one["OS-EXT-IPS:type"] == kind]


def test_a_fixed_ip_is_added_and_removed(world, id, network):
    before = addresses(world, id)
    assert act(world, id, addFixedIp={"networkId": network}) == 202
    (added,) = set(addresses(world, id)) - set(before)
    assert added.startswith("10.0.0.") and len(world.me.get(f"/servers/{id}/os-interface").json()["interfaceAttachments"]) == 1
    assert act(world, id, removeFixedIp={"address": added}) == 202 and addresses(world, id) == before
    assert act(world, id, removeFixedIp={"address": added}) == 400 and act(world, id, addFixedIp={"networkId": "nope"}) == 404
    assert act(world, id, addFixedIp={"networkId": world.network("10.9.0.0/24", "other")}) == 404, "the server is not on it"
    assert act(world, id, version="compute 2.44", addFixedIp={"networkId": network}) == 404
    assert act(world, id, addFixedIp={}) == 400 and act(world, id, addFixedIp={"networkId": network, "x": 1}) == 400
    assert act(world, id, by=world.caller("/compute/v2.1", project="p2"), addFixedIp={"networkId": network}) == 404


def test_a_port_has_only_so_many_addresses(world, id, network):
    for _ in range(4):
        assert act(world, id, addFixedIp={"networkId": network}) == 202
    assert act(world, id, addFixedIp={"networkId": network}) == 400 and len(addresses(world, id)) == 5


def test_a_floating_ip_comes_and_goes(world, id, network):
    net = world.caller("/network/v2.0")
    public = world.network("172.24.4.0/24", "public", external=True)
    router = net.post("/routers", {"router": {"external_gateway_info": {"network_id": public}}}).json()["router"]["id"]
    subnet = net.get(f"/subnets?network_id={network}").json()["subnets"][0]["id"]
    assert net.put(f"/routers/{router}/add_router_interface", {"subnet_id": subnet}).status_code == 200
    floating = net.post("/floatingips", {"floatingip": {"floating_network_id": public}}).json()["floatingip"]["floating_ip_address"]
    (fixed,) = addresses(world, id)
    assert act(world, id, addFloatingIp={"address": floating, "fixed_address": "10.0.0.1"}) == 400
    assert act(world, id, addFloatingIp={"address": "172.24.4.1"}) == 404
    assert act(world, id, addFloatingIp={"address": floating, "fixed_address": fixed}) == 202
    assert addresses(world, id, "floating") == [floating] and world.me.get(f"/servers?ip={fixed}").json()["servers"][0]["id"] == id
    assert act(world, id, removeFloatingIp={"address": floating}) == 202 and addresses(world, id, "floating") == []
    assert act(world, id, removeFloatingIp={"address": floating}) == 409 and act(world, id, removeFloatingIp={"address": "nope"}) == 404
    assert act(world, id, addFloatingIp={"address": floating}) == 202
    assert act(world, id, removeFixedIp={"address": fixed}) == 202 and net.get("/floatingips").json()["floatingips"][0]["port_id"] is None


def test_security_groups(world, id):
    net = world.caller("/network/v2.0")
    group = net.post("/security-groups", {"security_group": {"name": "web"}}).json()["security_group"]["id"]
    names = lambda: [one["name"] for one in world.me.get(f"/servers/{id}/os-security-groups").json()["security_groups"]]
    assert names() == ["default"] and act(world, id, addSecurityGroup={"name": "web"}) == 202
    assert names() == ["default", "web"] and {one["name"] for one in world.show(id)["security_groups"]} == {"default", "web"}
    assert act(world, id, addSecurityGroup={"name": group}) == 202 and names() == ["default", "web"]
    assert act(world, id, removeSecurityGroup={"name": "web"}) == 202 and names() == ["default"]
    assert act(world, id, removeSecurityGroup={"name": "web"}) == 404 and act(world, id, addSecurityGroup={"name": "nope"}) == 404
    assert act(world, id, addSecurityGroup={"name": ""}) == 400 and act(world, id, addSecurityGroup={}) == 400
    lone = world.boot(networks="none", version="compute 2.37")
    assert act(world, lone, addSecurityGroup={"name": "web"}) == 404


def test_a_port_is_plugged_into_a_server_once(world, id, network):
    port = world.caller("/network/v2.0").post("/ports", {"port": {"network_id": network}}).json()["port"]["id"]
    body = {"name": "s", "flavorRef": "f1", "imageRef": world.image(), "networks": [{"port": port}, {"port": port}]}
    answer = world.me.post("/servers", {"server": body})
    assert answer.status_code == 409 and "already has an attached device" in answer.text
    plug = lambda: world.me.post(f"/servers/{id}/os-interface", {"interfaceAttachment": {"port_id": port}}).status_code
    assert plug() == 200
    world.settle()
    assert plug() == 409 and world.me.get(f"/servers/{id}/os-interface/{port}").status_code == 200
