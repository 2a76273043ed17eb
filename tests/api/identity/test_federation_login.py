"""From an identity provider's word to a token: what a mapping makes of it, and what becomes of the users that it brings. That the
word is the provider's is the protocols' own matter."""

from __future__ import annotations

import datetime as dt
import hashlib
import typing as t

import msgspec
import pytest
from starlette.responses import Response

from cumulet import identity
from cumulet.identity.federation import login
from cumulet.identity.federation.spent import spend, spent
from cumulet.identity.fernet import Claims, Federated, issue, read
from cumulet.identity.state import state
from cumulet.kernel import clock
from cumulet.kernel.errors import ApiError
from cumulet.kernel.http import Request
from cumulet.kernel.testing.cloud import Caller

IDPS, MAPPINGS = "/OS-FEDERATION/identity_providers", "/OS-FEDERATION/mappings"
WHO = [{"type": "sub"}, {"type": "email"}]
USER = {"user": {"name": "{0}", "email": "{1}"}}
ALICE = {"sub": "alice", "email": "alice@example.com", "iss": "https://acme.example"}


class Provider:
    """An identity provider `acme` of the domain `staff`, with a protocol `mapped`."""

    def __init__(self, cloud, admin, **fields: t.Any):
        self.cloud, self.admin = cloud, admin
        self.domain = admin.post("/domains", {"domain": {"name": "staff"}}).json()["domain"]["id"]
        self.rules([{"local": [USER], "remote": WHO}])
        self.add("acme", **fields)

    def add(self, id: str, protocol: str = "mapped", **fields: t.Any) -> None:
        made = self.admin.put(f"{IDPS}/{id}", {"identity_provider": {"enabled": True, "domain_id": self.domain} | fields})
        assert made.status_code == 201, made.text
        assert self.admin.put(f"{IDPS}/{id}/protocols/{protocol}", {"protocol": {"mapping_id": "m"}}).status_code == 201

    def rules(self, rules: list, version: str = "2.0") -> None:
        body = {"mapping": {"rules": rules, "schema_version": version}}
        there = self.admin.get(f"{MAPPINGS}/m").status_code == 200
        made = (self.admin.patch if there else self.admin.put)(f"{MAPPINGS}/m", body)
        assert made.status_code in (200, 201), made.text

    def local(self, *local: dict, version: str = "2.0") -> None:
        self.rules([{"local": [USER, *local], "remote": WHO}], version)

    def change(self, **fields: t.Any) -> None:
        assert self.admin.patch(f"{IDPS}/acme", {"identity_provider": fields}).status_code == 200

    def vouch(self, idp: str = "acme", protocol: str = "mapped", speaks_as: str | None = "iss", **said: str) -> t.Any:
        """What is answered where the provider says this of somebody, beside what it says of Alice."""
        path = f"/identity/v3{IDPS}/{idp}/protocols/{protocol}/auth"
        request = Request(runtime=self.cloud.runtime, api=identity.api, method="POST", path=path, root="http://cloud", query=[],
                          headers={}, id="req-1", stream=lambda: None)  # fmt: skip
        return self.cloud.transact(lambda tx: login.log_in(tx, request, idp, protocol, ALICE | said, speaks_as))

    def token(self, **said: str) -> tuple[Caller, dict]:
        reply = self.vouch(**said)
        return self.cloud.bearer(reply.headers["X-Subject-Token"]), msgspec.json.decode(reply.body)["token"]

    def refused(self, **said: str) -> tuple[int, str]:
        with pytest.raises(ApiError) as raised:
            self.vouch(**said)
        return raised.value.status, raised.value.message

    def group(self, name: str) -> str:
        return self.admin.post("/groups", {"group": {"name": name, "domain_id": self.domain}}).json()["group"]["id"]


@pytest.fixture
def acme(cloud, admin) -> Provider:
    return Provider(cloud, admin)


def works(caller: Caller) -> int:
    return caller.get("/auth/projects").status_code


def rescoped(caller: Caller, scope: t.Any = None, method: str = "token"):
    auth: dict = {"identity": {"methods": [method], method: {"id": caller.token}}}
    return caller.cloud.stranger(caller.prefix).post("/auth/tokens", {"auth": auth | ({"scope": scope} if scope else {})})


