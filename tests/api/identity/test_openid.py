"""OpenID Connect, with a real provider: released clients log in through it, and so do browsers."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import html
import json
import re
import time
import typing as t
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jwt
import msgspec
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey
from keystoneauth1 import session as keystone
from keystoneauth1.identity import v3

from cumulet.identity.federation.openid import provider as asking
from cumulet.identity.federation.openid.tokens import assertion
from cumulet.kernel.config import Federation
from cumulet.kernel.testing.cloud import Caller
from logins import Identity
from openid_provider import CLIENT, SECRET, OddServer, OpenIdServer

IDP = "/OS-FEDERATION/identity_providers/acme"
AUTH = IDP + "/protocols/openid/auth"
SSO = "/auth" + IDP + "/protocols/openid/websso"
HORIZON = "https://horizon.example/auth/websso/?next=<a>"
BACK = "http://cloud/identity/v3/auth/OS-FEDERATION/openid/redirect"
RULES = [
    {"local": [{"user": {"name": "{0}", "email": "{1}"}}], "remote": [{"type": "OIDC-sub"}, {"type": "HTTP_OIDC_EMAIL"}]},
    {"local": [{"groups": "{0}", "domain": {"id": "default"}}], "remote": [{"type": "OIDC-groups"}]},
    {"local": [{"user": {"name": "robot {0}"}}, {"projects": [{"name": "robots", "roles": [{"name": "reader"}]}]}],
     "remote": [{"type": "OIDC-client_id"}, {"type": "HTTP_OIDC_ISS", "any_one_of": ["^http://localhost:"], "regex": True}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def provider():
    made = OpenIdServer()
    made.client(CLIENT, SECRET, BACK)
    made.user("alice", "alice-pw", "alice@example.com", "devs", "ops;admins")
    yield made
    made.close()


def federation(issuer: str, **more: t.Any) -> Federation:
    one = {
        "identity_provider": "acme",
        "issuer": issuer,
        "client_id": CLIENT,
        "client_secret_file": "secret",
        "scopes": "openid email groups",
    }
    return msgspec.convert({"trusted_dashboards": [HORIZON], "openid": [one | more]}, Federation)


@pytest.fixture
def cloud(database_url: str, tmp_path: Path, provider: OpenIdServer):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    made = Identity(database_url, str(tmp_path), config={"federation": federation(provider.issuer)})
    yield made
    made.close()


@pytest.fixture
def stranger(cloud, admin) -> Caller:
    """Somebody who has no token, of a cloud that knows the provider."""
    assert admin.put("/OS-FEDERATION/mappings/m", {"mapping": {"rules": RULES}}).status_code == 201
    made = {"enabled": True, "domain_id": "default", "remote_ids": [cloud.runtime.config.federation.openid[0].issuer]}
    assert admin.put(IDP, {"identity_provider": made}).status_code == 201
    assert admin.put(IDP + "/protocols/openid", {"protocol": {"mapping_id": "m"}}).status_code == 201
    group = admin.post("/groups", {"group": {"name": "devs"}}).json()["group"]["id"]
    admin.post("/groups", {"group": {"name": "admins"}})
    cloud.grant(admin, "member", f"projects/{cloud.project(admin, 'website')['id']}/groups/{group}")
    return cloud.stranger(cloud.base)


def bearer(stranger: Caller, token: str, method: str = "POST"):
    return stranger(method, AUTH, headers={"Authorization": f"Bearer {token}"})


def refused(answer, *, status: int = 401) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["message"]


@pytest.fixture
def sign(provider):
    """Makes tokens with the provider's own key, or another."""
    own = provider.key.as_pem(private=True)

    def made(*, key: t.Any = own, alg: str | None = "RS256", kid: str = "test-1", **claims: t.Any) -> str:
        now = int(time.time())
        whole = {"iss": provider.issuer, "aud": CLIENT, "sub": "alice", "email": "a@example.com", "iat": now, "exp": now + 60} | claims
        said = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(said, key if alg else None, algorithm=alg, headers={"kid": kid})

    return made


# -- clients -------------------------------------------------------------------------------------------------------


