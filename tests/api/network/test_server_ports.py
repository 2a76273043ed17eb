from __future__ import annotations

import pytest
from network_calls import fault, make

from cumulet import network as service
from cumulet.kernel.errors import Conflict, Forbidden, NotFound


@pytest.fixture
def allocated(cloud, network, subnet) -> str:
    """The id of a port made for server `s1`."""
    return cloud.transact(lambda tx: service.allocate_port(tx, project_id="p1", network_id=network["id"], device_id="s1")).id


def interfaces(cloud, *ids: str):
    return cloud.transact(lambda tx: service.interfaces(tx, ids))


def test_a_servers_port_from_allocation_to_release(cloud, admin, network, allocated):
    port = admin.get(f"/ports/{allocated}").json()["port"]
    assert port["device_id"] == "s1" and port["device_owner"] == "compute:nova" and len(port["security_groups"]) == 1
    cloud.transact(lambda tx: service.bind_port(tx, allocated, "h1", "s1"))
    bound = admin.get(f"/ports/{allocated}").json()["port"]
    assert bound["binding:host_id"] == "h1" and bound["binding:vif_type"] == "bridge" and bound["status"] == "DOWN"
    cloud.transact(lambda tx: service.unbind_port(tx, allocated))
    assert admin.get(f"/ports/{allocated}").json()["port"]["binding:host_id"] == ""
    for _ in range(2):
        cloud.transact(lambda tx: service.release_port(tx, allocated, delete=True))
    assert admin.get(f"/ports/{allocated}").status_code == 404
    with pytest.raises(NotFound, match=f"Port {allocated} could not be found."):
        cloud.transact(lambda tx: service.bind_port(tx, allocated, "h1", "s1"))


def test_a_port_that_was_there_before_is_left_behind(cloud, me, network, subnet):
    port = make(me, "port", network_id=network["id"])
    claim = lambda device: cloud.transact(lambda tx: service.claim_port(tx, port["id"], "p1", device))
    claim("s1")
    for again in ("s1", "s2"):
        with pytest.raises(Conflict, match="Port already has an attached device s1") as refused:
            claim(again)
        assert refused.value.kind == "PortInUse"
    with pytest.raises(NotFound):
        cloud.transact(lambda tx: service.claim_port(tx, port["id"], "p2", "s3"))
    cloud.transact(lambda tx: service.release_port(tx, port["id"], delete=False))
    left = me.get(f"/ports/{port['id']}").json()["port"]
    assert left["device_id"] == left["device_owner"] == "" and left["fixed_ips"] == port["fixed_ips"]
    claim("s2")


def test_what_allocation_may_ask_for(cloud, me, admin, network, subnet):
    allocate = lambda **more: cloud.transact(lambda tx: service.allocate_port(tx, project_id="p1", device_id="s1", **more))
    port = allocate(network_id=network["id"], fixed_ip="10.0.0.50", name="n", security_groups=[])
    seen = me.get(f"/ports/{port.id}").json()["port"]
    assert seen["fixed_ips"][0]["ip_address"] == "10.0.0.50" and seen["name"] == "n" and seen["security_groups"] == []
    with pytest.raises(Conflict):
        allocate(network_id=network["id"], fixed_ip="10.0.0.50")
    with pytest.raises(NotFound):
        allocate(network_id=make(admin, "network")["id"])
    with pytest.raises(Forbidden, match="not allowed to create an interface on external network"):
        allocate(network_id=make(admin, "network", **{"router:external": True})["id"])
    allocate(network_id=make(admin, "network", shared=True, **{"router:external": True})["id"])
    admin.put("/quotas/p1", {"quota": {"port": 3}})
    with pytest.raises(Conflict, match="Quota exceeded for resources"):
        allocate(network_id=network["id"])


