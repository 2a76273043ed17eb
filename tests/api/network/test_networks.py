from __future__ import annotations

import uuid

import pytest
from network_calls import fault, make


def test_a_network_as_its_project_and_as_an_administrator_see_it(me, admin, network):
    assert network["status"] == "ACTIVE" and network["mtu"] == 1450 and network["tenant_id"] == network["project_id"] == "p1"
    assert network["router:external"] is False and network["shared"] is False and network["subnets"] == []
    assert "provider:network_type" not in network
    seen = admin.get(f"/networks/{network['id']}").json()["network"]
    assert seen["provider:network_type"] == "vxlan" and 1 <= seen["provider:segmentation_id"] < 2**24


def test_many_are_made_at_once_or_none(me):
    made = me.post("/networks", {"networks": [{"name": "a"}, {"name": "b"}]})
    assert made.status_code == 201 and [n["name"] for n in made.json()["networks"]] == ["a", "b"]
    refused = me.post("/networks", {"networks": [{"name": "c"}, {"name": "d", "mtu": 9000}]})
    assert "Requested MTU is too big, maximum is 1450" in fault(refused, 400, "InvalidInput")
    assert sorted(n["name"] for n in me.get("/networks").json()["networks"]) == ["a", "b"]


def test_change_and_delete(me, network):
    path = f"/networks/{network['id']}"
    changed = me.put(path, {"network": {"name": "ünï 名", "description": "d"}}).json()["network"]
    assert changed["name"] == "ünï 名" and changed["description"] == "d" and changed["mtu"] == 1450
    assert changed["revision_number"] > network["revision_number"]
    assert me.delete(path).status_code == 204
    assert fault(me.get(path), 404, "NetworkNotFound") == f"Network {network['id']} could not be found."


def test_a_change_may_be_bound_to_a_revision(me, network):
    path, now = f"/networks/{network['id']}", network["revision_number"]
    stale = me.put(path, {"network": {"name": "x"}}, headers={"If-Match": f"revision_number={now + 5}"})
    assert fault(stale, 412, "RevisionNumberConstraintFailed") == f"Constrained to {now + 5}, but current revision is {now}"
    assert me.put(path, {"network": {"name": "x"}}, headers={"If-Match": f"revision_number={now}"}).status_code == 200
    assert me.delete(path, headers={"If-Match": f"revision_number={now}"}).status_code == 412


@pytest.mark.parametrize(("body", "message"), [
    ({"network": {"nme": "x"}}, "Unrecognized attribute(s) 'nme'"),
    ({"network": {"name": 5}}, "Invalid input for name. Reason: Expected `str`, got `int`."),
    ({"network": {"name": "x" * 256}}, "Invalid input for name. Reason: Expected `str` of length <= 255."),
    ({"network": {"name": "a\0b"}}, "it has a NUL character"),
    ({"network": {"mtu": 10**30}}, "network.mtu"),
    ({"network": {"mtu": 10**9}}, "Invalid input for mtu"),
    ({"network": {"admin_state_up": "maybe"}}, "Invalid input for admin_state_up"),
    ({"subnet": {}}, "Unable to find 'network' in request body"),
    ({"network": []}, "Unable to find 'network' in request body"),
    ({"networks": []}, "Resources required"),
    ([], "Expected `object`"),
])  # fmt: skip
def test_what_is_wrong_is_named(me, body, message):
    answer = me.post("/networks", body)
    assert answer.status_code == 400 and message in answer.json()["NeutronError"]["message"]


def test_truth_values_and_numbers_may_be_text(me):
    made = make(me, "network", admin_state_up="False", mtu="1400")
    assert made["admin_state_up"] is False and made["mtu"] == 1400


