"""What there is one of at most, asked for by two at once: one gets it, the other is told so, and nobody meets a 500."""

from __future__ import annotations

import typing as t
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from cumulet.kernel.testing.cloud import Caller
from world import World

TOGETHER = 6


@pytest.fixture
def world(database_url: str, tmp_path):
    made = World(database_url, str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def net(world: World) -> Caller:
    return world.caller("/network/v2.0", "admin")


def at_once(call: t.Callable[[int], t.Any], times: int = TOGETHER) -> Counter[int]:
    """How often each status was the answer to requests sent at once."""
    with ThreadPoolExecutor(times) as clients:
        return Counter(answer.status_code for answer in clients.map(call, range(times)))


def test_the_default_network(net: Caller):
    ids = [net.post("/networks", {"network": {"name": "n", "router:external": True}}).json()["network"]["id"] for _ in range(TOGETHER)]
    said = at_once(lambda i: net.put(f"/networks/{ids[i]}", {"network": {"is_default": True}}))
    assert said == {200: 1, 409: TOGETHER - 1}
    assert len(net.get("/networks?is_default=true").json()["networks"]) == 1


def test_the_default_pool_of_an_ip_version(net: Caller):
    pool = {"name": "p", "prefixes": ["10.0.0.0/16"], "is_default": True}
    assert at_once(lambda _: net.post("/subnetpools", {"subnetpool": pool})) == {201: 1, 400: TOGETHER - 1}
    assert net.post("/subnetpools", {"subnetpool": pool | {"prefixes": ["fd00::/48"]}}).status_code == 201


def test_a_projects_default_security_group(world: World):
    member = world.caller("/network/v2.0", project="fresh")
    network = member.post("/networks", {"network": {"name": "n"}}).json()["network"]["id"]
    assert at_once(lambda _: member.post("/ports", {"port": {"network_id": network}})) == {201: TOGETHER}
    groups = {tuple(port["security_groups"]) for port in member.get(f"/ports?network_id={network}").json()["ports"]}
    assert len(groups) == 1
    assert len(member.get("/security-groups?name=default").json()["security_groups"]) == 1


def test_a_floating_ip_of_an_address(world: World, net: Caller):
    outside, inside = world.network("172.24.0.0/24", "public", external=True), world.network()
    router = net.post("/routers", {"router": {"name": "r", "external_gateway_info": {"network_id": outside}}}).json()["router"]["id"]
    subnet = net.get(f"/subnets?network_id={inside}").json()["subnets"][0]["id"]
    assert net.put(f"/routers/{router}/add_router_interface", {"subnet_id": subnet}).status_code == 200
    port = net.post("/ports", {"port": {"network_id": inside}}).json()["port"]["id"]
    body = {"floatingip": {"floating_network_id": outside, "port_id": port}}
    assert at_once(lambda _: net.post("/floatingips", body)) == {201: 1, 409: TOGETHER - 1}
    assert len(net.get(f"/floatingips?port_id={port}").json()["floatingips"]) == 1


def test_a_volume_on_a_server(world: World):
    server, volume = world.boot(), world.volume()
    path, body = f"/servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}}
    assert at_once(lambda _: world.me.post(path, body)) == {200: 1, 400: TOGETHER - 1}
    world.settle()
    assert world.me.delete(f"{path}/{volume}").status_code == 202


def test_a_port_on_a_server(world: World):
    server, network = world.boot(), world.network("10.1.0.0/24")
    member = world.caller("/network/v2.0")
    port = member.post("/ports", {"port": {"network_id": network}}).json()["port"]["id"]
    path, body = f"/servers/{server}/os-interface", {"interfaceAttachment": {"port_id": port}}
    assert at_once(lambda _: world.me.post(path, body)) == {200: 1, 409: TOGETHER - 1}
    world.settle()
    assert world.me.get(f"{path}/{port}").status_code == 200


def test_a_port_that_its_owner_says_is_free_is_on_the_server_still(world: World):
    server, network = world.boot(), world.network("10.1.0.0/24")
    member = world.caller("/network/v2.0")
    port = member.post("/ports", {"port": {"network_id": network}}).json()["port"]["id"]
    path, body = f"/servers/{server}/os-interface", {"interfaceAttachment": {"port_id": port}}
    assert world.me.post(path, body).status_code == 200
    world.settle()
    assert member.put(f"/ports/{port}", {"port": {"device_id": "", "device_owner": ""}}).status_code == 200
    refused = world.me.post(path, body)
    assert refused.status_code == 409
    assert f"Port {port} is already attached to server {server}." in refused.text
    assert world.me.delete(f"{path}/{port}").status_code == 202
    world.settle()
    assert world.me.post(path, body).status_code == 200
