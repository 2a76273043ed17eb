"""Requests signed with EC2 keys: a service that shows one gets a token of the keys' owner, for as much as the keys are good for.
Altered, old or foreign ones get none, and what keys say of themselves is not believed."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import typing as t
from urllib.parse import quote

import pytest

from cumulet.kernel import clock
from cumulet.kernel.testing.cloud import Caller

NOTHING = hashlib.sha256(b"").hexdigest()


class Signer:
    """A client with a pair of keys, and how it signs: written from AWS's description, for requests of one form each."""

    def __init__(self, access: str, secret: str):
        self.access, self.secret = access, secret

    def older(self, **age: float) -> dict[str, t.Any]:
        """A request signed by version 2."""
        moment = (clock.now() - dt.timedelta(**age)).strftime("%Y-%m-%dT%H:%M:%SZ")
        params = {
            "AWSAccessKeyId": self.access,
            "Action": "X",
            "SignatureMethod": "HmacSHA256",
            "SignatureVersion": "2",
            "Timestamp": moment,
        }
        query = "&".join(f"{name}={quote(params[name], safe='')}" for name in sorted(params))
        made = hmac.digest(self.secret.encode(), f"GET\nec2.cloud\n/services\n{query}".encode(), "sha256")
        return {"access": self.access, "signature": base64.b64encode(made).decode(), "verb": "GET", "host": "ec2.cloud", "path": "/services",
                "params": params}  # fmt: skip

    def newer(self, **age: float) -> dict[str, t.Any]:
        """A request signed by version 4, in its header."""
        moment = (clock.now() - dt.timedelta(**age)).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/region/ec2/aws4_request"
        canonical = f"POST\n/\n\nhost:ec2.cloud\nx-amz-date:{moment}\n\nhost;x-amz-date\n{NOTHING}"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        authorization = f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, SignedHeaders=host;x-amz-date, Signature=x"
        return {"access": self.access, "signature": self._signed(scope, text), "verb": "POST", "host": "ec2.cloud", "path": "/", "params": {},
                "headers": {"Host": "ec2.cloud", "X-Amz-Date": moment, "Authorization": authorization}, "body_hash": NOTHING}  # fmt: skip

    def s3(self, service: str = "s3") -> dict[str, str]:
        scope = f"{clock.now():%Y%m%d}/region/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{clock.now():%Y%m%dT%H%M%SZ}\n{scope}\n{NOTHING}"
        return {"access": self.access, "signature": self._signed(scope, text), "token": base64.urlsafe_b64encode(text.encode()).decode()}

    def _signed(self, scope: str, text: str) -> str:
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


class Owner:
    """A user with keys for a project on which they are `member`, and a service that asks after what it was sent."""

    def __init__(self, cloud, admin: Caller):
        self.cloud, self.admin = cloud, admin
        self.user, self.project = cloud.user(admin, "owner")["id"], cloud.project(admin, "p")["id"]
        cloud.grant(admin, "member", f"projects/{self.project}/users/{self.user}")
        self.me = cloud.login(self.user, "pw", scope={"project": {"id": self.project}})
        service = cloud.user(admin, "ec2-api")["id"]
        cloud.grant(admin, "service", f"projects/{self.project}/users/{service}")
        self.service = cloud.login(service, "pw", scope={"project": {"id": self.project}})
        made = self.me.post(f"/users/{self.user}/credentials/OS-EC2", {"tenant_id": self.project}).json()["credential"]
        self.signer = Signer(made["access"], made["secret"])

    def ask(self, shown: dict, path: str = "/ec2tokens", by: Caller | None = None, name: str = "credentials"):
        return (by or self.service).post(path, {name: shown})

    def keys(self, **said: t.Any) -> Signer:
        """Keys that the owner wrote themselves, with what they say of where they are from."""
        blob = json.dumps({"access": "own", "secret": "secret", **said})
        body = {"type": "ec2", "blob": blob, "user_id": self.user, "project_id": self.project}
        assert self.me.post("/credentials", {"credential": body}).status_code == 201
        return Signer("own", "secret")


@pytest.fixture
def owner(cloud, admin) -> Owner:
    return Owner(cloud, admin)


def test_a_token_for_what_is_rightly_signed(owner: Owner):
    for shown in (owner.signer.older(), owner.signer.newer()):
        for name in ("credentials", "credential", "ec2Credentials"):
            answer = owner.ask(shown, name=name)
            assert answer.status_code == 200, answer.text
        token = answer.json()["token"]
        assert (token["methods"], token["user"]["id"], token["project"]["id"]) == (["ec2credential"], owner.user, owner.project)
        assert {role["name"] for role in token["roles"]} == {"member", "reader"} and token["catalog"]
        bearer = owner.cloud.bearer(answer.headers["x-subject-token"])
        assert bearer.get("/auth/projects").status_code == 200
        assert owner.admin.get("/auth/tokens", headers={"X-Subject-Token": bearer.token}).json()["token"]["audit_ids"] == token["audit_ids"]


