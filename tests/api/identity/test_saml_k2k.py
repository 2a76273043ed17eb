"""From one cloud to another with SAML (K2K), by released clients."""

from __future__ import annotations

import pytest
import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3

from saml_world import DEMO, Admin, HttpCloud, plugin, rules

PAOS = "application/vnd.paos+xml"


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    """Two clouds, `home` and `away`; away takes home's word."""
    directory = tmp_path_factory.mktemp("clouds")
    home = HttpCloud(directory / "home", {})
    metadata = directory / "home.xml"
    metadata.write_bytes(requests.get(f"{home.v3}/OS-FEDERATION/saml2/metadata").content)
    away = HttpCloud(directory / "away", {"home": metadata})
    fields = {"auth_url": away.auth_url("home"), "sp_url": f"{away.url}/Shibboleth.sso/SAML2/ECP", "enabled": True}
    Admin(home)("PUT", "/OS-FEDERATION/service_providers/away", {"service_provider": fields})
    yield home, away
    away.close()
    home.close()


def entity(home: HttpCloud) -> str:
    return f"{home.v3}/OS-FEDERATION/saml2/idp"


def test_from_one_cloud_to_another(clouds):
    """keystoneauth1's plugin for it, as released."""
    home, away = clouds
    admin = Admin(away)
    group = admin.group("guests")
    admin.trust("home", entity(home), rules("openstack_user", {"group": {"id": group}}))
    there = v3.Keystone2Keystone(plugin(home, "demo", DEMO, "demo"), "away", project_name="demo", project_domain_name="Default")
    opened = session.Session(auth=there)
    access = there.get_access(opened)
    assert (access.username, access.project_name) == ("demo", "demo")
    assert sorted(access.role_names) == ["member", "reader"]
    shown = opened.get(f"{away.v3}/auth/tokens", headers={"X-Subject-Token": opened.get_token()}).json()["token"]
    assert shown["user"]["OS-FEDERATION"]["identity_provider"] == {"id": "home"}
    assert [one["name"] for one in opened.get(f"{away.v3}/auth/projects").json()["projects"]] == ["demo"]


def test_groups_of_the_other_cloud_by_their_names(clouds):
    """A name is one name, whatever is in it: the attribute's values are not joined and parted again."""
    home, away = clouds
    here, there = Admin(home), Admin(away)
    for name in ("visitors", "admins"):
        there.group(name)
    me = here("GET", "/users?name=demo")["users"][0]["id"]
    for name in ("visitors", 'x;JSON:{"name": "admins", "domain": {"name": "Default"}}'):
        group = here("POST", "/groups", {"group": {"name": name}})["group"]["id"]
        here("PUT", f"/groups/{group}/users/{me}")
    there.trust(
        "home",
        entity(home),
        rules("openstack_user", {"groups": "{1}", "domain": {"name": "Default"}}, remote=({"type": "openstack_groups"},)),
    )
    plugged = v3.Keystone2Keystone(plugin(home, "demo", DEMO, "demo"), "away")
    access = plugged.get_unscoped_auth_ref(session.Session())
    held = {one["id"] for one in access._user["OS-FEDERATION"]["groups"]}
    assert {there("GET", f"/groups/{id}")["group"]["name"] for id in held} == {"visitors"}


def ecp(home: HttpCloud) -> bytes:
    """An assertion for `away` in its envelope."""
    opened = session.Session(auth=plugin(home, "demo", DEMO, "demo"))
    body = {
        "auth": {"identity": {"methods": ["token"], "token": {"id": opened.get_token()}}, "scope": {"service_provider": {"id": "away"}}}
    }
    return requests.post(f"{home.v3}/auth/OS-FEDERATION/saml2/ecp", json=body).content


def bring(away: HttpCloud, envelope: bytes, browser: requests.Session | None = None, **headers: str) -> requests.Response:
    url = f"{away.url}/Shibboleth.sso/SAML2/ECP"
    return (browser or requests).post(url, envelope, headers={"Content-Type": PAOS, **headers}, allow_redirects=False)


def test_an_assertion_is_good_once(clouds):
    home, away = clouds
    Admin(away).trust("home", entity(home), rules("openstack_user"))
    envelope, browser = ecp(home), requests.Session()
    assert bring(away, envelope, browser).status_code == 302
    again = bring(away, envelope)
    assert again.status_code == 401 and "used before" in again.json()["error"]["message"]
    assert browser.get(away.auth_url("home")).status_code == 201
    assert browser.get(away.auth_url("home")).status_code == 401  # and so is what it was exchanged for


def test_an_assertion_is_good_for_the_cloud_it_was_made_for(clouds, tmp_path):
    home = clouds[0]
    other = HttpCloud(tmp_path / "other", {"home": home.directory.parent / "home.xml"})
    try:
        told = bring(other, ecp(home))
    finally:
        other.close()
    assert told.status_code == 401 and f"not for {other.url}" in told.json()["error"]["message"]


def test_an_assertion_of_a_cloud_whose_word_does_not_count(clouds, tmp_path):
    home, away = clouds
    stranger = HttpCloud(tmp_path / "stranger", {})
    try:
        fields = {"auth_url": away.auth_url("home"), "sp_url": f"{away.url}/Shibboleth.sso/SAML2/ECP", "enabled": True}
        Admin(stranger)("PUT", "/OS-FEDERATION/service_providers/away", {"service_provider": fields})
        envelope = ecp(stranger)
    finally:
        stranger.close()
    assert "not one that is known" in bring(away, envelope).json()["error"]["message"]
    passing = envelope.replace(entity(stranger).encode(), entity(home).encode())
    assert "signature is not good" in bring(away, passing).json()["error"]["message"]


def test_what_was_said_of_one_provider_is_nothing_to_another(clouds, tmp_path):
    """The cookie is good at the provider whose word it is for."""
    home, away = clouds
    admin = Admin(away)
    admin.trust("home", entity(home), rules("openstack_user"))
    admin.trust("twin", "https://twin.example", rules("openstack_user"))
    browser = requests.Session()
    assert bring(away, ecp(home), browser).status_code == 302
    assert browser.get(away.auth_url("twin")).status_code == 401


def test_a_provider_with_another_remote_id_is_refused(clouds):
    home, away = clouds
    Admin(away).trust("home", "https://another.example", rules("openstack_user"))
    browser = requests.Session()
    assert bring(away, ecp(home), browser).status_code == 302
    told = browser.get(away.auth_url("home"))
    assert told.status_code == 403 and "not included among the accepted identifiers" in told.json()["error"]["message"]


def test_no_page_can_have_a_browser_bring_an_assertion(clouds):
    """A form cannot send this media type; whoever logs in somebody else as themselves would need that."""
    home, away = clouds
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = requests.post(f"{away.url}/Shibboleth.sso/SAML2/ECP", ecp(home), headers={"Content-Type": media}, allow_redirects=False)
        assert answer.status_code == 415 and "set-cookie" not in answer.headers


@pytest.mark.parametrize("body", [b"", b"x", b"<a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe\x00", b"<r>" * 100_000])
def test_what_is_no_envelope(clouds, body):
    assert bring(clouds[1], body).status_code in (400, 401)
