from __future__ import annotations

import pytest


def test_create_show_update_delete(admin):
    made = admin.post("/projects", {"project": {"name": "p", "tags": ["b", "a"], "colour": "red"}})
    project = made.json()["project"]
    assert made.status_code == 201 and project["domain_id"] == project["parent_id"] == "default"
    assert project["enabled"] is True and project["is_domain"] is False and project["description"] == ""
    assert project["tags"] == ["a", "b"] and project["colour"] == "red"
    path = f"/projects/{project['id']}"
    assert admin.get(path).json()["project"] == project
    changed = admin.patch(path, {"project": {"name": "q", "description": "d", "tags": []}}).json()["project"]
    assert changed["name"] == "q" and changed["description"] == "d" and changed["tags"] == [] and changed["colour"] == "red"
    assert admin.delete(path).status_code == 204 and admin.get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": "n" * 65}, {"name": "p", "parent_id": "nowhere"}, {"name": "p", "domain_id": "nowhere"},
        {"name": "p", "tags": ["a/b"]}, {"name": "p", "tags": ["a"] * 81}, {"name": "p", "enabled": 1},
        {"name": "p", "is_domain": True, "parent_id": "default"},
    ],
)  # fmt: skip
def test_bad_bodies(admin, body):
    assert admin.post("/projects", {"project": body}).status_code == 400


def test_names_are_unique_in_their_domain(cloud, admin):
    cloud.project(admin, "p")
    assert admin.post("/projects", {"project": {"name": "p"}}).status_code == 409
    domain = admin.post("/projects", {"project": {"name": "p", "is_domain": True}}).json()["project"]
    assert domain["domain_id"] is None and domain["parent_id"] is None
    assert admin.get(f"/domains/{domain['id']}").json()["domain"]["name"] == "p"
    assert admin.post("/domains", {"domain": {"name": "p"}}).status_code == 409
    assert admin.post("/projects", {"project": {"name": "p", "domain_id": domain["id"]}}).status_code == 201


def test_the_tree(cloud, admin):
    a = cloud.project(admin, "a")["id"]
    b = cloud.project(admin, "b", parent_id=a)["id"]
    c = cloud.project(admin, "c", parent_id=b)["id"]
    me = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]["user"]["id"]
    cloud.grant(admin, "member", f"projects/{a}/users/{me}")
    shown = admin.get(f"/projects/{c}?parents_as_ids&subtree_as_ids").json()["project"]
    assert shown["parents"] == {b: {a: {"default": None}}} and shown["subtree"] is None
    assert admin.get(f"/projects/{a}?subtree_as_ids").json()["project"]["subtree"] == {b: {c: None}}
    accessible = admin.get(f"/projects/{c}?parents_as_list").json()["project"]["parents"]
    assert [entry["project"]["id"] for entry in accessible] == [a]
    assert admin.get(f"/projects/{c}?parents_as_list&parents_as_ids").status_code == 400
    assert [p["id"] for p in admin.get(f"/projects?parent_id={a}").json()["projects"]] == [b]
    assert admin.delete(f"/projects/{a}").status_code == 403
    assert admin.patch(f"/projects/{a}", {"project": {"enabled": False}}).status_code == 403
    assert admin.patch(f"/projects/{c}", {"project": {"parent_id": a}}).status_code == 403
    for id in (c, b):
        assert admin.patch(f"/projects/{id}", {"project": {"enabled": False}}).status_code == 200
    assert admin.post("/projects", {"project": {"name": "d", "parent_id": c}}).status_code == 400
    assert admin.patch(f"/projects/{c}", {"project": {"enabled": True}}).status_code == 403


def test_the_tree_has_a_floor(cloud, admin):
    parent = "default"
    for depth in range(5):
        parent = cloud.project(admin, f"p{depth}", parent_id=parent)["id"]
    assert admin.post("/projects", {"project": {"name": "deep", "parent_id": parent}}).status_code == 403


def test_lists(cloud, admin):
    cloud.project(admin, "one", enabled=False, tags=["red", "blue"])
    cloud.project(admin, "two", tags=["red"])

    def names(query: str) -> set[str]:
        return {project["name"] for project in admin.get(f"/projects?{query}").json()["projects"]} - {"admin", "demo", "service"}

    assert names("") == {"one", "two"} and names("enabled=false") == {"one"} and names("is_domain=true") == {"Default"}
    assert names("tags=red") == {"one", "two"} and names("tags=red,blue") == {"one"} and names("tags-any=blue,x") == {"one"}
    assert names("not-tags=red,blue") == {"two"} and names("not-tags-any=blue") == {"two"} and names("name=two") == {"two"}


