"""What this cloud says of its users to other clouds: SAML assertions, as an identity provider."""

from __future__ import annotations

import datetime as dt
import os
import stat
import subprocess

import pytest
from lxml import etree

SP = {
    "auth_url": "https://other.example/v3/OS-FEDERATION/identity_providers/me/protocols/saml2/auth",
    "sp_url": "https://other.example/Shibboleth.sso/SAML2/ECP",
    "enabled": True,
}
SAML, ECP, METADATA = "/auth/OS-FEDERATION/saml2", "/auth/OS-FEDERATION/saml2/ecp", "/OS-FEDERATION/saml2/metadata"
ENTITY = "http://127.0.0.1:5000/identity/v3/OS-FEDERATION/saml2/idp"
NAMES = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "ecp": "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp",
}


def provider(admin, id: str = "other", **fields: object) -> None:
    assert admin.put(f"/OS-FEDERATION/service_providers/{id}", {"service_provider": SP | fields}).status_code == 201


def wanted(token: object, provider: str = "other") -> dict:
    identity = {"methods": ["token"], "token": {"id": token}}
    return {"auth": {"identity": identity, "scope": {"service_provider": {"id": provider}}}}


def attributes(response: etree._Element) -> dict[str, list[str]]:
    found = response.iterfind("saml:Assertion/saml:AttributeStatement/saml:Attribute", NAMES)
    return {one.attrib["Name"]: [value.text or "" for value in one] for one in found}


def issued(cloud, token: str, path: str = SAML) -> etree._Element:
    answer = cloud.stranger(cloud.base).post(path, wanted(token))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/xml"
    return etree.fromstring(answer.content)


def test_who_a_token_stands_for(cloud, admin, demo):
    provider(admin)
    group = admin.post("/groups", {"group": {"name": "staff"}}).json()["group"]["id"]
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]
    assert admin.put(f"/groups/{group}/users/{me}").status_code == 204
    answer = cloud.stranger(cloud.base).post(SAML, wanted(demo.token))
    assert answer.headers["x-sp-url"] == SP["sp_url"] and answer.headers["x-auth-url"] == SP["auth_url"]
    response = etree.fromstring(answer.content)
    assert response.tag == f"{{{NAMES['samlp']}}}Response"
    assert response.get("Destination") == SP["sp_url"]
    assert [one.text for one in response.iterfind(".//saml:Issuer", NAMES)] == [ENTITY] * 2
    assert response.findtext("saml:Assertion/saml:Subject/saml:NameID", namespaces=NAMES) == "demo"
    found = attributes(response)
    assert sorted(found.pop("openstack_roles")) == ["member", "reader"]
    assert found == {
        "openstack_user": ["demo"], "openstack_user_domain": ["Default"], "openstack_project": ["demo"],
        "openstack_project_domain": ["Default"], "openstack_groups": ['JSON:{"name": "staff", "domain": {"name": "Default"}}'],
    }  # fmt: skip


def test_an_assertion_is_for_one_recipient_and_for_an_hour(cloud, admin, demo):
    provider(admin)
    bound = issued(cloud, demo.token).find(".//saml:SubjectConfirmationData", NAMES)
    assert bound is not None and bound.attrib["Recipient"] == SP["sp_url"]
    left = dt.datetime.fromisoformat(bound.attrib["NotOnOrAfter"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=50) < left < dt.timedelta(minutes=61)


def test_another_program_verifies_it_with_the_key_in_the_metadata(cloud, admin, demo, tmp_path):
    """xmlsec1 shares no code with what signed."""
    provider(admin)
    name = cloud.user(admin, "Zoë <&>", default_project_id=None)["id"]
    cloud.grant(admin, "member", f"projects/{demo_project(demo)}/users/{name}")
    zoe = cloud.login("Zoë <&>", "pw", scope="demo")
    (tmp_path / "response.xml").write_bytes(cloud.stranger(cloud.base).post(SAML, wanted(zoe.token)).content)
    answer = cloud.stranger(cloud.base).get(METADATA)
    assert answer.headers["content-type"] == "text/xml"
    metadata = etree.fromstring(answer.content)
    assert metadata.get("entityID") == ENTITY
    key = metadata.findtext("md:IDPSSODescriptor/md:KeyDescriptor[@use='signing']/ds:KeyInfo/ds:X509Data/ds:X509Certificate", None, NAMES)
    (tmp_path / "key.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{key}\n-----END CERTIFICATE-----\n")
    verify = ["xmlsec1", "--verify", "--pubkey-cert-pem", "key.pem", "--id-attr:ID", "Assertion", "response.xml"]
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True).returncode == 0
    changed = (tmp_path / "response.xml").read_bytes().replace(b">member<", b">admin<")
    (tmp_path / "response.xml").write_bytes(changed)
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True).returncode != 0


def demo_project(demo) -> str:
    return demo.get("/auth/projects").json()["projects"][0]["id"]


