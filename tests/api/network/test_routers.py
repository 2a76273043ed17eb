from __future__ import annotations

import pytest
from network_calls import fault, make, plug, unplug, update


@pytest.fixture
def router(me) -> dict:
    return make(me, "router", name="r")


def another(me, cidr: str, version: int = 4, **values) -> dict:
    net = make(me, "network", name="another")
    return make(me, "subnet", network_id=net["id"], ip_version=version, cidr=cidr, **values)


def test_a_router_from_making_to_deleting(me, other, admin, public):
    made = make(me, "router", name="r", admin_state_up=False, external_gateway_info={"network_id": public["id"]})
    assert made["admin_state_up"] is False and made["status"] == "ACTIVE" and made["routes"] == [] and made["flavor_id"] is None
    info = made["external_gateway_info"]
    assert info["network_id"] == public["id"] and info["enable_snat"] is True
    assert [ip["ip_address"].startswith("172.24.4.") for ip in info["external_fixed_ips"]] == [True]
    assert "ha" not in made and "distributed" not in made
    path = f"/routers/{made['id']}"
    assert me.get(path).json()["router"] == made and made in me.get("/routers?admin_state_up=false").json()["routers"]
    seen = admin.get(path).json()["router"]
    assert seen["ha"] is False and seen["distributed"] is False
    assert other.get(path).status_code == other.delete(path).status_code == update(other, made, name="x").status_code == 404
    assert update(me, made, name="new", admin_state_up=True).json()["router"]["name"] == "new"
    assert me.put(f"{path}/tags/blue").status_code == 201 and me.get("/routers?tags=blue").json()["routers"][0]["tags"] == ["blue"]
    assert me.delete(path).status_code == 204 and me.get(path).status_code == 404
    assert admin.get("/ports?device_owner=network:router_gateway").json()["ports"] == []


def test_the_gateway_port_is_hidden_and_guarded(me, admin, public):
    made = make(me, "router", external_gateway_info={"network_id": public["id"]})
    assert me.get(f"/ports?device_id={made['id']}").json()["ports"] == []
    (port,) = admin.get(f"/ports?device_id={made['id']}&network_id={public['id']}").json()["ports"]
    assert port["device_owner"] == "network:router_gateway" and port["tenant_id"] == "" and port["security_groups"] == []
    fault(admin.delete(f"/ports/{port['id']}"), 409, "ServicePortInUse")


def test_setting_and_unsetting_the_gateway(me, admin, network, router, public):
    gateway = lambda **info: update(me, router, external_gateway_info=info)
    assert gateway(network_id=public["id"]).json()["router"]["external_gateway_info"]["network_id"] == public["id"]
    assert gateway().json()["router"]["external_gateway_info"] is None
    assert update(me, router, external_gateway_info=None).json()["router"]["external_gateway_info"] is None
    assert "is not an external network" in fault(gateway(network_id=network["id"]), 400, "BadRequest")
    fault(gateway(network_id=router["id"]), 404, "NetworkNotFound")
    fault(gateway(network_id=public["id"], enable_snat=False), 403, "PolicyNotAuthorized")
    as_admin = lambda **info: update(admin, router, external_gateway_info={"network_id": public["id"]} | info)
    fixed = as_admin(enable_snat=False, external_fixed_ips=[{"ip_address": "172.24.4.77"}]).json()["router"]["external_gateway_info"]
    assert fixed["enable_snat"] is False and fixed["external_fixed_ips"][0]["ip_address"] == "172.24.4.77"
    kept = as_admin().json()["router"]["external_gateway_info"]
    assert kept["enable_snat"] is True and kept["external_fixed_ips"] == fixed["external_fixed_ips"]
    moved = as_admin(external_fixed_ips=[{"ip_address": "172.24.4.78"}]).json()["router"]["external_gateway_info"]
    assert [ip["ip_address"] for ip in moved["external_fixed_ips"]] == ["172.24.4.78"]
    assert "gateway IP" in fault(as_admin(external_fixed_ips=[{"ip_address": "172.24.4.1"}]), 400, "BadRequest")


