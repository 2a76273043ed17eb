from __future__ import annotations

from network_calls import fault

from cumulet.network.agents import heard


def test_versions_are_told_to_anybody(cloud):
    anybody = cloud.stranger("/network")
    for path in ("", "/"):
        (version,) = anybody.get(path).json()["versions"]
        assert version == {
            "id": "v2.0",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": "http://cloud/network/v2.0/"}],
        }
    resources = {r["name"]: r["collection"] for r in anybody.get("/v2.0/").json()["resources"]}
    assert resources["network"] == "networks" and resources["subnet"] == "subnets" and resources["port"] == "ports"
    assert anybody.get("/v2.0/networks").status_code == 401


def test_extensions(me):
    listed = me.get("/extensions").json()["extensions"]
    assert {"provider", "external-net", "quotas", "standard-attr-tag", "port-security", "net-mtu"} <= {e["alias"] for e in listed}
    for one in listed:
        assert me.get(f"/extensions/{one['alias']}").json()["extension"] == one
        assert set(one) == {"alias", "name", "description", "updated", "links"}
    assert me.get("/extensions/none").status_code == 404


def test_agents_are_the_hosts_that_report(cloud, me, admin):
    for _ in range(2):
        cloud.transact(lambda tx: heard(tx, "h1", "h2"))
    listed = admin.get("/agents?host=h1").json()["agents"]
    assert {a["agent_type"] for a in listed} == {
        "DHCP agent",
        "L3 agent",
        "Linux bridge agent",
        "Metadata agent",
    } and len(listed) == 4
    (dhcp,) = admin.get("/agents?agent_type=DHCP%20Agent&alive=True&host=h1").json()["agents"]
    assert dhcp["alive"] is True and dhcp["host"] == "h1"
    path = f"/agents/{dhcp['id']}"
    assert admin.put(path, {"agent": {"admin_state_up": False}}).json()["agent"]["admin_state_up"] is False
    assert me.get("/agents").json() == {"agents": []} and me.get(path).status_code == 403
    assert admin.delete(path).status_code == 204
    fault(admin.get(path), 404, "AgentNotFound")


def test_availability_zones(me):
    assert {z["resource"] for z in me.get("/availability_zones").json()["availability_zones"]} == {"network", "router"}
