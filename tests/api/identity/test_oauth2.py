"""OAuth 2.0 access tokens: by an application credential's secret, and by a certificate, to which they are bound."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ssl
from urllib.parse import quote

import pytest

from cumulet.kernel import clock

from .certificate_authority import Authority, Certificate

TOKEN = "/OS-OAUTH2/token"
RULES = [
    {
        "local": [{"user": {"name": "{0}", "domain": {"name": "{1}"}}}],
        "remote": [
            {"type": "SSL_CLIENT_SUBJECT_DN_CN"}, {"type": "SSL_CLIENT_SUBJECT_DN_DC"},
            {"type": "SSL_CLIENT_ISSUER_DN_O", "any_one_of": ["Test"]},
        ],
    }
]  # fmt: skip


def ask(cloud, *, basic: str | None = None, headers: dict | None = None, content: str | None = None, **form: str):
    sent = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
    if basic is not None:
        sent["Authorization"] = f"Basic {base64.b64encode(basic.encode()).decode()}"
    text = content if content is not None else "&".join(f"{name}={quote(value)}" for name, value in form.items())
    return cloud.send("POST", f"/identity/v3{TOKEN}", content=text, headers=sent)


def granting(cloud, **more):
    return ask(cloud, grant_type="client_credentials", **more)


def subject(caller) -> dict:
    return caller.get("/auth/tokens", headers={"X-Subject-Token": caller.token}).json()["token"]


def credential(caller, **more) -> tuple[str, str]:
    path = f"/users/{subject(caller)['user']['id']}/application_credentials"
    made = caller.post(path, {"application_credential": {"name": "program", **more}}).json()["application_credential"]
    return made["id"], made["secret"]


# -- a secret ------------------------------------------------------------------------------------------------------


def test_an_application_credential_is_a_client(cloud, demo):
    id, secret = credential(demo)
    for answer in (granting(cloud, basic=f"{id}:{secret}"), granting(cloud, client_id=id, client_secret=secret)):
        assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store", answer.text
        body = answer.json()
        assert set(body) == {"access_token", "token_type", "expires_in"} and body["token_type"] == "Bearer"
        assert 0 < 12 * 3600 - body["expires_in"] < 60
        token = subject(cloud.bearer(body["access_token"]))
        assert token["methods"] == ["application_credential"] and token["application_credential"]["id"] == id
        assert token["project"]["name"] == "demo" and "oauth2_credential" not in token
        for scheme in ("Bearer", "bearer"):
            sent = {"Authorization": f"{scheme} {body['access_token']}"}
            assert cloud.stranger(cloud.base).get("/auth/projects", headers=sent).status_code == 200
    for header in ("Bearer", "Bearer ", "Bearer x", f"Token {body['access_token']}"):
        assert cloud.stranger(cloud.base).get("/auth/projects", headers={"Authorization": header}).status_code == 401


def test_an_access_token_ends_no_later_than_what_it_was_got_with(cloud, demo):
    ends = clock.iso(clock.now() + dt.timedelta(minutes=5))
    id, secret = credential(demo, expires_at=ends)
    assert 200 < granting(cloud, basic=f"{id}:{secret}").json()["expires_in"] <= 300


def test_refusals_are_in_the_words_of_oauth(cloud, demo):
    id, secret = credential(demo)
    failed = "Client authentication failed."
    for answer, status, error, description in (
        (ask(cloud, content=""), 400, "invalid_request", "The parameter grant_type is required."),
        (ask(cloud, grant_type="foo"), 400, "unsupported_grant_type", "The parameter grant_type foo is not supported."),
        (granting(cloud), 401, "invalid_client", failed),
        (granting(cloud, client_id=id), 401, "invalid_client", failed),
        (granting(cloud, basic=f"{id}:"), 401, "invalid_client", failed),
        (granting(cloud, headers={"Authorization": "Basic ****"}), 401, "invalid_client", failed),
        (granting(cloud, headers={"Authorization": "Basic /w=="}), 401, "invalid_client", failed),
        (granting(cloud, basic=f"{id}:wrong"), 401, "invalid_client", "The request you have made requires authentication."),
        (granting(cloud, basic=f"{id}:{secret}", headers={"Content-Type": "application/json"}), 400, "invalid_request",
         "The parameter grant_type is required."),
        (granting(cloud, basic=f"{id}:{secret}", headers={"Content-Type": "text/plain"}), 400, "invalid_request",
         "The parameter grant_type is required."),
    ):  # fmt: skip
        assert answer.status_code == status and answer.json() == {"error": error, "error_description": description}
        assert ("www-authenticate" in answer.headers) is (status == 401)
    unknown = granting(cloud, basic="unknown:secret")
    assert unknown.status_code in (401, 404) and unknown.json()["error"] in ("invalid_client", "other_error")
    for odd in ("grant_type=client_credentials&client_id=%00&client_secret=x", "a=1&" * 101, "x" * (1 << 20) + "=1&"):
        answer = ask(cloud, content=odd)
        assert answer.status_code in (400, 413) and set(answer.json()) == {"error", "error_description"}
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = cloud.stranger(cloud.base)(method, TOKEN)
        assert answer.status_code == 405
        assert answer.json() == {"error": "other_error", "error_description": "The method is not allowed for the requested URL."}


# -- a certificate -------------------------------------------------------------------------------------------------


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def fronted(cloud, admin):
    """A cloud that believes the proxy that the tests are, with a mapping of certificates."""
    cloud.runtime.config.trusted_proxies = "192.0.2.0/24, 127.0.0.1"
    assert admin.put("/OS-FEDERATION/mappings/oauth2_mapping", {"mapping": {"rules": RULES}}).status_code == 201
    return cloud


@pytest.fixture
def robot(fronted, admin) -> str:
    """The id of a user with a default project."""
    project = fronted.project(admin, "p")["id"]
    id = fronted.user(admin, "robot", default_project_id=project, email="robot@example.org")["id"]
    fronted.grant(admin, "member", f"projects/{project}/users/{id}")
    return id


def by_certificate(cloud, user: str, certificate: Certificate | None):
    return granting(cloud, client_id=user, headers=certificate.header if certificate else {})


def test_a_certificate_is_a_client_and_its_token_is_good_with_it_alone(fronted, admin, authority, robot):
    mine, other = authority.issue(CN="robot", DC="Default"), authority.issue(CN="robot", DC="Default")
    answer = by_certificate(fronted, robot, mine)
    assert answer.status_code == 200, answer.text
    token = fronted.bearer(answer.json()["access_token"])
    for header in (mine.header, {"Client-Cert": quote(mine.pem)}, {"Client-Cert": mine.pem.strip().replace("\n", " ")}):
        told = token.get("/auth/tokens", headers={"X-Subject-Token": token.token} | header)
        assert told.status_code == 200, header
    body = told.json()["token"]
    compared = base64.urlsafe_b64encode(hashlib.sha256(ssl.DER_cert_to_PEM_cert(mine.der).encode("ascii")).digest()).decode("ascii")
    assert body["oauth2_credential"] == {"x5t#S256": compared}, "as keystonemiddleware works it out"
    assert body["methods"] == ["oauth2_credential"] and body["user"]["id"] == robot and body["project"]["name"] == "p"
    for header in ({}, other.header, {"Client-Cert": "x"}, {"Client-Cert": quote(other.pem)}):
        assert token.get("/auth/projects", headers=header).status_code == 401
        assert (
            fronted.stranger(fronted.base).get("/auth/projects", headers={"Authorization": f"Bearer {token.token}"} | header).status_code
            == 401
        )
    shown = admin.get("/auth/tokens", headers={"X-Subject-Token": token.token})
    assert shown.json()["token"] == body, "a service asks with a token of its own, and compares itself"
    fronted.runtime.config.trusted_proxies = "192.0.2.0/24"
    assert token.get("/auth/projects", headers=mine.header).status_code == 401
    assert by_certificate(fronted, robot, mine).status_code == 401, "the word of whoever is not the proxy"


def test_who_a_certificate_is_not(fronted, admin, authority, robot):
    good = authority.issue(CN="robot", DC="Default")
    demo = fronted.login("demo", fronted.DEMO, scope="demo")
    refused = [
        (robot, authority.issue(CN="other", DC="Default")), (robot, authority.issue(CN="robot", DC="Elsewhere")),
        (robot, authority.issue(CN="robot")), (robot, Authority(CN="x", O="Else").issue(CN="robot", DC="Default")),
        (robot, authority.issue(CN="robot;other", DC="Default")), (robot, None), ("nobody", good),
        (subject(demo)["user"]["id"], authority.issue(CN="demo", DC="Default")),  # has no default project
    ]  # fmt: skip
    for user, certificate in refused:
        answer = by_certificate(fronted, user, certificate)
        assert answer.status_code == 401, certificate
        assert answer.json() == {"error": "invalid_client", "error_description": "Client authentication failed."}
    for garbage in (":AAAA:", "AAAA", "%", "é", "::", ":" + base64.b64encode(good.der[:-20]).decode() + ":"):
        assert granting(fronted, client_id=robot, headers={"Client-Cert": garbage.encode()}).status_code == 401, garbage
    assert by_certificate(fronted, robot, good).status_code == 200
    admin.patch(f"/users/{robot}", {"user": {"enabled": False}})
    assert by_certificate(fronted, robot, good).status_code == 401
    admin.patch(f"/users/{robot}", {"user": {"enabled": True}})
    admin.delete("/OS-FEDERATION/mappings/oauth2_mapping")
    assert by_certificate(fronted, robot, good).status_code == 401


@pytest.mark.parametrize(
    ("local", "subject", "good"),
    [
        ({"id": "{0}"}, "ID", True),
        ({"id": "{0}"}, "x", False),
        ({"email": "{0}"}, "robot@example.org", True),
        ({"email": "{0}"}, "other@example.org", False),
        ({"name": "{0}", "email": "other@example.org"}, "robot", False),
        ({"domain": {"name": "Default"}}, "robot", False),
        ({"name": "{0}", "domain": {"id": "default"}}, "robot", True),
    ],
)
def test_what_a_mapping_may_say_of_a_certificate(fronted, admin, authority, robot, local, subject, good):
    rules = [{"local": [{"user": local}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_UID"}]}]
    assert admin.patch("/OS-FEDERATION/mappings/oauth2_mapping", {"mapping": {"rules": rules}}).status_code == 200
    answer = by_certificate(fronted, robot, authority.issue(UID=robot if subject == "ID" else subject))
    assert answer.status_code == (200 if good else 401)


def test_a_bound_token_gets_nothing_that_is_good_without_the_certificate(fronted, admin, authority, robot):
    mine = authority.issue(CN="robot", DC="Default")
    token = by_certificate(fronted, robot, mine).json()["access_token"]
    caller = fronted.bearer(token)
    rescoping = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
    assert fronted.stranger(fronted.base).post("/auth/tokens", rescoping, headers=mine.header).status_code == 403
    made = caller.post(f"/users/{robot}/application_credentials", {"application_credential": {"name": "n"}}, headers=mine.header)
    assert made.status_code == 403 and "delegation" in made.json()["error"]["message"]
    project = caller.get("/auth/projects", headers=mine.header).json()["projects"][0]["id"]
    assert caller.post(f"/users/{robot}/credentials/OS-EC2", {"tenant_id": project}, headers=mine.header).status_code == 403
    trust = {"trustor_user_id": robot, "trustee_user_id": subject(admin)["user"]["id"], "project_id": project, "impersonation": True,
             "roles": [{"name": "member"}]}  # fmt: skip
    assert caller.post("/OS-TRUST/trusts", {"trust": trust}, headers=mine.header).status_code == 403


# -- the word of a proxy -------------------------------------------------------------------------------------------


EXTERNAL = {"auth": {"identity": {"methods": ["external"], "external": {}}}}


def test_a_trusted_proxy_says_who_it_is(fronted, admin):
    domain = admin.post("/domains", {"domain": {"name": "Ünternehmen"}}).json()["domain"]["id"]
    elsewhere = fronted.user(admin, "demo", domain_id=domain)["id"]
    stranger = fronted.stranger(fronted.base)

    def log_in(**headers: str):
        sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return stranger.post("/auth/tokens", EXTERNAL, headers=sent)

    answer = log_in(remote_user="demo")
    assert answer.status_code == 201 and answer.json()["token"]["methods"] == ["external"]
    assert answer.json()["token"]["user"]["domain"]["id"] == "default"
    assert log_in(remote_user="demo", remote_domain="Ünternehmen").json()["token"]["user"]["id"] == elsewhere
    for headers in ({}, {"remote_user": "nobody"}, {"remote_user": "demo", "remote_domain": "Nowhere"}, {"remote_domain": "Default"}):
        assert log_in(**headers).status_code == 401
    missing = stranger.post("/auth/tokens", {"auth": {"identity": {"methods": ["external"]}}}, headers={"Remote-User": "demo"})
    assert missing.status_code == 400 and missing.json()["error"]["message"].startswith("Expecting to find external in identity.")
    me = subject(fronted.bearer(answer.headers["x-subject-token"]))["user"]["id"]
    admin.patch(f"/users/{me}", {"user": {"enabled": False}})
    assert log_in(remote_user="demo").status_code == 401


def test_nobody_else_is_believed(cloud):
    for proxies in ("", "192.0.2.1", "10.0.0.0/8,::1"):
        cloud.runtime.config.trusted_proxies = proxies
        for header in ("Remote-User", "REMOTE_USER", "X-Remote-User"):
            sent = {header: "admin", "X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
            assert cloud.stranger(cloud.base).post("/auth/tokens", EXTERNAL, headers=sent).status_code == 401


def test_tokens_are_not_bound_as_they_once_were(cloud, demo):
    """`bind` went from the real service with Kerberos' token binding; it takes no notice of it either."""
    me = {"name": "demo", "domain": {"id": "default"}, "password": cloud.DEMO}
    auth = {"identity": {"methods": ["password"], "password": {"user": me}}, "bind": {"kerberos": "demo"}}
    answer = cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth})
    assert answer.status_code == 201 and "bind" not in answer.json()["token"]
