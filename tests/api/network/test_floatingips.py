from __future__ import annotations

import pytest
from network_calls import fault, make, pass_on, plug, unplug, update


@pytest.fixture
def router(me, public, subnet) -> dict:
    """A router between `public` and `subnet`."""
    made = make(me, "router", external_gateway_info={"network_id": public["id"]})
    plug(me, made, subnet_id=subnet["id"])
    return made


@pytest.fixture
def port(me, network, subnet) -> dict:
    return make(me, "port", network_id=network["id"], name="p", fixed_ips=[{"ip_address": "10.0.0.50"}])


def create(caller, public, **values):
    return caller.post("/floatingips", {"floatingip": {"floating_network_id": public["id"]} | values})


@pytest.fixture
def floating(me, public) -> dict:
    return make(me, "floatingip", floating_network_id=public["id"])


def test_a_floating_ip_from_making_to_deleting(me, other, admin, public, network, router, port):
    made = create(me, public, port_id=port["id"], description="d").json()["floatingip"]
    assert made["port_id"] == port["id"] and made["fixed_ip_address"] == "10.0.0.50" and made["router_id"] == router["id"]
    assert made["floating_ip_address"].startswith("172.24.4.") and made["floating_network_id"] == public["id"]
    assert made["status"] == "DOWN" and made["project_id"] == made["tenant_id"] == "p1" and made["description"] == "d"
    assert made["port_details"] == {name: port[name] for name in made["port_details"]} and made["dns_name"] == "" and "name" not in made
    path = f"/floatingips/{made['id']}"
    assert me.get(path).json()["floatingip"] == made
    assert me.get(f"/floatingips?floating_ip_address={made['floating_ip_address']}").json()["floatingips"] == [made]
    assert me.get(f"/floatingips?port_id={port['id']}").json()["floatingips"] == [made]
    assert other.get("/floatingips").json()["floatingips"] == [] and other.get(path).status_code == other.delete(path).status_code == 404
    holders = "/ports?device_owner=network:floatingip"
    (held,) = admin.get(holders).json()["ports"]
    assert held["device_id"] == made["id"] and held["status"] == "N/A" and me.get(holders).json()["ports"] == []
    fault(admin.delete(f"/ports/{held['id']}"), 409, "ServicePortInUse")
    assert me.delete(path).status_code == 204 and me.get(path).status_code == 404 and admin.get(holders).json()["ports"] == []


def test_moving_and_leaving(me, network, router, port, floating):
    second = make(me, "port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.60"}, {"ip_address": "10.0.0.61"}])
    assert floating["port_id"] is floating["fixed_ip_address"] is floating["router_id"] is floating["port_details"] is None
    assert pass_on(me, floating, port_id=port["id"]).json()["floatingip"]["fixed_ip_address"] == "10.0.0.50"
    assert "multiple fixed IPv4 addresses" in fault(pass_on(me, floating, port_id=second["id"]), 400, "BadRequest")
    for address in ("10.0.0.60", "10.0.0.61"):
        moved = pass_on(me, floating, port_id=second["id"], fixed_ip_address=address).json()["floatingip"]
        assert (moved["port_id"], moved["fixed_ip_address"]) == (second["id"], address)
    described = pass_on(me, floating, description="still there").json()["floatingip"]
    assert described["fixed_ip_address"] == "10.0.0.61" and described["description"] == "still there"
    left = pass_on(me, floating, port_id=None).json()["floatingip"]
    assert left["port_id"] is left["fixed_ip_address"] is left["router_id"] is None and left["status"] == "DOWN"


def test_a_port_that_goes_leaves_its_floating_ip(me, router, port, floating):
    pass_on(me, floating, port_id=port["id"])
    assert me.delete(f"/ports/{port['id']}").status_code == 204
    left = me.get(f"/floatingips/{floating['id']}").json()["floatingip"]
    assert left["port_id"] is left["fixed_ip_address"] is left["router_id"] is left["port_details"] is None


def test_an_address_stays_while_a_floating_ip_leads_to_it(me, network, subnet, router, port, floating):
    pass_on(me, floating, port_id=port["id"])
    path, held = f"/ports/{port['id']}", {"subnet_id": subnet["id"], "ip_address": "10.0.0.50"}
    says = fault(me.put(path, {"port": {"fixed_ips": [{"ip_address": "10.0.0.51"}]}}), 400, "BadRequest")
    assert says == (
        f"Bad port request: Cannot update the fixed_ips of the port {port['id']}, because its original fixed_ip has been associated "
        "to a floating ip."
    )
    assert me.get(path).json()["port"]["fixed_ips"] == [held]
    assert me.put(path, {"port": {"fixed_ips": [held, {"ip_address": "10.0.0.51"}]}}).status_code == 200
    pass_on(me, floating, port_id=None)
    assert me.put(path, {"port": {"fixed_ips": [{"ip_address": "10.0.0.52"}]}}).status_code == 200


