from __future__ import annotations

import pytest

GROUPS = "/OS-EP-FILTER/endpoint_groups"


@pytest.fixture
def project(demo) -> str:
    return demo.get("/auth/projects").json()["projects"][0]["id"]


@pytest.fixture
def endpoints(admin) -> dict[tuple[str, str], str]:
    """Ids by the service's type and the interface."""
    types = {service["id"]: service["type"] for service in admin.get("/services").json()["services"]}
    return {(types[e["service_id"]], e["interface"]): e["id"] for e in admin.get("/endpoints").json()["endpoints"]}


@pytest.fixture
def group(admin) -> str:
    return make_group(admin, interface="public")


def make_group(admin, **filters: str) -> str:
    return admin.post(GROUPS, {"endpoint_group": {"name": "g", "filters": filters}}).json()["endpoint_group"]["id"]


def seen(caller) -> dict[str, set[str]]:
    """The endpoints in the caller's catalog, by their service's type."""
    return by_type(caller.get("/auth/catalog").json()["catalog"])


def by_type(catalog: list[dict]) -> dict[str, set[str]]:
    return {entry["type"]: {e["id"] for e in entry["endpoints"]} for entry in catalog}


def ids(answer, key: str) -> list[str]:
    assert answer.status_code == 200 and answer.json()["links"]["next"] is None, answer.text
    return [one["id"] for one in answer.json()[key]]


def test_endpoint_groups(admin):
    body = {"endpoint_group": {"name": "g", "filters": {"interface": "public"}}}
    group = admin.post(GROUPS, body).json()["endpoint_group"]
    path = f"{GROUPS}/{group['id']}"
    changed = admin.patch(path, {"endpoint_group": {"filters": {"region_id": "RegionOne"}}}).json()["endpoint_group"]
    assert changed["filters"] == {"region_id": "RegionOne"} and changed["name"] == "g", "new filters take the old ones' place"
    for filters in ({"colour": "red"}, {}, {"interface": "private"}):
        assert admin.post(GROUPS, {"endpoint_group": {"name": "g", "filters": filters}}).status_code == 400
    assert admin("HEAD", path).status_code == 200 and admin.delete(path).status_code == 204


def test_an_endpoint_of_a_project(admin, project, endpoints):
    endpoint = endpoints["identity", "public"]
    path = f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}"
    missing = admin.get(path)
    assert missing.status_code == 404 and missing.json()["error"]["message"] == f"Endpoint {endpoint} not found in project {project}"
    assert admin("HEAD", path).status_code == 404 and admin.delete(path).status_code == 404
    assert admin.put(path).status_code == 204
    again = admin.put(path)
    assert again.status_code == 409
    assert again.json()["error"]["message"] == "Conflict occurred attempting to store project_endpoint - Duplicate entry."
    checked = admin("HEAD", path)
    assert checked.status_code == admin.get(path).status_code == 204 and not checked.content
    assert ids(admin.get(f"/OS-EP-FILTER/projects/{project}/endpoints"), "endpoints") == [endpoint]
    listed = admin.get(f"/OS-EP-FILTER/endpoints/{endpoint}/projects").json()["projects"]
    assert [one["id"] for one in listed] == [project] and listed == [admin.get(f"/projects/{project}").json()["project"]]
    assert admin.delete(path).status_code == 204
    assert ids(admin.get(f"/OS-EP-FILTER/projects/{project}/endpoints"), "endpoints") == []
    assert ids(admin.get(f"/OS-EP-FILTER/endpoints/{endpoint}/projects"), "projects") == []


