from __future__ import annotations

import pytest


def test_discovery(cloud):
    anyone = cloud.stranger("/identity")
    for path in ("", "/"):
        answer = anyone.get(path)
        [version] = answer.json()["versions"]["values"]
        assert answer.status_code == 300 and version["id"].startswith("v3.") and version["status"] == "stable"
        assert version["links"] == [{"rel": "self", "href": "http://cloud/identity/v3/"}]
    assert anyone.get("/v3").json()["version"] == anyone.get("/v3/").json()["version"] == version
    assert anyone.get("/v2.0").status_code == 404


def test_regions(admin):
    made = admin.put("/regions/Here 1", {"region": {"description": "d"}})
    assert made.status_code == 201 and made.json()["region"]["id"] == "Here 1"
    below = admin.post("/regions", {"region": {"parent_region_id": "Here 1"}}).json()["region"]
    assert [r["id"] for r in admin.get("/regions?parent_region_id=Here 1").json()["regions"]] == [below["id"]]
    assert admin.post("/regions", {"region": {"id": "Here 1"}}).status_code == 409
    assert admin.post("/regions", {"region": {"parent_region_id": "nowhere"}}).status_code == 404
    assert admin.post("/regions", {"region": {"id": "r" * 256}}).status_code == 400
    assert admin.patch("/regions/Here 1", {"region": {"parent_region_id": below["id"]}}).status_code == 400
    assert admin.patch("/regions/Here 1", {"region": {"description": "e"}}).json()["region"]["description"] == "e"
    assert admin.delete("/regions/RegionOne").status_code == 403, "it has endpoints"
    assert admin.delete("/regions/Here 1").status_code == 204 and admin.get(f"/regions/{below['id']}").status_code == 404


def test_services_and_endpoints(admin, demo):
    service = admin.post("/services", {"service": {"type": "dns", "name": "designate", "colour": "red"}}).json()["service"]
    assert service["enabled"] is True and service["colour"] == "red" and "description" not in service
    body = {"service_id": service["id"], "interface": "public", "url": "http://dns/%(tenant_id)s", "region": "There"}
    made = admin.post("/endpoints", {"endpoint": body})
    endpoint = made.json()["endpoint"]
    assert made.status_code == 201 and endpoint["region"] == endpoint["region_id"] == "There" and endpoint["enabled"] is True
    assert admin.get("/regions/There").status_code == 200
    project = demo.get("/auth/projects").json()["projects"][0]["id"]
    seen = next(entry for entry in demo.get("/auth/catalog").json()["catalog"] if entry["type"] == "dns")
    assert [e["url"] for e in seen["endpoints"]] == [f"http://dns/{project}"]
    others = next(entry for entry in admin.get("/auth/catalog").json()["catalog"] if entry["type"] == "dns")
    assert others["endpoints"][0]["url"].startswith("http://dns/") and others != seen
    path = f"/endpoints/{endpoint['id']}"
    assert admin.patch(path, {"endpoint": {"enabled": False, "url": "http://x"}}).json()["endpoint"]["url"] == "http://x"
    seen = next(entry for entry in demo.get("/auth/catalog").json()["catalog"] if entry["type"] == "dns")
    assert seen["endpoints"] == []
    assert [e["id"] for e in admin.get(f"/endpoints?service_id={service['id']}").json()["endpoints"]] == [endpoint["id"]]
    assert len(admin.get("/endpoints?interface=internal").json()["endpoints"]) == 2
    assert demo.get("/endpoints").status_code == 403 and demo.get("/regions").status_code == 200
    assert admin.delete(f"/services/{service['id']}").status_code == 204 and admin.get(path).status_code == 404


@pytest.mark.parametrize(
    "more",
    [{"interface": "private"}, {"url": "nonsense"}, {"url": "http://x/$(nothing)s"}, {"url": "http://x/%(tenant_id"},
     {"service_id": "nowhere"}, {"enabled": "False"}, {"region_id": ""}],
)  # fmt: skip
def test_bad_endpoints(admin, more):
    service = admin.get("/services").json()["services"][0]["id"]
    body = {"service_id": service, "interface": "public", "url": "http://x"}
    assert admin.post("/endpoints", {"endpoint": body | more}).status_code == 400


def test_bootstrap_again_changes_urls_alone(cloud, admin):
    from cumulet import identity

    before = {kind: admin.get(f"/{kind}").json()[kind] for kind in ("users", "projects", "roles", "services", "endpoints")}
    cloud.transact(lambda tx: identity.bootstrap(
        tx, cloud.runtime.config, admin_password="other", demo_password="other",
        endpoints=[("identity", "keystone", "http://moved/identity")]))  # fmt: skip
    after = {kind: admin.get(f"/{kind}").json()[kind] for kind in before}
    moved = {e["id"] for e in after["endpoints"] if e["url"] == "http://moved/identity"}
    assert len(moved) == 3 and {e["id"] for e in before["endpoints"]} == {e["id"] for e in after["endpoints"]}
    assert all(before[kind] == after[kind] for kind in before if kind != "endpoints")
    assert cloud.ask("admin", cloud.ADMIN).status_code == 201


def test_policies(admin, demo):
    made = admin.post("/policies", {"policy": {"blob": "{}", "type": "application/json", "colour": "red"}})
    policy = made.json()["policy"]
    path = f"/policies/{policy['id']}"
    assert made.status_code == 201 and policy["colour"] == "red" and admin.get(path).json()["policy"] == policy
    assert admin.patch(path, {"policy": {"type": "text/plain"}}).json()["policy"]["type"] == "text/plain"
    assert [p["id"] for p in admin.get("/policies?type=text/plain").json()["policies"]] == [policy["id"]]
    assert demo.get(path).status_code == 403
    assert admin.delete(path).status_code == 204 and admin.get(path).status_code == 404


