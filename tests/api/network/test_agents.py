from __future__ import annotations

import datetime as dt

import pytest
from network_calls import fault, make, plug

from cumulet.kernel.bus import Event
from cumulet.network.hosts import homeless, host_event, network_hosts, place

LONG_AGO = dt.datetime(2020, 1, 1)


@pytest.fixture
def hear(cloud):
    """Have hosts say hello, the first of them first."""

    def go(*hosts: str, name: str = "hello") -> None:
        for host in hosts:
            cloud.portal.call(host_event, cloud.runtime, Event(host=host, name=name, data={"network": {}}))

    return go


@pytest.fixture
def settle(cloud):
    """Give what is homeless a place, as every round of a host does."""
    return lambda: cloud.transact(lambda tx: place(tx) if homeless(tx) else None)


@pytest.fixture
def agent(admin):
    """The agent of a kind on a host."""

    def find(kind: str, host: str) -> dict:
        (found,) = admin.get(f"/agents?agent_type={kind}&host={host}").json()["agents"]
        return found

    return find


def die(cloud, host: str) -> None:
    cloud.transact(lambda tx: tx.update(network_hosts, {"host": host}, last_seen=LONG_AGO))


def on(caller, agent: dict, what: str) -> list[str]:
    """What an agent hosts."""
    return [one["id"] for one in caller.get(f"/agents/{agent['id']}/{what}").json()[what.partition("-")[2]]]


def status(admin, port: dict) -> str:
    return admin.get(f"/ports/{port['id']}").json()["port"]["status"]


def test_agents_are_what_hosts_that_report_have(cloud, me, admin, hear, agent):
    for _ in range(2):
        hear("h1", "h2")
    listed = admin.get("/agents?host=h1").json()["agents"]
    assert {a["agent_type"] for a in listed} == {"DHCP agent", "L3 agent", "Linux bridge agent", "Metadata agent"}
    assert len(listed) == 4 and len(admin.get("/agents").json()["agents"]) == 8
    dhcp = agent("dhcp Agent", "h1")
    assert dhcp["alive"] is True and dhcp["binary"] == "cumulet-agent" and dhcp in admin.get("/agents?topic=dhcp_agent").json()["agents"]
    assert admin.get("/agents?alive=false").json()["agents"] == admin.get("/agents?binary=none").json()["agents"] == []
    assert me.get("/agents").json() == {"agents": []} and me.get(f"/agents/{dhcp['id']}").status_code == 403
    die(cloud, "h1")
    (silent,) = admin.get("/agents?alive=false&agent_type=DHCP agent").json()["agents"]
    assert (silent["id"], silent["alive"], silent["heartbeat_timestamp"]) == (dhcp["id"], False, "2020-01-01 00:00:00")
    hear("h1", name="alive")
    assert agent("DHCP agent", "h1")["alive"] is True and agent("DHCP agent", "h1")["started_at"] == dhcp["started_at"]


def test_changing_and_forgetting_agents(cloud, me, admin, hear, agent):
    hear("h1")
    path = f"/agents/{agent('L3 agent', 'h1')['id']}"
    changed = admin.put(path, {"agent": {"admin_state_up": False, "description": "d"}}).json()["agent"]
    assert (changed["admin_state_up"], changed["description"]) == (False, "d")
    assert admin.put(path, {"agent": {"description": None}}).json()["agent"]["description"] == ""
    fault(admin.put(path, {"agent": {"host": "h2"}}), 400, "HTTPBadRequest")
    assert me.delete(path).status_code == me.put(path, {"agent": {}}).status_code == 403
    die(cloud, "h1")
    assert admin.delete(path).status_code == 204
    fault(admin.get(path), 404, "AgentNotFound")
    assert len(admin.get("/agents").json()["agents"]) == 3
    hear("h1", "stranger", name="alive")
    assert {a["host"] for a in admin.get("/agents").json()["agents"]} == {"h1"}
    assert agent("L3 agent", "h1")["admin_state_up"] is True


def test_a_router_moves_from_agent_to_agent(cloud, me, admin, network, subnet, public, hear, settle, agent):
    hear("h1", "h2")
    router = make(me, "router", external_gateway_info={"network_id": public["id"]})
    leg = plug(me, router, subnet_id=subnet["id"]).json()
    one, two = agent("L3 agent", "h1"), agent("L3 agent", "h2")
    hosting = lambda: [a["id"] for a in admin.get(f"/routers/{router['id']}/l3-agents").json()["agents"]]
    give = lambda agent: admin.post(f"/agents/{agent['id']}/l3-routers", {"router_id": router["id"]})
    take = lambda agent: admin.delete(f"/agents/{agent['id']}/l3-routers/{router['id']}")
    assert hosting() == []
    settle()
    assert hosting() == [one["id"]] and on(admin, one, "l3-routers") == [router["id"]] and on(admin, two, "l3-routers") == []
    assert give(one).status_code == 201
    assert (
        fault(give(two), 409, "RouterHostedByL3Agent") == f"The router {router['id']} has been already hosted by the L3 Agent {one['id']}."
    )
    fault(take(two), 409, "RouterNotHostedByL3Agent")
    assert take(one).status_code == 204 and hosting() == [] and status(admin, {"id": leg["port_id"]}) == "DOWN"
    settle()
    assert hosting() == [] and me.get(f"/routers/{router['id']}").json()["router"]["availability_zones"] == []
    answer = give(two)
    assert answer.status_code == 201 and answer.json() is None and hosting() == [two["id"]]
    die(cloud, "h2")
    settle()
    assert hosting() == [one["id"]]