def test_interfaces_of_many_servers(cloud, me, admin, network, subnet, allocated):
    external = make(admin, "network", **{"router:external": True})
    make(admin, "subnet", network_id=external["id"], ip_version=4, cidr="172.24.4.0/24", enable_dhcp=False)
    router = make(me, "router", external_gateway_info={"network_id": external["id"]})
    me.put(f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    floating = make(me, "floatingip", floating_network_id=external["id"], port_id=allocated)
    second = cloud.transact(lambda tx: service.allocate_port(tx, project_id="p1", network_id=network["id"], device_id="s1"))
    found = interfaces(cloud, "s1", "s2")
    assert found["s2"] == [] and [i.port_id for i in found["s1"]] == [allocated, second.id]
    first = found["s1"][0]
    assert first.network_name == "n" and first.mtu == 1450 and first.mac.startswith("fa:16:3e:") and first.status == "DOWN"
    (address,) = first.addresses
    assert address.version == 4 and address.subnet_id == subnet["id"] and address.floating == (floating["floating_ip_address"],)
    assert found["s1"][1].addresses[0].floating == ()


def test_metadata_of_a_servers_networks(cloud, me, network):
    make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24", dns_nameservers=["8.8.8.8"])
    make(
        me,
        "subnet",
        network_id=network["id"],
        ip_version=6,
        cidr="fd00::/64",
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    static = make(me, "network", name="static")
    routes = [{"destination": "10.9.0.0/16", "nexthop": "10.1.0.3"}]
    make(me, "subnet", network_id=static["id"], ip_version=4, cidr="10.1.0.0/24", enable_dhcp=False, host_routes=routes)
    for one in (network, static):
        cloud.transact(lambda tx, id=one["id"]: service.allocate_port(tx, project_id="p1", network_id=id, device_id="s1"))
    data = cloud.transact(lambda tx: service.network_data(tx, "s1"))
    assert [link["type"] for link in data["links"]] == ["bridge", "bridge"] and data["links"][0]["mtu"] == 1450
    assert [net["type"] for net in data["networks"]] == ["ipv4_dhcp", "ipv6_slaac", "ipv4"]
    assert [net["link"] for net in data["networks"]] == [data["links"][i]["id"] for i in (0, 0, 1)]
    assert data["services"] == [{"type": "dns", "address": "8.8.8.8"}]
    last = data["networks"][2]
    assert last["netmask"] == "255.255.255.0" and last["ip_address"].startswith("10.1.0.")
    assert last["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.1.0.1"},
                              {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.1.0.3"}]  # fmt: skip


def test_usable_networks_are_own_and_shared_ones(cloud, me, admin, network):
    shared = make(admin, "network", shared=True)
    make(admin, "network", **{"router:external": True})
    found = cloud.transact(lambda tx: service.usable_networks(tx, "p1"))
    assert [row.id for row in found] == [network["id"], shared["id"]]


def test_no_client_makes_a_port_a_servers_or_a_routers(cloud, me, other, admin, network, subnet, allocated):
    """It would be told the server's metadata, or be a way into the networks of the router, whosever they are."""
    theirs = make(other, "network")
    router = make(me, "router")
    devices = {"compute:nova": "s1", "network:router_interface": router["id"], "network:router_gateway": router["id"]}
    free = make(other, "port", network_id=theirs["id"])
    for owner, id in devices.items():
        both = {"device_owner": owner, "device_id": id}
        fault(other.post("/ports", {"port": both | {"network_id": theirs["id"]}}), 409, "DeviceIDNotOwnedByTenant")
        fault(other.put(f"/ports/{free['id']}", {"port": both}), 409, "DeviceIDNotOwnedByTenant")
        for one in both:
            step = make(other, "port", network_id=theirs["id"], **{one: both[one]})
            fault(other.put(f"/ports/{step['id']}", {"port": both}), 409, "DeviceIDNotOwnedByTenant")
    fault(me.put(f"/ports/{allocated}", {"port": {"device_id": "s2"}}), 409, "DeviceIDNotOwnedByTenant")
    assert me.put(f"/ports/{allocated}", {"port": {"name": "n", "device_id": "s1"}}).status_code == 200
    assert other.put(f"/ports/{free['id']}", {"port": {"device_owner": "mine", "device_id": "s1"}}).status_code == 200
    assert [i.port_id for i in interfaces(cloud, "s1")["s1"]] == [allocated]
    assert [link["vif_id"] for link in cloud.transact(lambda tx: service.network_data(tx, "s1"))["links"]] == [allocated]
    assert me.put(f"/ports/{allocated}", {"port": {"device_owner": "", "device_id": ""}}).status_code == 200
    assert admin.put(f"/ports/{allocated}", {"port": {"device_owner": "compute:nova", "device_id": "s1"}}).status_code == 200
