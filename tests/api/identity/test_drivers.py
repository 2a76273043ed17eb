"""What every driver of users and groups does alike, as clients see it: the database, and directories of several makes."""

from __future__ import annotations

import typing as t

import pytest
from ldap_world import domain_of, ldif, person, team, tree

from cumulet.identity.drivers.base import CAPABILITIES
from cumulet.kernel.testing.engines import slapd

SUFFIX = "dc=drivers,dc=test"
ODD = "o'brien *)(uid=*"
"""A name that would mean something in a filter or a DN."""

POSIX = {"group_objectclass": "posixGroup", "group_members_are_ids": True, "group_member_attribute": "memberUid"}
BY_GROUP = {"user_attribute_ignore": [], "user_enabled_emulation": True, "user_enabled_emulation_dn": f"cn=active,ou=teams,{SUFFIX}"}
BY_TEXT = {"user_attribute_ignore": [], "user_enabled_attribute": "employeeType"}
BY_MASK = {"user_attribute_ignore": [], "user_enabled_attribute": "departmentNumber", "user_enabled_mask": 2, "user_enabled_default": "512"}
LOCKED = {"user_attribute_ignore": [], "user_enabled_attribute": "carLicense", "user_enabled_invert": True, "user_enabled_default": "False"}
ANOTHER_ID = {"user_id_attribute": "employeeNumber", "query_scope": "sub", "page_size": 2}

KINDS: dict[str, dict[str, t.Any] | None] = {
    "database": None, "enabled by group": BY_GROUP, "enabled by mask": BY_MASK, "members are ids": LOCKED | POSIX,
    "the id is not in the DN": BY_TEXT | ANOTHER_ID,
}  # fmt: skip


def entries() -> str:
    off = {"employeeType": "FALSE", "departmentNumber": "514", "carLicense": "TRUE"}
    on = {"employeeType": "TRUE", "departmentNumber": "512", "carLicense": "FALSE"}
    people = [("alice", on), ("bob", {}), (ODD, on), ("off", off)]
    made = "".join(person(SUFFIX, uid, employeeNumber=f"n{i}", mail=f"{i}@x", **more) for i, (uid, more) in enumerate(people))
    posix = ldif(f"cn=devs,ou=posix,{SUFFIX}", objectClass="posixGroup", cn="devs", gidNumber="7", memberUid=["alice", "off", "ghost"])
    nobodys = ldif(f"cn=empty,ou=posix,{SUFFIX}", objectClass="posixGroup", cn="empty", gidNumber="8")
    teams = team(SUFFIX, "devs", "alice", "off", "ghost") + team(SUFFIX, "empty", "ghost")
    active = team(SUFFIX, "active", "alice", "bob", ODD)
    return tree(SUFFIX) + made + teams + active + ldif(f"ou=posix,{SUFFIX}", objectClass="organizationalUnit", ou="posix") + posix + nobodys


@pytest.fixture(scope="module")
def server():
    with slapd(SUFFIX, entries()) as running:
        yield running


class Domain(t.NamedTuple):
    id: str
    writable: bool


@pytest.fixture(params=KINDS)
def domain(request, cloud, admin, server) -> Domain:
    """A domain of each kind, with the same users and groups."""
    more = KINDS[request.param]
    if more is not None:
        teams = {"group_tree_dn": f"ou=posix,{SUFFIX}"} if "group_members_are_ids" in more else {"group_filter": "(!(cn=active))"}
        return Domain(domain_of(admin, server, "d", **teams, **more), CAPABILITIES["ldap"].writable)
    id = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]["id"]
    ids = {}
    for i, name in enumerate(("alice", "bob", ODD, "off")):
        ids[name] = cloud.user(admin, name, domain_id=id, password=f"{name}-pw", enabled=name != "off", email=f"{i}@x")["id"]
    for name, inside in (("devs", ("alice", "off")), ("empty", ())):
        group = admin.post("/groups", {"group": {"name": name, "domain_id": id}}).json()["group"]["id"]
        for one in inside:
            admin.put(f"/groups/{group}/users/{ids[one]}")
    return Domain(id, CAPABILITIES["sql"].writable)


