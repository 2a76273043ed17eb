"""One-time passwords, rules that ask for several methods, and receipts for those brought so far."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import struct

import pytest

from cumulet.kernel import clock

SECRET = b"12345678901234567890"
HEADER = "Openstack-Auth-Receipt"


def passcode(moment: dt.datetime | None = None, secret: bytes = SECRET) -> str:
    """By RFC 4226, section 5.3, and RFC 6238."""
    seconds = int(((moment or clock.now()) - dt.datetime(1970, 1, 1)).total_seconds())
    digest = hmac.new(secret, struct.pack(">Q", seconds // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


@pytest.fixture
def still(monkeypatch):
    """A clock that stands still, and is set."""
    held = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: held[0])

    def to(moment: dt.datetime) -> None:
        held[0] = moment

    return to


@pytest.fixture
def user(cloud, admin):
    return cloud.user(admin, "careful")


def keep(admin, user: dict, blob: str | None = None, type: str = "totp"):
    blob = base64.b32encode(SECRET).decode().rstrip("=") if blob is None else blob
    answer = admin.post("/credentials", {"credential": {"type": type, "blob": blob, "user_id": user["id"]}})
    assert answer.status_code == 201, answer.text


def ask(cloud, *methods: str, user: str = "careful", code: str | None = None, receipt: str | None = None, token: str | None = None):
    who = {"name": user, "domain": {"id": "default"}}
    parts = {
        "password": {"user": who | {"password": "pw"}},
        "totp": {"user": who | {"passcode": code or passcode()}},
        "token": {"id": token},
    }
    identity = {"methods": list(methods)} | {method: parts[method] for method in methods}
    return cloud.stranger(cloud.base).post("/auth/tokens", {"auth": {"identity": identity}}, headers={HEADER: receipt} if receipt else {})


def require(admin, user: dict, *rules: list[str], **more: object) -> None:
    options = {"multi_factor_auth_rules": list(rules)} | more
    assert admin.patch(f"/users/{user['id']}", {"user": {"options": options}}).status_code == 200


class TestPasscodes:
    def test_by_the_rfcs_example(self, cloud, admin, user, still):
        """The last six of the eight digits that RFC 6238, appendix B, has for 2033-05-18 03:33:20."""
        keep(admin, user)
        still(dt.datetime(2033, 5, 18, 3, 33, 20))
        assert ask(cloud, "totp", code="279037").status_code == 201

    def test_they_last_a_minute(self, cloud, admin, user, still):
        keep(admin, user)
        start = dt.datetime(2030, 1, 1, 12)
        code = passcode(start)
        for seconds, status in ((0, 201), (29, 201), (59, 201), (60, 401), (-1, 401)):
            still(start + dt.timedelta(seconds=seconds))
            assert ask(cloud, "totp", code=code).status_code == status, seconds

    def test_any_of_a_users_secrets_will_do(self, cloud, admin, user, still):
        for blob in ("", "not base 32!", base64.b32encode(b"short").decode(), "é"):
            keep(admin, user, blob)
        keep(admin, user, type="other")
        assert ask(cloud, "totp").status_code == 401
        keep(admin, user)
        token = ask(cloud, "totp").json()["token"]
        assert token["methods"] == ["totp"] and token["user"]["id"] == user["id"]

    def test_who_is_not_let_in(self, cloud, admin, user, still):
        keep(admin, user)
        cloud.user(admin, "other")
        wrong = f"{(int(passcode()) + 1) % 1_000_000:06}"
        for answer in (ask(cloud, "totp", code=wrong), ask(cloud, "totp", user="other"), ask(cloud, "totp", user="nobody"),
                       ask(cloud, "totp", code="ünder"), ask(cloud, "totp", "password", user="other")):  # fmt: skip
            assert answer.status_code == 401
        who = {"user": {"name": "careful", "domain": {"id": "default"}}}
        auth = {"identity": {"methods": ["totp"], "totp": who}}
        assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 400
        admin.patch(f"/users/{user['id']}", {"user": {"enabled": False}})
        assert ask(cloud, "totp").status_code == 401


class TestReceipts:
    @pytest.fixture(autouse=True)
    def rules(self, admin, user, still):
        keep(admin, user)
        require(admin, user, ["password", "totp"], ["token", "mapped"], ["unheard of"])

    def test_one_method_at_a_time(self, cloud, user):
        first = ask(cloud, "password")
        body = first.json()
        assert first.status_code == 401 and set(body) == {"receipt", "required_auth_methods"} and "x-subject-token" not in first.headers
        assert body["required_auth_methods"] == [["password", "totp"]]
        receipt = body["receipt"]
        assert receipt["methods"] == ["password"]
        assert receipt["user"] == {"id": user["id"], "name": "careful", "domain": {"id": "default", "name": "Default"}}
        assert clock.parse(receipt["expires_at"]) - clock.parse(receipt["issued_at"]) == dt.timedelta(seconds=300)
        second = ask(cloud, "totp", receipt=first.headers[HEADER])
        token = second.json()["token"]
        assert second.status_code == 201 and token["methods"] == ["password", "totp"]
        again = ask(cloud, "token", token=second.headers["x-subject-token"])
        assert again.status_code == 201 and again.json()["token"]["methods"] == ["password", "token", "totp"]

    def test_all_at_once(self, cloud):
        assert ask(cloud, "password", "totp").status_code == 201
        assert ask(cloud, "password", "totp", code="12345x").status_code == 401

    def test_a_receipt_alone_is_nothing(self, cloud, admin, user):
        receipt = ask(cloud, "password").headers[HEADER]
        assert ask(cloud, "password", receipt=receipt).status_code == 401
        assert ask(cloud, "totp", code="12345x", receipt=receipt).status_code == 401
        assert cloud.bearer(receipt).get("/auth/projects").status_code == 401
        auth = {"identity": {"methods": ["token"], "token": {"id": receipt}}}
        assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}, headers={HEADER: receipt}).status_code == 404

    def test_receipts_that_are_no_good(self, cloud, admin, still, demo):
        other = cloud.user(admin, "other")
        keep(admin, other)
        require(admin, other, ["password", "totp"])
        theirs = ask(cloud, "password", user="other").headers[HEADER]
        mine = ask(cloud, "password").headers[HEADER]
        for bad in (theirs, demo.token, "x" * 100, "AAAA", mine[:-3]):
            answer = ask(cloud, "totp", receipt=bad)
            assert answer.status_code == 401 and answer.json()["error"]["message"] == f"Could not find auth receipt: {bad}."
        still(clock.now() + dt.timedelta(seconds=300))
        assert ask(cloud, "totp", receipt=mine).status_code == 401
        still(clock.now() - dt.timedelta(seconds=1))
        assert ask(cloud, "totp", receipt=mine).status_code == 201

    def test_when_they_are_not_asked_for(self, cloud, admin, user):
        require(admin, user, ["password", "totp"], multi_factor_auth_enabled=False)
        assert ask(cloud, "password").status_code == 201
        require(admin, user, ["unheard of"], multi_factor_auth_enabled=True)
        assert ask(cloud, "password").status_code == 201
        require(admin, user, ["password"], ["totp"])
        assert ask(cloud, "password").status_code == 201 and ask(cloud, "totp").status_code == 201
        require(admin, user, ["token", "application_credential"])
        assert ask(cloud, "password").json()["required_auth_methods"] == []