def on(project: str) -> dict:
    return {"project": {"id": project}}


# -- users ---------------------------------------------------------------------------------------------------------


def test_a_user_of_an_identity_provider(acme, admin):
    caller, token = acme.token()
    user_id = hashlib.sha256(f"{acme.domain}useralice".encode()).hexdigest()
    assert token["user"] == {
        "id": user_id, "name": "alice", "domain": {"id": acme.domain, "name": "staff"},
        "OS-FEDERATION": {"groups": [], "identity_provider": {"id": "acme"}, "protocol": {"id": "mapped"}},
    }  # fmt: skip
    assert token["methods"] == ["mapped"] and not token.keys() & {"project", "roles", "catalog"} and len(token["audit_ids"]) == 1
    shown = caller.get("/auth/tokens", headers={"X-Subject-Token": str(caller.token)})
    assert shown.status_code == 200 and shown.json()["token"] == token
    user = admin.get(f"/users/{user_id}").json()["user"]
    assert user == user | {"name": "alice", "email": "alice@example.com", "domain_id": acme.domain, "enabled": True,
                           "federated": [{"idp_id": "acme", "protocols": [{"protocol_id": "mapped", "unique_id": "alice"}]}]}  # fmt: skip
    assert caller.get(f"/users/{user_id}").json()["user"] == user, "they may see themselves"
    assert acme.token(email="new@example.com")[1]["user"]["id"] == user_id, "who comes back is the same"
    assert admin.get(f"/users/{user_id}").json()["user"]["email"] == "new@example.com"


def test_names_are_no_ids(acme, admin, cloud):
    acme.rules([{"local": [{"user": {"id": "{0}", "name": "{1}"}}], "remote": WHO}])
    first = acme.token(sub="a b@c", email="Alice")[1]["user"]
    assert acme.token(sub="a b@c", email="Alicia")[1]["user"] == first | {"name": "Alicia"}
    second = acme.token(sub="2", email="Alicia")[1]["user"]
    assert second["name"] == "Alicia" and second["id"] != first["id"], "two may have one name"
    local = cloud.user(admin, "Alicia", domain_id=acme.domain)
    assert cloud.ask("Alicia", "pw", domain="staff").status_code == 201, "and neither is the user of this cloud"
    found = lambda query: sorted(one["id"] for one in admin.get(f"/users?{query}").json()["users"])
    assert found("name=Alicia") == sorted([first["id"], second["id"], local["id"]])
    assert found("unique_id=a%2520b%2540c") == [first["id"]] == found("unique_id=a%2520b%2540c&idp_id=acme&protocol_id=mapped")
    assert found("idp_id=acme") == found("protocol_id=mapped") == sorted([first["id"], second["id"]]) and found("idp_id=other") == []
    assert found("unique_id=2&idp_id=other") == []
    for one in (first["id"], local["id"]):
        assert admin.patch(f"/users/{one}", {"user": {"name": "alice"}}).status_code == 200
    other = cloud.user(admin, "bob", domain_id=acme.domain)["id"]
    assert admin.patch(f"/users/{other}", {"user": {"name": "alice"}}).status_code == 409
    acme.rules([{"local": [{"user": {"id": "{0}"}}], "remote": [{"type": "sub"}]}])
    assert acme.token(sub="3")[1]["user"]["name"] == "3"
    acme.rules([{"local": [{"user": {"email": "{0}"}}], "remote": [{"type": "email"}]}])
    assert acme.refused()[0] == 401 and acme.token(REMOTE_USER="by server")[1]["user"]["name"] == "by server"


def test_the_domain_of_users(acme, cloud):
    acme.rules([{"local": [{"user": {"name": "{0}", "domain": {"name": "Default"}}}], "remote": [{"type": "sub"}]}])
    assert acme.token()[1]["user"]["domain"] == {"id": "default", "name": "Default"}
    acme.rules([{"local": [{"user": {"name": "x{0}"}, "domain": {"id": "default"}}], "remote": [{"type": "sub"}]}])
    assert acme.token()[1]["user"]["domain"]["id"] == "default"
    acme.rules([{"local": [{"user": {"name": "y{0}", "domain": {"name": "nowhere"}}}], "remote": [{"type": "sub"}]}])
    assert acme.refused() == (404, "Could not find domain: nowhere.")


