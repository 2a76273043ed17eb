from __future__ import annotations

import itertools

import pytest
from sqlalchemy import event


@pytest.fixture
def people(cloud, admin):
    """A user in a group, and a project below another."""
    user = cloud.user(admin, "u")["id"]
    group = admin.post("/groups", {"group": {"name": "g"}}).json()["group"]["id"]
    admin.put(f"/groups/{group}/users/{user}")
    parent = cloud.project(admin, "parent")["id"]
    child = cloud.project(admin, "child", parent_id=parent)["id"]
    return {"user": user, "group": group, "parent": parent, "child": child}


def test_roles(cloud, admin):
    made = admin.post("/roles", {"role": {"name": "r", "description": "d"}})
    role = made.json()["role"]
    assert made.status_code == 201 and role["domain_id"] is None and role["options"] == {}
    assert admin.post("/roles", {"role": {"name": "r"}}).status_code == 409
    path = f"/roles/{role['id']}"
    assert admin.patch(path, {"role": {"name": "s"}}).json()["role"]["name"] == "s"
    assert admin.get("/roles?name=s").json()["roles"][0]["id"] == role["id"]
    own = admin.post("/roles", {"role": {"name": "s", "domain_id": "default"}}).json()["role"]
    assert [r["id"] for r in admin.get("/roles?domain_id=default").json()["roles"]] == [own["id"]]
    assert own["id"] not in {r["id"] for r in admin.get("/roles").json()["roles"]}
    assert admin.patch(f"/roles/{own['id']}", {"role": {"domain_id": None}}).status_code == 400
    assert admin.delete(path).status_code == 204 and admin.get(path).status_code == 404


def test_the_roles_that_policy_goes_by_stay(cloud, admin):
    for name in ("admin", "manager", "member", "reader", "service"):
        path = f"/roles/{cloud.role(admin, name)}"
        assert admin.delete(path).status_code == 403 and admin.patch(path, {"role": {"name": "x"}}).status_code == 403


def test_lists_do_not_ask_the_database_for_each_line(cloud, admin, people):
    """Ten inherited roles on ten projects, each with one below, cost as many statements as one."""

    def statements(call) -> int:
        seen: list[str] = []
        engine = cloud.runtime.db.engine
        listener = lambda *args: seen.append(args[2])
        event.listen(engine, "before_cursor_execute", listener)
        try:
            assert call().status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", listener)
        return len(seen)

    def counts() -> list[int]:
        user, top = people["user"], people["parent"]
        return [
            statements(lambda path=path: admin.get(path))
            for path in (
                f"/role_assignments?effective&include_names&user.id={user}", f"/users/{user}/projects", "/projects",
                f"/role_assignments?effective&include_subtree&scope.project.id={top}", "/users", "/roles",
            )
        ]  # fmt: skip

    def inherit(project: str) -> None:
        role = cloud.role(admin, "member")
        assert admin.put(f"/OS-INHERIT/projects/{project}/users/{people['user']}/roles/{role}/inherited_to_projects").status_code == 204

    inherit(people["parent"])
    before = counts()
    for i in range(9):
        project = cloud.project(admin, f"p{i}", parent_id=people["parent"])["id"]
        cloud.project(admin, f"below{i}", parent_id=project)
        inherit(project)
    assert counts() == before


def test_groups(cloud, admin, people):
    path, user = f"/groups/{people['group']}", people["user"]
    assert admin.patch(path, {"group": {"description": "x", "colour": "red"}}).json()["group"]["colour"] == "red"
    assert admin("HEAD", f"{path}/users/{user}").status_code == 204
    assert [u["id"] for u in admin.get(f"{path}/users").json()["users"]] == [user]
    assert [g["id"] for g in admin.get(f"/users/{user}/groups").json()["groups"]] == [people["group"]]
    assert admin.post("/groups", {"group": {"name": "g"}}).status_code == 409
    assert admin.delete(f"{path}/users/{user}").status_code == 204 and admin.get(f"{path}/users/{user}").status_code == 404
    assert admin.put(f"{path}/users/nobody").status_code == 404
    assert admin.delete(path).status_code == 204 and admin.get(path).status_code == 404


