"""Signed tokens: what others see in them with the public key alone, and that this service does not believe what they say."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import typing as t
from pathlib import Path

import jwt
import msgspec
import pytest

from cumulet.identity import fernet, jws, keys, rotation
from cumulet.identity.fernet import BadToken, Claims
from cumulet.identity.state import state
from cumulet.kernel import clock

EXAMPLE = re.search(r"```python\n(.*?)```", (Path(__file__).parents[3] / "docs" / "signed-tokens.md").read_text(), re.S)


@pytest.fixture
def signed(cloud):
    cloud.runtime.config.token_provider = "jws"
    keys.setup(cloud.runtime.config)
    return cloud


@pytest.fixture
def public(signed) -> Path:
    return signed.runtime.config.root / "control" / "jws-keys" / "public"


@pytest.fixture
def caller() -> t.Callable[[str, Path], dict]:
    """The function of the documentation, with nothing of Cumulet about it."""
    assert EXAMPLE
    there: dict[str, t.Any] = {}
    exec(EXAMPLE[1], there)
    return there["caller"]


def test_the_documented_ten_lines_tell_who_it_is_without_asking(signed, public, caller):
    assert EXAMPLE and len(EXAMPLE[1].strip().splitlines()) <= 11
    demo = signed.login("demo", signed.DEMO, scope="demo")
    told = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]
    assert caller(demo.token, public) == {
        "user": told["user"]["id"], "project": told["project"]["id"], "roles": [role["name"] for role in told["roles"]],
    }  # fmt: skip
    assert caller(signed.login("admin", signed.ADMIN, scope="system").token, public)["project"] is None
    assert caller(signed.login("demo", signed.DEMO, scope="unscoped").token, public)["roles"] == []
    signed.runtime.config.token_hours = 1e-9
    with pytest.raises(jwt.ExpiredSignatureError):
        caller(signed.ask("demo", signed.DEMO).headers["x-subject-token"], public)
    head, body, _ = demo.token.split(".")
    for forged in (f"{head}.{body}.", f"{head}.{body}.{'A' * 86}", other_key(demo.token), unsigned(demo.token), hashed(demo.token, public)):
        with pytest.raises(jwt.InvalidTokenError):
            caller(forged, public)
        assert signed.bearer(forged).get("/auth/projects").status_code == 401, forged


def payload_of(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


def other_key(token: str) -> str:
    return jwt.encode(payload_of(token), jws.ec.generate_private_key(jws.ec.SECP256R1()), "ES256")


def unsigned(token: str) -> str:
    return jwt.encode(payload_of(token), None, "none")


def hashed(token: str, public: Path) -> str:
    """Signed with the public key as if it were a shared secret, which some libraries once took."""
    secret = min(public.iterdir()).read_bytes()
    head, body = ({"alg": "HS256", "typ": "JWT"}, payload_of(token))
    text = ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (head, body))
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(text.encode(), secret)
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_the_payload_has_upstreams_names_and_the_answer_is_what_validation_tells(signed):
    answer = signed.ask("demo", signed.DEMO, scope="demo")
    token, body = answer.headers["x-subject-token"], answer.json()["token"]
    assert set(payload_of(token)) == {
        "sub", "iat", "exp", "openstack_methods", "openstack_audit_ids", "openstack_project_id", "openstack_roles"
    }  # fmt: skip
    assert payload_of(token)["sub"] == body["user"]["id"] and payload_of(token)["openstack_audit_ids"] == body["audit_ids"]
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT"}
    demo = signed.bearer(token)
    assert demo.get("/auth/tokens", headers={"X-Subject-Token": token}).json()["token"] == body
    assert payload_of(signed.login("admin", signed.ADMIN, scope="system").token)["openstack_system"] == "all"
    assert payload_of(signed.login("admin", signed.ADMIN, scope={"domain": {"id": "default"}}).token)["openstack_domain_id"] == "default"


CLAIMS = Claims(
    ["password", "token"], "u" * 32, ("p", "p" * 32), 1_700_000_000_123_457, 1_700_000_060_999_999,
    [fernet.audit_id(bytes(16)), fernet.audit_id(b"\xff" * 16)], "t", "c", "x", "T" * 44, fernet.Federated("idp", "openid", ["2" * 32, "g"]),
)  # fmt: skip


@pytest.mark.parametrize("scope", [("u", ""), ("p", "1" * 32), ("d", "default"), ("s", "all")])
def test_each_kind_of_token_carries_all_that_claims_hold(signed, scope):
    claims = msgspec.structs.replace(CLAIMS, scope=scope)
    missing = [field.name for field in msgspec.structs.fields(Claims) if field.default is None and getattr(claims, field.name) is None]
    assert missing == [], "a claim that this test does not know"
    held = state(signed.runtime)
    assert jws.read(held.signing_keys, jws.issue(held.signing_keys, claims, ["r"])) == claims
    assert fernet.read(held.token_keys, fernet.issue(held.token_keys, claims)) == claims


def test_what_the_token_says_of_roles_is_never_believed_here(signed, admin, public, caller):
    user, project = signed.user(admin, "u"), signed.project(admin, "p")
    signed.grant(admin, "admin", f"projects/{project['id']}/users/{user['id']}")
    token = signed.login("u", "pw", scope={"project": {"id": project["id"]}})
    assert token.get("/services").status_code == 200
    signed.revoke(admin, "admin", f"projects/{project['id']}/users/{user['id']}")
    signed.grant(admin, "reader", f"projects/{project['id']}/users/{user['id']}")
    assert token.get("/services").status_code == 403
    assert "admin" in caller(token.token, public)["roles"], "who does not ask sees what was so when it was issued, as the document says"
    assert token.delete("/auth/tokens", headers={"X-Subject-Token": token.token}).status_code == 204
    assert token.get("/auth/projects").status_code == 401


def test_a_token_that_is_good_for_less_than_its_roles_tells_none(signed, admin, public, caller):
    demo = signed.login("demo", signed.DEMO, scope="demo")
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]

    def by_credential(**more: t.Any) -> str:
        made = demo.post(f"/users/{me}/application_credentials", {"application_credential": {"name": "n", **more}}).json()
        id, secret = made["application_credential"]["id"], made["application_credential"]["secret"]
        auth = {"identity": {"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}}}
        token = signed.stranger(signed.base).post("/auth/tokens", {"auth": auth}).headers["x-subject-token"]
        assert payload_of(token)["openstack_app_cred_id"] == id
        demo.delete(f"/users/{me}/application_credentials/{id}")
        return token

    assert "member" in caller(by_credential(), public)["roles"]
    with pytest.raises(KeyError):
        caller(by_credential(access_rules=[{"service": "identity", "path": "/v3/users", "method": "GET"}]), public)


def test_a_token_that_passes_for_another_tells_no_roles(signed, admin, demo, public, caller):
    body = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]
    trustee = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]
    for impersonation in (False, True):
        trust = {"trustor_user_id": body["user"]["id"], "trustee_user_id": trustee, "project_id": body["project"]["id"],
                 "impersonation": impersonation, "roles": [{"name": "reader"}]}  # fmt: skip
        id = admin.post("/OS-TRUST/trusts", {"trust": trust}).json()["trust"]["id"]
        lent = signed.login("demo", signed.DEMO, scope={"OS-TRUST:trust": {"id": id}}).token
        assert payload_of(lent)["openstack_trust_id"] == id and payload_of(lent)["sub"] == trustee
        assert ("openstack_roles" in payload_of(lent)) is not impersonation


def test_tokens_of_the_other_kind_stay_good(cloud, demo):
    config = cloud.runtime.config
    assert "." not in demo.token
    config.token_provider = "jws"
    keys.setup(config)
    new = cloud.login("demo", cloud.DEMO, scope="demo")
    assert new.token.count(".") == 2 and demo.get("/auth/projects").status_code == new.get("/auth/projects").status_code == 200
    auth = {"identity": {"methods": ["token"], "token": {"id": demo.token}}, "scope": "unscoped"}
    rescoped = cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth})
    assert rescoped.status_code == 201 and payload_of(rescoped.headers["x-subject-token"])["openstack_methods"] == ["password", "token"]
    config.token_provider = "fernet"
    cloud.runtime.shared.clear()
    assert "." not in cloud.login("demo", cloud.DEMO).token
    assert demo.get("/auth/projects").status_code == new.get("/auth/projects").status_code == 200


def test_a_signed_token_where_no_keys_are(cloud, demo):
    for token in ("a.b.c", "..", "é.b.c", other_key(jwt.encode({"sub": "x"}, None, "none"))):
        assert cloud.bearer(token.encode()).get("/auth/projects").status_code == 401
    with pytest.raises(fernet.NoKeys, match="token_provider"):
        rotation.rotate_signing_keys(cloud.runtime.config)


def test_signing_keys_rotate_under_a_running_process(signed, public, caller, monkeypatch):
    config, private = signed.runtime.config, public.parent / "private"
    first = signed.login("demo", signed.DEMO, scope="demo")
    known = {path.name for path in public.iterdir()}
    assert known == {"1.pem", "2.pem"}
    assert rotation.rotate_signing_keys(config) == (2, public)
    second = signed.login("demo", signed.DEMO, scope="demo")
    copied = dict.fromkeys(known)  # by whoever checks offline, before the rotation
    assert signer(second.token, public) == "2.pem" and "2.pem" in copied
    for token in (first, second):
        assert caller(token.token, public)["roles"] and token.get("/auth/projects").status_code == 200
    rotation.rotate_signing_keys(config)
    signed.runtime.shared.clear()
    assert first.get("/auth/projects").status_code == 401 and second.get("/auth/projects").status_code == 200
    with pytest.raises(jwt.InvalidTokenError):
        caller(first.token, public)
    assert {path.name for path in public.iterdir()} == {"2.pem", "3.pem", "4.pem"}
    assert {path.name for path in private.iterdir()} == {"3.pem", "4.pem"}
    assert {path.stat().st_mode & 0o777 for path in private.iterdir()} == {0o600} and private.stat().st_mode & 0o777 == 0o700


def signer(token: str, public: Path) -> str:
    for path in public.iterdir():
        try:
            jwt.decode(token, path.read_text(), ["ES256"])
        except jwt.InvalidSignatureError:
            continue
        return path.name
    raise AssertionError("nobody's")


def test_a_rotation_of_signing_keys_that_was_killed(signed, public):
    token = signed.login("demo", signed.DEMO, scope="demo")
    (public / "3.pem").write_text((public / "1.pem").read_text())  # a public part whose private one was not written any more
    rotation.rotate_signing_keys(signed.runtime.config)
    again = signed.login("demo", signed.DEMO, scope="demo")
    assert signer(again.token, public) == "2.pem" and token.get("/auth/projects").status_code == 200
    rotation.rotate_signing_keys(signed.runtime.config)
    assert signer(signed.login("demo", signed.DEMO).token, public) == "3.pem"


def test_an_old_signed_token_ends(signed, monkeypatch):
    token = signed.login("demo", signed.DEMO, scope="demo")
    admin = signed.login("admin", signed.ADMIN, scope="admin")
    later = clock.now() + dt.timedelta(hours=13)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert token.get("/auth/projects").status_code == 401
    admin = signed.login("admin", signed.ADMIN, scope="admin")
    assert admin.get("/auth/tokens", headers={"X-Subject-Token": token.token}).status_code == 404
    assert admin.get("/auth/tokens?allow_expired=1", headers={"X-Subject-Token": token.token}).status_code == 200


def test_no_text_is_taken_for_claims_that_are_none(signed):
    held = state(signed.runtime).signing_keys
    for payload in ({}, {"sub": "u"}, {"sub": "u", "iat": 1, "exp": 2, "openstack_methods": "x", "openstack_audit_ids": []}):
        with pytest.raises(BadToken):
            jws.read(held, held.sign(payload))
