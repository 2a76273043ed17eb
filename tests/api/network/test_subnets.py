from __future__ import annotations

import pytest
from network_calls import fault, make


def create(caller, network, **values):
    body = {"network_id": network["id"], "ip_version": 4} | values
    return caller.post("/subnets", {"subnet": body})


def test_a_subnet_with_what_it_gets_by_default(me, network, subnet):
    assert subnet["gateway_ip"] == "10.0.0.1" and subnet["enable_dhcp"] is True and subnet["cidr"] == "10.0.0.0/24"
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert subnet["dns_nameservers"] == subnet["host_routes"] == subnet["service_types"] == []
    assert subnet["tenant_id"] == "p1" and subnet["subnetpool_id"] is None and subnet["ipv6_ra_mode"] is None
    assert me.get(f"/networks/{network['id']}").json()["network"]["subnets"] == [subnet["id"]]
    assert me.get(f"/subnets/{subnet['id']}").json()["subnet"] == subnet
    assert [s["id"] for s in me.get("/subnets?cidr=10.0.0.0/24&ip_version=4&enable_dhcp=true").json()["subnets"]] == [subnet["id"]]


def test_gateways(me, network):
    assert make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.1.0.0/24", gateway_ip=None)["gateway_ip"] is None
    middle = make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.2.0.0/24", gateway_ip="10.2.0.9")
    assert middle["allocation_pools"] == [
        {"start": "10.2.0.1", "end": "10.2.0.8"},
        {"start": "10.2.0.10", "end": "10.2.0.254"},
    ]
    assert create(me, network, cidr="10.3.0.0/24", gateway_ip="10.3.0.255").status_code == 400
    assert create(me, network, cidr="10.3.0.0/24", gateway_ip="fd00::1").status_code == 400
    pool = [{"start": "10.3.0.1", "end": "10.3.0.8"}]
    refused = create(me, network, cidr="10.3.0.0/24", gateway_ip="10.3.0.5", allocation_pools=pool)
    assert (
        fault(refused, 409, "GatewayConflictWithAllocationPools") == "Gateway ip 10.3.0.5 conflicts with allocation pool 10.3.0.1-10.3.0.8."
    )


def test_host_bits_are_dropped_and_short_forms_kept(me, network):
    made = make(me, "subnet", network_id=network["id"], ip_version="6", cidr="2001:DB8:0:0:0:0:0:7/64",
                dns_nameservers=["2001:4860:4860:0:0:0:0:8888"],
                host_routes=[{"destination": "2001:0::/64", "nexthop": "2003:0:0::1"}])  # fmt: skip
    assert made["cidr"] == "2001:db8::/64" and made["gateway_ip"] == "2001:db8::1"
    assert made["dns_nameservers"] == ["2001:4860:4860::8888"] and made["host_routes"] == [
        {"destination": "2001::/64", "nexthop": "2003::1"}
    ]