def test_what_takes_no_router(cloud, me, admin, hear, agent, settle):
    hear("h1", "h2")
    router = make(me, "router")
    give = lambda agent: admin.post(f"/agents/{agent['id']}/l3-routers", {"router_id": router["id"]})
    admin.put(f"/agents/{agent('L3 agent', 'h1')['id']}", {"agent": {"admin_state_up": False}})
    for unfit in (agent("DHCP agent", "h1"), agent("L3 agent", "h1")):
        assert fault(give(unfit), 404, "InvalidL3Agent") == f"Agent {unfit['id']} is not a L3 Agent or has been disabled"
    fault(give(router), 404, "AgentNotFound")
    l3 = agent("L3 agent", "h2")
    fault(admin.post(f"/agents/{l3['id']}/l3-routers", {"router_id": l3["id"]}), 404, "RouterNotFound")
    fault(admin.post(f"/agents/{l3['id']}/l3-routers", {"router": router["id"]}), 400, "HTTPBadRequest")
    die(cloud, "h2")
    assert "h2 was last heard of at 2020-01-01" in fault(give(l3), 409, "RouterSchedulingFailed")
    settle()
    assert on(admin, agent("L3 agent", "h1"), "l3-routers") == [], "an agent that is down is given nothing"
    hear("h2")
    settle()
    assert on(admin, l3, "l3-routers") == [router["id"]] and on(admin, agent("DHCP agent", "h2"), "l3-routers") == []
    assert me.get(f"/agents/{l3['id']}/l3-routers").status_code == me.get(f"/routers/{router['id']}/l3-agents").status_code == 403
    assert me.post(f"/agents/{l3['id']}/l3-routers", {"router_id": router["id"]}).status_code == 403


def test_dhcp_moves_from_agent_to_agent(cloud, me, admin, network, subnet, hear, settle, agent):
    hear("h1", "h2")
    one, two = agent("DHCP agent", "h1"), agent("DHCP agent", "h2")
    hosting = lambda: [a["id"] for a in admin.get(f"/networks/{network['id']}/dhcp-agents").json()["agents"]]
    give = lambda agent: admin.post(f"/agents/{agent['id']}/dhcp-networks", {"network_id": network["id"]})
    take = lambda agent: admin.delete(f"/agents/{agent['id']}/dhcp-networks/{network['id']}")
    port = lambda: admin.get(f"/ports?device_owner=network:dhcp&network_id={network['id']}").json()["ports"][0]
    settle()
    before = port()
    assert hosting() == [one["id"]] and on(admin, one, "dhcp-networks") == [network["id"]] and before["binding:host_id"] == "h1"
    says = fault(give(one), 409, "NetworkHostedByDHCPAgent")
    assert says == f"The network {network['id']} has been already hosted by the DHCP Agent {one['id']}."
    answer = give(two)
    assert answer.status_code == 201 and answer.json() is None and hosting() == [two["id"]] and port()["binding:host_id"] == "h2"
    says = fault(take(one), 409, "NetworkNotHostedByDhcpAgent")
    assert says == f"The network {network['id']} is not hosted by the DHCP Agent {one['id']}."
    assert take(two).status_code == 204
    settle()
    assert hosting() == [] and port()["status"] == "DOWN" and port()["fixed_ips"] == before["fixed_ips"]
    assert give(one).status_code == 201 and hosting() == [one["id"]] and port()["id"] == before["id"]


def test_a_network_without_dhcp_can_be_given_to_an_agent(me, admin, network, hear, settle, agent):
    hear("h1")
    dhcp = agent("DHCP agent", "h1")
    assert admin.post(f"/agents/{dhcp['id']}/dhcp-networks", {"network_id": network["id"]}).status_code == 201
    assert on(admin, dhcp, "dhcp-networks") == [network["id"]]
    assert admin.delete(f"/agents/{dhcp['id']}/dhcp-networks/{network['id']}").status_code == 204
    assert on(admin, dhcp, "dhcp-networks") == [] and admin.get("/ports").json()["ports"] == []
    assert me.delete(f"/networks/{network['id']}").status_code == 204


def test_what_takes_no_network(cloud, me, admin, network, hear, agent):
    hear("h1")
    give = lambda agent: admin.post(f"/agents/{agent['id']}/dhcp-networks", {"network_id": network["id"]})
    fault(give(agent("L3 agent", "h1")), 404, "InvalidDHCPAgent")
    dhcp = agent("DHCP agent", "h1")
    admin.put(f"/agents/{dhcp['id']}", {"agent": {"admin_state_up": False}})
    assert fault(give(dhcp), 404, "InvalidDHCPAgent") == f"Agent {dhcp['id']} is not a valid DHCP Agent or has been disabled."
    admin.put(f"/agents/{dhcp['id']}", {"agent": {"admin_state_up": True}})
    die(cloud, "h1")
    assert "h1 was last heard of at 2020-01-01" in fault(give(dhcp), 409, "Conflict")
    fault(admin.post(f"/agents/{dhcp['id']}/dhcp-networks", {"network_id": dhcp["id"]}), 404, "NetworkNotFound")
    assert on(admin, agent("L3 agent", "h1"), "dhcp-networks") == []
    assert me.get(f"/networks/{network['id']}/dhcp-agents").status_code == me.get(f"/agents/{dhcp['id']}/dhcp-networks").status_code == 403