def test_the_envelope_has_the_providers_relay_state_and_the_same_assertion(cloud, admin, demo):
    provider(admin, relay_state_prefix="cookie:")
    envelope = issued(cloud, demo.token, ECP)
    assert envelope.tag == f"{{{NAMES['soap']}}}Envelope"
    state = envelope.find("soap:Header/ecp:RelayState", NAMES)
    assert state is not None and (state.text or "").startswith("cookie:")
    assert state.get(f"{{{NAMES['soap']}}}mustUnderstand") == "1"
    response = envelope.find("soap:Body/samlp:Response", NAMES)
    assert response is not None and attributes(response)["openstack_user"] == ["demo"]


def test_no_two_assertions_are_the_same(cloud, admin, demo):
    provider(admin)
    ids = [one.get("ID") for _ in range(2) for one in issued(cloud, demo.token).iter() if one.get("ID")]
    assert len(set(ids)) == 4


def test_the_key_is_made_once_and_its_owners_alone(cloud, tmp_path):
    first = cloud.stranger(cloud.base).get(METADATA).content
    assert cloud.stranger(cloud.base).get(METADATA).content == first
    file = tmp_path / "control" / "saml.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [name for name in os.listdir(file.parent) if "saml" in name] == ["saml.pem"]


@pytest.mark.parametrize("path", [SAML, ECP])
def test_what_no_assertion_is_made_for(cloud, admin, demo, path):
    """The answers are those of the real service."""
    provider(admin)
    provider(admin, "off", enabled=False)
    unscoped = cloud.login("demo", cloud.DEMO, scope="unscoped").token
    system = cloud.login("admin", cloud.ADMIN, scope="system").token
    project = "Use a project scoped token when attempting to create a SAML assertion."
    for token, id, status, message in (
        (demo.token, "none", 404, "Could not find Service Provider: none."),
        (demo.token, "off", 403, "Service Provider off is disabled"),
        (unscoped, "other", 403, f"You are not authorized to perform the requested action: {project}"),
        (system, "other", 403, f"You are not authorized to perform the requested action: {project}"),
        ("nonsense", "other", 404, "Could not recognize Fernet token"),
    ):
        answer = cloud.stranger(cloud.base).post(path, wanted(token, id))
        assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)


@pytest.mark.parametrize(
    "auth",
    [
        None, {}, [], {"identity": {"token": {"id": "x"}}}, {"scope": {"service_provider": {"id": "x"}}},
        {"identity": {"methods": ["token"]}, "scope": {"service_provider": {"id": "x"}}},
        {"identity": {"token": {}}, "scope": {"service_provider": {"id": "x"}}},
        {"identity": {"token": {"id": 1}}, "scope": {"service_provider": {"id": "x"}}},
        {"identity": {"token": {"id": "x"}, "methods": "x"}, "scope": {"service_provider": {"id": "x"}}},
        {"identity": {"token": {"id": "x"}, "password": {}}, "scope": {"service_provider": {"id": "x"}}},
        {"identity": {"token": {"id": "x"}}, "scope": {"project": {"id": "x"}}},
    ],
)  # fmt: skip
def test_a_request_that_is_none(cloud, auth):
    assert cloud.stranger(cloud.base).post(SAML, {"auth": auth}).status_code == 400


def test_a_revoked_token_is_good_for_none(cloud, admin, demo):
    provider(admin)
    assert demo.delete("/auth/tokens", headers={"X-Subject-Token": demo.token}).status_code == 204
    assert cloud.stranger(cloud.base).post(SAML, wanted(demo.token)).status_code == 404


def test_a_token_with_access_rules_is_good_for_none(cloud, admin, demo):
    """Elsewhere nobody would heed its rules."""
    provider(admin)
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]
    rules = [{"path": "/v3/auth/tokens", "method": "GET", "service": "identity"}]
    made = demo.post(f"/users/{me}/application_credentials", {"application_credential": {"name": "c", "access_rules": rules}})
    credential = made.json()["application_credential"]
    method = {"id": credential["id"], "secret": credential["secret"]}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": method}}
    token = cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).headers["x-subject-token"]
    assert cloud.stranger(cloud.base).post(SAML, wanted(token)).status_code == 404


def test_a_name_that_xml_cannot_hold_is_told(cloud, admin, demo):
    provider(admin)
    odd = cloud.user(admin, "odd\x01name")["id"]
    cloud.grant(admin, "member", f"projects/{demo_project(demo)}/users/{odd}")
    answer = cloud.stranger(cloud.base).post(SAML, wanted(cloud.login("odd\x01name", "pw", scope="demo").token))
    assert answer.status_code == 400 and "XML cannot hold" in answer.json()["error"]["message"]


def test_tokens_name_the_service_providers_that_are_enabled(cloud, admin, demo):
    subject = {"X-Subject-Token": demo.token}
    assert "service_providers" not in demo.get("/auth/tokens", headers=subject).json()["token"]
    provider(admin, "b")
    provider(admin, "a")
    provider(admin, "off", enabled=False)
    told = [{"id": id, "auth_url": SP["auth_url"], "sp_url": SP["sp_url"]} for id in ("a", "b")]
    assert demo.get("/auth/tokens", headers=subject).json()["token"]["service_providers"] == told
    assert cloud.ask("demo", cloud.DEMO, scope="unscoped").json()["token"]["service_providers"] == told