def test_tags(cloud, admin):
    path = f"/projects/{cloud.project(admin, 'p')['id']}/tags"
    assert admin.put(f"{path}/one").status_code == 201 and admin.put(f"{path}/one").status_code == 400
    assert admin("HEAD", f"{path}/one").status_code == 204 and admin.get(f"{path}/two").status_code == 404
    assert admin.get(path).json()["tags"] == ["one"]
    assert admin.put(path, {"tags": ["x", "y"]}).json()["tags"] == ["x", "y"]
    assert admin.put(path, {"tags": ["z", "z"]}).status_code == 400 and admin.get(path).json()["tags"] == ["x", "y"]
    assert admin.post("/projects", {"project": {"name": "twice", "tags": ["z", "z"]}}).status_code == 400
    assert admin.patch(path.removesuffix("/tags"), {"project": {"tags": ["z", "z"]}}).status_code == 400
    assert admin.put(path, {"tags": ["a,b"]}).status_code == 400 and admin.put(f"{path}/{'t' * 256}").status_code == 400
    assert admin.delete(f"{path}/x").status_code == 204 and admin.delete(f"{path}/x").status_code == 404
    assert admin.delete(path).status_code == 204 and admin.get(path).json()["tags"] == []
    assert admin.get("/projects/nowhere/tags").status_code == 404


def test_immutable_ones_stay(cloud, admin):
    path = f"/projects/{cloud.project(admin, 'p', options={'immutable': True})['id']}"
    assert admin.patch(path, {"project": {"name": "q"}}).status_code == 403
    assert admin.delete(path).status_code == 403 and admin.put(f"{path}/tags/x").status_code == 403
    assert admin.patch(path, {"project": {"options": {"immutable": False}}}).status_code == 200
    assert admin.delete(path).status_code == 204


def test_a_deleted_project_is_nobodys_default(cloud, admin):
    project = cloud.project(admin, "p")
    user = cloud.user(admin, "u", default_project_id=project["id"])
    assert admin.get(f"/users/{user['id']}").json()["user"]["default_project_id"] == project["id"]
    admin.delete(f"/projects/{project['id']}")
    assert "default_project_id" not in admin.get(f"/users/{user['id']}").json()["user"]


def test_a_domains_id_is_taken_once(cloud, admin):
    project = cloud.project(admin, "p")["id"]
    for id in ("default", project):
        answer = admin.post("/domains", {"domain": {"name": "d", "explicit_domain_id": id}})
        assert answer.status_code == 409 and id in answer.json()["error"]["message"]


def test_domains_go_with_all_that_is_theirs(cloud, admin):
    domain = admin.post("/domains", {"domain": {"name": "d", "description": "x"}}).json()["domain"]
    path = f"/domains/{domain['id']}"
    assert domain["enabled"] is True and domain["tags"] == [] and domain["options"] == {}
    user = cloud.user(admin, "u", domain_id=domain["id"])
    project = cloud.project(admin, "p", domain_id=domain["id"])
    group = admin.post("/groups", {"group": {"name": "g", "domain_id": domain["id"]}}).json()["group"]
    role = admin.post("/roles", {"role": {"name": "r", "domain_id": domain["id"]}}).json()["role"]
    cloud.grant(admin, "member", f"projects/{project['id']}/users/{user['id']}")
    refused = admin.delete(path)
    assert refused.status_code == 403
    assert refused.json()["error"]["message"] == "Cannot delete a domain that is enabled, please disable it first."
    assert admin.patch(path, {"domain": {"enabled": False}}).json()["domain"]["enabled"] is False
    assert [d["id"] for d in admin.get("/domains?enabled=false").json()["domains"]] == [domain["id"]]
    assert admin.delete(path).status_code == 204
    for gone in (path, f"/users/{user['id']}", f"/projects/{project['id']}", f"/groups/{group['id']}", f"/roles/{role['id']}"):
        assert admin.get(gone).status_code == 404
    assert admin.get(f"/role_assignments?user.id={user['id']}").json()["role_assignments"] == []


def test_who_sees_which_domain(cloud, admin, demo):
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]
    assert demo.get("/domains/default").status_code == 200 and demo.get(f"/domains/{domain['id']}").status_code == 403
    assert demo.get("/domains").status_code == 403
    scoped = cloud.login("admin", cloud.ADMIN, scope={"domain": {"id": "default"}})
    assert [d["id"] for d in scoped.get("/domains").json()["domains"]] == ["default"]