def test_an_endpoint_group_of_a_project(admin, project, endpoints, group):
    path = f"{GROUPS}/{group}/projects/{project}"
    missing = admin.get(path)
    assert missing.status_code == 404 and missing.json()["error"]["message"] == "Endpoint Group Project Association not found"
    assert admin("HEAD", path).status_code == 404 and admin.delete(path).status_code == 404
    assert admin.put(path).status_code == 204
    again = admin.put(path)
    assert again.status_code == 409
    assert again.json()["error"]["message"] == "Conflict occurred attempting to store project_endpoint_group - Duplicate entry."
    shown = admin.get(path).json()["project_endpoint_group"]
    link = {"self": f"http://cloud/identity/v3{path}"}
    assert shown == {"endpoint_group_id": group, "project_id": project, "links": link}
    checked = admin("HEAD", path)
    assert checked.status_code == 200 and not checked.content
    public = sorted(id for (_, interface), id in endpoints.items() if interface == "public")
    assert ids(admin.get(f"{GROUPS}/{group}/projects"), "projects") == [project]
    assert ids(admin.get(f"{GROUPS}/{group}/endpoints"), "endpoints") == public
    assert ids(admin.get(f"/OS-EP-FILTER/projects/{project}/endpoint_groups"), "endpoint_groups") == [group]
    assert ids(admin.get(f"/OS-EP-FILTER/projects/{project}/endpoints"), "endpoints") == public
    assert admin.delete(path).status_code == 204
    assert ids(admin.get(f"{GROUPS}/{group}/projects"), "projects") == []
    assert ids(admin.get(f"/OS-EP-FILTER/projects/{project}/endpoint_groups"), "endpoint_groups") == []


def test_a_project_with_endpoints_sees_these_alone(cloud, admin, demo, project, endpoints):
    everything = seen(demo)
    assert {type: len(found) for type, found in everything.items()} == {"identity": 3, "volumev3": 3}
    mine = endpoints["identity", "public"]
    admin.put(f"/OS-EP-FILTER/projects/{project}/endpoints/{mine}")
    assert seen(demo) == {"identity": {mine}}, "services without any are left out"
    in_token = lambda **who: by_type(cloud.ask(**who).json()["token"]["catalog"])
    assert in_token(user="demo", password=cloud.DEMO, scope="demo") == {"identity": {mine}}
    assert seen(admin) == everything, "another project sees all"
    for scope in ({"domain": {"id": "default"}}, "system"):
        assert in_token(user="admin", password=cloud.ADMIN, scope=scope)["identity"] == everything["identity"]
    admin.patch(f"/endpoints/{mine}", {"endpoint": {"enabled": False}})
    assert seen(demo) == {}, "what is disabled is not shown, and does not make it as if there were none"
    admin.delete(f"/OS-EP-FILTER/projects/{project}/endpoints/{mine}")
    assert seen(demo)["volumev3"] == everything["volumev3"]


def test_groups_fill_the_catalog_with_what_matches(admin, demo, project, endpoints):
    everything = seen(demo)
    service = next(s["id"] for s in admin.get("/services").json()["services"] if s["type"] == "volumev3")
    admin.put(f"{GROUPS}/{(group := make_group(admin, interface='admin', service_id=service))}/projects/{project}")
    assert seen(demo) == {"volumev3": {endpoints["volumev3", "admin"]}}
    admin.put(f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoints['identity', 'public']}")
    both = {"volumev3": {endpoints["volumev3", "admin"]}, "identity": {endpoints["identity", "public"]}}
    assert seen(demo) == both
    admin.put(f"{GROUPS}/{make_group(admin, region_id='RegionOne', interface='public')}/projects/{project}")
    both["volumev3"].add(endpoints["volumev3", "public"])
    assert seen(demo) == both and len(ids(admin.get(f"/OS-EP-FILTER/projects/{project}/endpoints"), "endpoints")) == 3
    admin.patch(f"{GROUPS}/{group}", {"endpoint_group": {"filters": {"interface": "internal"}}})
    assert seen(demo)["volumev3"] == {endpoints["volumev3", "internal"], endpoints["volumev3", "public"]}
    nothing = make_group(admin, region_id="Nowhere")
    elsewhere = admin.post("/projects", {"project": {"name": "elsewhere"}}).json()["project"]["id"]
    admin.put(f"{GROUPS}/{nothing}/projects/{elsewhere}")
    assert ids(admin.get(f"/OS-EP-FILTER/projects/{elsewhere}/endpoints"), "endpoints") == []
    for one in ids(admin.get(f"/OS-EP-FILTER/projects/{project}/endpoint_groups"), "endpoint_groups"):
        admin.delete(f"{GROUPS}/{one}/projects/{project}")
    admin.delete(f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoints['identity', 'public']}")
    admin.put(f"{GROUPS}/{nothing}/projects/{project}")
    assert seen(demo) == everything, "a group that matches nothing is as no group"