def test_grants_everywhere_to_everyone(cloud, admin, people):
    role = cloud.role(admin, "member")
    wheres = [f"projects/{people['parent']}", "domains/default", "system"]
    whos = [f"users/{people['user']}", f"groups/{people['group']}"]
    for where, who in itertools.product(wheres, whos):
        path = f"/{where}/{who}/roles"
        assert admin.get(f"{path}/{role}").status_code == 404 and admin.delete(f"{path}/{role}").status_code == 404
        assert admin.put(f"{path}/{role}").status_code == 204 and admin.put(f"{path}/{role}").status_code == 204
        assert admin("HEAD", f"{path}/{role}").status_code == 204 and admin.get(f"{path}/{role}").status_code == 204
        assert [r["name"] for r in admin.get(path).json()["roles"]] == ["member"]
        if where != "system":
            below = f"/OS-INHERIT{path}/{role}/inherited_to_projects"
            assert admin.get(below).status_code == 404 and admin.put(below).status_code == 204
            assert admin("HEAD", below).status_code == 204
            listed = admin.get(f"/OS-INHERIT{path}/inherited_to_projects").json()["roles"]
            assert [r["id"] for r in listed] == [role] and admin.delete(below).status_code == 204
        assert admin.delete(f"{path}/{role}").status_code == 204 and admin.get(path).json()["roles"] == []
    for nothing in (f"projects/x/users/{people['user']}", f"domains/{people['parent']}/users/{people['user']}", "system/users/x"):
        assert admin.put(f"/{nothing}/roles/{role}").status_code == 404
    assert admin.put(f"/system/users/{people['user']}/roles/x").status_code == 404


def test_roles_come_by_group_tree_and_implication(cloud, admin, people):
    scope = {"project": {"id": people["child"]}}
    assert cloud.ask("u", "pw", scope=scope).status_code == 401
    cloud.grant(admin, "manager", f"projects/{people['parent']}/groups/{people['group']}")
    assert cloud.ask("u", "pw", scope=scope).status_code == 401
    role = cloud.role(admin, "manager")
    admin.put(f"/OS-INHERIT/domains/default/groups/{people['group']}/roles/{role}/inherited_to_projects")
    token = cloud.ask("u", "pw", scope=scope).json()["token"]
    assert [r["name"] for r in token["roles"]] == ["manager", "member", "reader"]
    caller = cloud.login("u", "pw")
    reachable = {p["name"] for p in caller.get("/auth/projects").json()["projects"]}
    assert reachable == {"admin", "demo", "service", "parent", "child"}
    assert {p["name"] for p in admin.get(f"/users/{people['user']}/projects").json()["projects"]} == reachable
    admin.delete(f"/groups/{people['group']}/users/{people['user']}")
    assert cloud.ask("u", "pw", scope=scope).status_code == 401


def test_implied_roles(cloud, admin):
    one, two = cloud.role(admin, "one"), cloud.role(admin, "two")
    rule = f"/roles/{one}/implies/{two}"
    made = admin.put(rule)
    assert made.status_code == 201 and made.json()["role_inference"]["implies"]["name"] == "two"
    assert admin("HEAD", rule).status_code == 204 and admin.get(rule).json()["role_inference"]["prior_role"]["id"] == one
    assert [r["id"] for r in admin.get(f"/roles/{one}/implies").json()["role_inference"]["implies"]] == [two]
    known = {r["prior_role"]["name"]: [i["name"] for i in r["implies"]] for r in admin.get("/role_inferences").json()["role_inferences"]}
    assert known["one"] == ["two"] and known["admin"] == ["manager"] and known["member"] == ["reader"]
    assert admin.put(f"/roles/{two}/implies/{one}").status_code == 201, "a circle does no harm"
    assert admin.put(f"/roles/{one}/implies/{cloud.role(admin, 'admin')}").status_code == 403
    assert admin.delete(rule).status_code == 204 and admin.get(rule).status_code == 404


def test_a_domains_role_counts_for_what_it_implies(cloud, admin, people):
    own = admin.post("/roles", {"role": {"name": "own", "domain_id": "default"}}).json()["role"]["id"]
    admin.put(f"/roles/{own}/implies/{cloud.role(admin, 'reader')}")
    assert admin.put(f"/projects/{people['parent']}/users/{people['user']}/roles/{own}").status_code == 204
    token = cloud.ask("u", "pw", scope={"project": {"id": people["parent"]}}).json()["token"]
    assert [r["name"] for r in token["roles"]] == ["reader"]
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]
    there = cloud.project(admin, "p", domain_id=domain["id"])["id"]
    assert admin.put(f"/projects/{there}/users/{people['user']}/roles/{own}").status_code == 403
    assert admin.put(f"/system/users/{people['user']}/roles/{own}").status_code == 400
    assert admin.put(f"/roles/{cloud.role(admin, 'reader')}/implies/{own}").status_code == 403