def test_users_of_this_cloud(acme, admin, cloud):
    bob = cloud.user(admin, "bob", domain_id=acme.domain, default_project_id=None)
    project = cloud.project(admin, "p", domain_id=acme.domain)["id"]
    cloud.grant(admin, "member", f"projects/{project}/users/{bob['id']}")
    acme.rules([{"local": [{"user": {"name": "{0}", "type": "local", "domain": {"id": acme.domain}}}], "remote": [{"type": "sub"}]}])
    caller, token = acme.token(sub="bob")
    assert token["user"]["id"] == bob["id"] and "OS-FEDERATION" not in token["user"] and token["methods"] == ["mapped"]
    assert rescoped(caller, on(project)).status_code == 201
    admin.patch(f"/users/{bob['id']}", {"user": {"default_project_id": project}})
    assert acme.token(sub="bob")[1]["project"]["id"] == project
    assert acme.refused(sub="nobody")[0] == 401
    admin.patch(f"/users/{bob['id']}", {"user": {"enabled": False}})
    assert acme.refused(sub="bob")[0] == 401


def test_users_that_administrators_name(acme, admin, cloud):
    named = lambda *ids, idp="acme", protocol="mapped": [
        {"idp_id": idp, "protocols": [{"protocol_id": protocol, "unique_id": id} for id in ids]}
    ]
    made = cloud.user(admin, "carol", domain_id=acme.domain, federated=named("c1"))
    assert made["federated"] == named("c1") == admin.get(f"/users/{made['id']}").json()["user"]["federated"]
    assert acme.token(sub="c1")[1]["user"]["id"] == made["id"]
    assert admin.get(f"/users/{made['id']}").json()["user"]["name"] == "carol", "whose name is their own"
    change = lambda federated: admin.patch(f"/users/{made['id']}", {"user": {"federated": federated}})
    assert change(named("c2", "c3")).json()["user"]["federated"] == named("c2", "c3")
    assert acme.token(sub="c3")[1]["user"]["id"] == made["id"] != acme.token(sub="c1")[1]["user"]["id"]
    assert change([]).json()["user"]["federated"] == named("c2", "c3")
    assert change(named("c1")).status_code == 409, "somebody else is called so"
    told = lambda answer: (answer.status_code, answer.json()["error"]["message"])
    assert told(change(named("x", idp="none"))) == (400, "Could not find Identity Provider: none")
    assert told(change(named("x", protocol="none"))) == (400, "Could not find federated protocol none for Identity Provider: acme.")
    for wrong in ({}, [{}], [{"idp_id": "acme"}], [{"idp_id": "acme", "protocols": []}], named("x" * 256)):
        assert change(wrong).status_code == 400
    assert admin.get(f"/users/{made['id']}").json()["user"]["federated"] == named("c2", "c3")
    assert "federated" not in admin.get("/users?name=carol").json()["users"][0]


def test_no_provider_gets_anothers_user(acme):
    acme.add("rival")
    assert acme.token()[1]["user"]["name"] == "alice"
    assert acme.refused(idp="rival")[0] == 409


# -- what they may -------------------------------------------------------------------------------------------------


