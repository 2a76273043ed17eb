from __future__ import annotations

import pytest
from network_calls import fault, make


@pytest.fixture
def pool(me) -> dict:
    return make(me, "subnetpool", name="sp", prefixes=["10.8.0.0/16", "10.9.0.0/16"], default_prefixlen=24)


def cut(caller, network, **values):
    return caller.post("/subnets", {"subnet": {"network_id": network["id"], "ip_version": 4} | values})


def test_prefixes_are_merged_and_lengths_filled_in(pool):
    assert pool["prefixes"] == ["10.8.0.0/15"] and pool["ip_version"] == 4 and pool["default_prefixlen"] == "24"
    assert pool["min_prefixlen"] == "8" and pool["max_prefixlen"] == "32" and pool["is_default"] is False


def test_subnets_are_cut_out_without_overlap(me, network, pool):
    first = cut(me, network, subnetpool_id=pool["id"]).json()["subnet"]
    second = cut(me, network, subnetpool_id=pool["id"], prefixlen="20").json()["subnet"]
    assert first["cidr"] == "10.8.0.0/24" and second["cidr"] == "10.8.16.0/20" and second["subnetpool_id"] == pool["id"]
    fault(cut(me, network, subnetpool_id=pool["id"], cidr="10.8.0.0/25"), 409, "SubnetAllocationError")
    fault(cut(me, network, subnetpool_id=pool["id"], cidr="10.99.0.0/25"), 409, "SubnetAllocationError")
    assert cut(me, network, subnetpool_id=pool["id"], cidr="10.9.7.0/25").json()["subnet"]["cidr"] == "10.9.7.0/25"
    fault(cut(me, network, subnetpool_id=pool["id"], prefixlen=4), 400, "MinPrefixSubnetAllocationError")
    assert cut(me, network, cidr="10.200.0.0/24").status_code == 201
    fault(cut(me, network, subnetpool_id=pool["id"]), 400, "NetworkSubnetPoolAffinityError")
    fault(me.delete(f"/subnetpools/{pool['id']}"), 400, "SubnetPoolDeleteError")
    me.delete(f"/networks/{network['id']}")
    assert me.delete(f"/subnetpools/{pool['id']}").status_code == 204


def test_a_pool_runs_out_and_has_a_quota(me, network):
    small = make(me, "subnetpool", name="s", prefixes=["10.1.0.0/25"], min_prefixlen=26, default_quota=64)
    assert cut(me, network, subnetpool_id=small["id"]).status_code == 201
    fault(cut(me, network, subnetpool_id=small["id"]), 409, "SubnetPoolQuotaExceeded")
    me.put(f"/subnetpools/{small['id']}", {"subnetpool": {"default_quota": None}})
    assert cut(me, network, subnetpool_id=small["id"]).status_code == 201
    fault(cut(me, network, subnetpool_id=small["id"]), 409, "SubnetAllocationError")


def test_the_default_pool(me, other, admin, network):
    fault(cut(me, network, use_default_subnetpool=True), 404, "DefaultSubnetPoolNotFound")
    assert me.post("/subnetpools", {"subnetpool": {"name": "d", "prefixes": ["10.0.0.0/8"], "is_default": True}}).status_code == 403
    default = make(admin, "subnetpool", name="d", prefixes=["10.0.0.0/8"], is_default=True, shared=True, default_prefixlen=26)
    assert cut(me, network, use_default_subnetpool=True).json()["subnet"]["cidr"] == "10.0.0.0/26"
    again = admin.post("/subnetpools", {"subnetpool": {"name": "e", "prefixes": ["10.0.0.0/8"], "is_default": True}})
    assert default["id"] in fault(again, 400, "InvalidInput")
    assert [p["id"] for p in other.get("/subnetpools").json()["subnetpools"]] == [default["id"]]