@pytest.fixture
def address(cloud, stranger):
    """The cloud's URL, for clients that need a socket."""
    server = uvicorn.Server(uvicorn.Config(cloud.application, port=0, log_level="error", lifespan="off"))
    done = cloud.portal.start_task_soon(server.serve)
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/identity/v3"
    server.should_exit = True
    done.result()


def test_released_clients_log_in(address, provider, cloud):
    known: dict = {"auth_url": address, "identity_provider": "acme", "protocol": "openid"}
    client = known | {
        "client_id": CLIENT, "client_secret": SECRET, "discovery_endpoint": provider.issuer + "/.well-known/openid-configuration",
        "scope": "openid email groups",
    }  # fmt: skip
    website = {"project_name": "website", "project_domain_id": "default"}
    query = {"response_type": "code", "client_id": CLIENT, "redirect_uri": BACK, "scope": client["scope"], "state": "s", "nonce": "n"}
    url = provider.issuer + "/oauth/authorize?" + "&".join(f"{name}={value}" for name, value in query.items())
    code = parse_qs(urlsplit(provider.log_in(url, "alice", "alice-pw")).query)["code"][0]
    by_password = v3.OidcPassword(username="alice", password="alice-pw", **client, **website)
    token = keystone.Session(by_password)
    brought = by_password._get_access_token(
        token, {"username": "alice", "password": "alice-pw", "grant_type": "password", "scope": client["scope"]}
    )
    for plugin in (
        by_password,
        v3.OidcAuthorizationCode(code=code, redirect_uri=BACK, **client, **website),
        v3.OidcAccessToken(access_token=brought, **known, **website),
    ):
        logged_in = keystone.Session(plugin)
        assert [one["name"] for one in logged_in.get(address + "/auth/projects").json()["projects"]] == ["website"]
        access = plugin.get_access(logged_in)
        assert (access.username, access.role_names, access.is_federated) == ("alice", ["member", "reader"], True)
    robot = keystone.Session(v3.OidcClientCredentials(**client, project_name="robots", project_domain_id="default"))
    assert robot.auth is not None and robot.auth.get_access(robot).username == "robot cumulet", "whose token is none that can be read"
    body = robot.get(address + "/auth/projects").json()
    assert [one["name"] for one in body["projects"]] == ["robots"]


def test_a_providers_token(stranger, sign):
    for method in ("GET", "POST"):
        answer = bearer(stranger, sign(groups=["devs", "x;admins"], aud=["else", CLIENT]), method)
        token = answer.json()["token"]
        assert answer.status_code == 201 and token["methods"] == ["openid"] and token["user"]["name"] == "alice"
        assert len(token["user"]["OS-FEDERATION"]["groups"]) == 1, "a group whose name has a semicolon is not two"
    assert token["user"]["OS-FEDERATION"]["protocol"] == {"id": "openid"}


# -- attacks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "somebody else"}, "Audience"), ({"aud": None}, "aud"), ({"aud": []}, "aud"), ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": None}, "iss"), ({"exp": 1}, "expired"), ({"exp": None}, "exp"), ({"exp": "never"}, "exp"),
        ({"exp": 1e400}, "exp"), ({"nbf": 2**33}, "not yet valid"), ({"iat": 2**33}, "not yet valid"), ({"sub": 5}, "ubject"),
        ({"sub": None}, "Could not map"), ({"sub": "a\0b"}, "characters that are none"), ({"sub": "x" * 5000}, "more than"),
        ({"sub": "alice", "more": "x" * 17_000}, "16384 characters"), ({"alg": None}, "algorithm"), ({"kid": "other"}, "does not have"),
    ],
)  # fmt: skip
def test_tokens_that_are_no_good(stranger, sign, claims, why):
    assert why in refused(bearer(stranger, sign(**claims)))