def test_others_see_shared_and_external_networks_only(me, other, admin, network):
    assert other.get(f"/networks/{network['id']}").status_code == 404
    assert other.delete(f"/networks/{network['id']}").status_code == 404
    shared = make(admin, "network", name="shared", shared=True)
    external = make(admin, "network", name="external", **{"router:external": True})
    assert {n["id"] for n in other.get("/networks").json()["networks"]} == {shared["id"], external["id"]}
    assert [n["name"] for n in other.get("/networks?router:external=True").json()["networks"]] == ["external"]
    assert [n["name"] for n in other.get("/networks?shared=true").json()["networks"]] == ["shared"]
    for one in (shared, external):
        assert other.put(f"/networks/{one['id']}", {"network": {"name": "mine"}}).status_code == 403
        assert other.delete(f"/networks/{one['id']}").status_code == 403
    assert {n["name"] for n in admin.get("/networks").json()["networks"]} == {"n", "shared", "external"}


def test_only_administrators_share_and_choose_what_networks_are_made_of(cloud, me, admin, network):
    for name, value in [("shared", True), ("router:external", True), ("provider:network_type", "flat")]:
        refused = me.post("/networks", {"network": {name: value}})
        assert fault(refused, 403, "PolicyNotAuthorized") == f"rule:create_network:{name} is disallowed by policy"
    assert me.put(f"/networks/{network['id']}", {"network": {"shared": True}}).status_code == 403
    assert me.post("/networks", {"network": {"project_id": "p2"}}).status_code == 400
    assert make(admin, "network", tenant_id="p2")["project_id"] == "p2"
    assert admin.post("/networks", {"network": {"tenant_id": "p2", "project_id": "p3"}}).status_code == 400
    reader = cloud.caller("/network/v2.0", "reader")
    assert reader.get(f"/networks/{network['id']}").status_code == 200
    assert reader.post("/networks", {"network": {}}).status_code == 403
    assert reader.delete(f"/networks/{network['id']}").status_code == 403


def test_provider_networks(admin):
    flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
    made = make(admin, "network", **flat)
    assert made["provider:physical_network"] == "public" and made["provider:segmentation_id"] is None and made["mtu"] == 1500
    assert "public" in fault(admin.post("/networks", {"network": flat}), 409, "FlatNetworkInUse")
    vlan = {"provider:network_type": "vlan", "provider:physical_network": "public", "provider:segmentation_id": "7"}
    assert make(admin, "network", **vlan)["provider:segmentation_id"] == 7
    fault(admin.post("/networks", {"network": vlan}), 409, "VlanIdInUse")
    number = make(admin, "network", **{"provider:network_type": "vxlan"})["provider:segmentation_id"]
    fault(
        admin.post("/networks", {"network": {"provider:network_type": "vxlan", "provider:segmentation_id": number}}),
        409,
        "TunnelIdInUse",
    )
    kind, number = "provider:network_type", "provider:segmentation_id"
    for wrong in ({kind: "flat"}, {kind: "vlan"}, {kind: "local", number: 1}, {number: 2**24}, {kind: "gre"},
                  {"provider:physical_network": "x"}):  # fmt: skip
        assert admin.post("/networks", {"network": wrong}).status_code == 400
    changed = admin.put(f"/networks/{made['id']}", {"network": {"provider:physical_network": "other"}})
    assert "provider:physical_network" in fault(changed, 400, "InvalidInput")


def test_one_external_network_is_the_default(admin):
    first = make(admin, "network", is_default=True, **{"router:external": True})
    assert first["is_default"] is True
    assert first["id"] in fault(admin.post("/networks", {"network": {"is_default": True}}), 409, "DefaultExternalNetworkExists")
    admin.put(f"/networks/{first['id']}", {"network": {"router:external": False}})
    make(admin, "network", is_default=True)  # is not external, and so no default of routers
    assert make(admin, "network", is_default=True, **{"router:external": True})["is_default"] is True
    again = admin.put(f"/networks/{first['id']}", {"network": {"router:external": True}}).json()["network"]
    assert again["router:external"] is True and again["is_default"] is False


def test_a_network_goes_with_its_subnets_but_not_with_ports_in_use(me, network, subnet):
    port = make(me, "port", network_id=network["id"])
    assert port["id"] in fault(me.delete(f"/networks/{network['id']}"), 409, "NetworkInUse")
    assert me.delete(f"/ports/{port['id']}").status_code == 204
    assert me.delete(f"/networks/{network['id']}").status_code == 204
    assert me.get(f"/subnets/{subnet['id']}").status_code == 404
    assert me.get("/ports").json()["ports"] == []