def test_s3_learns_whose_it_is_and_gets_no_token(owner: Owner):
    text = base64.urlsafe_b64encode(b"GET\n\n\nWed\n/bucket").decode()
    older = base64.b64encode(hmac.digest(owner.signer.secret.encode(), b"GET\n\n\nWed\n/bucket", "sha1")).decode()
    for shown in (owner.signer.s3(), {"access": owner.signer.access, "signature": older, "token": text}):
        answer = owner.ask(shown, "/s3tokens")
        assert answer.status_code == 200 and answer.json()["token"]["user"]["id"] == owner.user
        assert "x-subject-token" not in answer.headers


def test_only_services_ask(owner: Owner):
    """A signed address may be anybody's to see; that makes nobody its signer."""
    for path, shown in (("/ec2tokens", owner.signer.older()), ("/s3tokens", owner.signer.s3())):
        assert owner.ask(shown, path, owner.cloud.stranger(owner.cloud.base)).status_code == 401
        assert owner.ask(shown, path, owner.me).status_code == 403
        assert owner.ask(shown, path, owner.admin).status_code == 200
        assert owner.service.get(path).status_code == 405


def test_what_is_altered_is_refused(owner: Owner):
    older, newer = owner.signer.older(), owner.signer.newer()
    altered = [older | {"params": older["params"] | {"Action": "Y"}}]
    altered += [shown | change for shown in (older, newer) for change in (
        {"verb": "PUT"}, {"path": "/other"}, {"signature": ""}, {"signature": shown["signature"][:-1]}, {"signature": "é"},
        {"signature": shown["signature"].swapcase()})]  # fmt: skip
    altered += [
        older | {"host": "evil.cloud"},
        older | {"params": older["params"] | {"SignatureVersion": "1"}},
        newer | {"body_hash": "0" * 64},
    ]
    altered += [newer | {"headers": newer["headers"] | change} for change in (
        {"Host": "evil.cloud"}, {"X-Amz-Date": clock.now().strftime("%Y%m%dT%H%M%SZ")[:-3] + "61Z"},
        {"Authorization": newer["headers"]["Authorization"].replace("host;", "")})]  # fmt: skip
    for shown in altered:
        assert owner.ask(shown).status_code == 401, shown
    assert owner.ask(newer | {"headers": newer["headers"] | {"X-Forwarded-For": "1.2.3.4"}}).status_code == 200, "what is not signed"
    s3 = owner.signer.s3()
    for change in ({"signature": "x"}, {"token": "!!"}, {"token": ""}, {"token": owner.signer.s3("iam")["token"]}):
        assert owner.ask(s3 | change, "/s3tokens").status_code == 401, change
    assert owner.ask(owner.signer.s3("ec2"), "/s3tokens").status_code == 401
    assert owner.ask(older | {"host": "ec2.cloud:8773"}).status_code == 200, "clients may leave the port out of what they sign"


def test_what_is_old_is_not_played_again(owner: Owner, monkeypatch):
    shown = [owner.signer.older(), owner.signer.newer()]
    for age in ({"minutes": 16}, {"days": 400}, {"minutes": -16}):
        assert {owner.ask(made(**age)).status_code for made in (owner.signer.older, owner.signer.newer)} == {401}
    later = clock.now() + dt.timedelta(minutes=16)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert {owner.ask(one).status_code for one in shown} == {401}


def test_keys_that_are_none(owner: Owner):
    shown = owner.signer.older()
    unknown = owner.ask(shown | {"access": "nobody's"})
    assert (unknown.status_code, unknown.json()["error"]["message"]) == (404, "EC2 access key not found.")
    body = {"type": "cert", "blob": json.dumps({"access": "c", "secret": "secret"}), "user_id": owner.user, "project_id": owner.project}
    owner.me.post("/credentials", {"credential": body})
    assert owner.ask(Signer("c", "secret").older()).status_code == 404
    assert owner.ask({"signature": "x"}).status_code == 401
    for nothing, status in (
        ({}, 401),
        ({"credentials": {}}, 401),
        ({"credentials": None}, 401),
        (None, 400),
        ([], 400),
        ({"credentials": []}, 400),
    ):
        assert owner.service.post("/ec2tokens", nothing).status_code == status, nothing


ENDS: dict[str, t.Callable[[Owner], t.Any]] = {
    "the user disabled": lambda o: o.admin.patch(f"/users/{o.user}", {"user": {"enabled": False}}),
    "the project disabled": lambda o: o.admin.patch(f"/projects/{o.project}", {"project": {"enabled": False}}),
    "the role taken away": lambda o: o.cloud.revoke(o.admin, "member", f"projects/{o.project}/users/{o.user}"),
    "the user deleted": lambda o: o.admin.delete(f"/users/{o.user}"),
}


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_them(owner: Owner, what: str):
    got = owner.cloud.bearer(owner.ask(owner.signer.older()).headers["x-subject-token"])
    ENDS[what](owner)
    assert owner.ask(owner.signer.older(), by=owner.admin).status_code in (401, 404)
    assert got.get("/auth/projects").status_code == 401


def test_keys_that_were_deleted(owner: Owner):
    assert owner.me.delete(f"/users/{owner.user}/credentials/OS-EC2/{owner.signer.access}").status_code == 204
    assert owner.ask(owner.signer.older()).status_code == 404