def test_groups(acme, admin, cloud):
    devs, ops = acme.group("devs"), acme.group("ops")
    project = cloud.project(admin, "p", domain_id=acme.domain)["id"]
    cloud.grant(admin, "member", f"projects/{project}/groups/{devs}")
    cloud.grant(admin, "reader", f"domains/{acme.domain}/groups/{ops}")
    acme.rules(
        [{"local": [USER, {"group": {"id": devs}}, {"groups": "{2}", "domain": {"id": acme.domain}}], "remote": [*WHO, {"type": "in"}]}]
    )
    caller, token = acme.token(**{"in": "ops;none"})
    assert token["user"]["OS-FEDERATION"]["groups"] == [{"id": devs}, {"id": ops}], "a group that there is not is passed over"
    for path in ("/auth/projects", "/OS-FEDERATION/projects"):
        assert [one["id"] for one in caller.get(path).json()["projects"]] == [project]
    for path in ("/auth/domains", "/OS-FEDERATION/domains"):
        assert [one["id"] for one in caller.get(path).json()["domains"]] == [acme.domain]
    scoped = rescoped(caller, on(project))
    body = scoped.json()["token"]
    assert [role["name"] for role in body["roles"]] == ["member", "reader"] and body["methods"] == ["token", "mapped"]
    assert body["user"] == token["user"] and body["expires_at"] == token["expires_at"] and body["audit_ids"][1] == token["audit_ids"][0]
    assert rescoped(caller, {"domain": {"id": acme.domain}}).status_code == 201
    assert rescoped(caller, {"system": {"all": True}}).status_code == 401 and rescoped(caller, on("nowhere")).status_code == 401
    for method in ("mapped", "saml2", "openid"):
        again = rescoped(caller, on(project), method)
        assert again.status_code == 201 and set(again.json()["token"]["methods"]) == {method, "mapped"}
    back = cloud.bearer(scoped.headers["x-subject-token"])
    assert rescoped(back).json()["token"]["user"] == token["user"] and "project" not in rescoped(back).json()["token"]
    cloud.revoke(admin, "member", f"projects/{project}/groups/{devs}")
    assert works(back) == 401 and works(caller) == 200


def test_a_group_that_there_is_not(acme):
    acme.local({"group": {"id": "none"}})
    assert acme.refused() == (401, "Group none returned by the mapping was not found in the backend.")


def test_groups_are_for_a_while(acme, admin, cloud, monkeypatch):
    devs = acme.group("devs")
    project = cloud.project(admin, "p", domain_id=acme.domain)["id"]
    cloud.grant(admin, "member", f"projects/{project}/groups/{devs}")
    acme.local({"group": {"id": devs}})
    caller, token = acme.token()
    path = f"/users/{token['user']['id']}/groups"
    assert admin.get(path).json()["groups"] == [], "for none, where the provider says nothing"
    acme.change(authorization_ttl=30)
    group = admin.get(path).json()["groups"][0]
    ends = clock.parse(group["membership_expires_at"])
    assert group["id"] == devs and dt.timedelta(minutes=29) < ends - clock.now() <= dt.timedelta(minutes=30)
    assert admin.get(f"/groups/{devs}/users/{token['user']['id']}").status_code == 204
    effective = admin.get(f"/role_assignments?effective&scope.project.id={project}").json()["role_assignments"]
    assert {one["user"]["id"] for one in effective} == {token["user"]["id"]}
    scoped = cloud.bearer(rescoped(caller, on(project)).headers["x-subject-token"])
    body = {"application_credential": {"name": "robot", "secret": "s"}}
    credential = scoped.post(f"/users/{token['user']['id']}/application_credentials", body).json()["application_credential"]
    auth = {"identity": {"methods": ["application_credential"], "application_credential": {"id": credential["id"], "secret": "s"}}}
    answer = cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth})
    robot = cloud.bearer(answer.headers["x-subject-token"])
    assert works(robot) == 200
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + dt.timedelta(minutes=31))
    assert works(robot) == 401, "a credential has what its user has"
    assert works(scoped) == 200, "a token has what the provider said, as long as it lasts"
    acme.token()
    assert works(robot) == 200, "the user came back"


def test_other_groups_end_the_tokens_before(acme, admin):
    devs, ops = acme.group("devs"), acme.group("ops")
    acme.local({"group": {"id": devs}})
    first, _ = acme.token()
    second, _ = acme.token()
    assert works(first) == works(second) == 200
    acme.local({"group": {"id": ops}})
    third, _ = acme.token()
    assert works(first) == works(second) == 401 and works(third) == 200


