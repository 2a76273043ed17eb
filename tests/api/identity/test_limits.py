"""Registered limits and limits: who sees which, what they refer to, and how those of a domain and its projects go together."""

from __future__ import annotations

import pytest


@pytest.fixture
def service(admin):
    return admin.get("/services?type=volumev3").json()["services"][0]["id"]


@pytest.fixture
def strict(cloud):
    cloud.runtime.config.limit_model = "strict_two_level"


@pytest.fixture
def project(demo):
    return demo.get("/auth/projects").json()["projects"][0]["id"]


def register(admin, service: str, name: str = "volumes", default: int = 10, **more) -> dict:
    body = {"service_id": service, "resource_name": name, "default_limit": default, **more}
    answer = admin.post("/registered_limits", {"registered_limits": [body]})
    assert answer.status_code == 201, answer.text
    return answer.json()["registered_limits"][0]


def limit(admin, service: str, amount: int, name: str = "volumes", **more):
    body = {"service_id": service, "resource_name": name, "resource_limit": amount, **more}
    return admin.post("/limits", {"limits": [body]})


def test_registered_limits(cloud, admin, demo, service):
    made = register(admin, service, region_id="RegionOne", description="d")
    assert made == {
        "id": made["id"], "service_id": service, "region_id": "RegionOne", "resource_name": "volumes", "default_limit": 10,
        "description": "d", "links": {"self": f"http://cloud/identity/v3/registered_limits/{made['id']}"},
    }  # fmt: skip
    everywhere = register(admin, service)
    assert everywhere["region_id"] is None and everywhere["description"] is None
    path = f"/registered_limits/{made['id']}"
    assert demo.get(path).json()["registered_limit"] == made
    assert demo.patch(path, {"registered_limit": {"default_limit": 1}}).status_code == 403 and demo.delete(path).status_code == 403
    assert demo.post("/registered_limits", {"registered_limits": []}).status_code == 403
    for query, found in (("region_id=RegionOne", [made]), ("resource_name=x", []), (f"service_id={service}", [made, everywhere])):
        listed = demo.get(f"/registered_limits?{query}").json()["registered_limits"]
        assert sorted(one["id"] for one in listed) == sorted(one["id"] for one in found), query
    changed = admin.patch(path, {"registered_limit": {"default_limit": -1, "resource_name": "gigabytes", "region_id": None}})
    assert changed.json()["registered_limit"] | {"default_limit": 10} == made | {"resource_name": "gigabytes", "region_id": None}
    taken = admin.patch(path, {"registered_limit": {"resource_name": "volumes"}})
    assert taken.status_code == 409
    assert taken.json()["error"]["message"] == "Conflict occurred attempting to store registered_limit - Duplicate entry."
    assert admin.delete(path).status_code == 204
    gone = admin.get(path)
    assert gone.status_code == 404 and gone.json()["error"]["message"] == f"Could not find registered limit for {made['id']}."


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ({"service_id": "nowhere"}, 400, "Expecting to find service_id in registered_limit."),
        ({"region_id": "nowhere"}, 400, "Expecting to find region_id in registered_limit."),
        ({"default_limit": -2}, 400, "registered_limits[1].default_limit"),
        ({"default_limit": 2**31}, 400, "registered_limits[1].default_limit"),
        ({"default_limit": "10"}, 400, "registered_limits[1].default_limit"),
        ({"resource_name": ""}, 400, "registered_limits[1].resource_name"),
        ({"colour": "red"}, 400, "colour"),
        ({"resource_name": "volumes"}, 409, "Duplicate entry"),
    ],
)
def test_where_one_registered_limit_is_bad_none_is_made(admin, service, more, status, message):
    good = {"service_id": service, "resource_name": "volumes", "default_limit": 1}
    answer = admin.post("/registered_limits", {"registered_limits": [good, good | {"resource_name": "other"} | more]})
    assert answer.status_code == status and message in answer.json()["error"]["message"]
    assert admin.get("/registered_limits").json()["registered_limits"] == []
    assert admin.post("/registered_limits", {"registered_limits": []}).status_code == 400