def test_an_external_network_goes_with_the_floating_ips_that_nobody_uses(me, admin, router, port, public, floating):
    used = create(me, public, port_id=port["id"]).json()["floatingip"]
    fault(admin.delete(f"/networks/{public['id']}"), 409, "NetworkInUse")
    assert me.get(f"/floatingips/{floating['id']}").status_code == 200
    me.delete(f"/floatingips/{used['id']}")
    assert update(me, router, external_gateway_info=None).status_code == 200
    assert admin.delete(f"/networks/{public['id']}").status_code == 204
    assert me.get("/floatingips").json()["floatingips"] == [] == admin.get("/ports?device_owner=network:floatingip").json()["ports"]


def test_one_floating_ip_of_a_network_for_one_address(me, public, router, port, floating):
    pass_on(me, floating, port_id=port["id"])
    assert pass_on(me, floating, port_id=port["id"]).status_code == 200
    assert "already has a floating IP" in fault(create(me, public, port_id=port["id"]), 409, "FloatingIPPortAlreadyAssociated")
    assert len(me.get("/floatingips").json()["floatingips"]) == 1


def test_no_way_from_the_external_network(me, other, public, network, subnet, port, floating):
    says = fault(create(me, public, port_id=port["id"]), 404, "ExternalGatewayForFloatingIPNotFound")
    assert public["id"] in says and subnet["id"] in says and port["id"] in says
    plug(me, make(me, "router"), subnet_id=subnet["id"])
    fault(pass_on(me, floating, port_id=port["id"]), 404, "ExternalGatewayForFloatingIPNotFound")
    assert "not a valid external network" in fault(create(me, network), 400, "BadRequest")
    fault(create(other, network), 404, "NetworkNotFound")


def test_what_a_floating_ip_is_not_passed_on_to(me, other, router, network, port, floating):
    assert "without a port_id" in fault(pass_on(me, floating, fixed_ip_address="10.0.0.50"), 400, "BadRequest")
    assert "does not have fixed ip 10.0.0.51" in fault(
        pass_on(me, floating, port_id=port["id"], fixed_ip_address="10.0.0.51"), 400, "BadRequest"
    )
    assert "not an IPv4 address" in fault(pass_on(me, floating, port_id=port["id"], fixed_ip_address="fd00::1"), 400, "BadRequest")
    fault(pass_on(me, floating, port_id=port["id"], fixed_ip_address="here"), 400, "HTTPBadRequest")
    bare = make(me, "port", network_id=network["id"], fixed_ips=[])
    assert "no fixed IPv4 addresses" in fault(pass_on(me, floating, port_id=bare["id"]), 400, "BadRequest")
    leg = me.get(f"/ports?device_id={router['id']}").json()["ports"][0]
    assert "unable to be assigned" in fault(pass_on(me, floating, port_id=leg["id"]), 400, "BadRequest")
    fault(pass_on(me, floating, port_id=router["id"]), 404, "PortNotFound")
    mine = make(other, "floatingip", floating_network_id=floating["floating_network_id"])
    fault(pass_on(other, mine, port_id=port["id"]), 404, "PortNotFound")


def test_a_router_stays_while_floating_ips_need_it(me, router, subnet, port, floating):
    pass_on(me, floating, port_id=port["id"])
    fault(unplug(me, router, subnet_id=subnet["id"]), 409, "RouterInterfaceInUseByFloatingIP")
    fault(update(me, router, external_gateway_info=None), 409, "RouterExternalGatewayInUseByFloatingIp")
    pass_on(me, floating, port_id=None)
    assert update(me, router, external_gateway_info=None).status_code == 200
    assert unplug(me, router, subnet_id=subnet["id"]).status_code == 200


def test_another_router(me, public, router, port, floating):
    pass_on(me, floating, port_id=port["id"])
    net = make(me, "network")
    part = make(me, "subnet", network_id=net["id"], ip_version=4, cidr="10.0.9.0/24")
    second = make(me, "router", external_gateway_info={"network_id": public["id"]})
    plug(me, second, subnet_id=part["id"])
    there = make(me, "port", network_id=net["id"])
    moved = pass_on(me, floating, port_id=there["id"]).json()["floatingip"]
    assert moved["router_id"] == second["id"] and moved["port_id"] == there["id"]


def test_choosing_the_address(cloud, me, admin, public):
    fault(create(me, public, floating_ip_address="172.24.4.99"), 403, "PolicyNotAuthorized")
    made = create(cloud.caller("/network/v2.0", "manager", "member", "reader"), public, floating_ip_address="172.24.4.99")
    assert made.json()["floatingip"]["floating_ip_address"] == "172.24.4.99"
    fault(create(admin, public, floating_ip_address="172.24.4.99"), 409, "IpAddressAlreadyAllocated")
    assert create(admin, public, floating_ip_address="10.0.0.1").status_code == 400
    (part,) = admin.get(f"/networks/{public['id']}").json()["network"]["subnets"]
    assert create(me, public, subnet_id=part).status_code == 201
    assert create(me, public, subnet_id=public["id"]).status_code == 400
    theirs = create(admin, public, project_id="p1").json()["floatingip"]
    assert me.get(f"/floatingips/{theirs['id']}").status_code == 200


def test_quota(me, admin, public, floating):
    admin.put("/quotas/p1", {"quota": {"floatingip": 1}})
    fault(create(me, public), 409, "OverQuota")
    assert me.delete(f"/floatingips/{floating['id']}").status_code == 204 and create(me, public).status_code == 201