def test_projects(acme, admin, cloud):
    wanted = lambda *names, role="member": {"projects": [{"name": name, "roles": [{"name": role}]} for name in names]}
    there = cloud.project(admin, "{alice's}", domain_id=acme.domain)["id"]
    acme.local(wanted("{{{0}'s}}", "shared"), {"domain": {"id": acme.domain}})
    caller, token = acme.token()
    mine = {one["name"]: one for one in caller.get("/auth/projects").json()["projects"]}
    assert mine.keys() == {"{alice's}", "shared"} and mine["{alice's}"]["id"] == there
    assert mine["shared"]["domain_id"] == mine["shared"]["parent_id"] == acme.domain
    assert [role["name"] for role in rescoped(caller, on(there)).json()["token"]["roles"]] == ["member", "reader"]
    scoped = cloud.bearer(rescoped(caller, on(there)).headers["x-subject-token"])
    acme.local(wanted("shared", role="reader"))
    acme.token()
    assert works(scoped) == 200, "what a provider no longer tells of stays"
    acme.local(wanted("shared", role="reader"), version="3.0")
    _, again = acme.token()
    assert again["user"]["id"] == token["user"]["id"] and works(scoped) == 401, "but not from version 3.0 on"
    assert [role["name"] for role in rescoped(caller, on(mine["shared"]["id"])).json()["token"]["roles"]] == ["reader"]
    acme.local(version="3.0")
    acme.token()
    assert caller.get("/auth/projects").json()["projects"] == []


def test_projects_that_cannot_be(acme, admin):
    acme.local({"projects": [{"name": "p", "roles": [{"name": "none"}]}]})
    assert acme.refused() == (404, "Could not find role: none.")
    admin.post("/roles", {"role": {"name": "none", "domain_id": "default"}})
    assert acme.refused() == (403, "role: none must be within the same domain as the identity provider: acme.")
    admin.post("/roles", {"role": {"name": "none", "domain_id": acme.domain}})
    assert acme.token()[1]["user"]["name"] == "alice"
    acme.local({"projects": [{"name": "{0}", "roles": []}]})
    assert acme.token(sub="bob")[0].get("/auth/projects").json()["projects"] == []
    assert [one["name"] for one in admin.get("/projects?name=bob").json()["projects"]] == ["bob"]
    acme.local({"projects": [{"name": "{0}", "roles": [{"name": "reader"}]}]})
    assert acme.refused(sub="x" * 65)[0] == 401
    assert admin.get("/users?unique_id=" + "x" * 65).json()["users"] == [], "and nothing of it is kept"


def test_projects_as_json(acme):
    rules = {"local": [USER, {"projects_json": "{2}"}], "remote": [*WHO, {"type": "projects"}]}
    acme.rules([rules], "3.0")
    caller, _ = acme.token(projects='[{"name": "a;b", "roles": [{"name": "reader"}], "domain": {"name": "staff"}}]')
    assert [one["name"] for one in caller.get("/auth/projects").json()["projects"]] == ["a;b"]
    for wrong in ("x", "{}", "[1]", '[{"name": "a"}]', "[" * 9000, '[{"name": "a", "roles": [{"name": 1}]}]'):
        assert acme.refused(projects=wrong)[0] == 401, wrong


# -- who is refused ------------------------------------------------------------------------------------------------


def test_remote_ids(acme, admin):
    acme.change(remote_ids=["https://acme.example", "https://other.example"])
    assert acme.token()[0] and acme.token(iss="https://other.example")[0]
    assert acme.refused(iss="https://evil.example") == (
        403, "Incoming identity provider identifier not included among the accepted identifiers.",
    )  # fmt: skip
    assert acme.vouch(speaks_as=None), "where nobody says how it is told, any does"
    path = f"{IDPS}/acme/protocols/mapped"
    admin.patch(path, {"protocol": {"mapping_id": "m", "remote_id_attribute": "entity"}})
    assert acme.refused() == (401, "Could not find Identity Provider identifier in environment: entity")
    assert acme.token(entity="https://acme.example", iss="x")[0]


def test_who_is_not_let_in(acme, admin):
    assert acme.refused(idp="none") == (404, "Could not find Identity Provider: none.")
    assert acme.refused(protocol="none") == (404, "Could not find federated protocol none for Identity Provider: acme.")
    assert acme.refused(sub="x" * 256)[0] == acme.refused(sub="ä" * 50)[0] == 401
    assert acme.refused(sub="a\0b")[0] == acme.refused(sub="a\ud800")[0] == acme.refused(email="x" * 40_000)[0] == 401
    acme.rules([{"local": [USER], "remote": [*WHO, {"type": "email", "any_one_of": ["boss@example.com"]}]}])
    status, message = acme.refused()
    assert status == 401 and "Could not map any federated user properties" in message
    assert acme.token(email="boss@example.com")[0]
    assert admin.delete(f"{MAPPINGS}/m").status_code == 204
    assert acme.refused() == (404, "Could not find mapping: m.")
    acme.change(enabled=False)
    assert acme.refused() == (403, "Identity Provider acme is disabled")


