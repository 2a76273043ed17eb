from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from cumulet.identity.fernet import Repository
from cumulet.identity.state import state
from cumulet.kernel import clock

UNAUTHORIZED = {"error": {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}}


def test_a_token_says_who_where_and_with_what(cloud):
    answer = cloud.ask("demo", cloud.DEMO, scope="demo")
    token = answer.json()["token"]
    assert answer.status_code == 201 and len(answer.headers["x-subject-token"]) < 500
    assert token["methods"] == ["password"] and len(token["audit_ids"]) == 1 and token["is_domain"] is False
    assert token["user"]["name"] == "demo" and token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["user"]["password_expires_at"] is None
    assert token["project"]["name"] == "demo" and token["project"]["domain"] == {"id": "default", "name": "Default"}
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    volume = next(entry for entry in token["catalog"] if entry["type"] == "volumev3")
    assert {e["interface"] for e in volume["endpoints"]} == {"public", "internal", "admin"}
    assert volume["endpoints"][0]["url"] == f"http://cloud/volume/v3/{token['project']['id']}"
    assert volume["endpoints"][0]["region_id"] == volume["endpoints"][0]["region"] == "RegionOne"
    assert token["expires_at"].endswith("Z") and token["issued_at"] < token["expires_at"]


@pytest.mark.parametrize(
    ("scope", "has", "lacks"),
    [
        ("system", {"system": {"all": True}}, {"project", "domain"}),
        ({"domain": {"id": "default"}}, {"domain": {"id": "default", "name": "Default"}}, {"project", "system"}),
        ("unscoped", {}, {"project", "domain", "system", "roles", "catalog"}),
        ({"unscoped": {}}, {}, {"project", "domain", "system", "roles", "catalog"}),
        (None, {}, {"project", "domain", "system", "roles", "catalog"}),
    ],
)
def test_scopes(cloud, scope, has, lacks):
    token = cloud.ask("admin", cloud.ADMIN, scope=scope).json()["token"]
    assert has.items() <= token.items() and not lacks & token.keys()
    if has:
        assert {"admin", "manager", "member", "reader"} == {role["name"] for role in token["roles"]}


def test_the_default_project_is_the_scope_where_none_is_asked(cloud, admin):
    project = cloud.project(admin, "home")
    user = cloud.user(admin, "u", default_project_id=project["id"])
    assert "project" not in cloud.ask("u", "pw").json()["token"]
    cloud.grant(admin, "member", f"projects/{project['id']}/users/{user['id']}")
    assert cloud.ask("u", "pw").json()["token"]["project"]["id"] == project["id"]
    assert "project" not in cloud.ask("u", "pw", scope="unscoped").json()["token"]