def test_prefixes_are_added_and_those_unused_removed(me, network, pool):
    path = f"/subnetpools/{pool['id']}"
    cut(me, network, subnetpool_id=pool["id"])
    assert me.put(f"{path}/add_prefixes", {"prefixes": ["10.16.0.0/24"]}).json() == {"prefixes": ["10.8.0.0/15", "10.16.0.0/24"]}
    fault(me.put(f"{path}/remove_prefixes", {"prefixes": ["10.8.0.0/24"]}), 400, "IllegalSubnetPoolPrefixUpdate")
    assert me.put(f"{path}/remove_prefixes", {"prefixes": ["10.9.0.0/16"]}).json() == {"prefixes": ["10.8.0.0/16", "10.16.0.0/24"]}
    fault(me.put(path, {"subnetpool": {"prefixes": ["10.8.0.0/16"]}}), 400, "IllegalSubnetPoolPrefixUpdate")
    assert me.put(path, {"subnetpool": {"prefixes": ["10.0.0.0/8"], "name": "wide"}}).json()["subnetpool"]["prefixes"] == ["10.0.0.0/8"]


@pytest.mark.parametrize(("values", "kind"), [
    ({"prefixes": ["10.0.0.0/8", "fd00::/48"]}, "PrefixVersionMismatch"),
    ({"prefixes": ["x"]}, "InvalidInput"),
    ({"prefixes": []}, "HTTPBadRequest"),
    ({"prefixes": ["10.0.0.0/8"], "min_prefixlen": 26, "max_prefixlen": 25}, "IllegalSubnetPoolPrefixBounds"),
    ({"prefixes": ["10.0.0.0/8"], "max_prefixlen": 64}, "IllegalSubnetPoolPrefixBounds"),
    ({"prefixes": ["10.0.0.0/8"], "default_prefixlen": 4}, "IllegalSubnetPoolPrefixBounds"),
])  # fmt: skip
def test_pools_that_cannot_be(me, values, kind):
    fault(me.post("/subnetpools", {"subnetpool": {"name": "p"} | values}), 400, kind)


def test_pools_are_their_projects(me, other, network, pool):
    theirs = make(other, "network")
    assert other.get(f"/subnetpools/{pool['id']}").status_code == 404
    fault(cut(other, theirs, subnetpool_id=pool["id"]), 404, "SubnetPoolNotFound")


def test_address_scopes(me, other, admin, network):
    scope = make(me, "address_scope", name="as", ip_version=4)
    assert scope["shared"] is False and other.get(f"/address-scopes/{scope['id']}").status_code == 404
    pool = make(me, "subnetpool", name="p", prefixes=["10.0.0.0/8"], address_scope_id=scope["id"])
    cut(me, network, subnetpool_id=pool["id"], prefixlen=24)
    assert me.get(f"/networks/{network['id']}").json()["network"]["ipv4_address_scope"] == scope["id"]
    clash = me.post("/subnetpools", {"subnetpool": {"name": "q", "prefixes": ["10.7.0.0/16"], "address_scope_id": scope["id"]}})
    assert pool["id"] in fault(clash, 409, "AddressScopePrefixConflict")
    second = make(me, "subnetpool", name="r", prefixes=["11.0.0.0/16"], address_scope_id=scope["id"])
    fault(me.put(f"/subnetpools/{second['id']}/add_prefixes", {"prefixes": ["10.7.0.0/16"]}), 409, "AddressScopePrefixConflict")
    six = me.post("/subnetpools", {"subnetpool": {"name": "q", "prefixes": ["fd00::/48"], "address_scope_id": scope["id"]}})
    assert six.status_code == 400
    fault(me.delete(f"/address-scopes/{scope['id']}"), 409, "AddressScopeInUse")
    assert me.put(f"/address-scopes/{scope['id']}", {"address_scope": {"shared": True}}).status_code == 403
    admin.put(f"/address-scopes/{scope['id']}", {"address_scope": {"shared": True}})
    assert [s["id"] for s in other.get("/address-scopes").json()["address_scopes"]] == [scope["id"]]
    assert admin.put(f"/address-scopes/{scope['id']}", {"address_scope": {"shared": False}}).status_code == 400