def test_limits(cloud, admin, demo, service, project):
    missing = limit(admin, service, 5, project_id=project)
    assert missing.status_code == 403
    assert missing.json()["error"]["message"] == "Unable to create a limit that has no corresponding registered limit."
    registered = register(admin, service)
    answer = limit(admin, service, 5, project_id=project, description="d")
    [made] = answer.json()["limits"]
    assert answer.status_code == 201 and set(answer.json()) == {"limits"}
    assert made == {
        "id": made["id"], "service_id": service, "region_id": None, "resource_name": "volumes", "resource_limit": 5, "description": "d",
        "project_id": project, "domain_id": None, "links": {"self": f"http://cloud/identity/v3/limits/{made['id']}"},
    }  # fmt: skip
    again = limit(admin, service, 6, project_id=project)
    assert again.status_code == 409
    assert again.json()["error"]["message"] == "Conflict occurred attempting to store limit - Duplicate entry."
    path = f"/limits/{made['id']}"
    assert demo.get(path).json()["limit"] == made
    assert demo.patch(path, {"limit": {"resource_limit": 9}}).status_code == 403 and demo.delete(path).status_code == 403
    assert admin.patch(path, {"limit": {"service_id": service}}).status_code == 400
    assert admin.patch(path, {"limit": {"resource_limit": 0, "description": None}}).json()["limit"] == made | {
        "resource_limit": 0, "description": None}  # fmt: skip
    used = f"Unable to update or delete registered limit {registered['id']} because there are project limits associated with it."
    for refused in (
        admin.patch(f"/registered_limits/{registered['id']}", {"registered_limit": {"default_limit": 2}}),
        admin.delete(f"/registered_limits/{registered['id']}"),
    ):
        assert refused.status_code == 403 and refused.json()["error"]["message"] == used
    assert admin.delete(path).status_code == 204
    gone = admin.get(path)
    assert gone.status_code == 404 and gone.json()["error"]["message"] == f"Could not find limit for {made['id']}."
    assert admin.delete(f"/registered_limits/{registered['id']}").status_code == 204


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "one project_id or of one domain_id"),
        ({"project_id": "default", "domain_id": "default"}, "one project_id or of one domain_id"),
        ({"project_id": "nowhere"}, "Expecting to find project_id in limit."),
        ({"domain_id": "nowhere"}, "Expecting to find domain_id in limit."),
        ({"domain_id": "default", "service_id": "nowhere"}, "Expecting to find service_id in limit."),
        ({"domain_id": "default", "region_id": "nowhere"}, "Expecting to find region_id in limit."),
        ({"domain_id": "default", "resource_limit": -2}, "resource_limit"),
        ({"domain_id": "default", "id": "x"}, "id"),
    ],
)
def test_bad_limits(admin, service, more, message):
    register(admin, service)
    answer = admin.post("/limits", {"limits": [{"service_id": service, "resource_name": "volumes", "resource_limit": 1} | more]})
    assert answer.status_code == 400 and message in answer.json()["error"]["message"]


def test_a_project_that_is_a_domain_has_its_domains_limit(admin, service):
    register(admin, service)
    [made] = limit(admin, service, 5, project_id="default").json()["limits"]
    assert made["domain_id"] == "default" and made["project_id"] is None
    assert limit(admin, service, 5, domain_id="default").status_code == 409


def test_who_sees_which_limits(cloud, admin, demo, service, project):
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]["id"]
    inside = cloud.project(admin, "inside", domain_id=domain)["id"]
    user = cloud.user(admin, "u")["id"]
    cloud.grant(admin, "reader", f"domains/{domain}/users/{user}")
    cloud.grant(admin, "service", f"projects/{inside}/users/{user}")
    register(admin, service), register(admin, service, "gigabytes")
    ids = {}
    for name, whose in (("demo", {"project_id": project}), ("inside", {"project_id": inside}), ("d", {"domain_id": domain})):
        [made] = limit(admin, service, 5, **whose).json()["limits"]
        ids[made["id"]] = name
    limit(admin, service, 7, "gigabytes", domain_id=domain)

    def seen(caller, query: str = "resource_name=volumes") -> set[str]:
        return {ids[one["id"]] for one in caller.get(f"/limits?{query}").json()["limits"]}

    of_domain = cloud.login("u", "pw", scope={"domain": {"id": domain}})
    of_service = cloud.login("u", "pw", scope={"project": {"id": inside}})
    everything = set(ids.values())
    assert seen(admin) == everything == seen(cloud.login("admin", cloud.ADMIN, scope="system")) == seen(of_service)
    assert seen(of_domain) == {"inside", "d"} and seen(demo) == {"demo"}
    assert seen(cloud.login("u", "pw", scope="unscoped")) == set()
    assert seen(admin, f"resource_name=volumes&domain_id={domain}") == {"d"} and seen(admin, f"project_id={inside}") == {"inside"}
    assert seen(admin, "service_id=nowhere") == seen(admin, "region_id=RegionOne") == set()
    for id, name in ids.items():
        assert admin.get(f"/limits/{id}").status_code == 200
        assert demo.get(f"/limits/{id}").status_code == (200 if name == "demo" else 403)
        assert of_domain.get(f"/limits/{id}").status_code == (403 if name == "demo" else 200)
    assert demo.get("/limits/nowhere").status_code == 403 and admin.get("/limits/nowhere").status_code == 404