def users(admin, domain: Domain, **query: str) -> dict[str, dict]:
    found = admin.get("/users", params={"domain_id": domain.id, **query}).json()["users"]
    return {user["name"]: user for user in found}


def groups(admin, domain: Domain) -> dict[str, str]:
    return {group["name"]: group["id"] for group in admin.get(f"/groups?domain_id={domain.id}").json()["groups"]}


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    (found,) = (value for value in answer.json().values() if isinstance(value, list))
    return [one["name"] for one in found]


def test_users_are_listed_and_shown(admin, domain):
    found = users(admin, domain)
    assert sorted(found) == sorted(["alice", "bob", ODD, "off"])
    assert {name: user["enabled"] for name, user in found.items()} == {"alice": True, "bob": True, ODD: True, "off": False}
    for user in found.values():
        assert admin.get(f"/users/{user['id']}").json()["user"] == user
        assert user["domain_id"] == domain.id and user["options"] == {} and user["password_expires_at"] is None
        assert not any("password" in key for key in user if key != "password_expires_at")
    assert [found[name]["email"] for name in ("alice", "bob", ODD, "off")] == ["0@x", "1@x", "2@x", "3@x"]
    missing = admin.get(f"/users/{'0' * 64}")
    assert missing.status_code == 404 and missing.json()["error"]["message"] == f"Could not find user: {'0' * 64}."


def test_lists_are_filtered_and_in_pages(admin, domain):
    for query, expected in (
        ({"name": "bob"}, ["bob"]),
        ({"name": ODD}, [ODD]),
        ({"name": "*"}, []),
        ({"name": "nobody"}, []),
        ({"name__contains": "li"}, ["alice"]),
        ({"name__istartswith": "O"}, [ODD, "off"]),
        ({"enabled": "false"}, ["off"]),
    ):
        assert sorted(users(admin, domain, **query)) == sorted(expected), query
    first = admin.get("/users", params={"domain_id": domain.id, "limit": 3}).json()
    rest = admin.get(first["links"]["next"].removeprefix("http://cloud/identity/v3")).json()
    assert [len(first["users"]), len(rest["users"])] == [3, 1]


def test_groups_and_who_is_in_them(admin, domain):
    who, ids = {name: user["id"] for name, user in users(admin, domain).items()}, groups(admin, domain)
    assert sorted(ids) == ["devs", "empty"]
    for name, id in ids.items():
        assert admin.get(f"/groups/{id}").json()["group"]["name"] == name
    assert names(admin.get(f"/groups/{ids['devs']}/users")) == ["alice", "off"]
    assert names(admin.get(f"/groups/{ids['empty']}/users")) == []
    assert names(admin.get(f"/users/{who['alice']}/groups")) == ["devs"] and names(admin.get(f"/users/{who['bob']}/groups")) == []
    assert admin("HEAD", f"/groups/{ids['devs']}/users/{who['alice']}").status_code == 204
    outside = admin.get(f"/groups/{ids['devs']}/users/{who['bob']}")
    assert outside.status_code == 404 and outside.json()["error"]["message"] == f"User '{who['bob']}' not found in group '{ids['devs']}'"


def test_logins(cloud, admin, domain):
    for name in ("alice", "bob", ODD):
        token = cloud.login(name, f"{name}-pw", domain="d")
        shown = token.get("/auth/tokens", headers={"X-Subject-Token": token.token}).json()["token"]
        assert shown["user"]["name"] == name and shown["user"]["domain"] == {"id": domain.id, "name": "d"}
    for name, password in (
        ("alice", "bob-pw"),
        ("alice", ""),
        ("alice", "*"),
        ("off", "off-pw"),
        ("nobody", "x"),
        ("*", "alice-pw"),
        ("", ""),
    ):
        refused = cloud.ask(name, password, domain="d")
        assert refused.status_code == 401 and refused.json()["error"]["message"] == "The request you have made requires authentication."
    by_id = {"id": users(admin, domain)["alice"]["id"], "password": "alice-pw"}
    auth = {"identity": {"methods": ["password"], "password": {"user": by_id}}}
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 201