def test_a_token_of_keys_is_a_delegation(owner: Owner, cloud, admin):
    """It makes nothing that outlives the keys, and is exchanged for no other."""
    bearer = cloud.bearer(owner.ask(owner.signer.newer()).headers["x-subject-token"])
    trust = {"trustor_user_id": owner.user, "trustee_user_id": owner.user, "impersonation": True, "project_id": owner.project,
             "roles": [{"name": "member"}]}  # fmt: skip
    auth = {"identity": {"methods": ["token"], "token": {"id": bearer.token}}, "scope": {"project": {"id": owner.project}}}
    tried = [
        bearer.post(f"/users/{owner.user}/application_credentials", {"application_credential": {"name": "a"}}),
        bearer.get(f"/users/{owner.user}/application_credentials"), bearer.post("/OS-TRUST/trusts", {"trust": trust}),
        bearer.post(f"/users/{owner.user}/credentials/OS-EC2", {"tenant_id": owner.project}),
        bearer.get(f"/users/{owner.user}/credentials/OS-EC2/{owner.signer.access}"),
        bearer.post("/credentials", {"credential": {"type": "totp", "blob": "x", "user_id": owner.user}}),
        cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}),
    ]  # fmt: skip
    assert [answer.status_code for answer in tried] == [403] * len(tried)
    assert bearer.get("/credentials").json()["credentials"] == []


class TestWhatKeysSayOfThemselves:
    """They may say that they were made with a trust, an application credential or an OAuth token: then they are good for as much."""

    def lent(self, owner: Owner, cloud, admin, **more) -> tuple[str, str]:
        """A trust of somebody else's, to somebody else; and who they are."""
        trustor, trustee = cloud.user(admin, "trustor")["id"], cloud.user(admin, "trustee")["id"]
        cloud.grant(admin, "admin", f"projects/{owner.project}/users/{trustor}")
        caller = cloud.login(trustor, "pw", scope={"project": {"id": owner.project}})
        body = {"trustor_user_id": trustor, "trustee_user_id": trustee, "impersonation": True, "project_id": owner.project,
                "roles": [{"name": "admin"}]} | more  # fmt: skip
        return caller.post("/OS-TRUST/trusts", {"trust": body}).json()["trust"]["id"], trustor

    @pytest.mark.parametrize("impersonation", [True, False])
    def test_a_trust_of_others(self, owner: Owner, cloud, admin, impersonation: bool):
        trust, _ = self.lent(owner, cloud, admin, impersonation=impersonation)
        assert owner.ask(owner.keys(trust_id=trust).older()).status_code == 401

    def test_a_trust_to_its_owner(self, owner: Owner, cloud, admin):
        trust, _ = self.lent(
            owner, cloud, admin, trustee_user_id=owner.user, impersonation=False, roles=[{"name": "reader"}], remaining_uses=1
        )
        signer = owner.keys(trust_id=trust)
        token = owner.ask(signer.older()).json()["token"]
        assert (token["user"]["id"], [role["name"] for role in token["roles"]]) == (owner.user, ["reader"])
        assert owner.ask(signer.older()).status_code in (401, 403), "it had one use"

    def test_an_application_credential(self, owner: Owner):
        part = {"name": "a", "secret": "s", "roles": [{"name": "reader"}], "expires_at": "2999-01-01T00:00:00"}
        rules = [{"service": "identity", "method": "GET", "path": "/v3/auth/projects"}]
        path = f"/users/{owner.user}/application_credentials"
        made = owner.me.post(path, {"application_credential": part | {"access_rules": rules}}).json()["application_credential"]["id"]
        signer = owner.keys(app_cred_id=made)
        answer = owner.ask(signer.older())
        assert [role["name"] for role in answer.json()["token"]["roles"]] == ["reader"]
        bearer = owner.cloud.bearer(answer.headers["x-subject-token"])
        assert (bearer.get("/auth/projects").status_code, bearer.get("/auth/catalog").status_code) == (200, 401), "its access rules count"
        assert owner.me.delete(f"{path}/{made}").status_code == 204
        assert (bearer.get("/auth/projects").status_code, owner.ask(signer.older()).status_code) == (401, 401)

    def test_an_application_credential_of_others(self, owner: Owner, admin):
        other = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]["user"]["id"]
        made = admin.post(f"/users/{other}/application_credentials", {"application_credential": {"name": "a"}}).json()
        assert owner.ask(owner.keys(app_cred_id=made["application_credential"]["id"]).older()).status_code == 401

    def test_what_is_not_there(self, owner: Owner):
        signer = owner.keys(trust_id="gone", app_cred_id="gone", access_token_id="gone")
        assert owner.ask(signer.older()).status_code == 401

    @pytest.mark.parametrize(
        "said", [{"secret": None}, {"secret": 5}, {"secret": ["secret"]}, {"trust_id": ["x"]}, {"app_cred_id": {"x": 1}}]
    )
    def test_nonsense(self, owner: Owner, said: dict):
        assert owner.ask(owner.keys(**said).older()).status_code == 401