def test_the_flat_model_minds_no_domain(admin, demo, service, project):
    model = demo.get("/limits/model").json()["model"]
    assert model["name"] == "flat" and "does not take project hierarchy" in model["description"]
    register(admin, service, default=10)
    assert limit(admin, service, 20, project_id=project).status_code == 201
    assert limit(admin, service, 5, domain_id="default").status_code == 201


class TestStrictTwoLevel:
    @pytest.fixture(autouse=True)
    def registered(self, strict, admin, service):
        return register(admin, service, default=10)

    def refused(self, answer, service: str, whose: str, amount: int) -> bool:
        told = (
            f"Invalid resource limit: The resource limit ({whose}, resource_name: volumes, resource_limit: {amount}, "
            f"service_id: {service}, region_id: None) doesn't satisfy current hierarchy model.."
        )
        return answer.status_code == 403 and answer.json()["error"]["message"] == told

    def test_the_model(self, demo):
        assert demo.get("/limits/model").json() == {"model": {
            "name": "strict_two_level", "description": "This model requires project hierarchy never exceeds a depth of two"}}  # fmt: skip

    def test_no_more_than_the_domain(self, admin, service, project):
        whose = f"project_id: {project}"
        assert self.refused(limit(admin, service, 11, project_id=project), service, whose, 11)
        [domain] = limit(admin, service, 20, domain_id="default").json()["limits"]
        [made] = limit(admin, service, 11, project_id=project).json()["limits"]
        assert self.refused(admin.patch(f"/limits/{made['id']}", {"limit": {"resource_limit": 21}}), service, whose, 21)
        lower = admin.patch(f"/limits/{domain['id']}", {"limit": {"resource_limit": 10}})
        assert self.refused(lower, service, "domain_id: default", 10)
        assert admin.patch(f"/limits/{domain['id']}", {"limit": {"resource_limit": 11}}).status_code == 200

    def test_a_domains_limit_in_the_same_request_counts(self, admin, service, project):
        child = {"service_id": service, "resource_name": "volumes", "resource_limit": 30, "project_id": project}
        parent = child | {"project_id": None, "domain_id": "default"}
        bad = admin.post("/limits", {"limits": [child, parent | {"resource_limit": 29}]})
        assert self.refused(bad, service, f"project_id: {project}", 30)
        assert admin.get("/limits").json()["limits"] == []
        assert admin.post("/limits", {"limits": [child, parent]}).status_code == 201

    def test_a_negative_limit_is_none(self, admin, service, project):
        assert limit(admin, service, -1, project_id=project).status_code == 403
        limit(admin, service, -1, domain_id="default")
        assert limit(admin, service, 2**31 - 1, project_id=project).status_code == 201

    def test_projects_go_no_deeper(self, cloud, admin, project):
        child = cloud.project(admin, "child", parent_id=project)
        deeper = admin.post("/projects", {"project": {"name": "deeper", "parent_id": child["id"]}})
        assert deeper.status_code == 403 and "Max hierarchy depth reached" in deeper.json()["error"]["message"]


def test_what_limits_refer_to(cloud, admin, service):
    project = cloud.project(admin, "p")["id"]
    admin.post("/regions", {"region": {"id": "r2"}})
    other = admin.post("/services", {"service": {"type": "x"}}).json()["service"]["id"]
    registered = register(admin, other, region_id="r2")
    assert admin.delete("/regions/r2").status_code == 403
    refused = admin.delete(f"/services/{other}")
    assert refused.status_code == 403 and "registered limits" in refused.json()["error"]["message"]
    limit(admin, other, 3, region_id="r2", project_id=project)
    assert admin.delete(f"/projects/{project}").status_code == 204
    assert admin.get("/limits").json()["limits"] == []
    assert admin.delete(f"/registered_limits/{registered['id']}").status_code == 204
    assert admin.delete(f"/services/{other}").status_code == 204 and admin.delete("/regions/r2").status_code == 204