def test_who_is_not_let_in_learns_nothing(cloud, admin):
    cloud.user(admin, "off", enabled=False)
    refused = [
        cloud.ask("demo", "wrong"), cloud.ask("nobody", "pw"), cloud.ask("0" * 32, "pw"), cloud.ask("off", "pw"),
        cloud.ask("demo", cloud.DEMO, scope="admin"), cloud.ask("demo", cloud.DEMO, scope="nowhere"),
        cloud.ask("demo", cloud.DEMO, scope="system"), cloud.ask("demo", cloud.DEMO, domain="Nowhere"),
        cloud.ask("demo", cloud.DEMO, scope={"domain": {"id": "default"}}),
        cloud.ask("demo", cloud.DEMO, scope={"project": {"id": "x"}}),
    ]  # fmt: skip
    assert [answer.status_code for answer in refused] == [401] * len(refused)
    assert all(answer.json() == UNAUTHORIZED and "www-authenticate" in answer.headers for answer in refused)


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        ({}, 400),
        ({"identity": {}}, 400),
        ({"identity": {"methods": ["password"]}}, 400),
        ({"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}, 400),
        ({"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "password": "x"}}}}, 400),
        ({"identity": {"methods": ["password"], "password": {"user": {"id": 5, "password": "x"}}}}, 400),
        ({"identity": {"methods": ["oauth9"]}}, 401),
        ({"identity": {"methods": []}}, 401),
        ({"identity": {"methods": ["token"], "token": {"id": "gAAAAA"}}}, 404),
        ({"identity": {"methods": ["token"], "token": {"id": "ключ"}}}, 404),
        ({"identity": {"methods": ["token"], "token": {"id": ""}}}, 404),
        ({"identity": {"methods": "password"}}, 400),
    ],
)
def test_malformed_requests(cloud, auth, status):
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == status


def test_a_scope_is_one_thing(cloud):
    both = {"domain": {"id": "default"}, "system": {"all": True}}
    assert cloud.ask("admin", cloud.ADMIN, scope=both).status_code == 400
    assert cloud.ask("admin", cloud.ADMIN, scope={"project": {"name": "admin"}}).status_code == 400


def test_validate_check_revoke(cloud, admin, demo):
    subject = {"X-Subject-Token": demo.token}
    shown = admin.get("/auth/tokens", headers=subject)
    assert shown.status_code == 200 and shown.json()["token"]["user"]["name"] == "demo" and "catalog" in shown.json()["token"]
    assert shown.headers["x-subject-token"] == demo.token
    assert "catalog" not in demo.get("/auth/tokens?nocatalog", headers=subject).json()["token"]
    checked = admin("HEAD", "/auth/tokens", headers=subject)
    assert checked.status_code == 200 and checked.content == b""
    assert demo.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).status_code == 403
    assert admin.get("/auth/tokens").status_code == 404
    assert admin.get("/auth/tokens", headers={"X-Subject-Token": "nonsense"}).json()["error"]["code"] == 404
    assert demo.delete("/auth/tokens", headers=subject).status_code == 204
    assert demo.get("/auth/projects").json() == UNAUTHORIZED
    assert admin.get("/auth/tokens", headers=subject).status_code == 404
    assert cloud.login("demo", cloud.DEMO, scope="demo").get("/auth/projects").status_code == 200


def test_a_token_gets_another_for_elsewhere(cloud, admin, demo):
    unscoped = cloud.login("demo", cloud.DEMO, scope="unscoped")
    first = admin.get("/auth/tokens", headers={"X-Subject-Token": unscoped.token}).json()["token"]
    project = demo.get("/auth/projects").json()["projects"][0]["id"]
    auth = {"identity": {"methods": ["token"], "token": {"id": unscoped.token}}, "scope": {"project": {"id": project}}}
    answer = cloud.stranger(cloud.base).post("/auth/tokens?nocatalog", {"auth": auth})
    second = answer.json()["token"]
    assert answer.status_code == 201 and second["project"]["id"] == project and "catalog" not in second
    assert second["methods"] == ["password", "token"] and second["expires_at"] == first["expires_at"]
    assert second["audit_ids"][1] == first["audit_ids"][0] != second["audit_ids"][0]
    unscoped.delete("/auth/tokens", headers={"X-Subject-Token": unscoped.token})
    assert cloud.bearer(answer.headers["x-subject-token"]).get("/auth/projects").status_code == 200


def test_a_token_that_is_no_good_any_more_gets_no_other(cloud, admin):
    def again(bearer):
        auth = {"identity": {"methods": ["token"], "token": {"id": bearer.token}}}
        return cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code

    user = cloud.user(admin, "u")
    revoked = cloud.login("u", "pw")
    assert again(revoked) == 201
    revoked.delete("/auth/tokens", headers={"X-Subject-Token": revoked.token})
    assert again(revoked) == 404
    before = cloud.login("u", "pw")
    change = {"user": {"original_password": "pw", "password": "pw2"}}
    assert before.post(f"/users/{user['id']}/password", change).status_code == 204
    assert again(before) == 404
    orphan = cloud.login("u", "pw2")
    admin.delete(f"/users/{user['id']}")
    assert again(orphan) == 404


def test_what_ends_tokens_at_once(cloud, admin):
    project = cloud.project(admin, "p")
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]
    user = cloud.user(admin, "u", domain_id=domain["id"])
    path = f"projects/{project['id']}/users/{user['id']}"
    scope = {"project": {"id": project["id"]}}

    def works(token) -> bool:
        return token.get("/auth/projects").status_code == 200

    def fresh():
        cloud.grant(admin, "member", path)
        caller = cloud.login("u", "pw", scope=scope, domain="d")
        assert works(caller)
        return caller

    token = fresh()
    cloud.revoke(admin, "member", path)
    assert not works(token)

    token = fresh()
    admin.patch(f"/projects/{project['id']}", {"project": {"enabled": False}})
    assert not works(token)
    admin.patch(f"/projects/{project['id']}", {"project": {"enabled": True}})

    token = fresh()
    admin.patch(f"/domains/{domain['id']}", {"domain": {"enabled": False}})
    assert not works(token)
    admin.patch(f"/domains/{domain['id']}", {"domain": {"enabled": True}})

    token = fresh()
    admin.patch(f"/users/{user['id']}", {"user": {"enabled": False}})
    admin.patch(f"/users/{user['id']}", {"user": {"enabled": True}})
    assert not works(token)

    token = fresh()
    admin.patch(f"/users/{user['id']}", {"user": {"password": "pw"}})
    assert not works(token)

    token = fresh()
    admin.delete(f"/users/{user['id']}")
    assert not works(token)


