"""Hosts brought to what the rows say, over the real bus, with simulated drivers."""

from __future__ import annotations

import asyncio
import dataclasses as dc
import datetime as dt
import functools
import os
import typing as t

import pytest
from network_calls import make, pass_on, plug, update

from cumulet.kernel.bus import Event
from cumulet.kernel.bus.agent import Commands, Ledger
from cumulet.kernel.bus.base import AgentFailed, AgentUnreachable
from cumulet.kernel.bus.local import LocalBus, LocalPort
from cumulet.kernel.recipe import Trouble
from cumulet.kernel.testing.cloud import Cloud
from cumulet.kernel.work import StepFailed
from cumulet.network import bind_port, unbind_port
from cumulet.network.agent import register
from cumulet.network.drivers.base import Applied, HostNetwork
from cumulet.network.drivers.simulated import Recipe, SimulatedDriver
from cumulet.network.hosts import host_event, network_hosts
from cumulet.network.reconcile.hosts import HostNetworks, realize
from cumulet.network.tables import fixed_ips


class Hosts:
    """Hosts of one agent, beside a cloud. `applied` counts the descriptions that each was sent."""

    def __init__(self, cloud: Cloud, root, drivers: dict[str, SimulatedDriver], tunnels: dict[str, str]):
        self.cloud, self.drivers, self.tunnels = cloud, drivers, tunnels
        self.commands = {name: Commands(Ledger(root / f"{name}.generations")) for name in drivers}
        self.owners: dict[str, dict] = {}
        self.applied = dict.fromkeys(drivers, 0)
        self.connected: set[str] = set()
        for name, driver in drivers.items():
            register(self.commands[name], driver, functools.partial(self._told, name))
        self.port = LocalPort(root / "agent.sock", lambda: [self.hello(name) for name in drivers], {os.getuid()})
        cloud.runtime.bus = LocalBus([root / "agent.sock"])
        cloud.runtime.db.on_nudge = cloud.runtime.bus.nudge
        self.reconciler = HostNetworks(cloud.runtime)
        cloud.portal.call(self._open)

    def hello(self, name: str) -> Event:
        return Event(host=name, name="hello", data={"network": {"tunnel_address": self.tunnels.get(name, ""), "kind": "simulated"}})

    def hear(self, event: Event) -> None:
        self.cloud.portal.call(host_event, self.cloud.runtime, event)

    def reconcile(self) -> None:
        self.cloud.portal.call(self.reconciler.run_once)

    def realize(self, host: str, device_id: str | None = None) -> None:
        self.cloud.portal.call(realize, self.cloud.runtime, host, device_id)

    def wanted(self, host: str) -> HostNetwork:
        found = self.drivers[host].wanted
        assert found is not None, f"{host} has no description"
        return found

    async def _open(self) -> None:
        self.up, self.turn = asyncio.Event(), asyncio.Lock()
        self.cloud.runtime.bus.on_event(self._hear)
        await self.port.open(lambda command: self.commands[command.host].handle(command))
        await self.cloud.runtime.bus.open()
        await asyncio.wait_for(self.up.wait(), 10)

    async def _hear(self, event: Event) -> None:
        async with self.turn:  # the first host is the longest known
            await host_event(self.cloud.runtime, event)
        self.connected.add(event.host)
        if self.connected == set(self.drivers):
            self.up.set()

    async def _close(self) -> None:
        await self.cloud.runtime.bus.close()
        await self.port.close()

    def close(self) -> None:
        self.cloud.portal.call(self._close)

    def _told(self, name: str, owners: dict) -> None:
        self.owners[name] = owners
        self.applied[name] += 1


@pytest.fixture
def start(cloud, tmp_path):
    """Start hosts: `start("a", "b", tunnels={...}, b=Recipe(...))`."""
    made: list[Hosts] = []

    def go(*names: str, tunnels: dict[str, str] | None = None, **recipes: Recipe) -> Hosts:
        made.append(Hosts(cloud, tmp_path, {n: SimulatedDriver(recipe=recipes.get(n)) for n in names}, tunnels or {}))
        return made[0]

    yield go
    for hosts in made:
        hosts.close()


