"""Application credentials, access rules and trusts: what one may do for another, and no more."""

from __future__ import annotations

import datetime as dt

import pytest

from cumulet.identity.trusts import trust_roles
from cumulet.kernel import clock


@pytest.fixture
def me(demo):
    return demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]


def use(cloud, credential: dict, secret: str | None = None, **more):
    part = {"id": credential["id"], "secret": secret or credential["secret"]}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": part}, **more}
    return cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth})


def test_a_program_acts_for_its_user(cloud, demo, me):
    path = f"/users/{me['user']['id']}/application_credentials"
    made = demo.post(path, {"application_credential": {"name": "ci", "description": "d"}})
    credential = made.json()["application_credential"]
    assert made.status_code == 201 and len(credential["secret"]) > 80 and credential["unrestricted"] is False
    assert credential["project_id"] == me["project"]["id"] and credential["expires_at"] is None
    assert {role["name"] for role in credential["roles"]} == {"member", "reader"}
    shown = demo.get(f"{path}/{credential['id']}").json()["application_credential"]
    assert "secret" not in shown and shown["name"] == "ci"
    answer = use(cloud, credential)
    token = answer.json()["token"]
    assert answer.status_code == 201 and token["methods"] == ["application_credential"]
    assert token["application_credential"] == {"id": credential["id"], "name": "ci", "restricted": True}
    assert token["project"]["id"] == me["project"]["id"]
    named = {"name": "ci", "user": {"name": "demo", "domain": {"id": "default"}}, "secret": credential["secret"]}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": named}}
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 201
    assert use(cloud, credential, "wrong").status_code == 401 and use(cloud, credential | {"id": "x"}).status_code == 401
    assert use(cloud, credential, scope={"system": {"all": True}}).status_code == 401
    program = cloud.bearer(answer.headers["x-subject-token"])
    assert program.post(path, {"application_credential": {"name": "more"}}).status_code == 403
    assert program.delete(f"{path}/{credential['id']}").status_code == 403
    auth = {"identity": {"methods": ["token"], "token": {"id": program.token}}}
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 403
    assert demo.delete(f"{path}/{credential['id']}").status_code == 204
    assert program.get("/auth/projects").status_code == 401


@pytest.mark.parametrize(("scope", "status"), [("system", 403), ({"domain": {"id": "default"}}, 403), ("admin", 201)])
def test_an_application_credential_is_made_with_a_token_for_a_project(cloud, scope, status):
    admin = cloud.login("admin", cloud.ADMIN, scope=scope)
    user = admin.get("/users?name=admin").json()["users"][0]["id"]
    made = admin.post(f"/users/{user}/application_credentials", {"application_credential": {"name": "ci"}})
    assert made.status_code == status


def test_credentials_have_only_roles_that_their_maker_has(cloud, admin, demo, me):
    path = f"/users/{me['user']['id']}/application_credentials"
    body = {"application_credential": {"name": "ci", "roles": [{"name": "admin"}]}}
    assert demo.post(path, body).status_code == 400
    reader = {"application_credential": {"name": "ci", "roles": [{"name": "reader"}], "unrestricted": True}}
    credential = demo.post(path, reader).json()["application_credential"]
    assert [role["name"] for role in use(cloud, credential).json()["token"]["roles"]] == ["reader"]
    assert demo.post(path, reader).status_code == 409
    assert [c["name"] for c in demo.get(f"{path}?name=ci").json()["application_credentials"]] == ["ci"]
    assert admin.post(path, {"application_credential": {"name": "x"}}).status_code == 403
    other = cloud.user(admin, "other")["id"]
    stranger = cloud.login("other", "pw")
    assert stranger.get(f"/users/{other}/application_credentials/{credential['id']}").status_code == 403
    program = cloud.bearer(use(cloud, credential).headers["x-subject-token"])
    assert program.post(path, {"application_credential": {"name": "more"}}).status_code == 201
    cloud.revoke(admin, "member", f"projects/{me['project']['id']}/users/{me['user']['id']}")
    assert program.get("/auth/projects").status_code == 401 and use(cloud, credential).status_code == 401


def test_credentials_expire(cloud, demo, me):
    path = f"/users/{me['user']['id']}/application_credentials"
    soon = (clock.now() + dt.timedelta(hours=1)).isoformat()
    credential = demo.post(path, {"application_credential": {"name": "a", "expires_at": soon}}).json()["application_credential"]
    assert credential["expires_at"] == soon
    assert use(cloud, credential).json()["token"]["expires_at"] == soon + "Z"
    for bad in ("yesterday", "2001-01-01T00:00:00Z", "9" * 40):
        assert demo.post(path, {"application_credential": {"name": "b", "expires_at": bad}}).status_code == 400


