"""Logging in by an identity provider that is somebody else's: pysaml2's, in a process of its own."""

from __future__ import annotations

import base64
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from keystoneauth1 import exceptions, session
from keystoneauth1.extras._saml2 import V3Saml2Password
from lxml import etree

from saml_world import DASHBOARD, Admin, HttpCloud, Idp, rules

PEOPLE = {
    "ada": {"password": "lovelace", "said": {"uid": ["ada"], "mail": ["ada@example.com"], "eduPersonEntitlement": ["dev", "ops;admins"]}},
    "eve": {"password": "evil", "said": {"uid": ["eve"], "mail": ["eve@example.com"]}},
}
HTML = {"Accept": "text/html,application/xhtml+xml"}
WHO = rules("mail", remote=({"type": "uid"},))


class Both(t.NamedTuple):
    cloud: HttpCloud
    idp: Idp
    admin: Admin


@pytest.fixture(scope="module")
def both(database_url, tmp_path_factory):
    """A cloud, and the identity provider `acme`, which know each other by their metadata."""
    directory = tmp_path_factory.mktemp("saml")
    idp = Idp(directory / "idp", PEOPLE)
    cloud = HttpCloud(directory / "cloud", {"acme": idp.metadata}, database_url)
    idp.start(requests.get(f"{cloud.url}/Shibboleth.sso/Metadata").content)
    yield Both(cloud, idp, Admin(cloud))
    idp.stop()
    cloud.close()


def entity(both: Both) -> str:
    return f"{both.idp.url}/metadata"


# -- clients that are no browsers ----------------------------------------------------------------------------------


def ecp(both: Both, name: str = "ada", password: str = "lovelace", **scope: str) -> V3Saml2Password:
    return V3Saml2Password(both.cloud.v3, "acme", "saml2", f"{both.idp.url}/ecp", name, password, **scope)


def test_by_ecp(both):
    """keystoneauth1's plugin for it, as released."""
    group = both.admin.group("developers")
    local = {"group": {"id": group}}
    both.admin.trust("acme", entity(both), rules("mail", local, remote=({"type": "eduPersonEntitlement", "any_one_of": ["dev"]},)))
    plugin = ecp(both, project_name="demo", project_domain_name="Default")
    opened = session.Session(auth=plugin)
    access = plugin.get_access(opened)
    assert (access.username, access.project_name) == ("ada@example.com", "demo")
    user = opened.get(f"{both.cloud.v3}/auth/tokens", headers={"X-Subject-Token": opened.get_token()}).json()["token"]["user"]
    assert user["OS-FEDERATION"] == {"identity_provider": {"id": "acme"}, "protocol": {"id": "saml2"}, "groups": [{"id": group}]}


def test_who_the_rules_let_in_nowhere(both):
    both.admin.trust("acme", entity(both), rules("mail", remote=({"type": "eduPersonEntitlement", "any_one_of": ["dev"]},)))
    with pytest.raises(exceptions.Unauthorized):
        ecp(both, "eve", "evil").get_unscoped_auth_ref(session.Session())


def test_a_value_with_a_semicolon_is_one_value(both):
    both.admin.trust("acme", entity(both), rules("mail", remote=({"type": "eduPersonEntitlement", "any_one_of": ["admins"]},)))
    with pytest.raises(exceptions.Unauthorized):
        ecp(both).get_unscoped_auth_ref(session.Session())
    both.admin.trust("acme", entity(both), rules("mail", remote=({"type": "eduPersonEntitlement", "any_one_of": ["ops;admins"]},)))
    assert ecp(both).get_unscoped_auth_ref(session.Session()).username == "ada@example.com"


def test_a_wrong_password_is_the_providers_affair(both):
    both.admin.trust("acme", entity(both), WHO)
    with pytest.raises(exceptions.AuthorizationFailure):
        ecp(both, password="wrong").get_unscoped_auth_ref(session.Session())


def test_each_login_is_one_of_its_own(both):
    """With a session that keeps cookies, as the plugin's does."""
    both.admin.trust("acme", entity(both), WHO)
    kept = session.Session()
    assert ecp(both).get_unscoped_auth_ref(kept).username == "ada@example.com"
    assert ecp(both, "eve", "evil").get_unscoped_auth_ref(kept).username == "eve@example.com"


# -- browsers ------------------------------------------------------------------------------------------------------