def test_a_new_role_counts_in_old_tokens(cloud, admin, demo):
    assert demo.get("/services").status_code == 403
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]
    cloud.grant(admin, "admin", f"projects/{me['project']['id']}/users/{me['user']['id']}")
    assert demo.get("/services").status_code == 200


def test_an_expired_token_is_shown_only_to_who_asks_for_it(cloud, monkeypatch):
    token = cloud.login("demo", cloud.DEMO, scope="demo").token
    later = clock.now() + dt.timedelta(hours=13)
    monkeypatch.setattr(clock, "now", lambda: later)
    subject = {"X-Subject-Token": token}
    admin = cloud.login("admin", cloud.ADMIN, scope="admin")
    assert cloud.bearer(token).get("/auth/projects").status_code == 401
    assert admin.get("/auth/tokens", headers=subject).status_code == 404
    assert admin.get("/auth/tokens?allow_expired=1", headers=subject).status_code == 200


def test_forged_tokens(cloud, demo, tmp_path):
    token = demo.token
    other = Repository(Path(tmp_path) / "other")
    other.setup()
    stolen = other.seal(state(cloud.runtime).token_keys.open(token))
    for bad in (token[:-2] + "AA", token[:40], "A" + token[1:], stolen, "x" * 5000, "é".encode()):
        assert cloud.bearer(bad).get("/auth/projects").status_code == 401
    sealed = state(cloud.runtime).token_keys.seal(json.dumps({"user_id": "x"}).encode())
    assert cloud.bearer(sealed).get("/auth/projects").status_code == 401


def test_auth_scopes(cloud, admin, demo):
    assert [p["name"] for p in demo.get("/auth/projects").json()["projects"]] == ["demo"]
    assert demo.get("/auth/domains").json()["domains"] == [] and demo.get("/auth/system").json()["system"] == []
    assert [d["id"] for d in admin.get("/auth/domains").json()["domains"]] == ["default"]
    assert admin.get("/auth/system").json()["system"] == [{"all": True}]
    assert {e["type"] for e in demo.get("/auth/catalog").json()["catalog"]} == {"identity", "volumev3"}
    assert cloud.login("demo", cloud.DEMO).get("/auth/catalog").status_code == 403


def test_more_than_one_factor_where_an_administrator_asks_for_it(cloud, admin):
    options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    user = cloud.user(admin, "careful", options=options)
    assert cloud.ask("careful", "pw").status_code == 401
    admin.patch(f"/users/{user['id']}", {"user": {"options": {"multi_factor_auth_enabled": False}}})
    assert cloud.ask("careful", "pw").status_code == 201
