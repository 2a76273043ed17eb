from __future__ import annotations

import pytest
from network_calls import BASE, fault, make, update

PATH = "/auto-allocated-topology/p1"


@pytest.fixture
def pool(admin) -> dict:
    return make(admin, "subnetpool", name="all", prefixes=["10.0.0.0/8"], default_prefixlen=26, is_default=True)


@pytest.fixture
def default(admin, public) -> dict:
    return admin.put(f"/networks/{public['id']}", {"network": {"is_default": True}}).json()["network"]


def test_a_project_gets_its_network_once(cloud, me, other, admin, default, pool):
    made = me.get(PATH).json()["auto_allocated_topology"]
    assert made == {"id": made["id"], "tenant_id": "p1", "project_id": "p1"}
    assert me.get("/auto-allocated-topology/None").json() == {"auto_allocated_topology": made} == admin.get(PATH).json()
    (network,) = me.get("/networks?name=auto_allocated_network").json()["networks"]
    (subnet,), (router,) = me.get("/subnets?project_id=p1").json()["subnets"], me.get("/routers").json()["routers"]
    assert network["id"] == made["id"] and network["admin_state_up"] and network["subnets"] == [subnet["id"]]
    assert (subnet["name"], subnet["subnetpool_id"], subnet["cidr"][-3:]) == ("auto_allocated_subnet_v4", pool["id"], "/26")
    assert router["name"] == "auto_allocated_router" and router["external_gateway_info"]["network_id"] == default["id"]
    assert [p["device_id"] for p in me.get("/ports?device_owner=network:router_interface").json()["ports"]] == [router["id"]]
    assert other.get(PATH).status_code == 403 == cloud.caller(BASE, "reader").delete(PATH).status_code


def test_taking_it_away(me, admin, default, pool):
    network = me.get(PATH).json()["auto_allocated_topology"]["id"]
    port = make(me, "port", network_id=network)
    fault(me.delete(PATH), 409, "NetworkInUse")
    assert len(me.get("/routers").json()["routers"]) == 1, "nothing is taken away by halves"
    me.delete(f"/ports/{port['id']}")
    assert me.delete(PATH).status_code == 204 == me.delete(PATH).status_code
    assert (
        me.get("/routers").json()["routers"] == me.get("/subnets?project_id=p1").json()["subnets"] == me.get("/ports").json()["ports"] == []
    )
    assert me.get(PATH).json()["auto_allocated_topology"]["id"] != network


def test_what_is_gone_is_made_anew(me, default, pool):
    network = me.get(PATH).json()["auto_allocated_topology"]["id"]
    (router,), (subnet,) = me.get("/routers").json()["routers"], me.get("/subnets?project_id=p1").json()["subnets"]
    me.put(f"/routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})
    assert me.delete(f"/routers/{router['id']}").status_code == 204
    assert me.get(PATH).json()["auto_allocated_topology"]["id"] == network
    assert me.delete(f"/networks/{network}").status_code == 204
    assert me.get(PATH).json()["auto_allocated_topology"]["id"] != network


def test_what_was_changed_by_hand_goes_all_the_same(me, default, pool):
    me.get(PATH)
    (router,), (subnet,) = me.get("/routers").json()["routers"], me.get("/subnets?project_id=p1").json()["subnets"]
    me.put(f"/routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})
    assert me.delete(PATH).status_code == 204 and me.get("/routers").json()["routers"] == []
    assert me.get("/networks?project_id=p1").json()["networks"] == []


def test_what_it_takes(me, admin, public):
    dry = lambda: me.get(f"{PATH}?fields=dry-run")
    assert "No default router:external network" in fault(dry(), 409, "AutoAllocationFailure")
    admin.put(f"/networks/{public['id']}", {"network": {"is_default": True}})
    assert fault(me.get(PATH), 409, "AutoAllocationFailure") == "Deployment error: No default subnetpools defined."
    make(admin, "subnetpool", name="all", prefixes=["10.0.0.0/8"], default_prefixlen=26, is_default=True)
    assert dry().json() == {"auto_allocated_topology": {"id": "dry-run=pass", "tenant_id": "p1", "project_id": "p1"}}
    assert [n["id"] for n in me.get("/networks").json()["networks"]] == [public["id"]], "a dry run makes nothing"
    fault(me.get(f"{PATH}?fields=id"), 400, "BadRequest")
    admin.put("/quotas/p1", {"quota": {"router": 0}})
    fault(me.get(PATH), 409, "OverQuota")
    assert len(me.get("/networks").json()["networks"]) == 1 and update(admin, {"id": public["id"]}, name="x").status_code == 404