def test_interfaces_by_subnet(me, other, network, subnet, router):
    added = plug(me, router, subnet_id=subnet["id"]).json()
    assert added["id"] == router["id"] and added["subnet_id"] == subnet["id"] and added["subnet_ids"] == [subnet["id"]]
    port = me.get(f"/ports/{added['port_id']}").json()["port"]
    assert port["device_id"] == router["id"] and port["device_owner"] == "network:router_interface"
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}] and port["network_id"] == added["network_id"]
    assert "already has a port" in fault(plug(me, router, subnet_id=subnet["id"]), 400, "BadRequest")
    assert fault(me.delete(f"/routers/{router['id']}"), 409, "RouterInUse") == f"Router {router['id']} still has ports"
    fault(me.delete(f"/ports/{port['id']}"), 409, "ServicePortInUse")
    fault(me.delete(f"/subnets/{subnet['id']}"), 409, "SubnetInUse")
    assert unplug(me, router, subnet_id=subnet["id"]).json()["port_id"] == port["id"]
    assert me.get(f"/ports/{port['id']}").status_code == 404
    fault(unplug(me, router, subnet_id=subnet["id"]), 404, "RouterInterfaceNotFoundForSubnet")
    assert plug(other, router, subnet_id=subnet["id"]).status_code == 404
    theirs = make(other, "router", name="theirs")
    fault(plug(other, theirs, subnet_id=subnet["id"]), 404, "SubnetNotFound")


def test_interfaces_by_port(me, network, subnet, router):
    port = make(me, "port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.40"}])
    added = plug(me, router, port_id=port["id"]).json()
    assert added["port_id"] == port["id"] and added["subnet_id"] == subnet["id"]
    assert me.get(f"/ports/{port['id']}").json()["port"]["device_owner"] == "network:router_interface"
    fault(plug(me, make(me, "router"), port_id=port["id"]), 409, "PortInUse")
    wrong = another(me, "10.9.0.0/24")
    fault(unplug(me, router, port_id=port["id"], subnet_id=wrong["id"]), 400, "SubnetMismatchForPort")
    assert unplug(me, router, port_id=port["id"]).status_code == 200 and me.get(f"/ports/{port['id']}").status_code == 404
    fault(unplug(me, router, port_id=port["id"]), 404, "RouterInterfaceNotFound")


def test_what_is_no_interface(me, network, subnet, router):
    assert "Either subnet_id or port_id" in fault(plug(me, router), 400, "BadRequest")
    assert "both" in fault(plug(me, router, subnet_id=subnet["id"], port_id=subnet["id"]), 400, "BadRequest")
    assert "valid UUID" in fault(plug(me, router, subnet_id=7), 400, "BadRequest")
    lone = another(me, "10.9.0.0/24", gateway_ip=None)
    assert "must have a gateway IP" in fault(plug(me, router, subnet_id=lone["id"]), 400, "BadRequest")
    bare = make(me, "port", network_id=network["id"], fixed_ips=[])
    assert "at least one fixed IP" in fault(plug(me, router, port_id=bare["id"]), 400, "BadRequest")


def test_subnets_of_a_router_do_not_overlap(me, admin, router, subnet, public):
    plug(me, router, subnet_id=subnet["id"])
    wider = another(me, "10.0.0.0/16")
    assert "overlaps with cidr 10.0.0.0/24" in fault(plug(me, router, subnet_id=wider["id"]), 400, "BadRequest")
    assert plug(me, router, subnet_id=another(me, "10.1.0.0/24")["id"]).status_code == 200
    same = another(me, "172.24.4.0/25")
    update(me, router, external_gateway_info={"network_id": public["id"]})
    assert "overlaps with cidr 172.24.4.0/24" in fault(plug(me, router, subnet_id=same["id"]), 400, "BadRequest")
    inside = make(me, "router")
    plug(me, inside, subnet_id=same["id"])
    fault(update(me, inside, external_gateway_info={"network_id": public["id"]}), 400, "BadRequest")


def test_ipv6_prefixes_of_a_network_share_a_port(me, router):
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    first = another(me, "fd00:1::/64", 6, **modes)
    second = make(me, "subnet", network_id=first["network_id"], ip_version=6, cidr="fd00:2::/64", **modes)
    one = plug(me, router, subnet_id=first["id"]).json()
    two = plug(me, router, subnet_id=second["id"]).json()
    assert one["port_id"] == two["port_id"]
    addresses = lambda: {ip["ip_address"] for ip in me.get(f"/ports/{one['port_id']}").json()["port"]["fixed_ips"]}
    assert addresses() == {"fd00:1::1", "fd00:2::1"}
    assert unplug(me, router, subnet_id=first["id"]).status_code == 200 and addresses() == {"fd00:2::1"}
    assert unplug(me, router, subnet_id=second["id"]).status_code == 200
    assert me.get(f"/ports/{one['port_id']}").status_code == 404


