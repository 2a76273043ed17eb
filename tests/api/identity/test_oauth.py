"""OAuth 1.0a: a consumer asks, a user grants, the consumer acts for them, and how all of that ends."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from urllib.parse import parse_qs, quote

import pytest

from cumulet.identity.oauth_signatures import base_string, signature
from cumulet.kernel import clock

URL = "http://cloud/identity/v3"


class Program:
    """A consumer that signs by RFC 5849, written from the RFC and not from our own code."""

    def __init__(self, cloud, consumer: dict):
        self.cloud, self.id, self.secret = cloud, consumer["id"], consumer["secret"]
        self.stranger = cloud.stranger(cloud.base)

    def send(self, path: str, *, token: str | None = None, token_secret: str = "", secret: str | None = None, body=None, headers=None,
             drop: str = "", query: str = "", **more: str):  # fmt: skip
        oauth = {"oauth_consumer_key": self.id, "oauth_nonce": "1234567890", "oauth_signature_method": "HMAC-SHA1", "oauth_version": "1.0",
                 "oauth_timestamp": str(int((clock.now() - dt.datetime(1970, 1, 1)).total_seconds()))}  # fmt: skip
        oauth |= ({"oauth_token": token} if token else {}) | {f"oauth_{name}": value for name, value in more.items()}
        oauth.pop(drop, None)
        said = "&".join(f"{name}={quote(value, safe='~')}" for name, value in sorted(oauth.items()))
        text = "&".join(quote(part, safe="~") for part in ("POST", URL + path, said))
        key = f"{self.secret if secret is None else secret}&{token_secret}".encode()
        oauth["oauth_signature"] = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha1).digest()).decode()
        header = 'OAuth realm="", ' + ", ".join(f'{name}="{quote(value, safe="~")}"' for name, value in oauth.items())
        return self.stranger.post(path + query, body, headers={"Authorization": header} | (headers or {}))

    def ask(self, project: str, host: str = "cloud", **more):
        headers = {"Requested-Project-Id": project, "Host": host}
        return self.send("/OS-OAUTH1/request_token", headers=headers, **({"callback": "oob"} | more))

    def request_token(self, project: str) -> tuple[str, str]:
        return _pair(self.ask(project))

    def exchange(self, request_token: tuple[str, str], verifier: str, **more):
        id, secret = request_token
        return self.send("/OS-OAUTH1/access_token", **({"token": id, "token_secret": secret, "verifier": verifier} | more))

    def log_in(self, access_token: tuple[str, str], *, scope=None, **more):
        auth = {"identity": {"methods": ["oauth1"], "oauth1": {}}} | ({"scope": scope} if scope else {})
        return self.send("/auth/tokens", body={"auth": auth}, **({"token": access_token[0], "token_secret": access_token[1]} | more))


def _pair(answer) -> tuple[str, str]:
    assert answer.status_code == 201 and answer.headers["content-type"].startswith("application/x-www-form-urlencoded"), answer.text
    said = parse_qs(answer.text)
    assert clock.parse(said["oauth_expires_at"][0]) > clock.now()
    return said["oauth_token"][0], said["oauth_token_secret"][0]


@pytest.fixture
def me(admin):
    return admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]


@pytest.fixture
def project(me):
    return me["project"]["id"]


@pytest.fixture
def consumer(admin):
    return admin.post("/OS-OAUTH1/consumers", {"consumer": {}}).json()["consumer"]


@pytest.fixture
def program(cloud, consumer):
    return Program(cloud, consumer)


def grant(admin, request_token: tuple[str, str], *roles: dict):
    return admin.put(f"/OS-OAUTH1/authorize/{request_token[0]}", {"roles": list(roles)})


@pytest.fixture
def access(admin, program, project):
    asked = program.request_token(project)
    verifier = grant(admin, asked, {"name": "member"}).json()["token"]["oauth_verifier"]
    return _pair(program.exchange(asked, verifier))


def test_signatures_are_those_of_the_rfc():
    """The two examples of RFC 5849, section 1.2."""
    common = {"oauth_consumer_key": "dpf43f3p2l4k3l03", "oauth_signature_method": "HMAC-SHA1"}
    first = common | {"oauth_timestamp": "137131200", "oauth_nonce": "wIjqoS", "oauth_callback": "http://printer.example.com/ready"}
    text = base_string("POST", "https://PHOTOS.example.net:443/initiate", first.items())
    assert signature(text, "kd94hf93k423kf44", "") == "74KNZJeDHnMBp0EMJ9ZHt/XKycU="
    second = common | {"oauth_token": "nnch734d00sl2jdk", "oauth_timestamp": "137131202", "oauth_nonce": "chapoH"}
    query = [("file", "vacation.jpg"), ("size", "original")]
    text = base_string("GET", "http://photos.example.net/photos", [*second.items(), *query])
    assert signature(text, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00") == "MdpQcU8iPSUjWoN/UDMsK2sui9I="


def test_a_consumer_acts_for_a_user(cloud, admin, program, consumer, project, me, access):
    answer = program.log_in(access)
    token = answer.json()["token"]
    assert answer.status_code == 201 and token["methods"] == ["oauth1"] and token["project"]["id"] == project
    assert token["user"]["id"] == me["user"]["id"] and [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert token["OS-OAUTH1"] == {"access_token_id": access[0], "consumer_id": consumer["id"]}
    bearer = cloud.bearer(answer.headers["x-subject-token"])
    assert bearer.get("/auth/catalog").status_code == 200 and bearer.get("/services").status_code == 403
    assert program.log_in(access, query="?nocatalog").status_code == 201
    other = program.log_in(access, scope={"system": {"all": True}}).json()["token"]
    assert other["project"]["id"] == project and "system" not in other


def test_access_tokens(cloud, admin, demo, program, consumer, project, me, access):
    path = f"/users/{me['user']['id']}/OS-OAUTH1/access_tokens"
    [held] = admin.get(path).json()["access_tokens"]
    self = f"{URL}{path}/{access[0]}"
    assert held == {
        "id": access[0], "consumer_id": consumer["id"], "project_id": project, "authorizing_user_id": me["user"]["id"],
        "expires_at": held["expires_at"], "links": {"self": self, "roles": f"{self}/roles"},
    }  # fmt: skip
    one = f"{path}/{access[0]}"
    assert admin.get(one).json()["access_token"] == held
    [role] = admin.get(f"{one}/roles").json()["roles"]
    assert role["name"] == "member" and admin.get(f"{one}/roles/{role['id']}").json()["role"] == role
    assert admin.get(f"{one}/roles/{cloud.role(admin, 'reader')}").status_code == 404
    nobodys = f"/users/nobody/OS-OAUTH1/access_tokens/{access[0]}"
    for answer in (admin.get(nobodys), admin.delete(nobodys), admin.get(f"{nobodys}/roles"), admin.get(f"{path}/x")):
        assert answer.status_code == 404 and answer.json()["error"]["message"] == "Access token not found"
    system = cloud.login("admin", cloud.ADMIN, scope="system")
    for caller in (demo, system):
        statuses = [caller.get(path), caller.get(one), caller.get(f"{one}/roles"), caller.get(f"{one}/roles/x"), caller.delete(one)]
        assert {answer.status_code for answer in statuses} == {403}
    bearer = cloud.bearer(program.log_in(access).headers["x-subject-token"])
    assert admin.delete(one).status_code == 204
    assert bearer.get("/auth/catalog").status_code == 401 and program.log_in(access).status_code == 404


def test_what_ends_what_was_got(cloud, admin, program, consumer, project, me, access, monkeypatch):
    def works(bearer) -> bool:
        return bearer.get("/auth/catalog").status_code == 200

    bearer = cloud.bearer(program.log_in(access).headers["x-subject-token"])
    assert works(bearer)
    user = cloud.user(admin, "u")["id"]
    cloud.grant(admin, "admin", f"projects/{project}/users/{user}")
    cloud.grant(admin, "member", f"projects/{project}/users/{user}")
    asked = program.request_token(project)
    verifier = grant(cloud.login("u", "pw", scope="admin"), asked, {"name": "member"}).json()["token"]["oauth_verifier"]
    theirs = cloud.bearer(program.log_in(_pair(program.exchange(asked, verifier))).headers["x-subject-token"])
    assert works(theirs)
    cloud.revoke(admin, "member", f"projects/{project}/users/{user}")
    assert works(theirs)  # an administrator is a member
    cloud.revoke(admin, "admin", f"projects/{project}/users/{user}")
    assert not works(theirs) and works(bearer)
    admin.delete(f"/OS-OAUTH1/consumers/{consumer['id']}")
    assert not works(bearer)


def test_tokens_last_no_longer_than_the_access_token(cloud, program, access, monkeypatch):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + dt.timedelta(hours=23))
    answer = program.log_in(access)
    assert clock.parse(answer.json()["token"]["expires_at"]) < now + dt.timedelta(hours=24, minutes=1)
    monkeypatch.setattr(clock, "now", lambda: now + dt.timedelta(hours=25))
    assert program.log_in(access).status_code == 401
    assert cloud.bearer(answer.headers["x-subject-token"]).get("/auth/catalog").status_code == 401


def test_asking(cloud, admin, program, project):
    assert program.ask("nowhere").json()["error"]["message"] == "Could not find project: nowhere."
    unknown = Program(cloud, {"id": "nobody", "secret": "x"}).ask(project)
    assert unknown.status_code == 404 and unknown.json()["error"]["message"] == "Consumer not found"
    assert program.ask(project, secret="wrong").status_code == 401
    assert program.send("/OS-OAUTH1/request_token", callback="oob").status_code == 400
    assert program.ask(project, query="?unsigned=1").status_code == 401
    for header in ("", "Basic abc", "OAuth oauth_consumer_key", 'OAuth oauth_consumer_key="%00"', 'OAuth a="1", a="1"', "OAuth a="):
        answer = cloud.stranger(cloud.base).post("/OS-OAUTH1/request_token", headers={"Authorization": header})
        assert answer.status_code == 400, header
    for host in ("cloud:99999", "[", "cloud:port"):
        assert program.ask(project, host=host).status_code == 401
    assert admin.get("/OS-OAUTH1/request_token").status_code == 405


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"drop": "oauth_nonce"}, "Missing mandatory OAuth parameters."),
        ({"drop": "oauth_callback"}, "Missing mandatory OAuth parameters."),
        ({"signature_method": "PLAINTEXT"}, "Invalid signature method"),
        ({"version": "2.0"}, "Invalid OAuth version."),
        ({"timestamp": "12"}, "Invalid timestamp size"),
        ({"timestamp": "9999999999"}, "Timestamp given is invalid, differ from allowed by over 600 seconds."),
    ],
)
def test_requests_that_are_not_as_the_rfc_has_them(program, project, access, more, why):
    answer = program.ask(project, **more)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(f"Validation failed with errors: invalid_request, detail message is: {why}")
    if more != {"drop": "oauth_callback"}:
        assert program.log_in(access, **more).status_code == 401


def test_granting(cloud, admin, demo, program, project, access):
    asked = program.request_token(project)
    assert grant(demo, asked, {"name": "reader"}).status_code == 403
    assert grant(cloud.login("admin", cloud.ADMIN, scope="system"), asked, {"name": "reader"}).status_code == 403
    assert grant(admin, ("nothing", ""), {"name": "reader"}).status_code == 404
    missing = admin.put(f"/OS-OAUTH1/authorize/{asked[0]}", {})
    assert missing.status_code == 400
    for roles in ([{}], [{"id": "a", "name": "b"}], ["reader"]):
        assert admin.put(f"/OS-OAUTH1/authorize/{asked[0]}", {"roles": roles}).status_code == 400
    assert grant(admin, asked, {"name": "unheard of"}).status_code == 404
    cloud.role(admin, "pilot")
    refused = grant(admin, asked, {"name": "pilot"})
    assert refused.status_code == 401 and refused.json()["error"]["message"] == "authorizing user does not have role required"
    verifier = grant(admin, asked, {"id": cloud.role(admin, "admin")}).json()["token"]["oauth_verifier"]
    assert len(verifier) == 8 and verifier.isalnum() and not set(verifier) & set("jiIl1oO0")
    powerful = cloud.bearer(program.log_in(_pair(program.exchange(asked, verifier))).headers["x-subject-token"])
    assert powerful.get("/services").status_code == 200
    again = program.request_token(project)
    answer = grant(powerful, again, {"name": "reader"})
    assert answer.status_code == 403 and "issued via delegation" in answer.json()["error"]["message"]


def test_exchanging(cloud, admin, program, project, monkeypatch):
    asked = program.request_token(project)
    assert program.exchange(asked, "abcdefgh").status_code == 401
    verifier = grant(admin, asked, {"name": "reader"}).json()["token"]["oauth_verifier"]
    other = Program(cloud, admin.post("/OS-OAUTH1/consumers", {"consumer": {}}).json()["consumer"])
    assert other.exchange(asked, verifier).status_code == 401
    assert Program(cloud, {"id": "nobody", "secret": "x"}).exchange(asked, verifier).status_code == 401
    assert program.exchange(asked, "abcdefgh").status_code == 401
    assert program.exchange(asked, verifier, token_secret="wrong").status_code == 401
    assert program.exchange(asked, verifier, drop="oauth_verifier").status_code == 400
    assert program.exchange(("nothing", ""), verifier).status_code == 404
    _pair(program.exchange(asked, verifier))
    used = program.exchange(asked, verifier)
    assert used.status_code == 404 and used.json()["error"]["message"] == "Request token not found"
    late = program.request_token(project)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + dt.timedelta(hours=9))
    fresh = cloud.login("admin", cloud.ADMIN, scope="admin")
    expired = grant(fresh, late, {"name": "reader"})
    assert expired.status_code == 401 and expired.json()["error"]["message"] == "Request token is expired"


def test_a_signature_that_is_not_right(cloud, admin, program, access):
    assert program.log_in(access, token_secret="wrong").status_code == 401
    assert program.log_in(access, secret="wrong").status_code == 401
    other = Program(cloud, admin.post("/OS-OAUTH1/consumers", {"consumer": {}}).json()["consumer"])
    assert other.log_in(access).status_code == 401
    assert program.log_in(("nothing", "")).status_code == 404
    auth = {"identity": {"methods": ["oauth1"], "oauth1": {}}}
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 400
    assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": {"identity": {"methods": ["oauth1"]}}}).status_code == 400


def test_what_a_program_may_not_do(cloud, admin, program, project, me):
    """Nothing that outlives what it was granted."""
    asked = program.request_token(project)
    verifier = grant(admin, asked, {"name": "admin"}).json()["token"]["oauth_verifier"]
    bearer = cloud.bearer(program.log_in(_pair(program.exchange(asked, verifier))).headers["x-subject-token"])
    user = f"/users/{me['user']['id']}"
    trust = {"trustor_user_id": me["user"]["id"], "trustee_user_id": cloud.user(admin, "v")["id"], "project_id": project,
             "roles": [{"name": "reader"}], "impersonation": True}  # fmt: skip
    auth = {"identity": {"methods": ["token"], "token": {"id": bearer.token}}}
    refused = (
        bearer.post(f"{user}/application_credentials", {"application_credential": {"name": "a"}}),
        bearer.post("/OS-TRUST/trusts", {"trust": trust}),
        bearer.post(f"{user}/credentials/OS-EC2", {"tenant_id": project}),
        bearer.post("/credentials", {"credential": {"type": "totp", "blob": "x", "user_id": me["user"]["id"]}}),
        bearer.get(f"{user}/OS-OAUTH1/access_tokens"),
        cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}),
    )
    assert [answer.status_code for answer in refused] == [403] * len(refused)