def test_sharing_stays_while_others_use_it(admin, other):
    shared = make(admin, "network", shared=True)
    port = make(other, "port", network_id=shared["id"])
    fault(admin.put(f"/networks/{shared['id']}", {"network": {"shared": False}}), 409, "InvalidSharedSetting")
    other.delete(f"/ports/{port['id']}")
    assert admin.put(f"/networks/{shared['id']}", {"network": {"shared": False}}).json()["network"]["shared"] is False


def test_filters(me, network):
    make(me, "network", name="m", admin_state_up=False)
    names = lambda query: sorted(n["name"] for n in me.get(f"/networks?{query}").json()["networks"])
    assert names("name=n") == ["n"] and names("name=n&name=m") == ["m", "n"] and names("name=") == []
    assert names("admin_state_up=False") == ["m"] and names(f"id={network['id']}") == ["n"]
    assert names("status=ACTIVE") == ["m", "n"] and names("status=DOWN") == [] and names("tenant_id=p1&name=m") == ["m"]
    assert names("mtu=99999999999999999999") == []
    assert "['nmae']" in fault(me.get("/networks?nmae=n"), 400, "InvalidInput")
    assert me.get("/networks?shared=perhaps").status_code == 400 and me.get("/networks?name=%00").status_code == 400
    assert me.get("/networks?fields=id&fields=name&name=n").json()["networks"] == [{"id": network["id"], "name": "n"}]


def test_pages_forth_and_back(me):
    made = me.post("/networks", {"networks": [{"name": name} for name in "bdace"]}).json()["networks"]
    ids = {n["name"]: n["id"] for n in made}

    def page(query: str) -> tuple[str, dict[str, str]]:
        body = me.get(query).json()
        links = {link["rel"]: link["href"].removeprefix("http://cloud/network/v2.0") for link in body.get("networks_links", ())}
        return "".join(n["name"] for n in body["networks"]), links

    names, links = page("/networks?limit=2&sort_key=name&sort_dir=asc")
    assert names == "ab" and set(links) == {"next"}
    names, links = page(links["next"])
    assert names == "cd" and set(links) == {"next", "previous"}
    assert page(links["previous"])[0] == "ab"
    names, links = page(links["next"])
    assert names == "e" and set(links) == {"previous"}
    assert page("/networks?sort_key=name&sort_dir=desc")[0] == "edcba"
    assert page(f"/networks?limit=2&sort_key=name&sort_dir=asc&marker={ids['c']}&page_reverse=True")[0] == "ab"
    for wrong in (
        "limit=-1",
        "limit=x",
        "sort_key=nope",
        "sort_key=name&sort_dir=up",
        "sort_dir=asc",
        f"marker={uuid.uuid4()}",
    ):
        assert me.get(f"/networks?{wrong}").status_code == 400, wrong


def test_zones_that_are_none(me):
    assert make(me, "network", availability_zone_hints=["nova"])["availability_zone_hints"] == ["nova"]
    fault(me.post("/networks", {"network": {"availability_zone_hints": ["mars"]}}), 404, "AvailabilityZoneNotFound")


def test_what_changed_since(me, network):
    assert me.get("/networks?changed_since=2001-01-01T00:00:00Z").json()["networks"] != []
    assert me.get("/networks?changed_since=2999-01-01T00:00:00Z").json()["networks"] == []
    assert me.get("/networks?changed_since=yesterday").status_code == 400


def test_ids_that_are_none(me):
    for id in ("x", "0", uuid.uuid4(), "%00", "a" * 300):
        assert me.get(f"/networks/{id}").status_code == 404


def test_segments_are_not_given_twice(admin):
    made = admin.post("/networks", {"networks": [{}] * 50}).json()["networks"]
    assert len({network["provider:segmentation_id"] for network in made}) == 50