@pytest.mark.parametrize("values", [
    {"cidr": "10.0.0/24"}, {"cidr": "10.0.0.0"}, {"cidr": "fd00::/64"}, {"cidr": "0.0.0.0/0"}, {"cidr": "224.0.0.0/24"},
    {"cidr": None}, {}, {"cidr": "10.1.0.0/24", "ip_version": 5}, {"cidr": "10.1.0.0/24", "dns_nameservers": ["one"]},
    {"cidr": "10.1.0.0/24", "dns_nameservers": ["8.8.8.8", "8.8.8.8"]}, {"cidr": "10.1.0.0/24", "dns_nameservers": ["fd00::8"]},
    {"ip_version": 6, "cidr": "fd00::/64", "dns_nameservers": ["8.8.8.8"]},
    {"cidr": "10.1.0.0/24", "ipv6_ra_mode": "slaac"},
    {"cidr": "10.1.0.0/24", "host_routes": [{"destination": "10.2.0.0/24"}]}, {"cidr": "10.1.0.0/24", "prefixlen": 26},
    {"cidr": "10.1.0.0/24", "host_routes": [{"destination": "10.2.0.0/24", "nexthop": "fd00::1"}]},
    {"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.1.1", "end": "10.1.1.9"}]},
    {"ip_version": 6, "cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
    {"ip_version": 6, "cidr": "fd00::/80", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"},
    {"ip_version": 6, "cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "enable_dhcp": False},
])  # fmt: skip
def test_what_cannot_be_is_refused(me, network, values):
    assert create(me, network, **values).status_code == 400


def test_subnets_of_a_network_do_not_overlap(me, network, subnet):
    message = fault(create(me, network, cidr="10.0.0.128/25"), 400, "InvalidInput")
    assert "10.0.0.128/25" in message and "overlaps with another subnet" in message
    assert create(me, make(me, "network"), cidr="10.0.0.0/24").status_code == 201


def test_change(me, subnet):
    path = f"/subnets/{subnet['id']}"
    changed = me.put(path, {"subnet": {"name": "s", "dns_nameservers": ["8.8.8.8"], "gateway_ip": "10.0.0.1"}}).json()["subnet"]
    assert changed["name"] == "s" and changed["dns_nameservers"] == ["8.8.8.8"] and changed["revision_number"] > subnet["revision_number"]
    fault(me.put(path, {"subnet": {"gateway_ip": "10.0.0.7"}}), 409, "GatewayConflictWithAllocationPools")
    pool = [{"start": "10.0.0.20", "end": "10.0.0.30"}]
    changed = me.put(path, {"subnet": {"gateway_ip": "10.0.0.7", "allocation_pools": pool}}).json()["subnet"]
    assert changed["gateway_ip"] == "10.0.0.7" and changed["allocation_pools"] == pool
    assert me.put(path, {"subnet": {"gateway_ip": None}}).json()["subnet"]["gateway_ip"] is None
    assert me.put(path, {"subnet": {"cidr": "10.0.0.0/23"}}).status_code == 400


def dhcp_ports(caller, network) -> list[dict]:
    return caller.get(f"/ports?network_id={network['id']}&device_owner=network:dhcp").json()["ports"]


def test_dhcp_has_one_port_with_an_address_of_every_subnet_it_serves(me, network, subnet):
    (port,) = dhcp_ports(me, network)
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.2"}] and port["device_id"].startswith("dhcp")
    second = make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.1.0.0/24")
    (same,) = dhcp_ports(me, network)
    assert same["id"] == port["id"] and [ip["subnet_id"] for ip in same["fixed_ips"]] == [subnet["id"], second["id"]]
    me.put(f"/subnets/{second['id']}", {"subnet": {"enable_dhcp": False}})
    assert dhcp_ports(me, network)[0]["fixed_ips"] == port["fixed_ips"]
    assert me.delete(f"/subnets/{subnet['id']}").status_code == 204
    assert dhcp_ports(me, network) == []
    me.put(f"/subnets/{second['id']}", {"subnet": {"enable_dhcp": True}})
    assert len(dhcp_ports(me, network)) == 1


@pytest.mark.parametrize(("version", "cidr"), [(4, "10.9.0.1/32"), (4, "10.9.0.0/31"), (6, "fd00::/127")])
def test_a_subnet_without_room_for_dhcp_is_made_without(me, network, version, cidr):
    assert "incompatible with DHCP" in fault(create(me, network, ip_version=version, cidr=cidr), 400, "InvalidInput")
    made = create(me, network, ip_version=version, cidr=cidr, enable_dhcp=False)
    assert made.status_code == 201
    fault(me.put(f"/subnets/{made.json()['subnet']['id']}", {"subnet": {"enable_dhcp": True}}), 400, "InvalidInput")


def test_a_subnet_whose_pools_have_no_address_for_dhcp_is_made_all_the_same(me, network):
    assert create(me, network, cidr="10.9.0.0/30", allocation_pools=[]).status_code == 201
    assert create(me, network, cidr="10.9.0.8/30", enable_dhcp=False, gateway_ip=None).status_code == 201


def test_a_subnet_with_addresses_in_use_stays(me, network, subnet):
    port = make(me, "port", network_id=network["id"])
    assert "One or more ports have an IP allocation" in fault(me.delete(f"/subnets/{subnet['id']}"), 409, "SubnetInUse")
    me.delete(f"/ports/{port['id']}")
    assert me.delete(f"/subnets/{subnet['id']}").status_code == 204
    fault(me.get(f"/subnets/{subnet['id']}"), 404, "SubnetNotFound")


def test_automatic_addresses_come_and_go_with_their_subnet(me, network):
    port = make(me, "port", network_id=network["id"], mac_address="fa:16:3e:00:00:01")
    assert port["fixed_ips"] == []
    auto = make(
        me,
        "subnet",
        network_id=network["id"],
        ip_version=6,
        cidr="fd00::/64",
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    path = f"/ports/{port['id']}"
    assert me.get(path).json()["port"]["fixed_ips"] == [{"subnet_id": auto["id"], "ip_address": "fd00::f816:3eff:fe00:1"}]
    assert me.delete(f"/subnets/{auto['id']}").status_code == 204
    assert me.get(path).json()["port"]["fixed_ips"] == []


def test_whose_network_it_is_decides(me, other, admin, network, subnet):
    assert create(other, network, cidr="10.5.0.0/24").status_code == 404
    assert other.get(f"/subnets/{subnet['id']}").status_code == 404
    shared = make(admin, "network", shared=True)
    assert create(me, shared, cidr="10.5.0.0/24").status_code == 403
    public = make(admin, "subnet", network_id=shared["id"], ip_version=4, cidr="10.5.0.0/24")
    assert me.get(f"/subnets/{public['id']}").json()["subnet"]["cidr"] == "10.5.0.0/24"
    assert me.put(f"/subnets/{public['id']}", {"subnet": {"name": "mine"}}).status_code == 403
    assert me.delete(f"/subnets/{public['id']}").status_code == 403
    assert create(me, {"id": "none"}, cidr="10.5.0.0/24").status_code == 404


def test_many_at_once(me, network):
    bodies = [{"network_id": network["id"], "ip_version": 4, "cidr": f"10.{i}.0.0/24"} for i in range(3)]
    assert len(me.post("/subnets", {"subnets": bodies}).json()["subnets"]) == 3
    assert me.post("/subnets", {"subnets": [{**bodies[0], "cidr": "10.7.0.0/24"}, bodies[1]]}).status_code == 400
    assert len(me.get("/subnets").json()["subnets"]) == 3


def test_ipv6_needs_what_its_links_carry_at_least(me):
    small = make(me, "network", mtu=1279)
    assert create(me, small, cidr="10.0.0.0/24").status_code == 201
    says = fault(create(me, small, ip_version=6, cidr="fd00::/64"), 409, "NetworkMTUSubnetConflict")
    assert says == f"MTU of {small['id']} is not valid, subnet requires a minimum of 1280 bytes."
    assert me.put(f"/networks/{small['id']}", {"network": {"mtu": 1280}}).status_code == 200
    assert create(me, small, ip_version=6, cidr="fd00::/64").status_code == 201
    fault(me.put(f"/networks/{small['id']}", {"network": {"mtu": 1279}}), 409, "NetworkMTUSubnetConflict")