def test_what_is_not_there(admin, project, endpoints, group):
    endpoint = endpoints["identity", "public"]
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        for path in (
            f"/OS-EP-FILTER/projects/nowhere/endpoints/{endpoint}", f"/OS-EP-FILTER/projects/{project}/endpoints/none",
            f"{GROUPS}/none/projects/{project}", f"{GROUPS}/{group}/projects/nowhere",
        ):  # fmt: skip
            assert admin(method, path).status_code == 404, f"{method} {path}"
    for path in ("projects/nowhere/endpoints", "projects/nowhere/endpoint_groups", "endpoints/none/projects",
                 "endpoint_groups/none/endpoints"):  # fmt: skip
        assert admin.get(f"/OS-EP-FILTER/{path}").status_code == 404
    assert admin.get(f"{GROUPS}/none/projects").json()["projects"] == []


def test_associations_go_with_what_they_are_of(cloud, admin, project, endpoints, group):
    from cumulet.identity.project_endpoint_groups import project_endpoint_groups
    from cumulet.identity.project_endpoints import project_endpoints

    count = lambda: cloud.transact(lambda tx: (len(tx.rows(project_endpoints)), len(tx.rows(project_endpoint_groups))))
    other = cloud.project(admin, "other")["id"]
    one, two = endpoints["identity", "public"], endpoints["identity", "admin"]
    for id in (project, other):
        admin.put(f"{GROUPS}/{group}/projects/{id}")
        admin.put(f"/OS-EP-FILTER/projects/{id}/endpoints/{one}")
        admin.put(f"/OS-EP-FILTER/projects/{id}/endpoints/{two}")
    assert count() == (4, 2)
    assert admin.delete(f"/projects/{other}").status_code == 204 and count() == (2, 1)
    assert admin.delete(f"/endpoints/{one}").status_code == 204 and count() == (1, 1)
    assert admin.delete(f"{GROUPS}/{group}").status_code == 204 and count() == (1, 0)
    service = admin.get(f"/endpoints/{two}").json()["endpoint"]["service_id"]
    assert admin.delete(f"/services/{service}").status_code == 204 and count() == (0, 0)


def test_who_may(cloud, admin, demo, project, endpoints, group):
    endpoint = endpoints["identity", "public"]
    pairs = [f"/OS-EP-FILTER/projects/{project}/endpoints/{endpoint}", f"{GROUPS}/{group}/projects/{project}"]
    lists = [f"/OS-EP-FILTER/projects/{project}/endpoints", f"/OS-EP-FILTER/projects/{project}/endpoint_groups",
             f"/OS-EP-FILTER/endpoints/{endpoint}/projects", f"{GROUPS}/{group}/projects", f"{GROUPS}/{group}/endpoints"]  # fmt: skip
    watcher = cloud.user(admin, "watcher")["id"]
    cloud.grant(admin, "reader", f"system/users/{watcher}")
    reader = cloud.login("watcher", "pw", scope="system")
    of_domain = cloud.login("admin", cloud.ADMIN, scope={"domain": {"id": "default"}})
    for path in pairs:
        for caller in (demo, reader, of_domain):
            assert caller.put(path).status_code == caller.delete(path).status_code == 403
        admin.put(path)
        assert demo("HEAD", path).status_code == of_domain.get(path).status_code == 403 and reader.get(path).status_code in (200, 204)
    for path in lists:
        assert demo.get(path).status_code == of_domain.get(path).status_code == 403 and reader.get(path).status_code == 200