def test_access_rules(cloud, demo, me):
    user = f"/users/{me['user']['id']}"
    rule = {"path": "/v2.1/servers/*/ips", "method": "GET", "service": "compute"}
    body = {"application_credential": {"name": "ci", "access_rules": [rule]}}
    credential = demo.post(f"{user}/application_credentials", body).json()["application_credential"]
    [held] = demo.get(f"{user}/access_rules").json()["access_rules"]
    assert rule.items() <= held.items() and credential["access_rules"] == [rule | {"id": held["id"]}]
    again = {"application_credential": {"name": "ci2", "access_rules": [{"id": held["id"]}]}}
    demo.post(f"{user}/application_credentials", again)
    assert len(demo.get(f"{user}/access_rules").json()["access_rules"]) == 1
    path = f"{user}/access_rules/{held['id']}"
    assert demo.get(path).json()["access_rule"]["method"] == "GET" and demo.delete(path).status_code == 403
    issued = use(cloud, credential)
    assert issued.json()["token"]["application_credential"]["access_rules"] == credential["access_rules"]
    assert cloud.bearer(issued.headers["x-subject-token"]).get("/auth/projects").status_code == 401
    for one in demo.get(f"{user}/application_credentials").json()["application_credentials"]:
        demo.delete(f"{user}/application_credentials/{one['id']}")
    assert demo.delete(path).status_code == 204 and demo.get(path).status_code == 404
    bad = {"application_credential": {"name": "x", "access_rules": [{"path": "servers", "method": "GET", "service": "compute"}]}}
    assert demo.post(f"{user}/application_credentials", bad).status_code == 400