class Browser(requests.Session):
    """Takes pages, follows no redirect by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.headers.update(HTML)

    def page(self, url: str, **more: t.Any) -> requests.Response:
        return self.get(url, allow_redirects=False, **more)


def asked(both: Both, browser: Browser) -> str:
    """The address of the provider's page that a browser is sent to."""
    answer = browser.page(both.cloud.auth_url("acme"))
    assert answer.status_code == 302, answer.text
    assert "HttpOnly" in answer.headers["set-cookie"]
    return answer.headers["location"]


def form(both: Both, url: str, name: str = "ada") -> dict[str, str]:
    """The form that the provider's page has, once somebody logged in there."""
    answer = requests.get(url, auth=(name, PEOPLE[name]["password"]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["action"] == f"{both.cloud.url}/Shibboleth.sso/SAML2/POST"
    return answer.json()["fields"]


def brought(both: Both, browser: Browser, fields: dict[str, str]) -> requests.Response:
    return browser.post(f"{both.cloud.url}/Shibboleth.sso/SAML2/POST", fields, allow_redirects=False)


def told(answer: requests.Response) -> str:
    assert answer.status_code == 401, answer.text
    return answer.json()["error"]["message"]


def test_by_a_browser(both):
    both.admin.trust("acme", entity(both), WHO)
    browser = Browser()
    url = asked(both, browser)
    assert url.startswith(f"{both.idp.url}/sso?SAMLRequest=")
    answer = brought(both, browser, form(both, url))
    assert answer.status_code == 303 and answer.headers["location"] == both.cloud.auth_url("acme")
    token = browser.page(answer.headers["location"])
    assert token.status_code == 201 and token.json()["token"]["user"]["name"] == "ada@example.com"


def test_another_browsers_answer_is_not_taken(both):
    """Somebody's own answer, slipped to another, would log the other in as them."""
    both.admin.trust("acme", entity(both), WHO)
    eve, victim = Browser(), Browser()
    fields = form(both, asked(both, eve), "eve")
    asked(both, victim)
    assert "did not ask" in told(brought(both, victim, fields))
    assert "did not ask" in told(brought(both, Browser(), fields))


def test_an_answer_is_taken_once(both):
    both.admin.trust("acme", entity(both), WHO)
    browser = Browser()
    fields = form(both, asked(both, browser))
    cookies = requests.cookies.merge_cookies(requests.cookies.RequestsCookieJar(), browser.cookies)
    assert brought(both, browser, fields).status_code == 303
    again = Browser()
    again.cookies = cookies
    assert "used before" in told(brought(both, again, fields))


@pytest.mark.parametrize(
    "form",
    [b"", b"SAMLResponse=%C3%A9", b"SAMLResponse=x", b"SAMLResponse=eA==", b"SAMLResponse=%00", b"\xff\xfe", b"&".join([b"a=b"] * 200)],
)
def test_a_form_that_has_no_answer_is_refused(both, form: bytes):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert requests.post(f"{both.cloud.url}/Shibboleth.sso/SAML2/POST", form, headers=headers, allow_redirects=False).status_code == 400


def test_an_answer_is_taken_once_of_several_at_once(both):
    both.admin.trust("acme", entity(both), WHO)
    browser = Browser()
    fields, cookies = form(both, asked(both, browser)), browser.cookies.get_dict()
    url = f"{both.cloud.url}/Shibboleth.sso/SAML2/POST"
    post = lambda _: requests.post(url, fields, cookies=cookies, allow_redirects=False).status_code
    with ThreadPoolExecutor(6) as several:
        assert sorted(several.map(post, range(6))) == [303, *[401] * 5]


def test_an_answer_to_one_question_is_none_to_another(both):
    """Two logins of one browser: each answer is for its own."""
    both.admin.trust("acme", entity(both), WHO)
    browser = Browser()
    first, second = asked(both, browser), asked(both, browser)
    answers = [form(both, first, "eve"), form(both, second, "ada")]
    ids = [etree.fromstring(base64.b64decode(fields["SAMLResponse"])).get("InResponseTo") for fields in answers]
    swapped = base64.b64decode(answers[0]["SAMLResponse"]).replace(ids[0].encode(), ids[1].encode(), 1)
    assert "signature" in told(brought(both, browser, {"SAMLResponse": base64.b64encode(swapped).decode()}))
    for fields in answers:
        assert brought(both, browser, fields).status_code == 303


def test_an_answer_for_browsers_is_none_for_other_clients(both):
    both.admin.trust("acme", entity(both), WHO)
    browser = Browser()
    response = base64.b64decode(form(both, asked(both, browser))["SAMLResponse"]).partition(b"?>")[2]
    envelope = b'<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>' + response + b"</S:Body></S:Envelope>"
    answer = browser.post(f"{both.cloud.url}/Shibboleth.sso/SAML2/ECP", envelope, headers={"Content-Type": "application/vnd.paos+xml"})
    assert "not for" in told(answer)


@pytest.mark.parametrize("change", ["no signatures", "another name", "nothing", "no base 64", "no form", "a document type"])
def test_an_answer_that_was_tampered_with(both, change):
    both.admin.trust("acme", entity(both), WHO)
    browser = Browser()
    fields = form(both, asked(both, browser))
    raw = base64.b64decode(fields["SAMLResponse"])
    if change == "no signatures":
        root = etree.fromstring(raw)
        for one in list(root.iter("{http://www.w3.org/2000/09/xmldsig#}Signature")):
            one.getparent().remove(one)
        raw = etree.tostring(root)
    elif change == "another name":
        raw = raw.replace(b"ada@example.com", b"root@example.com")
    elif change == "a document type":
        raw = re.sub(rb"^<\?xml[^>]*>", b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>', raw)
    sent = {"nothing": "", "no base 64": "*"}.get(change, base64.b64encode(raw).decode())
    answer = brought(both, browser, {} if change == "no form" else {"SAMLResponse": sent})
    assert answer.status_code in (400, 401) and "cumulet_saml=" not in answer.headers.get("set-cookie", "")


def test_who_can_ask_in_no_way(both):
    both.admin.trust("acme", entity(both), WHO)
    answer = requests.get(both.cloud.auth_url("acme"), headers={"Accept": "application/json"})
    assert "has not said who you are" in told(answer)


def test_a_made_up_cookie_is_none(both):
    both.admin.trust("acme", entity(both), WHO)
    for value in ("x", "", "a" * 43):
        answer = requests.get(both.cloud.auth_url("acme"), headers={"Accept": "application/json", "Cookie": f"cumulet_saml={value}"})
        assert answer.status_code == 401


def test_a_question_is_the_settings_providers_alone(both):
    """Where somebody is sent is in the provider's metadata, whatever the request says."""
    both.admin.trust("acme", entity(both), WHO)
    url = asked(both, Browser())
    assert urlsplit(url).netloc == urlsplit(both.idp.url).netloc
    query = urlencode({"origin": "https://evil.example"})
    assert urlsplit(Browser().page(f"{both.cloud.auth_url('acme')}?{query}").headers["location"]).netloc == urlsplit(both.idp.url).netloc


# -- dashboards ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["identity_providers/acme/protocols/saml2/websso", "websso/saml2"])
def test_for_a_dashboard(both, by):
    """What a browser does for Horizon, which in the end is handed the token by a form."""
    both.admin.trust("acme", entity(both), WHO)
    browser = Browser()
    begun = browser.page(f"{both.cloud.v3}/auth/OS-FEDERATION/{by}", params={"origin": DASHBOARD})
    assert begun.status_code == 302, begun.text
    back = brought(both, browser, form(both, begun.headers["location"]))
    assert back.status_code == 303
    page = browser.page(back.headers["location"])
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    found = re.search(r'<form [^>]*action="([^"]*)"[^>]*>\s*<input [^>]*name="token"[^>]*value="([^"]*)"', page.text)
    assert found and found[1] == DASHBOARD
    shown = requests.get(f"{both.cloud.v3}/auth/tokens", headers={"X-Auth-Token": found[2], "X-Subject-Token": found[2]})
    assert shown.json()["token"]["user"]["name"] == "ada@example.com"


def test_no_dashboard_that_is_not_trusted(both):
    both.admin.trust("acme", entity(both), WHO)
    url = f"{both.cloud.v3}/auth/OS-FEDERATION/identity_providers/acme/protocols/saml2/websso"
    assert "not a trusted dashboard" in told(Browser().page(url, params={"origin": "https://evil.example/"}))
    assert Browser().page(url).status_code == 400


def test_metadata_that_cannot_be_used_is_told(both):
    """As a refusal: who asks can do nothing about it, and the operator has the reason in the log."""
    both.admin.trust("acme", entity(both), WHO)
    kept = both.idp.metadata.read_bytes()
    try:
        both.idp.metadata.write_bytes(b"<a/>")
        assert "tell your cloud's operator" in told(Browser().page(both.cloud.auth_url("acme")))
        both.idp.metadata.unlink()
        assert "tell your cloud's operator" in told(Browser().page(both.cloud.auth_url("acme")))
    finally:
        both.idp.metadata.write_bytes(kept)
    assert Browser().page(both.cloud.auth_url("acme")).status_code == 302