def test_keys_are_not_confused(stranger, sign, provider):
    """A public key is known to everyone, and so is no secret; a key that a token brings along is whoever's."""
    public = provider.key.as_pem(private=False)
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    head, said, _ = sign().split(".")
    for algorithm in ("HS256", "hs256", "HS512"):
        signing = part({"alg": algorithm, "kid": "test-1", "typ": "JWT"}) + b"." + said.encode()
        for key in (public, public.strip(), json.dumps(provider.key.as_dict(private=False)).encode()):
            mac = base64.urlsafe_b64encode(hmac.digest(key, signing, hashlib.sha256)).rstrip(b"=")
            assert "signed by an algorithm" in refused(bearer(stranger, (signing + b"." + mac).decode()))
    key = rsa.generate_private_key(65537, 2048)
    assert "ignature" in refused(bearer(stranger, sign(key=key)))
    mine = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    forged = jwt.encode(
        jwt.decode(sign(), options={"verify_signature": False}),
        key,
        "RS256",
        headers={"kid": "test-1", "jwk": mine, "jku": "http://evil.example"},
    )
    assert "ignature" in refused(bearer(stranger, forged))
    head, said, signature = sign().split(".")
    assert "ignature" in refused(bearer(stranger, f"{head}.{said}.{signature[:-4]}AAAA"))
    for broken in (f"{head}.{said}.", f".{said}.{signature}", f"{head}..{signature}", "a.b.c", "..", f"{head}.{said}.{signature}.x"):
        assert bearer(stranger, broken).status_code == 401