class TestTrusts:
    @pytest.fixture
    def trustee(self, cloud, admin):
        return cloud.user(admin, "trustee")["id"]

    @pytest.fixture
    def body(self, me, trustee):
        return {"trustor_user_id": me["user"]["id"], "trustee_user_id": trustee, "project_id": me["project"]["id"],
                "roles": [{"name": "reader"}], "impersonation": False}  # fmt: skip

    def consume(self, cloud, trust: dict, who: str = "trustee"):
        return cloud.ask(who, "pw", scope={"OS-TRUST:trust": {"id": trust["id"]}})

    def test_lending_a_role(self, cloud, admin, demo, me, trustee, body):
        made = demo.post("/OS-TRUST/trusts", {"trust": body})
        trust = made.json()["trust"]
        assert made.status_code == 201 and [r["name"] for r in trust["roles"]] == ["reader"]
        assert trust["expires_at"] is None and trust["redelegation_count"] == 0 and trust["remaining_uses"] is None
        path = f"/OS-TRUST/trusts/{trust['id']}"
        assert demo.get(path).json()["trust"] == trust
        role = trust["roles"][0]["id"]
        assert [r["id"] for r in demo.get(f"{path}/roles").json()["roles"]] == [role]
        assert demo("HEAD", f"{path}/roles/{role}").status_code == 200 and demo.get(f"{path}/roles/x").status_code == 404
        answer = self.consume(cloud, trust)
        token = answer.json()["token"]
        assert token["user"]["id"] == trustee and [r["name"] for r in token["roles"]] == ["reader"]
        assert token["OS-TRUST:trust"] == {"id": trust["id"], "impersonation": False, "trustor_user": {"id": me["user"]["id"]},
                                           "trustee_user": {"id": trustee}}  # fmt: skip
        borrowed = cloud.bearer(answer.headers["x-subject-token"])
        assert borrowed.get("/auth/catalog").status_code == 200
        assert borrowed.get(f"/users/{trustee}/application_credentials").status_code == 403
        cloud.user(admin, "third")
        assert self.consume(cloud, trust, "third").status_code == 403
        for query in (f"trustor_user_id={me['user']['id']}", ""):
            assert [t["id"] for t in admin.get(f"/OS-TRUST/trusts?{query}").json()["trusts"]] == [trust["id"]]
        assert demo.get("/OS-TRUST/trusts").status_code == 403
        assert demo.get(f"/OS-TRUST/trusts?trustee_user_id={trustee}").status_code == 403
        assert demo.delete(path).status_code == 204 and demo.get(path).status_code == 404
        assert borrowed.get("/auth/catalog").status_code == 401

    def test_passing_for_the_trustor(self, cloud, admin, demo, me, body):
        trust = demo.post("/OS-TRUST/trusts", {"trust": body | {"impersonation": True}}).json()["trust"]
        answer = self.consume(cloud, trust)
        assert answer.json()["token"]["user"]["id"] == me["user"]["id"]
        borrowed = cloud.bearer(answer.headers["x-subject-token"])
        path = f"/users/{me['user']['id']}/application_credentials"
        assert borrowed.post(path, {"application_credential": {"name": "back door"}}).status_code == 403
        cloud.revoke(admin, "member", f"projects/{me['project']['id']}/users/{me['user']['id']}")
        assert borrowed.get("/auth/catalog").status_code == 401

    def test_a_trust_for_no_project_lends_no_role(self, cloud, admin, demo, body):
        """Whoever they are: a role that the trustor has not got, and one that the row of a trust names all the same."""
        trust = demo.post("/OS-TRUST/trusts", {"trust": body | {"project_id": None, "roles": []}}).json()["trust"]
        role = cloud.role(admin, "admin")
        cloud.transact(lambda tx: tx.insert(trust_roles, trust_id=trust["id"], role_id=role))
        answer = self.consume(cloud, trust)
        assert answer.status_code == 201 and "roles" not in answer.json()["token"]
        assert cloud.bearer(answer.headers["x-subject-token"]).get("/services").status_code == 403

    @pytest.mark.parametrize("impersonation", [True, False])
    def test_what_ends_borrowed_tokens(self, cloud, admin, demo, me, trustee, body, impersonation):
        user, path = {"id": me["user"]["id"]}, f"/users/{me['user']['id']}"

        def borrowed():
            trust = demo.post("/OS-TRUST/trusts", {"trust": body | {"impersonation": impersonation}}).json()["trust"]
            return cloud.bearer(self.consume(cloud, trust).headers["x-subject-token"])

        first = borrowed()
        assert first.get("/auth/catalog").status_code == 200
        admin.patch(f"/users/{trustee}", {"user": {"enabled": False}})
        assert first.get("/auth/catalog").status_code == 401
        admin.patch(f"/users/{trustee}", {"user": {"enabled": True}})
        second = borrowed()
        for enabled in (False, True):
            admin.patch(path, {"user": {"enabled": enabled}})
            assert second.get("/auth/catalog").status_code == (200 if enabled and not impersonation else 401), (user, enabled)

    def test_uses_are_counted(self, cloud, demo, body):
        trust = demo.post("/OS-TRUST/trusts", {"trust": body | {"remaining_uses": 1}}).json()["trust"]
        answer = self.consume(cloud, trust)
        assert answer.status_code == 201
        assert cloud.bearer(answer.headers["x-subject-token"]).get("/auth/catalog").status_code == 200
        assert self.consume(cloud, trust).status_code == 401
        assert demo.get(f"/OS-TRUST/trusts/{trust['id']}").status_code == 404

    @pytest.mark.parametrize(
        ("more", "status"),
        [
            ({"roles": []}, 403), ({"roles": [{"name": "admin"}]}, 404), ({"roles": [{"name": "unheard of"}]}, 404),
            ({"trustee_user_id": "nobody"}, 404), ({"trustor_user_id": "somebody"}, 403), ({"remaining_uses": 0}, 400),
            ({"expires_at": "2001-01-01T00:00:00Z"}, 400), ({"expires_at": "soon"}, 400), ({"impersonation": "yes"}, 400),
            ({"allow_redelegation": True, "redelegation_count": 9}, 403), ({"remaining_uses": 2**40}, 400),
            ({"allow_redelegation": True, "remaining_uses": 3}, 400),
            ({"project_id": None, "roles": [{"name": "admin"}]}, 404), ({"project_id": None}, 404),
        ],
    )  # fmt: skip
    def test_bad_trusts(self, demo, body, more, status):
        assert demo.post("/OS-TRUST/trusts", {"trust": body | more}).status_code == status

    def test_passing_a_trust_on(self, cloud, admin, demo, me, trustee, body):
        first = demo.post("/OS-TRUST/trusts", {"trust": body | {"impersonation": True, "allow_redelegation": True}}).json()["trust"]
        assert first["redelegation_count"] == 3
        borrowed = cloud.bearer(self.consume(cloud, first).headers["x-subject-token"])
        third = cloud.user(admin, "third")["id"]
        wanted = body | {"trustee_user_id": third, "impersonation": True}
        assert borrowed.post("/OS-TRUST/trusts", {"trust": wanted | {"roles": [{"name": "member"}]}}).status_code == 403
        second = borrowed.post("/OS-TRUST/trusts", {"trust": wanted}).json()["trust"]
        assert second["redelegated_trust_id"] == first["id"]
        again = self.consume(cloud, second, "third")
        assert again.status_code == 201 and [r["name"] for r in again.json()["token"]["roles"]] == ["reader"]
        demo.delete(f"/OS-TRUST/trusts/{first['id']}")
        assert cloud.bearer(again.headers["x-subject-token"]).get("/auth/catalog").status_code == 401