def test_more_than_a_providers_word(acme, admin):
    _, token = acme.token()
    options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["mapped", "totp"]]}
    admin.patch(f"/users/{token['user']['id']}", {"user": {"options": options}})
    answer = acme.vouch()
    assert isinstance(answer, Response) and answer.status_code == 401 and "openstack-auth-receipt" in answer.headers


def test_only_tokens_of_providers_are_rescoped_as_such(cloud, admin, acme):
    assert rescoped(admin, None, "mapped").status_code == 401
    post = lambda part: cloud.stranger(cloud.base).post("/auth/tokens", {"auth": {"identity": {"methods": ["mapped"], "mapped": part}}})
    assert post({}).status_code == 400 and "identity_provider in mapped" in post({}).json()["error"]["message"]
    assert post({"identity_provider": "acme"}).status_code == 400
    assert post({"identity_provider": "acme", "protocol": "mapped"}).status_code == 401, "nobody says who is asking"


def test_what_may_be_used_once(cloud, monkeypatch):
    later = lambda minutes: clock.now() + dt.timedelta(minutes=minutes)
    use = lambda kind, what: cloud.transact(lambda tx: spend(tx, kind, what, later(5)))
    use("assertion", "1"), use("assertion", "2"), use("login", "1")
    with pytest.raises(ApiError, match="This assertion was used before"):
        use("assertion", "1")
    then = later(6)
    monkeypatch.setattr(clock, "now", lambda: then)
    use("assertion", "3")
    assert cloud.transact(lambda tx: len(tx.rows(spent))) == 1, "what is too old is forgotten"


# -- the end -------------------------------------------------------------------------------------------------------


def test_tokens_end_with_their_provider(acme, admin, cloud):
    project = cloud.project(admin, "p", domain_id=acme.domain)["id"]
    caller, token = acme.token()
    cloud.grant(admin, "member", f"projects/{project}/users/{token['user']['id']}")
    scoped = cloud.bearer(rescoped(caller, on(project)).headers["x-subject-token"])
    acme.change(enabled=False)
    assert works(caller) == works(scoped) == 401 and rescoped(caller, on(project)).status_code == 404
    acme.change(enabled=True)
    assert works(caller) == works(scoped) == 200
    admin.patch(f"/users/{token['user']['id']}", {"user": {"enabled": False}})
    assert works(caller) == 401 and acme.refused()[0] == 401


@pytest.mark.parametrize("gone", [f"{IDPS}/acme", f"{IDPS}/acme/protocols/mapped"])
def test_users_go_with_whoever_vouched_for_them(acme, admin, cloud, gone):
    caller, token = acme.token()
    named = [{"idp_id": "acme", "protocols": [{"protocol_id": "mapped", "unique_id": "c"}]}]
    carol = cloud.user(admin, "carol", federated=named)["id"]
    assert admin.delete(gone).status_code == 204
    assert works(caller) == 401 and admin.get(f"/users/{token['user']['id']}").status_code == 404
    assert "federated" not in admin.get(f"/users/{carol}").json()["user"], "those who are of this cloud stay"


def test_claims_of_tokens_before_are_read(cloud):
    """As sealed by the version before, which knew no federation."""
    keys, old = state(cloud.runtime).token_keys, [1, 3, b"tu", "u", b"t", 5, 6, [b"x" * 16], b"t", b"t", b"t"]
    claims = read(keys, keys.seal(msgspec.msgpack.encode(old)))
    assert claims == Claims(["password", "token"], "u", ("u", ""), 5, 6, claims.audit) and claims.federated is None
    now = Claims(["saml2"], "0" * 64, ("u", ""), 5, 6, claims.audit, federated=Federated("acme", "saml2", ["0" * 32, "odd"]))
    assert read(keys, issue(keys, now)) == now