def test_roles_of_groups_count(cloud, admin, domain):
    project = cloud.project(admin, "p")["id"]
    cloud.grant(admin, "member", f"projects/{project}/groups/{groups(admin, domain)['devs']}")
    scope = {"project": {"id": project}}
    assert cloud.ask("bob", "bob-pw", domain="d", scope=scope).status_code == 401
    alice = cloud.login("alice", "alice-pw", domain="d", scope=scope)
    assert [p["name"] for p in alice.get("/auth/projects").json()["projects"]] == ["p"]
    effective = admin.get(f"/role_assignments?effective&include_names&scope.project.id={project}").json()["role_assignments"]
    assert {(one["user"]["name"], one["role"]["name"]) for one in effective if one["role"]["name"] == "member"} == {
        ("alice", "member"), ("off", "member")}  # fmt: skip


def test_what_is_built_on_users_works(cloud, admin, domain):
    ids, project = {name: user["id"] for name, user in users(admin, domain).items()}, cloud.project(admin, "p")["id"]
    cloud.grant(admin, "member", f"projects/{project}/users/{ids['alice']}")
    alice = cloud.login("alice", "alice-pw", domain="d", scope={"project": {"id": project}})
    made = alice.post(f"/users/{ids['alice']}/application_credentials", {"application_credential": {"name": "a", "secret": "s"}})
    by_credential = {"id": made.json()["application_credential"]["id"], "secret": "s"}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": by_credential}}
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 201
    member = cloud.role(admin, "member")
    trust = {
        "trustor_user_id": ids["alice"],
        "trustee_user_id": ids["bob"],
        "project_id": project,
        "impersonation": True,
        "roles": [{"id": member}],
    }
    lent = alice.post("/OS-TRUST/trusts", {"trust": trust}).json()["trust"]["id"]
    passing = cloud.login("bob", "bob-pw", domain="d", scope={"OS-TRUST:trust": {"id": lent}})
    assert passing.get("/auth/tokens", headers={"X-Subject-Token": passing.token}).json()["token"]["user"]["id"] == ids["alice"]


def test_writing(cloud, admin, domain):
    who, ids = users(admin, domain)["bob"]["id"], groups(admin, domain)
    writes = [
        admin.post("/users", {"user": {"name": "new", "domain_id": domain.id}}),
        admin.patch(f"/users/{who}", {"user": {"description": "new"}}),
        admin.post("/groups", {"group": {"name": "new", "domain_id": domain.id}}),
        admin.patch(f"/groups/{ids['empty']}", {"group": {"description": "new"}}),
        admin.put(f"/groups/{ids['empty']}/users/{who}"),
        admin.delete(f"/groups/{ids['empty']}/users/{who}"),
        admin.delete(f"/groups/{ids['empty']}"),
        cloud.stranger(cloud.base).post(f"/users/{who}/password", {"user": {"original_password": "bob-pw", "password": "other"}}),
        admin.delete(f"/users/{who}"),
    ]
    if domain.writable:
        assert all(answer.status_code < 300 for answer in writes), [answer.text for answer in writes]
    else:
        assert {(answer.status_code, answer.json()["error"]["message"]) for answer in writes} == {
            (403, "LDAP does not support write operations")}  # fmt: skip
        assert sorted(users(admin, domain)) == sorted(["alice", "bob", ODD, "off"]) and sorted(groups(admin, domain)) == ["devs", "empty"]
    wrong = cloud.stranger(cloud.base).post(f"/users/{who}/password", {"user": {"original_password": "wrong", "password": "other"}})
    assert wrong.status_code == 401
