"""A token that is not, to the letter, one that this cloud issued and that is still good is worth nothing, wherever it is shown."""

from __future__ import annotations

import base64
import datetime as dt
import string

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cumulet.identity.state import state
from cumulet.kernel import clock

SECRET = b"12345678901234567890"
LETTERS = string.ascii_letters + string.digits + "-_"
FORGING = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def worth(cloud, admin, token: str | bytes) -> set[int]:
    """What is answered to who shows a token: as their own, as one to be validated, checked and revoked."""
    subject = {"X-Subject-Token": token}
    return {
        cloud.stranger(cloud.base).get("/auth/projects", headers={"X-Auth-Token": token}).status_code,
        *(admin(method, "/auth/tokens", headers=subject).status_code for method in ("GET", "HEAD", "DELETE")),
    }


def exchanged(cloud, token: str) -> int:
    auth = {"identity": {"methods": ["token"], "token": {"id": token}}}
    return cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code


def test_each_letter_counts(cloud, admin, demo):
    """One bit of it; also, that it is there, and all after it."""
    token, wrong = demo.token, []
    for at, letter in enumerate(token):
        other = LETTERS[LETTERS.index(letter) ^ 1]
        forged = [token[:at] + other + token[at + 1 :], token[:at] + "!" + token[at + 1 :], token[:at] + token[at + 1 :], token[:at]]
        wrong += [one for one in forged if cloud.bearer(one).get("/auth/projects").status_code != 401]
    assert wrong == []
    assert worth(cloud, admin, demo.token[:-1]) == {401, 404}
    assert demo.get("/auth/projects").status_code == 200


def test_there_is_one_spelling_of_a_token(cloud, admin, demo):
    for other in (demo.token + "=", demo.token + "====", demo.token + "!!!!", "...." + demo.token, demo.token[:8] + "\t\t\t\t" + demo.token[8:],
                  demo.token.replace("-", "+").replace("_", "/") + "=="):  # fmt: skip
        if other != demo.token:
            assert worth(cloud, admin, other) == {401, 404}, other
            assert exchanged(cloud, other) == 404


@FORGING
@given(text=st.text(max_size=300))
def test_any_text_is_no_token(cloud, text):
    assert exchanged(cloud, text) in (400, 401, 404)


@FORGING
@given(sent=st.binary(max_size=300))
def test_any_bytes_are_no_token(cloud, admin, sent):
    clean = bytes(byte for byte in sent if byte >= 32 and byte != 127).strip()
    assert worth(cloud, admin, clean) <= {401, 404}
    receipt = {"Openstack-Auth-Receipt": clean or b"x"}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": {"name": "demo", "domain": {"id": "default"}, "password": cloud.DEMO}}}
    }
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}, headers=receipt).status_code == 401


class TestKeys:
    """A key is for one purpose: what another sealed is not taken for it, and neither is another thing of the same key."""

    def test_what_the_keys_of_credentials_sealed_is_no_token(self, cloud, admin, demo):
        held = state(cloud.runtime)
        forged = held.credential_keys.seal(held.token_keys.open(demo.token))
        assert worth(cloud, admin, forged) == {401, 404} and exchanged(cloud, forged) == 404

    def test_what_is_kept_of_a_credential_is_no_token(self, cloud, admin, demo):
        me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]
        held = state(cloud.runtime)
        blob = held.token_keys.open(demo.token).decode("latin-1")
        assert demo.post("/credentials", {"credential": {"type": "x", "blob": blob.replace("\0", ""), "user_id": me}}).status_code == 201
        assert worth(cloud, admin, held.credential_keys.seal(blob.encode("latin-1"))) == {401, 404}

    @pytest.fixture
    def receipt(self, cloud, admin) -> str:
        rules = {"multi_factor_auth_rules": [["password", "totp"]]}
        cloud.user(admin, "careful", options=rules)
        answer = cloud.ask("careful", "pw")
        assert answer.status_code == 401
        return answer.headers["openstack-auth-receipt"]

    def test_a_receipt_is_no_token(self, cloud, admin, receipt):
        assert worth(cloud, admin, receipt) == {401, 404} and exchanged(cloud, receipt) == 404

    def test_a_token_is_no_receipt(self, cloud, demo):
        auth = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": "demo", "domain": {"id": "default"}, "password": "demo-pw"}},
            }
        }
        send = cloud.stranger(cloud.base).post
        assert send("/auth/tokens", {"auth": auth}).status_code == 201
        assert send("/auth/tokens", {"auth": auth}, headers={"Openstack-Auth-Receipt": demo.token}).status_code == 401

    def test_a_receipt_is_its_users_alone(self, cloud, admin, receipt):
        cloud.user(admin, "eve", options={"multi_factor_auth_rules": [["password", "totp"]]})
        auth = {"identity": {"methods": ["password"], "password": {"user": {"name": "eve", "domain": {"id": "default"}, "password": "pw"}}}}
        answer = cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}, headers={"Openstack-Auth-Receipt": receipt})
        assert answer.status_code == 401 and "openstack-auth-receipt" not in answer.headers

    def test_a_receipt_ends_with_the_password_that_it_is_for(self, cloud, admin, receipt):
        """Who knew the old password is left with nothing of it."""
        me = admin.get("/users?name=careful").json()["users"][0]["id"]
        seed = {"type": "totp", "blob": base64.b32encode(SECRET).decode(), "user_id": me}
        assert admin.post("/credentials", {"credential": seed}).status_code == 201

        def second() -> int:
            passcode = TOTP(SECRET, 6, SHA1(), 30).generate(int(clock.now().replace(tzinfo=dt.UTC).timestamp())).decode()
            auth = {"identity": {"methods": ["totp"], "totp": {"user": {"id": me, "passcode": passcode}}}}
            answer = cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}, headers={"Openstack-Auth-Receipt": receipt})
            return answer.status_code

        assert second() == 201
        assert admin.patch(f"/users/{me}", {"user": {"password": "another"}}).status_code == 200
        assert second() == 401
