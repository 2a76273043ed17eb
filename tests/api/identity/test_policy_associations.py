from __future__ import annotations

import pytest


@pytest.fixture
def policies(admin) -> list[str]:
    body = {"policy": {"blob": "{}", "type": "application/json"}}
    return [admin.post("/policies", body).json()["policy"]["id"] for _ in range(3)]


@pytest.fixture
def service(admin) -> str:
    return admin.post("/services", {"service": {"type": "dns"}}).json()["service"]["id"]


@pytest.fixture
def endpoint(admin, service) -> str:
    """One in the region C, which is in B, which is in A."""
    for region, parent in (("A", None), ("B", "A"), ("C", "B")):
        admin.put(f"/regions/{region}", {"region": {"parent_region_id": parent}})
    return make_endpoint(admin, service, "C")


def make_endpoint(admin, service: str, region: str | None) -> str:
    body = {"service_id": service, "interface": "public", "url": "http://x", "region_id": region}
    return admin.post("/endpoints", {"endpoint": body}).json()["endpoint"]["id"]


def at(policy: str, what: str) -> str:
    return f"/policies/{policy}/OS-ENDPOINT-POLICY/{what}"


def effective(admin, endpoint: str) -> str | None:
    answer = admin.get(f"/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy")
    assert answer.status_code in (200, 404)
    return answer.json()["policy"]["id"] if answer.status_code == 200 else None


def reached(admin, policy: str) -> set[str]:
    found = [one["id"] for one in admin.get(at(policy, "endpoints")).json()["endpoints"]]
    assert len(set(found)) == len(found)
    return set(found)


def test_made_checked_and_ended(admin, policies, service, endpoint):
    one, two, _ = policies
    for what in (f"endpoints/{endpoint}", f"services/{service}", f"services/{service}/regions/B"):
        path = at(one, what)
        missing = admin.get(path)
        assert missing.status_code == 404 and missing.json()["error"]["message"] == "Could not find policy association."
        assert admin("HEAD", path).status_code == 404
        assert admin.put(path).status_code == admin.put(path).status_code == 204
        checked = admin("HEAD", path)
        assert checked.status_code == admin.get(path).status_code == 204 and not checked.content
        assert admin.put(at(two, what)).status_code == 204, "another policy takes its place"
        assert admin.get(path).status_code == 404 and admin.get(at(two, what)).status_code == 204
        assert admin.delete(path).status_code == 204 and admin.get(at(two, what)).status_code == 204, "not this policy's to end"
        assert admin.delete(at(two, what)).status_code == 204 and admin.get(at(two, what)).status_code == 404
        assert admin.delete(at(two, what)).status_code == 204


def test_the_nearest_policy_counts(admin, policies, service, endpoint):
    one, two, three = policies
    none = admin.get(f"/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy")
    assert none.status_code == 404 and none.json()["error"]["message"] == f"No policy is associated with endpoint {endpoint}."
    admin.put(at(one, f"services/{service}"))
    assert effective(admin, endpoint) == one
    admin.put(at(two, f"services/{service}/regions/A"))
    assert effective(admin, endpoint) == two, "of a region above"
    admin.put(at(three, f"services/{service}/regions/B"))
    assert effective(admin, endpoint) == three, "of a region nearer"
    other = admin.post("/services", {"service": {"type": "other"}}).json()["service"]["id"]
    admin.put(at(one, f"services/{other}/regions/C"))
    assert effective(admin, endpoint) == three, "another service's does not count"
    admin.put(at(one, f"services/{service}/regions/C"))
    assert effective(admin, endpoint) == one
    admin.put(at(two, f"endpoints/{endpoint}"))
    assert effective(admin, endpoint) == two
    path = f"/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy"
    assert admin.get(path).json() == admin.get(f"/policies/{two}").json()
    assert admin("HEAD", path).status_code == 200 and not admin("HEAD", path).content
    nowhere = make_endpoint(admin, service, None)
    assert effective(admin, nowhere) == one, "one in no region has its service's"