def test_what_is_no_bearers_token(stranger, admin):
    for headers in ({}, {"Authorization": "Basic x"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer  "}):
        assert "Authorization: Bearer" in refused(stranger.post(AUTH, headers=headers))
    assert "not active" in refused(bearer(stranger, "opaque")), "the provider was asked"
    assert "odd ones" in refused(stranger.post(AUTH, headers={"Authorization": "Bearer ä".encode("latin-1")}))
    assert refused(stranger.post(AUTH.replace("acme", "none")), status=404) == "Could not find Identity Provider: none."
    admin.put(IDP + "/protocols/other", {"protocol": {"mapping_id": "m"}})
    assert "settings do not say" in refused(stranger.post(AUTH.replace("openid", "other")))
    assert "settings do not say" in refused(stranger.get(SSO.replace("openid", "other"), params={"origin": HORIZON}))
    admin.patch(IDP, {"identity_provider": {"enabled": False}})
    assert "is disabled" in refused(bearer(stranger, "x"), status=403)


def test_another_providers_word(stranger, admin, sign):
    admin.patch(IDP, {"identity_provider": {"remote_ids": ["https://other.example"]}})
    assert "not included among the accepted identifiers" in refused(bearer(stranger, sign()), status=403)
    assert "not included" in refused(bearer(stranger, sign(ISS="https://other.example", Iss="https://other.example")), status=403)


# -- browsers ------------------------------------------------------------------------------------------------------


def away(stranger: Caller, path: str = SSO) -> str:
    """Where a browser that wants to the dashboard is sent."""
    answer = stranger.get(path, params={"origin": HORIZON})
    assert answer.status_code == 302, answer.text
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/identity/v3/auth/OS-FEDERATION/openid/redirect" in cookie
    return answer.headers["location"]


def back(stranger: Caller, url: str):
    assert url.startswith(BACK + "?")
    return stranger.get(url.removeprefix("http://cloud/identity/v3"))


def test_a_browser(stranger, provider, cloud):
    for path in (SSO, SSO.replace("/protocols/", "/protocol/"), "/auth/OS-FEDERATION/websso/openid"):
        sent = away(stranger, path)
        query = parse_qs(urlsplit(sent).query)
        assert query["code_challenge_method"] == ["S256"] and query["scope"] == ["openid email groups"] and query["nonce"]
        page = back(stranger, provider.log_in(sent, "alice", "alice-pw"))
        assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8", page.text
        assert page.headers["cache-control"] == "no-store" and "default-src 'none'" in page.headers["content-security-policy"]
        assert f'action="{html.escape(HORIZON)}" method="post"' in page.text and "<a>" not in page.text
        found = re.search(r'name="token" id="token" value="([^"]+)"', page.text)
        assert found is not None
        caller = cloud.bearer(found[1])
        assert [one["name"] for one in caller.get("/auth/projects").json()["projects"]] == ["website"]


@pytest.fixture
def browser(cloud):
    """The cookies that the client of a test has, to be kept and put back."""
    jar = cloud._client.cookies.jar

    class Browser:
        def cookies(self) -> list:
            return [copy.copy(one) for one in jar]

        def has(self, cookies: list) -> None:
            jar.clear()
            for one in cookies:
                jar.set_cookie(one)

    return Browser()


def test_a_login_is_good_once_and_for_one_browser(stranger, provider, browser):
    url = provider.log_in(away(stranger), "alice", "alice-pw")
    cookies = browser.cookies()
    browser.has([])
    assert "not begun by this browser" in refused(back(stranger, url)), "somebody else's link"
    browser.has(cookies)
    assert back(stranger, url).status_code == 200
    assert browser.cookies() == []
    browser.has(cookies)
    assert refused(back(stranger, url)), "the code was used"
    other = parse_qs(urlsplit(provider.log_in(away(stranger), "alice", "alice-pw")).query)["code"][0]
    assert refused(back(stranger, re.sub(r"code=[^&]*", f"code={other}", url))), "a code of another login, whose verifier this is not"
    for one in cookies:
        one.value = one.value[:-6] + "AAAAAA"
    browser.has(cookies)
    assert "not begun by this browser" in refused(back(stranger, url))


def test_what_a_browser_may_bring(stranger, provider):
    assert refused(stranger.get(SSO), status=400) == "Request must have an origin query parameter"
    assert refused(stranger.get("/auth/OS-FEDERATION/websso/openid"), status=400)
    for origin in (
        "https://evil.example/auth/websso/",
        HORIZON + "x",
        HORIZON.replace("https", "http"),
        "javascript:x",
        "https://[",
        HORIZON.replace("websso", "WEBSSO"),
    ):
        assert "is not a trusted dashboard" in refused(stranger.get(SSO, params={"origin": origin}))
    assert stranger.get(SSO, params={"origin": HORIZON.replace("horizon", "HORIZON")}).status_code == 302, "a host's name has no case"
    assert "There are 0 identity providers" in refused(stranger.get("/auth/OS-FEDERATION/websso/other", params={"origin": HORIZON}))
    sent = parse_qs(urlsplit(away(stranger)).query)
    state = sent["state"][0]
    for query, status, why in (
        ("", 400, "without a state"), (f"state={state}", 400, "without a code"), (f"state={state}x&code=1", 401, "not begun by this browser"),
        (f"state={state}&error=access_denied", 401, "did not let you in: access_denied"), (f"state={state}&code=1", 401, "answers 400 invalid_grant"),
        (f"state={state}&code=1&iss=https://evil.example", 401, "another provider"), ("state=%ED%A0%80&code=1", 401, "not begun"),
    ):  # fmt: skip
        assert why in refused(back(stranger, f"{BACK}?{query}"), status=status)


@pytest.fixture
def odd(cloud, stranger, admin):
    """A provider that answers as a test wants, which the cloud knows instead of the real one."""
    made = OddServer()
    cloud.runtime.config.federation = federation(made.issuer)
    cloud.runtime.shared.pop("openid", None)
    admin.patch(IDP, {"identity_provider": {"remote_ids": [made.issuer]}})
    yield made
    made.close()


def signed_by(odd: OddServer, key: t.Any = None, **claims: t.Any) -> str:
    now = int(time.time())
    said = {"iss": odd.issuer, "aud": CLIENT, "sub": "alice", "email": "a@example.com", "iat": now, "exp": now + 60} | claims
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, (key or odd.key).as_pem(private=True), "RS256", headers={"kid": (key or odd.key).kid})


def returned(stranger: Caller, odd: OddServer, userinfo: dict | None = None, **claims: t.Any) -> str:
    """The URL by which a browser comes back with a code for which this is said."""
    sent = {name: values[0] for name, values in parse_qs(urlsplit(away(stranger)).query).items()}
    tokens = {"id_token": signed_by(odd, **({"nonce": sent["nonce"]} | claims)), "access_token": "a"}
    odd.answers["/token"] = (200, {}, tokens)
    odd.answers["/userinfo"] = (200, {}, {"sub": "alice"} if userinfo is None else userinfo)
    return f"{BACK}?code=1&state={sent['state']}"


def test_a_login_is_not_replayed(stranger, odd, browser):
    """Not even with a provider that takes a code twice."""
    url = returned(stranger, odd)
    cookies = browser.cookies()
    assert back(stranger, url).status_code == 200
    browser.has(cookies)
    assert "This login was used before" in refused(back(stranger, url))


def test_the_providers_answer_is_of_this_login(stranger, odd):
    for why, claims in {
        "another login": {"nonce": "other"}, "Audience": {"aud": "other"}, "issued to somebody else": {"aud": [CLIENT, "x"], "azp": "x"},
        "ssuer": {"iss": "https://evil.example"}, "expired": {"exp": 1},
    }.items():  # fmt: skip
        assert why in refused(back(stranger, returned(stranger, odd, **claims)))
    assert "of somebody else" in refused(back(stranger, returned(stranger, odd, {"sub": "bob"})))
    url = returned(stranger, odd)
    odd.answers["/token"] = (400, {}, {"error": "invalid_grant"})
    assert "answers 400 invalid_grant" in refused(back(stranger, url))
    odd.answers["/token"] = (200, {}, {"access_token": "a"})
    assert "not accepted" in refused(back(stranger, url))


def test_what_is_added_about_a_user(stranger, odd, admin):
    """A token for this cloud says less than the provider knows."""
    page = back(stranger, returned(stranger, odd, {"sub": "alice", "email": "more@example.com", "iss": "x"}, email=None))
    assert page.status_code == 200
    assert admin.get("/users?unique_id=alice").json()["users"][0]["email"] == "more@example.com"
    _, headers, body = next(one for one in odd.asked if one[0] == "/token")
    sent = parse_qs(body)
    assert sent["grant_type"] == ["authorization_code"] and sent["redirect_uri"] == [BACK] and len(sent["code_verifier"][0]) >= 43
    assert "client_secret" not in sent and base64.b64decode(headers["Authorization"].removeprefix("Basic ")).startswith(
        b"cumulet:the%20cloud"
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((500, {}, b"oh"), "answers 500"), ((404, {}, b""), "answers 404"), ((200, {}, b"<html>"), "no JSON object"), ((200, {}, [1]), "no JSON object"),
        ((302, {"Location": "http://evil.example/"}, b""), "answers 302"), ((200, {}, b"x" * 300_000), "more than 262144 bytes"),
        ((200, {}, "never"), "takes longer than"), ((200, {"Content-Length": "900"}, b"{}"), "cannot be reached"),
        ((200, {"Content-Encoding": "gzip"}, b"{}x"), "no JSON object"), ((200, {}, b"[" * 100_000), "no JSON object"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
def test_a_provider_that_fails(stranger, odd, monkeypatch, path, answer, why):
    monkeypatch.setattr(asking, "PATIENCE", 0.5)
    good, odd.answers[path] = odd.answers[path], answer
    assert why in refused(bearer(stranger, signed_by(odd)))
    odd.answers[path] = good
    assert bearer(stranger, signed_by(odd)).status_code == 201, "what failed is asked again"


def test_a_provider_that_is_another(stranger, odd, cloud):
    path = "/.well-known/openid-configuration"
    good = odd.answers[path]
    for change, why in (({"issuer": "https://evil.example"}, "says that it is another"), ({"jwks_uri": None}, "has no jwks_uri"),
                        ({"jwks_uri": "file:///etc/passwd"}, "has no jwks_uri"), ({"jwks_uri": "http://["}, "cannot be reached")):  # fmt: skip
        odd.answers[path] = (200, {}, good[2] | change)
        cloud.runtime.shared.pop("openid", None)
        assert why in refused(bearer(stranger, signed_by(odd)))
    odd.answers[path] = good
    for keys in (
        {},
        {"keys": 5},
        {"keys": [5, {}]},
        {"keys": [{"kty": "RSA", "kid": "test-1"}]},
        {"keys": [{"kty": "oct", "kid": "test-1", "k": "YQ"}]},
    ):
        odd.answers["/jwks"] = (200, {}, keys)
        cloud.runtime.shared.pop("openid", None)
        assert bearer(stranger, signed_by(odd)).status_code == 401, keys


def test_new_keys_are_found(stranger, odd, monkeypatch):
    assert bearer(stranger, signed_by(odd)).status_code == 201
    new = RSAKey.generate_key(2048, {"kid": "test-2"})
    odd.answers["/jwks"] = (200, {}, {"keys": [odd.key.as_dict(private=False), new.as_dict(private=False)]})
    asked = lambda: sum(path == "/jwks" for path, _, _ in odd.asked)
    assert asked() == 1 and "does not have" in refused(bearer(stranger, signed_by(odd, new)))
    assert asked() == 1, "nobody makes the cloud ask again and again"
    monkeypatch.setattr(asking, "AGAIN", 0.0)
    assert bearer(stranger, signed_by(odd, new)).status_code == bearer(stranger, signed_by(odd)).status_code == 201
    assert asked() == 2


def test_what_a_provider_says_of_a_token(stranger, odd):
    good = {"active": True, "aud": [CLIENT], "sub": "alice", "email": "a@example.com", "exp": time.time() + 60, "iss": odd.issuer}
    for change, status in (({}, 201), ({"aud": CLIENT}, 201), ({"iss": None, "exp": None}, 401), ({"active": False}, 401), ({"active": "true"}, 401),
                           ({"aud": ["else"]}, 401), ({"aud": None}, 401), ({"exp": 1}, 401), ({"exp": "x"}, 401), ({"iss": "x"}, 401)):  # fmt: skip
        odd.answers["/introspection"] = (200, {}, good | change)
        assert bearer(stranger, "opaque").status_code == status, change
    less = {"active": True, "client_id": CLIENT, "sub": "alice", "email": "a@example.com"}
    odd.answers["/introspection"] = (200, {}, less)
    assert bearer(stranger, "opaque").status_code == 201
    odd.answers["/introspection"] = (200, {}, less | {"client_id": "else"})
    assert "somebody else" in refused(bearer(stranger, "opaque"))


def test_the_clouds_secret(stranger, odd, cloud, tmp_path):
    odd.answers["/introspection"] = (200, {}, {"active": True, "aud": CLIENT, "sub": "alice", "email": "a"})
    secret = tmp_path / "secret"
    assert bearer(stranger, "opaque").status_code == 201
    for mode in (0o640, 0o604):
        secret.chmod(mode)
        assert "client_secret_file cannot be used" in refused(bearer(stranger, "opaque"))
    secret.unlink()
    assert "client_secret_file cannot be used" in refused(bearer(stranger, "opaque"))
    path = "/.well-known/openid-configuration"
    for settings, methods, sent in ((federation(odd.issuer, client_secret_file=""), ["client_secret_basic"], {"client_id"}),
                                    (federation(odd.issuer), ["client_secret_post"], {"client_id", "client_secret"})):  # fmt: skip
        secret.write_text(SECRET)
        secret.chmod(0o600)
        odd.answers[path] = (200, {}, odd.answers[path][2] | {"token_endpoint_auth_methods_supported": methods})
        cloud.runtime.config.federation = settings
        cloud.runtime.shared.pop("openid")
        assert bearer(stranger, "opaque").status_code == 201
        _, headers, body = odd.asked[-1]
        assert "Authorization" not in headers and parse_qs(body).keys() - {"token", "token_type_hint"} == sent


def test_what_claims_look_like():
    said = assertion(
        {"sub": "1", "groups": ["a", "b;c", 5, None], "email_verified": True, "n": 0, "address": {"street": "x"}, "no": None, "e-mail": "x"}
    )
    assert said["OIDC-sub"] == said["HTTP_OIDC_SUB"] == said["REMOTE_USER"] == "1" and said["OIDC-groups"] == "a;5"
    assert said["OIDC-email_verified"] == "1" and said["HTTP_OIDC_N"] == "0" and said["OIDC-address"] == '{"street":"x"}'
    assert said["HTTP_OIDC_E_MAIL"] == "x" and not any(name.endswith("no") for name in said)