def test_routes(me, router, subnet, public):
    plug(me, router, subnet_id=subnet["id"])
    way = {"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}
    assert update(me, router, routes=[way | {"destination": "10.50.3.0/16"}, way]).json()["router"]["routes"] == [way]
    assert "not connected" in fault(update(me, router, routes=[way | {"nexthop": "10.7.0.9"}]), 400, "InvalidRoutes")
    assert "used by router" in fault(update(me, router, routes=[way | {"nexthop": "10.0.0.1"}]), 400, "InvalidRoutes")
    for bad in (way | {"destination": "10.50"}, way | {"nexthop": "fd00::1"}, {"nexthop": "10.0.0.9"}):
        fault(update(me, router, routes=[bad]), 400, "HTTPBadRequest")
    fault(unplug(me, router, subnet_id=subnet["id"]), 409, "RouterInterfaceInUseByRoute")
    more = {"destination": "10.60.0.0/16", "nexthop": "10.0.0.9"}
    change = lambda verb, *routes: me.put(f"/routers/{router['id']}/{verb}_extraroutes", {"router": {"routes": routes}})
    assert change("add", more, way).json()["router"]["routes"] == [way, more]
    assert change("remove", way, way | {"nexthop": "10.0.0.8"}).json()["router"]["routes"] == [more]
    fault(change("add", *({"destination": f"10.{n}.0.0/16", "nexthop": "10.0.0.9"} for n in range(100, 131))), 400, "RoutesExhausted")
    assert update(me, router, routes=None).json()["router"]["routes"] == []
    update(me, router, external_gateway_info={"network_id": public["id"]})
    out = update(me, router, routes=[{"destination": "10.70.0.0/16", "nexthop": "172.24.4.200"}])
    assert out.status_code == 200
    fault(update(me, router, external_gateway_info=None), 400, "InvalidRoutes")


def test_refusals(cloud, me, admin, router):
    fault(me.post("/routers", {"router": {"distributed": True}}), 403, "PolicyNotAuthorized")
    fault(me.post("/routers", {"router": {"availability_zone_hints": ["nowhere"]}}), 404, "AvailabilityZoneNotFound")
    fault(admin.post("/routers", {"router": {"ha": True}}), 400, "HTTPBadRequest")
    fault(me.post("/routers", {"router": {"external_gateway_info": {"enable_snat": True}}}), 403, "PolicyNotAuthorized")
    fault(admin.post("/routers", {"router": {"external_gateway_info": {"enable_snat": True}}}), 400, "HTTPBadRequest")
    fault(me.put(f"/routers/{router['id']}", {"router": {"host": "x"}}), 400, "HTTPBadRequest")
    assert cloud.caller("/network/v2.0", "reader").post("/routers", {"router": {}}).status_code == 403
    stale = me.put(f"/routers/{router['id']}", {"router": {"name": "x"}}, headers={"If-Match": "revision_number=7"})
    assert stale.status_code == 412
    admin.put("/quotas/p1", {"quota": {"router": 1}})
    fault(me.post("/routers", {"router": {}}), 409, "OverQuota")
    theirs = admin.post("/routers", {"router": {"project_id": "p9"}}).json()["router"]
    assert theirs["project_id"] == "p9" and me.get(f"/routers/{theirs['id']}").status_code == 404


def test_distributed_is_kept_for_administrators(me, admin):
    made = make(admin, "router", distributed=True, ha=False, project_id="p1")
    assert made["distributed"] is True and "distributed" not in me.get(f"/routers/{made['id']}").json()["router"]
    says = fault(update(admin, made, distributed=False), 400, "BadRequest")
    assert says.startswith("Bad router request: Cannot change the 'distributed' attribute of active routers.")
    assert update(admin, made, distributed=False, admin_state_up=False).json()["router"]["distributed"] is False
    assert make(admin, "router", distributed=None)["distributed"] is False