def test_credentials_are_sealed_at_rest(cloud, admin, demo):
    from cumulet.identity.credentials import credentials

    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]
    made = demo.post("/credentials", {"credential": {"blob": "secret stuff", "type": "totp", "user_id": me}})
    credential = made.json()["credential"]
    assert made.status_code == 201 and credential["blob"] == "secret stuff"
    assert "secret stuff" not in repr(cloud.transact(lambda tx: tx.get(credentials, id=credential["id"])))
    other = cloud.user(admin, "other")["id"]
    assert demo.post("/credentials", {"credential": {"blob": "x", "type": "totp", "user_id": other}}).status_code == 403
    foreign = admin.post("/credentials", {"credential": {"blob": "x", "type": "totp", "user_id": other}}).json()["credential"]
    assert demo.get(f"/credentials/{foreign['id']}").status_code == 403
    assert [c["id"] for c in demo.get("/credentials").json()["credentials"]] == [credential["id"]]
    assert len(admin.get("/credentials").json()["credentials"]) == 2
    path = f"/credentials/{credential['id']}"
    assert demo.patch(path, {"credential": {"blob": "new"}}).json()["credential"]["blob"] == "new"
    assert demo.patch(path, {"credential": {"user_id": other}}).status_code == 400
    assert demo.delete(path).status_code == 204 and demo.get(path).status_code == 403


def test_ec2_credentials(cloud, admin, demo):
    token = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]
    path = f"/users/{token['user']['id']}/credentials/OS-EC2"
    made = demo.post(path, {"tenant_id": token["project"]["id"]})
    pair = made.json()["credential"]
    assert made.status_code == 201 and pair["tenant_id"] == token["project"]["id"] and pair["trust_id"] is None
    assert demo.get(f"{path}/{pair['access']}").json()["credential"]["secret"] == pair["secret"]
    assert [c["access"] for c in demo.get(path).json()["credentials"]] == [pair["access"]]
    assert demo.post(path, {"tenant_id": "nowhere"}).status_code == 404
    cloud.user(admin, "other")
    assert cloud.login("other", "pw").get(f"{path}/{pair['access']}").status_code == 403
    assert demo.delete(f"{path}/{pair['access']}").status_code == 204 and demo.get(f"{path}/{pair['access']}").status_code == 404


def test_consumers(admin):
    consumer = admin.post("/OS-OAUTH1/consumers", {"consumer": {"description": "d"}}).json()["consumer"]
    path = f"/OS-OAUTH1/consumers/{consumer['id']}"
    assert consumer["secret"] and "secret" not in admin.get(path).json()["consumer"]
    assert admin.patch(path, {"consumer": {"secret": "mine"}}).status_code == 400
    assert admin.delete(path).status_code == 204 and admin.get(path).status_code == 404


def test_what_a_token_shows_follows_the_catalog_at_once(admin, demo):
    """A token that was validated before shows each change of the catalog when it is validated again."""

    def shown() -> dict[str, list[str]]:
        catalog = admin.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["catalog"]
        assert catalog == demo.get("/auth/catalog").json()["catalog"]
        return {entry["type"]: [e["url"] for e in entry["endpoints"]] for entry in catalog}

    everything = shown()
    service = admin.post("/services", {"service": {"type": "dns", "name": "designate"}}).json()["service"]["id"]
    assert shown() == everything | {"dns": []}
    body = {"service_id": service, "interface": "public", "url": "http://dns"}
    endpoint = admin.post("/endpoints", {"endpoint": body}).json()["endpoint"]["id"]
    assert shown() == everything | {"dns": ["http://dns"]}
    admin.patch(f"/endpoints/{endpoint}", {"endpoint": {"url": "http://names"}})
    assert shown() == everything | {"dns": ["http://names"]}
    admin.patch(f"/services/{service}", {"service": {"enabled": False}})
    assert shown() == everything
    admin.patch(f"/services/{service}", {"service": {"enabled": True, "type": "names"}})
    assert shown() == everything | {"names": ["http://names"]}

    project = demo.get("/auth/projects").json()["projects"][0]["id"]
    admin.put(f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}")
    assert shown() == {"names": ["http://names"]}
    admin.delete(f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}")
    assert shown() == everything | {"names": ["http://names"]}
    wanted = {"endpoint_group": {"name": "g", "filters": {"service_id": service}}}
    group = admin.post("/OS-EP-FILTER/endpoint_groups", wanted).json()["endpoint_group"]["id"]
    admin.put(f"/OS-EP-FILTER/endpoint_groups/{group}/projects/{project}")
    assert shown() == {"names": ["http://names"]}
    admin.patch(f"/OS-EP-FILTER/endpoint_groups/{group}", {"endpoint_group": {"filters": {"interface": "internal"}}})
    assert "names" not in shown()
    admin.delete(f"/OS-EP-FILTER/endpoint_groups/{group}/projects/{project}")
    assert shown() == everything | {"names": ["http://names"]}
    admin.put(f"/OS-EP-FILTER/endpoint_groups/{group}/projects/{project}")
    admin.delete(f"/OS-EP-FILTER/endpoint_groups/{group}")
    assert shown() == everything | {"names": ["http://names"]}
    admin.delete(f"/endpoints/{endpoint}")
    assert shown() == everything | {"names": []}
    admin.delete(f"/services/{service}")
    assert shown() == everything