def test_listing_assignments(cloud, admin, people):
    user, group, parent, child = people.values()
    member, reader = cloud.role(admin, "member"), cloud.role(admin, "reader")
    cloud.grant(admin, "member", f"projects/{parent}/groups/{group}")
    admin.put(f"/OS-INHERIT/projects/{parent}/users/{user}/roles/{member}/inherited_to_projects")

    def listed(query: str) -> list[dict]:
        return admin.get(f"/role_assignments?{query}").json()["role_assignments"]

    base = "http://cloud/identity/v3"
    given = listed(f"scope.project.id={parent}")
    assert {"group": {"id": group}, "role": {"id": member}, "scope": {"project": {"id": parent}},
            "links": {"assignment": f"{base}/projects/{parent}/groups/{group}/roles/{member}"}} in given  # fmt: skip
    inherited = listed(f"scope.project.id={parent}&scope.OS-INHERIT:inherited_to=projects")
    assert [a["scope"]["OS-INHERIT:inherited_to"] for a in inherited] == ["projects"] and len(given) == 2
    effective = listed(f"user.id={user}&effective")
    assert {(a["scope"]["project"]["id"], a["role"]["id"]) for a in effective} == set(itertools.product((parent, child), (member, reader)))
    by_group = next(a for a in effective if a["scope"]["project"]["id"] == parent and a["role"]["id"] == reader)
    assert by_group["links"] == {
        "assignment": f"{base}/projects/{parent}/groups/{group}/roles/{member}",
        "membership": f"{base}/groups/{group}/users/{user}", "prior_role": f"{base}/prior_role/{reader}/implies/{member}",
    }  # fmt: skip
    on_child = listed(f"scope.project.id={child}&effective&role.id={member}")
    assert [a["user"]["id"] for a in on_child] == [user]
    assert on_child[0]["links"]["assignment"].endswith(f"/OS-INHERIT/projects/{parent}/users/{user}/roles/{member}/inherited_to_projects")
    named = listed(f"user.id={user}&effective&include_names&scope.project.id={child}&role.id={member}")[0]
    default = {"id": "default", "name": "Default"}
    assert named["user"] == {"id": user, "name": "u", "domain": default}
    assert named["scope"]["project"] == {"id": child, "name": "child", "domain": default} and named["role"]["name"] == "member"
    tree = listed(f"scope.project.id={parent}&include_subtree&effective&role.id={member}")
    assert {a["scope"]["project"]["id"] for a in tree} == {parent, child}
    assert [a["scope"] for a in listed("scope.system=all")] == [{"system": {"all": True}}]
    assert {a["scope"]["domain"]["id"] for a in listed("scope.domain.id=default")} == {"default"}


@pytest.mark.parametrize(
    "query",
    ["user.id=a&group.id=b", "scope.project.id=a&scope.domain.id=b", "scope.system=all&scope.project.id=a",
     "effective&group.id=a", "include_subtree"],
)  # fmt: skip
def test_questions_that_make_no_sense(admin, query):
    assert admin.get(f"/role_assignments?{query}").status_code == 400


def test_a_token_for_a_domain_sees_its_assignments_alone(cloud, admin, people):
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]
    boss = cloud.user(admin, "boss", domain_id=domain["id"])
    cloud.grant(admin, "reader", f"domains/{domain['id']}/users/{boss['id']}")
    caller = cloud.login("boss", "pw", scope={"domain": {"id": domain["id"]}}, domain="d")
    seen = caller.get("/role_assignments").json()["role_assignments"]
    assert [a["user"]["id"] for a in seen] == [boss["id"]]
    assert caller.get(f"/role_assignments?scope.project.id={people['parent']}&include_subtree").status_code == 403


def test_what_each_scope_is_for(cloud, admin, people):
    """A token for a domain is for what is in the domain, whatever its roles; the system's readers read everything."""
    domain_admin = cloud.login("admin", cloud.ADMIN, scope={"domain": {"id": "default"}})
    service = {"service": {"type": "t"}}
    assert domain_admin.get("/users").status_code == 200
    for refused in (
        domain_admin.get("/services"),
        domain_admin.post("/services", service),
        domain_admin.post("/roles", {"role": {"name": "r"}}),
    ):
        assert refused.status_code == 403
    assert cloud.login("admin", cloud.ADMIN, scope="system").post("/services", service).status_code == 201
    cloud.grant(admin, "reader", f"system/users/{people['user']}")
    reader = cloud.login("u", "pw", scope="system")
    for path in ("/services", "/endpoints", "/users", "/projects", "/role_assignments", "/roles", "/domains", "/credentials"):
        assert reader.get(path).status_code == 200, path
    assert reader.post("/services", service).status_code == 403 and reader.post("/users", {"user": {"name": "x"}}).status_code == 403
    own = admin.post("/roles", {"role": {"name": "own", "domain_id": "default"}}).json()["role"]["id"]
    assert reader.get(f"/projects/{people['parent']}/users/{people['user']}/roles/{own}").status_code == 404
