from __future__ import annotations


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


def test_availability_zones(me):
    assert {z["resource"] for z in me.get("/availability_zones").json()["availability_zones"]} == {"network", "router"}


def test_service_providers(me):
    assert me.get("/service-providers").json() == {
        "service_providers": [{"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": True}]
    }