@pytest.fixture
def boot(cloud, me, network, subnet):
    """A port on a host, as of a server."""

    def go(host: str, device: str = "s1", **values: t.Any) -> dict:
        port = make(me, "port", network_id=network["id"], **values)
        cloud.transact(lambda tx: bind_port(tx, port["id"], host, device))
        return port

    return go


def status(caller, port: dict) -> str:
    return caller.get(f"/ports/{port['id']}").json()["port"]["status"]


def test_a_port_becomes_active_when_its_host_has_it(me, network, subnet, start, boot):
    hosts = start("a", "b")
    port = boot(
        "a",
        dns_name="www",
        allowed_address_pairs=[{"ip_address": "10.9.0.0/24"}],
        extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": value, "ip_version": version} for value, version in (("1400", 4), ("1300", 6))],
    )
    assert status(me, port) == "DOWN"
    hosts.realize("a")
    assert status(me, port) == "ACTIVE"
    (made,) = hosts.wanted("a").ports
    assert (made.id, made.mac, made.network_id, made.device_id, made.hostname) == (
        port["id"],
        port["mac_address"],
        network["id"],
        "s1",
        "www",
    )
    assert made.fixed_ips[0].address == port["fixed_ips"][0]["ip_address"] and made.port_security and made.up
    assert [(pair.ip, pair.mac) for pair in made.pairs] == [("10.9.0.0/24", port["mac_address"])] and made.dhcp_options == {
        "mtu": "1400",
        "option6:mtu": "1300",
    }
    assert hosts.drivers["b"].wanted is None


def test_dhcp_lives_on_one_host_and_knows_every_port(admin, me, network, subnet, start, boot):
    hosts = start("a", "b")
    port = boot("b", "server-1")
    hosts.reconcile()
    (served,) = hosts.wanted("a").networks
    (plain,) = hosts.wanted("b").networks
    assert served.id == plain.id == network["id"] and plain.dhcp_port is None and plain.leases == () and served.kind == "vxlan"
    assert served.dhcp_port.fixed_ips and [s.cidr for s in served.subnets] == ["10.0.0.0/24"] and served.subnets[0].gateway == "10.0.0.1"
    address = port["fixed_ips"][0]["ip_address"]
    (lease,) = served.leases
    assert (lease.port_id, lease.server_id, lease.hostname) == (port["id"], "server-1", "host-" + address.replace(".", "-"))
    assert hosts.owners["a"] == {network["id"]: {address: "server-1"}} and hosts.owners["b"] == {}
    assert hosts.wanted("a").ports == ()


