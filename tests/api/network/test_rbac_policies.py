from __future__ import annotations

import pytest
from network_calls import BASE, fault, make, plug, update

from cumulet.kernel import ids

THEM, THIRD = ids.new_hex(), ids.new_hex()


@pytest.fixture
def them(cloud):
    return cloud.caller(BASE, project=THEM, user="u2")


@pytest.fixture
def third(cloud):
    return cloud.caller(BASE, project=THIRD, user="u3")


def share(caller, kind: str, thing: dict, to: str = THEM, action: str = "access_as_shared", **values):
    wanted = {"object_type": kind, "object_id": thing["id"], "target_tenant": to, "action": action} | values
    return caller.post("/rbac-policies", {"rbac_policy": wanted})


def unshare(caller, policy: dict):
    return caller.delete(f"/rbac-policies/{policy['id']}")


def retarget(caller, policy: dict, to: str):
    return caller.put(f"/rbac-policies/{policy['id']}", {"rbac_policy": {"target_tenant": to}})


def shared(answer) -> dict:
    assert answer.status_code == 201, answer.text
    return answer.json()["rbac_policy"]


def test_a_network_for_one_other_project(me, them, third, network, subnet):
    path = f"/networks/{network['id']}"
    assert them.get(path).status_code == 404 and network["shared"] is False
    policy = shared(share(me, "network", network))
    assert policy == {
        "id": policy["id"], "project_id": "p1", "tenant_id": "p1", "object_type": "network", "object_id": network["id"],
        "action": "access_as_shared", "target_tenant": THEM, "target_project": THEM,
    }  # fmt: skip
    seen = them.get(path).json()["network"]
    assert seen["shared"] is True and seen["id"] in [n["id"] for n in them.get("/networks?shared=true").json()["networks"]]
    assert me.get(path).json()["network"]["shared"] is False and third.get(path).status_code == 404
    assert them.get(f"/subnets/{subnet['id']}").status_code == 200 and them.get("/subnets?shared=true").json()["subnets"] != []
    port = make(them, "port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}])
    assert them.put(path, {"network": {"name": "mine"}}).status_code == 403 == them.delete(path).status_code
    says = fault(unshare(me, policy), 409, "RbacPolicyInUse")
    assert (
        says == f"RBAC policy on object {network['id']} cannot be removed because other objects depend on it.\nDetails: project_id={THEM}"
    )
    fault(retarget(me, policy, THIRD), 409, "RbacPolicyInUse")
    them.delete(f"/ports/{port['id']}")
    assert retarget(me, policy, THIRD).json()["rbac_policy"]["target_project"] == THIRD
    assert them.get(path).status_code == 404 and third.get(path).status_code == 200
    assert unshare(me, policy).status_code == 204 and third.get(path).status_code == 404


def test_policies_are_their_makers(me, them, admin, network):
    policy = shared(share(me, "network", network))
    path = f"/rbac-policies/{policy['id']}"
    assert me.get("/rbac-policies").json() == {"rbac_policies": [policy]} == admin.get(f"/rbac-policies?target_tenant={THEM}").json()
    assert me.get(path).json() == {"rbac_policy": policy} and me.get("/rbac-policies?object_type=subnetpool").json() == {
        "rbac_policies": []
    }
    assert them.get("/rbac-policies").json() == {"rbac_policies": []}
    fault(them.get(path), 404, "RbacPolicyNotFound")
    assert them.delete(path).status_code == 404
    assert fault(share(me, "network", network), 409, "DuplicateRbacPolicy") == "An RBAC policy already exists with those values."
    assert me.delete(f"/networks/{network['id']}").status_code == 204 and me.get("/rbac-policies").json() == {"rbac_policies": []}


def test_what_is_no_policy(me, them, admin, network):
    fault(share(me, "network", network, "*"), 403, "PolicyNotAuthorized")
    assert "'here' is not a valid target project ID" in fault(share(me, "network", network, "here"), 400, "InvalidInput")
    assert "'router' is not a valid RBAC object type" in fault(share(me, "router", network), 400, "InvalidInput")
    assert "Valid actions: access_as_shared" in fault(
        share(me, "subnetpool", network, action="access_as_external"), 400, "InvalidActionForType"
    )
    fault(share(them, "network", network), 404, "NetworkNotFound")
    fault(share(me, "subnetpool", network), 404, "SubnetPoolNotFound")
    fault(me.post("/rbac-policies", {"rbac_policy": {"object_type": "network"}}), 400, "HTTPBadRequest")
    policy = shared(share(me, "network", network))
    fault(retarget(me, policy, "*"), 403, "PolicyNotAuthorized")
    assert "they do not own" in fault(share(them, "network", network, THIRD), 400, "InvalidInput")
    fault(share(me, "network", network, THIRD, "access_as_external"), 403, "PolicyNotAuthorized")
    admin.put("/quotas/p1", {"quota": {"rbac_policy": 1}})
    fault(share(me, "network", network, THIRD), 409, "OverQuota")


def test_shared_is_a_policy_for_all(me, them, admin):
    network = make(admin, "network", shared=True)
    (policy,) = admin.get(f"/rbac-policies?object_id={network['id']}").json()["rbac_policies"]
    assert (
        network["shared"] is True
        and policy["target_tenant"] == "*"
        and me.get(f"/networks/{network['id']}").json()["network"]["shared"] is True
    )
    port = make(them, "port", network_id=network["id"])
    change = lambda on: admin.put(f"/networks/{network['id']}", {"network": {"shared": on}})
    fault(change(False), 409, "InvalidSharedSetting")
    fault(unshare(admin, policy), 409, "RbacPolicyInUse")
    narrower = shared(share(admin, "network", network))
    assert change(False).json()["network"]["shared"] is False
    assert me.get(f"/networks/{network['id']}").status_code == 404 and them.get(f"/ports/{port['id']}").status_code == 200
    assert change(True).json()["network"]["shared"] is True and change(True).status_code == 200
    assert unshare(admin, narrower).status_code == 204, "all may use it still"


def test_an_external_network_for_one_project(me, them, third, admin):
    network = make(admin, "network", **{"provider:network_type": "flat", "provider:physical_network": "lab"})
    make(admin, "subnet", network_id=network["id"], ip_version=4, cidr="172.30.0.0/24", enable_dhcp=False)
    policy = shared(share(admin, "network", network, action="access_as_external"))
    seen = them.get(f"/networks/{network['id']}").json()["network"]
    assert seen["router:external"] is True and seen["shared"] is False and third.get(f"/networks/{network['id']}").status_code == 404
    router = make(them, "router", external_gateway_info={"network_id": network["id"]})
    assert "routers attached" in fault(unshare(admin, policy), 409, "RbacPolicyInUse")
    fault(third.post("/routers", {"router": {"external_gateway_info": {"network_id": network["id"]}}}), 404, "NetworkNotFound")
    assert update(them, router, external_gateway_info=None).status_code == 200 and unshare(admin, policy).status_code == 204
    assert admin.get(f"/networks/{network['id']}").json()["network"]["router:external"] is False


def test_an_external_network_is_everybodys_unless_said_otherwise(me, admin, public):
    path = f"/networks/{public['id']}"
    (policy,) = admin.get(f"/rbac-policies?object_id={public['id']}").json()["rbac_policies"]
    assert (policy["action"], policy["target_tenant"]) == ("access_as_external", "*")
    assert retarget(admin, policy, THEM).status_code == 200 and me.get(path).status_code == 404
    assert admin.put(path, {"network": {"router:external": True, "name": "p"}}).status_code == 200 and me.get(path).status_code == 404
    assert retarget(admin, policy, "*").status_code == 200 and me.get(path).status_code == 200
    admin.put(path, {"network": {"is_default": True}})
    assert "shared to everyone" in fault(unshare(admin, policy), 409, "RbacPolicyInUse")
    assert admin.put(path, {"network": {"is_default": False, "router:external": False}}).status_code == 200
    assert admin.get("/rbac-policies").json() == {"rbac_policies": []} and me.get(path).status_code == 404


def test_a_security_group_of_another_project(me, them, third, network, subnet):
    group = make(me, "security_group", name="web")
    policy = shared(share(me, "security_group", group))
    seen = them.get(f"/security-groups/{group['id']}").json()["security_group"]
    assert seen["shared"] is True and seen["security_group_rules"] == group["security_group_rules"]
    assert [g["id"] for g in them.get("/security-groups?shared=true").json()["security_groups"]] == [group["id"]]
    assert {r["id"] for r in group["security_group_rules"]} <= {
        r["id"] for r in them.get("/security-group-rules").json()["security_group_rules"]
    }
    assert (
        them.delete(f"/security-groups/{group['id']}").status_code == 403
        and third.get(f"/security-groups/{group['id']}").status_code == 404
    )
    own = make(them, "network")
    port = make(them, "port", network_id=own["id"], security_groups=[group["id"]])
    fault(unshare(me, policy), 409, "RbacPolicyInUse")
    assert them.delete(f"/ports/{port['id']}").status_code == 204 and unshare(me, policy).status_code == 204


def test_pools_and_scopes_of_another_project(me, them, third):
    scope = make(me, "address_scope", name="s", ip_version=4)
    pool = make(me, "subnetpool", name="p", prefixes=["10.0.0.0/8"], min_prefixlen=24, address_scope_id=scope["id"])
    policy = shared(share(me, "subnetpool", pool))
    own = make(them, "network")
    subnet = make(them, "subnet", network_id=own["id"], ip_version=4, subnetpool_id=pool["id"])
    assert (
        them.get(f"/subnetpools/{pool['id']}").json()["subnetpool"]["shared"] is True
        and third.get(f"/subnetpools/{pool['id']}").status_code == 404
    )
    fault(unshare(me, policy), 409, "RbacPolicyInUse")
    assert them.delete(f"/subnets/{subnet['id']}").status_code == 204 and unshare(me, policy).status_code == 204
    policy = shared(share(me, "address_scope", scope))
    theirs = make(them, "subnetpool", name="q", prefixes=["192.168.0.0/16"], min_prefixlen=24, address_scope_id=scope["id"])
    assert them.get(f"/address-scopes/{scope['id']}").json()["address_scope"]["shared"] is True
    fault(unshare(me, policy), 409, "RbacPolicyInUse")
    assert them.delete(f"/subnetpools/{theirs['id']}").status_code == 204 and unshare(me, policy).status_code == 204


def test_a_router_on_a_shared_network_needs_it(me, them, network, subnet):
    policy = shared(share(me, "network", network))
    router = make(them, "router")
    added = plug(them, router, port_id=make(them, "port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}])["id"])
    assert added.status_code == 200
    fault(unshare(me, policy), 409, "RbacPolicyInUse")