def test_the_endpoints_of_a_policy(admin, policies, service, endpoint):
    one, two, _ = policies
    above, nowhere = make_endpoint(admin, service, "A"), make_endpoint(admin, service, None)
    other = admin.get("/endpoints").json()["endpoints"][0]["id"]
    assert reached(admin, one) == set()
    admin.put(at(one, f"services/{service}/regions/B"))
    assert reached(admin, one) == {endpoint}
    admin.put(at(one, f"services/{service}/regions/A"))
    assert reached(admin, one) == {endpoint, above}
    admin.put(at(one, f"endpoints/{endpoint}"))
    admin.put(at(one, f"endpoints/{other}"))
    assert reached(admin, one) == {endpoint, above, other}
    admin.put(at(two, f"services/{service}"))
    assert reached(admin, two) == {endpoint, above, nowhere}


def test_whether_a_policy_is_associated_with_anything(admin, demo, policies, service, endpoint):
    path = at(policies[0], "policy")
    for what in (f"endpoints/{endpoint}", f"services/{service}", f"services/{service}/regions/A"):
        missing = admin.get(path)
        assert missing.status_code == 404 and missing.json()["error"]["message"] == "Could not find policy association."
        admin.put(at(policies[0], what))
        assert admin.get(path).json() == admin.get(f"/policies/{policies[0]}").json()
        assert admin("HEAD", path).status_code == 200 and not admin("HEAD", path).content
        admin.delete(at(policies[0], what))
    assert admin("HEAD", path).status_code == admin.get(at("none", "policy")).status_code == 404
    assert demo.get(path).status_code == 403


def test_what_is_not_there(admin, policies, service, endpoint):
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        for policy, what in (
            ("none", f"endpoints/{endpoint}"), ("none", f"services/{service}"), ("none", f"services/{service}/regions/A"),
            (policies[0], "endpoints/none"), (policies[0], "services/none"), (policies[0], "services/none/regions/A"),
            (policies[0], f"services/{service}/regions/none"),
        ):  # fmt: skip
            assert admin(method, at(policy, what)).status_code == 404, f"{method} {policy} {what}"
    assert admin.get(at("none", "endpoints")).status_code == 404
    assert admin.get("/endpoints/none/OS-ENDPOINT-POLICY/policy").status_code == 404


def test_associations_go_with_what_they_are_of(cloud, admin, policies, service, endpoint):
    from cumulet.identity.policy_associations import policy_associations

    count = lambda: len(cloud.transact(lambda tx: tx.rows(policy_associations)))
    one, two, _ = policies
    admin.put("/regions/Empty", {"region": {}})
    admin.put(at(one, f"endpoints/{endpoint}"))
    admin.put(at(one, f"services/{service}"))
    admin.put(at(two, f"services/{service}/regions/A"))
    admin.put(at(two, f"services/{service}/regions/Empty"))
    assert count() == 4 and admin.delete("/regions/Empty").status_code == 204 and count() == 3
    assert admin.delete(f"/endpoints/{endpoint}").status_code == 204 and count() == 2
    assert admin.delete(f"/policies/{two}").status_code == 204 and count() == 1
    assert admin.delete(f"/services/{service}").status_code == 204 and count() == 0


def test_who_may(cloud, admin, demo, policies, service, endpoint):
    watcher = cloud.user(admin, "watcher")["id"]
    cloud.grant(admin, "reader", f"system/users/{watcher}")
    reader = cloud.login("watcher", "pw", scope="system")
    of_domain = cloud.login("admin", cloud.ADMIN, scope={"domain": {"id": "default"}})
    for what in (f"endpoints/{endpoint}", f"services/{service}", f"services/{service}/regions/A"):
        path = at(policies[0], what)
        for caller in (demo, reader, of_domain):
            assert caller.put(path).status_code == caller.delete(path).status_code == 403
        assert admin.put(path).status_code == 204 and reader.get(path).status_code == 204
        assert demo("HEAD", path).status_code == of_domain.get(path).status_code == 403
    for path in (at(policies[0], "endpoints"), f"/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy"):
        assert reader.get(path).status_code == 200 and demo.get(path).status_code == of_domain.get(path).status_code == 403