def test_a_router_with_a_floating_ip(me, admin, public, network, subnet, start, boot):
    hosts = start("a", "b")
    router = make(me, "router", external_gateway_info={"network_id": public["id"]})
    plug(me, router, subnet_id=subnet["id"])
    assert update(me, router, routes=[{"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}]).status_code == 200
    port = boot("b", fixed_ips=[{"ip_address": "10.0.0.50"}])
    floating = make(me, "floatingip", floating_network_id=public["id"], port_id=port["id"])
    hosts.reconcile()
    (made,) = hosts.wanted("a").routers
    assert made.id == router["id"] and made.snat and made.up and made.routes == (("10.50.0.0/16", "10.0.0.9"),)
    assert [(ip.floating, ip.fixed) for ip in made.floating_ips] == [(floating["floating_ip_address"], "10.0.0.50")]
    assert made.gateway.network_id == public["id"] and [leg.fixed_ips[0].address for leg in made.interfaces] == ["10.0.0.1"]
    there = {n.id: n for n in hosts.wanted("a").networks}
    assert there[public["id"]].kind == "flat" and there[public["id"]].physical == "public" and network["id"] in there
    assert hosts.wanted("b").routers == () and [n.id for n in hosts.wanted("b").networks] == [network["id"]]
    shown = lambda: me.get(f"/floatingips/{floating['id']}").json()["floatingip"]["status"]
    assert shown() == "ACTIVE" and me.get(f"/routers/{router['id']}").json()["router"]["availability_zones"] == ["nova"]
    assert {p["status"] for p in admin.get(f"/ports?device_id={router['id']}").json()["ports"]} == {"ACTIVE"}
    pass_on(me, floating, port_id=None)
    assert shown() == "DOWN"
    hosts.reconcile()
    assert shown() == "DOWN" and hosts.wanted("a").routers[0].floating_ips == ()


def test_an_answer_about_a_floating_ip_comes_when_its_host_knows(me, public, network, subnet, start, boot):
    hosts = start("a")
    plug(me, make(me, "router", external_gateway_info={"network_id": public["id"]}), subnet_id=subnet["id"])
    first, second = boot("a", "s1"), boot("a", "s2")
    hosts.reconcile()
    floating = make(me, "floatingip", floating_network_id=public["id"])
    pass_on(me, floating, port_id=first["id"])
    passed = lambda: [ip.fixed for ip in hosts.wanted("a").routers[0].floating_ips]
    assert passed() == [first["fixed_ips"][0]["ip_address"]]
    pass_on(me, floating, port_id=second["id"])
    assert passed() == [second["fixed_ips"][0]["ip_address"]]
    assert me.delete(f"/floatingips/{floating['id']}").status_code == 204
    assert passed() == []


def test_an_answer_about_a_floating_ip_comes_though_its_host_takes_long_or_fails(me, public, subnet, start, boot, monkeypatch):
    monkeypatch.setattr("cumulet.kernel.http.application.SETTLE", 0.2)
    hosts = start("a")
    plug(me, make(me, "router", external_gateway_info={"network_id": public["id"]}), subnet_id=subnet["id"])
    port = boot("a")
    hosts.reconcile()
    floating = make(me, "floatingip", floating_network_id=public["id"])
    hosts.drivers["a"]._recipe = Recipe(calls={"apply": Trouble(latency=3)})
    assert pass_on(me, floating, port_id=port["id"]).json()["floatingip"]["port_id"] == port["id"]
    hosts.drivers["a"]._recipe = Recipe(calls={"apply": Trouble(chance=1)})
    assert pass_on(me, floating, port_id=None).status_code == 200


def test_remote_groups_reach_over_hosts(me, start, boot):
    hosts = start("a", "b")
    web, db = make(me, "security_group", name="web"), make(me, "security_group", name="db")
    rule = {"security_group_id": db["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 5432, "port_range_max": 5432}
    me.post("/security-group-rules", {"security_group_rule": rule | {"remote_group_id": web["id"]}})
    boot("a", security_groups=[db["id"]])
    front = boot("b", security_groups=[web["id"]], allowed_address_pairs=[{"ip_address": "10.8.0.1"}])
    hosts.reconcile()
    groups = {group.id: group for group in hosts.wanted("a").groups}
    assert set(groups) == {web["id"], db["id"]} and groups[web["id"]].rules == () and groups[db["id"]].members == ()
    assert set(groups[web["id"]].members) == {front["fixed_ips"][0]["ip_address"], "10.8.0.1"}
    (wanted,) = (rule for rule in groups[db["id"]].rules if rule.direction == "ingress")
    assert (wanted.protocol, wanted.port_min, wanted.port_max, wanted.remote_group) == ("6", 5432, 5432, web["id"])
    assert hosts.wanted("a").ports[0].groups == (db["id"],) and {g.id for g in hosts.wanted("b").groups} == {web["id"]}


def test_hosts_of_a_network_know_each_other(start, boot):
    hosts = start("a", "b", "c", tunnels={"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"})
    boot("b")
    hosts.reconcile()
    assert hosts.wanted("a").networks[0].peers == ("192.0.2.2",) and hosts.wanted("b").networks[0].peers == ("192.0.2.1",)
    boot("c", "s2")
    hosts.reconcile()
    assert hosts.wanted("b").networks[0].peers == ("192.0.2.1", "192.0.2.3")


def test_what_is_gone_from_the_rows_goes_from_the_host(cloud, me, start, boot):
    hosts = start("a")
    kept, gone = boot("a", "s1"), boot("a", "s2")
    hosts.realize("a")
    cloud.transact(lambda tx: unbind_port(tx, gone["id"]))
    hosts.reconcile()
    assert [port.id for port in hosts.wanted("a").ports] == [kept["id"]] and status(me, gone) == "DOWN"


def test_a_host_that_is_as_it_should_be_is_left_alone(cloud, me, start, boot):
    hosts = start("a", "b")
    port = boot("a")
    hosts.reconcile()
    before, generation = dict(hosts.applied), hosts.wanted("a").generation
    hosts.reconcile()
    hosts.realize("a")
    assert hosts.applied == before and hosts.wanted("a").generation == generation
    assert me.put(f"/ports/{port['id']}", {"port": {"admin_state_up": False}}).status_code == 200
    hosts.reconcile()
    assert hosts.applied == before | {"a": before["a"] + 1} and hosts.wanted("a").generation > generation
    assert hosts.wanted("a").ports[0].up is False and status(me, port) == "DOWN"
    hosts.hear(hosts.hello("a"))
    hosts.reconcile()
    assert hosts.applied["a"] == before["a"] + 2


def test_a_port_that_left_and_came_back_meanwhile_is_active_again(cloud, me, start, boot):
    hosts = start("a")
    port = boot("a")
    hosts.realize("a")
    cloud.transact(lambda tx: unbind_port(tx, port["id"]))
    cloud.transact(lambda tx: bind_port(tx, port["id"], "a", "s1"))
    sent = hosts.applied["a"]
    assert status(me, port) == "DOWN"
    hosts.realize("a")
    assert status(me, port) == "ACTIVE" and hosts.applied["a"] == sent


def test_what_fails_says_why_and_only_to_whom_it_concerns(cloud, me, start, boot):
    hosts = start("a")
    good, bad = boot("a", "s1"), boot("a", "s2")
    hosts.drivers["a"]._recipe = Recipe(failing=frozenset({bad["id"]}))
    hosts.realize("a", "s1")
    with pytest.raises(StepFailed, match=f"{bad['id']}: the recipe lets it fail"):
        hosts.realize("a", "s2")
    with pytest.raises(StepFailed):
        hosts.realize("a")
    assert (status(me, good), status(me, bad)) == ("ACTIVE", "ERROR")
    hosts.drivers["a"]._recipe = Recipe()
    hosts.realize("a")
    assert status(me, bad) == "ACTIVE"


def test_ports_in_a_group_that_fails_show_it(me, start, boot):
    hosts = start("a")
    group = make(me, "security_group", name="g")
    inside, outside = boot("a", "s1", security_groups=[group["id"]]), boot("a", "s2")

    async def apply(wanted: HostNetwork) -> Applied:
        return Applied(generation=wanted.generation, failed={group["id"]: "a rule that the host cannot read"})

    hosts.commands["a"].add("network.apply", apply)
    hosts.realize("a", "s2")
    with pytest.raises(StepFailed, match="a rule that the host cannot read"):
        hosts.realize("a", "s1")
    assert (status(me, inside), status(me, outside)) == ("ERROR", "ACTIVE")


def test_a_router_that_fails_shows_it(me, public, subnet, start):
    hosts = start("a")
    router = make(me, "router")
    plug(me, router, subnet_id=subnet["id"])
    hosts.drivers["a"]._recipe = Recipe(failing=frozenset({router["id"]}))
    hosts.reconcile()
    assert me.get(f"/routers/{router['id']}").json()["router"]["status"] == "ERROR"
    (leg,) = me.get(f"/ports?device_id={router['id']}").json()["ports"]
    assert leg["status"] == "ERROR"


def test_what_fails_keeps_no_change_from_its_host(me, public, subnet, start, boot):
    hosts = start("a")
    router = make(me, "router")
    plug(me, router, subnet_id=subnet["id"])
    hosts.drivers["a"]._recipe = Recipe(failing=frozenset({router["id"]}))
    hosts.reconcile()
    port = boot("a")
    hosts.reconcile()
    assert status(me, port) == "ACTIVE" and me.get(f"/routers/{router['id']}").json()["router"]["status"] == "ERROR"
    hosts.drivers["a"]._recipe = Recipe()
    hosts.reconcile()
    assert me.get(f"/routers/{router['id']}").json()["router"]["status"] == "ACTIVE"


def test_one_slow_and_one_failing_host_hold_up_nobody(cloud, me, start, boot, monkeypatch):
    monkeypatch.setattr("cumulet.network.reconcile.hosts.PATIENCE", 1.0)
    slow, failing = Recipe(calls={"apply": Trouble(latency=3600)}), Recipe(calls={"apply": Trouble(chance=1)})
    hosts = start("slow", "failing", "c", slow=slow, failing=failing)
    boot("slow", "s1")
    boot("failing", "s2")
    port = boot("c", "s3")
    hosts.reconcile()
    assert status(me, port) == "ACTIVE"
    hosts.reconcile()
    assert hosts.applied["failing"] == 1, "a failing host is let be for a while"
    second = boot("c", "s4")
    hosts.reconcile()
    assert status(me, second) == "ACTIVE"
    hosts.drivers["failing"]._recipe = Recipe()
    hosts.hear(hosts.hello("failing"))
    hosts.reconcile()
    assert hosts.wanted("failing").ports != (), "a host that starts anew is tried at once"


def test_many_at_once_cost_few_rounds(cloud, me, admin, network, subnet, start, boot):
    names = [f"h{n}" for n in range(10)]
    hosts = start(*names, **{name: Recipe(calls={"apply": Trouble(latency=0.02)}) for name in names})
    made = [boot(names[n % 10], f"s{n}") for n in range(100)]

    async def all_of_them() -> None:
        await asyncio.gather(*(realize(cloud.runtime, names[n % 10], f"s{n}") for n in range(100)))

    cloud.portal.call(all_of_them)
    found = {port["id"]: port["status"] for port in admin.get(f"/ports?network_id={network['id']}&limit=200").json()["ports"]}
    assert all(found[port["id"]] == "ACTIVE" for port in made)
    assert sum(hosts.applied.values()) <= 20


def test_numbers_only_grow(cloud, me, start, boot):
    hosts = start("a")
    boot("a", "s1")
    hosts.realize("a")
    ahead = hosts.wanted("a").generation + 10**18
    cloud.transact(lambda tx: tx.update(network_hosts, {"host": "a"}, generation=ahead))
    boot("a", "s2")
    hosts.realize("a")
    assert hosts.wanted("a").generation > ahead and len(hosts.wanted("a").ports) == 2


def test_two_processes_do_not_take_each_other_back(cloud, me, network, subnet, start):
    """Each has its own rounds; whoever waited finds its port on the host, and it stays there."""
    hosts = start("a")
    processes = [dc.replace(cloud.runtime, shared={}) for _ in range(3)]
    ports = [make(me, "port", network_id=network["id"]) for _ in range(30)]
    history: list[set[str]] = []
    since: dict[str, int] = {}

    async def apply(wanted: HostNetwork) -> Applied:
        history.append({port.id for port in wanted.ports})
        return await hosts.drivers["a"].apply(wanted)

    async def use(runtime, some: list[dict]) -> None:
        for id in (port["id"] for port in some):
            await runtime.db.write(functools.partial(bind_port, port_id=id, host="a", device_id=id))
            await realize(runtime, "a", id)
            since[id] = len(history) - 1

    async def all_of_them() -> None:
        await asyncio.gather(*(use(processes[n % 3], ports[n::6]) for n in range(6)))

    hosts.commands["a"].add("network.apply", apply)
    cloud.portal.call(all_of_them)
    assert [id for id, first in since.items() if any(id not in there for there in history[first:])] == []
    assert len(since) == 30 and {status(me, port) for port in ports} == {"ACTIVE"}


def test_routers_and_dhcp_move_when_their_host_is_gone(cloud, me, network, subnet, start):
    hosts = start("a", "b")
    router = make(me, "router")
    plug(me, router, subnet_id=subnet["id"])
    hosts.reconcile()
    assert [r.id for r in hosts.wanted("a").routers] == [router["id"]]
    cloud.transact(lambda tx: tx.update(network_hosts, {"host": "a"}, last_seen=dt.datetime(2020, 1, 1)))
    hosts.reconcile()
    assert [r.id for r in hosts.wanted("b").routers] == [router["id"]] and hosts.wanted("b").networks[0].dhcp_port
    hosts.hear(Event(host="a", name="alive", data={"hosts": ["a", "b"]}))
    hosts.reconcile()
    assert hosts.wanted("a").routers == () and hosts.wanted("a").networks == ()


def test_what_an_administrator_takes_from_a_host_goes_from_it(me, admin, network, subnet, start):
    hosts = start("a", "b")
    router = make(me, "router")
    leg = plug(me, router, subnet_id=subnet["id"]).json()
    hosts.reconcile()
    (l3,), (dhcp,) = (admin.get(f"/agents?host=a&agent_type={kind} agent").json()["agents"] for kind in ("L3", "DHCP"))
    assert admin.delete(f"/agents/{l3['id']}/l3-routers/{router['id']}").status_code == 204
    assert admin.delete(f"/agents/{dhcp['id']}/dhcp-networks/{network['id']}").status_code == 204
    hosts.reconcile()
    assert hosts.wanted("a").routers == () and hosts.wanted("a").networks == () and status(me, {"id": leg["port_id"]}) == "DOWN"
    (there,) = admin.get("/agents?host=b&agent_type=L3 agent").json()["agents"]
    assert admin.post(f"/agents/{there['id']}/l3-routers", {"router_id": router["id"]}).status_code == 201
    assert admin.post(f"/agents/{dhcp['id']}/dhcp-networks", {"network_id": network["id"]}).status_code == 201
    hosts.reconcile()
    assert [r.id for r in hosts.wanted("b").routers] == [router["id"]] and hosts.wanted("a").networks[0].dhcp_port
    assert {p["status"] for p in admin.get(f"/ports?network_id={network['id']}").json()["ports"]} == {"ACTIVE"}


def test_a_host_that_is_not_there(cloud, start, boot):
    hosts = start("a")
    boot("nowhere")
    with pytest.raises(AgentUnreachable, match="The agent of host nowhere is not connected"):
        hosts.realize("nowhere")


def test_a_host_counts_what_goes_through_a_port(cloud, start, boot):
    hosts = start("a")
    port = boot("a")
    hosts.realize("a")
    ask = lambda id: cloud.portal.call(cloud.runtime.bus.call, "a", "network.statistics", {"port_id": id})
    assert {"rx_octets", "tx_octets", "rx_packets", "tx_drop"} <= ask(port["id"]).keys()
    with pytest.raises(AgentFailed, match="port nothing has no tap device"):
        ask("nothing")


def test_a_floating_ip_does_not_follow_an_address_to_another_port(cloud, me, public, network, subnet, start, boot):
    hosts = start("a")
    plug(me, make(me, "router", external_gateway_info={"network_id": public["id"]}), subnet_id=subnet["id"])
    port = boot("a", fixed_ips=[{"ip_address": "10.0.0.50"}])
    make(me, "floatingip", floating_network_id=public["id"], port_id=port["id"])
    hosts.reconcile()
    assert len(hosts.wanted("a").routers[0].floating_ips) == 1
    cloud.transact(lambda tx: tx.update(fixed_ips, {"port_id": port["id"]}, address="10.0.0.51"))
    hosts.reconcile()
    assert hosts.wanted("a").routers[0].floating_ips == ()
