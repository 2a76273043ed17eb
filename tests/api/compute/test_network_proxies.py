"""The network service's things as the compute API shows them until 2.35."""

from __future__ import annotations

import pytest

from cumulet.kernel import services
from cumulet.kernel.testing.cloud import Cloud

NOWHERE = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Cloud(database_url, str(tmp_path), services.load("compute", "network"))
    yield made
    made.close()


def group(me, name: str = "web") -> dict:
    answer = me.post("/os-security-groups", {"security_group": {"name": name, "description": "d"}})
    assert answer.status_code == 200, answer.text
    return answer.json()["security_group"]


def rule(me, parent: str, **fields):
    return me.post("/os-security-group-rules", {"security_group_rule": {"parent_group_id": parent} | fields})


def test_security_groups(cloud, me):
    (default,) = me.get("/os-security-groups").json()["security_groups"]
    assert default["name"] == "default" and default["tenant_id"] == "p1" and all(r["group"]["name"] == "default" for r in default["rules"])
    made = group(me)
    assert made == {"id": made["id"], "name": "web", "description": "d", "tenant_id": "p1", "rules": []}
    path = f"/os-security-groups/{made['id']}"
    changed = me.put(path, {"security_group": {"name": "new", "description": ""}}).json()["security_group"]
    assert (changed["name"], me.get(path).json()["security_group"]) == ("new", changed)
    assert cloud.caller("/compute/v2.1", project="p2").get(path).status_code == 404
    assert me.get("/os-security-groups/7").status_code == 400 and me.get(f"/os-security-groups/{NOWHERE}").status_code == 404
    assert me.get(path, version="compute 2.36").status_code == 404
    assert me.delete(path).status_code == 202 and me.delete(path).status_code == 404
    assert me.delete(f"/os-security-groups/{default['id']}").status_code == 400
    for wrong in (
        {"name": "x" * 256, "description": ""},
        {"name": "x", "description": "x" * 256},
        {"name": "x"},
        {"name": 1, "description": ""},
    ):
        assert me.post("/os-security-groups", {"security_group": wrong}).status_code == 400
    assert (
        cloud.caller("/compute/v2.1", "reader")
        .post("/os-security-groups", {"security_group": {"name": "x", "description": ""}})
        .status_code
        == 403
    )


def test_administrators_list_all_projects_groups(cloud, me):
    group(me)
    admin = cloud.caller("/compute/v2.1", "admin", project="p3")
    assert {g["tenant_id"] for g in admin.get("/os-security-groups").json()["security_groups"]} == {"p3"}
    assert {g["tenant_id"] for g in admin.get("/os-security-groups?all_tenants=true").json()["security_groups"]} == {"p1", "p3"}
    assert len(me.get("/os-security-groups?limit=1&offset=1").json()["security_groups"]) == 1


def test_rules(me):
    one, two = group(me), group(me, "other")
    made = rule(me, one["id"], ip_protocol="tcp", from_port=22, to_port="22", cidr="10.0.0.0/8").json()["security_group_rule"]
    assert made == {
        "id": made["id"], "parent_group_id": one["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22, "group": {},
        "ip_range": {"cidr": "10.0.0.0/8"},
    }  # fmt: skip
    icmp = rule(me, one["id"], ip_protocol="ICMP", from_port=-1, to_port=-1).json()["security_group_rule"]
    assert (icmp["ip_protocol"], icmp["from_port"], icmp["ip_range"]) == ("icmp", -1, {"cidr": "0.0.0.0/0"})
    source = rule(me, one["id"], group_id=two["id"], ip_protocol="tcp", from_port=1, to_port=65535).json()["security_group_rule"]
    assert source["group"] == {"name": "other", "tenant_id": "p1"} and source["ip_range"] == {}
    assert {r["id"] for r in me.get(f"/os-security-groups/{one['id']}").json()["security_group"]["rules"]} == {
        made["id"],
        icmp["id"],
        source["id"],
    }
    path = f"/os-security-group-rules/{made['id']}"
    assert me.delete(path).status_code == 202 and me.delete(path).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"ip_protocol": "nope", "from_port": 1, "to_port": 2}, {"ip_protocol": "tcp", "from_port": 5, "to_port": 2}, {"ip_protocol": "tcp"}, {},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 70000}, {"ip_protocol": "tcp", "from_port": "x", "to_port": 2},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "nope"},
    ],
)  # fmt: skip
def test_a_bad_rule_is_refused(me, wrong):
    parent = group(me)["id"]
    assert rule(me, parent, **wrong).status_code == 400
    assert rule(me, NOWHERE, ip_protocol="tcp", from_port=1, to_port=2).status_code == 404


def test_networks(cloud, me):
    network = cloud.caller("/network/v2.0").post("/networks", {"network": {"name": "n"}}).json()["network"]
    assert me.get("/os-tenant-networks").json() == {"networks": [{"id": network["id"], "label": "n", "cidr": "None"}]}
    shown = me.get(f"/os-networks/{network['id']}").json()["network"]
    assert shown["label"] == "n" and shown["cidr"] is None and "bridge" not in shown
    assert "bridge" in cloud.caller("/compute/v2.1", "admin").get("/os-networks").json()["networks"][0]
    assert cloud.caller("/compute/v2.1", project="p2").get(f"/os-tenant-networks/{network['id']}").status_code == 404
    assert me.get("/os-networks", version="compute 2.36").status_code == 404


def test_floating_ips(cloud, me):
    assert me.get("/os-floating-ip-pools").json() == {"floating_ip_pools": []} and me.post("/os-floating-ips").status_code == 404
    admin = cloud.caller("/network/v2.0", "admin")
    pool = admin.post("/networks", {"network": {"name": "public", "router:external": True}}).json()["network"]["id"]
    admin.post("/subnets", {"subnet": {"network_id": pool, "ip_version": 4, "cidr": "203.0.113.0/30", "enable_dhcp": False}})
    assert me.get("/os-floating-ip-pools").json() == {"floating_ip_pools": [{"name": "public"}]}
    made = me.post("/os-floating-ips", {"pool": "public"}).json()["floating_ip"]
    assert made == {"id": made["id"], "ip": "203.0.113.2", "pool": "public", "fixed_ip": None, "instance_id": None}
    assert me.get("/os-floating-ips").json()["floating_ips"] == [made] == [me.get(f"/os-floating-ips/{made['id']}").json()["floating_ip"]]
    empty = me.post("/os-floating-ips")
    assert empty.status_code == 404 and "No more floating IPs" in empty.json()["itemNotFound"]["message"]
    assert me.post("/os-floating-ips", {"pool": "nope"}).status_code == 404
    assert cloud.caller("/compute/v2.1", project="p2").delete(f"/os-floating-ips/{made['id']}").status_code == 404
    assert me.delete(f"/os-floating-ips/{made['id']}").status_code == 202 and me.delete(f"/os-floating-ips/{made['id']}").status_code == 404
    assert me.get("/os-floating-ips", version="compute 2.36").status_code == 404
