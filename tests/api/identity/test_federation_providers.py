"""Identity providers, their protocols, and service providers."""

from __future__ import annotations

import pytest

IDPS, SPS, MAPPINGS = "/OS-FEDERATION/identity_providers", "/OS-FEDERATION/service_providers", "/OS-FEDERATION/mappings"
BASE = "http://cloud/identity/v3"
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "UserName"}]}]
SP = {
    "auth_url": "https://other.example/v3/OS-FEDERATION/identity_providers/me/protocols/saml2/auth",
    "sp_url": "https://other.example/Shibboleth.sso/ECP",
}


def provider(admin, id: str, **fields: object) -> dict:
    answer = admin.put(f"{IDPS}/{id}", {"identity_provider": fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["identity_provider"]


def told(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


def ids(answer, key: str) -> list[str]:
    assert answer.status_code == 200 and answer.json()["links"]["next"] is None, answer.text
    return sorted(one["id"] for one in answer.json()[key])


@pytest.fixture
def mapping(admin) -> str:
    assert admin.put(f"{MAPPINGS}/m", {"mapping": {"rules": RULES}}).status_code == 201
    return "m"


# -- identity providers --------------------------------------------------------------------------------------------


def test_an_identity_provider(admin):
    made = provider(
        admin, "acme", domain_id="default", remote_ids=["https://b", "https://a"], description="d", enabled=True, authorization_ttl=60
    )
    link = f"{BASE}{IDPS}/acme"
    assert made == {
        "id": "acme", "domain_id": "default", "remote_ids": ["https://a", "https://b"], "description": "d", "enabled": True,
        "authorization_ttl": 60, "links": {"self": link, "protocols": f"{link}/protocols"},
    }  # fmt: skip
    assert admin.get(f"{IDPS}/acme").json() == {"identity_provider": made} and admin.get(IDPS).json()["identity_providers"] == [made]
    changed = admin.patch(f"{IDPS}/acme", {"identity_provider": {"enabled": False, "authorization_ttl": None}}).json()["identity_provider"]
    assert changed == made | {"enabled": False, "authorization_ttl": None}
    assert admin("HEAD", f"{IDPS}/acme").status_code == 200 and admin.delete(f"{IDPS}/acme").status_code == 204
    for method, body in (("GET", None), ("PATCH", {"identity_provider": {"enabled": True}}), ("DELETE", None)):
        assert told(admin(method, f"{IDPS}/acme", body)) == (404, "Could not find Identity Provider: acme.")
    assert admin.get("/domains/default").status_code == 200


def test_a_domain_is_made_where_none_is_given(admin):
    made = provider(admin, "acme")
    assert (made["enabled"], made["remote_ids"], made["description"], made["authorization_ttl"]) == (False, [], None, None)
    domain = admin.get(f"/domains/{made['domain_id']}").json()["domain"]
    assert domain["name"] == domain["id"] and domain["enabled"]
    assert domain["description"] == "Auto generated federated domain for Identity Provider: acme"
    assert provider(admin, "other", domain_id=None)["domain_id"] != provider(admin, "third")["domain_id"]
    domains = len(admin.get("/domains").json()["domains"])
    again = admin.put(f"{IDPS}/acme", {"identity_provider": {}})
    assert told(again) == (409, "Conflict occurred attempting to store identity_provider - Duplicate entry: acme.")
    assert len(admin.get("/domains").json()["domains"]) == domains, "none is left over"
    assert told(admin.put(f"{IDPS}/new", {"identity_provider": {"domain_id": "nowhere"}})) == (404, "Could not find domain: nowhere.")


def test_several_may_have_a_domain_and_go_with_it(admin):
    domain = provider(admin, "one")["domain_id"]
    provider(admin, "two", domain_id=domain)
    provider(admin, "three")
    admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    assert admin.delete(f"/domains/{domain}").status_code == 204
    assert ids(admin.get(IDPS), "identity_providers") == ["three"]


def test_remote_ids_are_one_providers(admin):
    provider(admin, "one", remote_ids=["a", "b"])
    taken = "Conflict occurred attempting to store identity_provider - Duplicate remote ID: b."
    assert told(admin.put(f"{IDPS}/two", {"identity_provider": {"remote_ids": ["c", "b"]}})) == (409, taken)
    assert admin.get(f"{IDPS}/two").status_code == 404
    provider(admin, "two", remote_ids=["c"])
    change = lambda id, names: admin.patch(f"{IDPS}/{id}", {"identity_provider": {"remote_ids": names}})
    assert told(change("two", ["b"])) == (409, taken) and admin.get(f"{IDPS}/two").json()["identity_provider"]["remote_ids"] == ["c"]
    assert change("one", ["d", "a"]).json()["identity_provider"]["remote_ids"] == ["a", "d"]
    assert change("two", ["b"]).status_code == 200
    assert (
        change("one", None).json()["identity_provider"]["remote_ids"] == [] == change("one", []).json()["identity_provider"]["remote_ids"]
    )
    twice = change("one", ["x", "x"])
    assert twice.status_code == 400 and "['x', 'x'] has non-unique elements" in told(twice)[1]
    admin.delete(f"{IDPS}/two")
    assert change("one", ["b"]).status_code == 200, "they are free when the provider is gone"


def test_filters(admin):
    provider(admin, "one", enabled=True)
    provider(admin, "two", remote_ids=["x"])
    found = lambda query, path=IDPS, key="identity_providers": ids(admin.get(f"{path}?{query}"), key)
    assert found("id=one") == ["one"] and found("id=none") == [] and found("") == ["one", "two"]
    assert found("enabled=True") == ["one"] and found("enabled=false") == ["two"]
    for id, enabled in (("s1", True), ("s2", False)):
        admin.put(f"{SPS}/{id}", {"service_provider": SP | {"enabled": enabled}})
    assert found("id=s1", SPS, "service_providers") == ["s1"] and found("enabled=0", SPS, "service_providers") == ["s2"]


@pytest.mark.parametrize(
    "body", [{"domain_id": "default"}, {"id": "x"}, {"protocols": []}, {}, {"enabled": "perhaps"}, {"authorization_ttl": -1}, {"remote_ids": "x"},
             {"remote_ids": ["x" * 256]}],
)  # fmt: skip
def test_what_cannot_be_changed(admin, body):
    provider(admin, "acme", domain_id="default")
    assert admin.patch(f"{IDPS}/acme", {"identity_provider": body}).status_code == 400


def test_ids_have_an_end(admin, mapping):
    long = "x" * 65
    paths = {IDPS: {"identity_provider": {}}, SPS: {"service_provider": SP}, MAPPINGS: {"mapping": {"rules": RULES}},
             f"{IDPS}/acme/protocols": {"protocol": {"mapping_id": mapping}}}  # fmt: skip
    provider(admin, "acme")
    for path, body in paths.items():
        answer = admin.put(f"{path}/{long}", body)
        assert answer.status_code == 400 and "at most 64 characters" in told(answer)[1]
        assert admin.put(f"{path}/{long[1:]}", body).status_code == 201


# -- protocols -----------------------------------------------------------------------------------------------------


def test_a_protocol(admin, mapping):
    provider(admin, "acme")
    path, link = f"{IDPS}/acme/protocols/saml2", f"{BASE}{IDPS}/acme"
    answer = admin.put(path, {"protocol": {"mapping_id": mapping, "remote_id_attribute": "Shib-Identity-Provider"}})
    made = answer.json()["protocol"]
    assert answer.status_code == 201 and made == {
        "id": "saml2", "mapping_id": mapping,
        "links": {"self": f"{link}/protocols/saml2", "identity_provider": link},
    }  # fmt: skip
    assert admin.get(path).json() == {"protocol": made} and admin.get(f"{IDPS}/acme/protocols").json()["protocols"] == [
        made | {"idp_id": "acme", "remote_id_attribute": "Shib-Identity-Provider"}
    ]
    assert told(admin.put(path, {"protocol": {"mapping_id": mapping}})) == (
        409, "Conflict occurred attempting to store federation_protocol - Duplicate entry found with ID saml2.",
    )  # fmt: skip
    admin.put(f"{MAPPINGS}/n", {"mapping": {"rules": RULES}})
    assert admin.patch(path, {"protocol": {"mapping_id": "n"}}).json()["protocol"] == made | {"mapping_id": "n"}
    provider(admin, "other")
    assert admin.put(f"{IDPS}/other/protocols/saml2", {"protocol": {"mapping_id": mapping}}).status_code == 201
    assert admin("HEAD", path).status_code == 200 and admin.delete(path).status_code == 204
    for method, body in (("GET", None), ("PATCH", {"protocol": {"mapping_id": mapping}}), ("DELETE", None)):
        assert told(admin(method, path, body)) == (404, "Could not find federated protocol saml2 for Identity Provider: acme.")
    assert ids(admin.get(f"{IDPS}/other/protocols"), "protocols") == ["saml2"]


def test_a_protocol_has_a_provider_and_a_mapping(admin, mapping):
    wanted = {"protocol": {"mapping_id": mapping}}
    missing = (404, "Could not find Identity Provider: acme.")
    assert told(admin.put(f"{IDPS}/acme/protocols/saml2", wanted)) == missing
    assert admin.get(f"{IDPS}/acme/protocols").json()["protocols"] == []
    provider(admin, "acme")
    path = f"{IDPS}/acme/protocols/saml2"
    for method in ("PUT", "PATCH"):
        assert told(admin(method, path, {"protocol": {"mapping_id": "none"}})) == (400, "Invalid mapping id: none")
        assert admin(method, path, {"protocol": {}}).status_code == 400
        assert admin(method, path, wanted).status_code in (200, 201)
    assert admin.delete(f"{MAPPINGS}/{mapping}").status_code == 204
    assert admin.get(path).json()["protocol"]["mapping_id"] == mapping, "what goes by a mapping does not keep it"
    assert admin.delete(f"{IDPS}/acme").status_code == 204 and provider(admin, "acme")
    assert ids(admin.get(f"{IDPS}/acme/protocols"), "protocols") == [], "a provider's protocols go with it"


# -- service providers ---------------------------------------------------------------------------------------------


def test_a_service_provider(admin):
    answer = admin.put(f"{SPS}/other", {"service_provider": SP})
    made = answer.json()["service_provider"]
    assert answer.status_code == 201 and made == SP | {
        "id": "other", "enabled": False, "description": None, "relay_state_prefix": "ss:mem:", "links": {"self": f"{BASE}{SPS}/other"},
    }  # fmt: skip
    assert admin.get(f"{SPS}/other").json() == {"service_provider": made} and admin.get(SPS).json()["service_providers"] == [made]
    assert told(admin.put(f"{SPS}/other", {"service_provider": SP})) == (
        409, "Conflict occurred attempting to store service_provider - Duplicate entry found with ID other.",
    )  # fmt: skip
    change = lambda **fields: admin.patch(f"{SPS}/other", {"service_provider": fields})
    changed = change(enabled=True, description="d", relay_state_prefix="x:", sp_url="https://new.example/").json()["service_provider"]
    assert changed == made | {"enabled": True, "description": "d", "relay_state_prefix": "x:", "sp_url": "https://new.example/"}
    assert change(relay_state_prefix=None).json()["service_provider"]["relay_state_prefix"] == "ss:mem:"
    for wrong in ({}, {"sp_url": None}, {"auth_url": "no url"}, {"id": "x"}, {"sp_url": "https://" + "x" * 225}):
        assert change(**wrong).status_code == 400, wrong
    for field in SP:
        answer = admin.put(f"{SPS}/new", {"service_provider": {name: value for name, value in SP.items() if name != field}})
        assert answer.status_code == 400 and field in told(answer)[1]
    assert admin("HEAD", f"{SPS}/other").status_code == 200 and admin.delete(f"{SPS}/other").status_code == 204
    for method, body in (("GET", None), ("PATCH", {"service_provider": {"enabled": True}}), ("DELETE", None)):
        assert told(admin(method, f"{SPS}/other", body)) == (404, "Could not find Service Provider: other.")


# -- who may -------------------------------------------------------------------------------------------------------


def test_tokens_name_the_service_providers_that_are_enabled(cloud, admin):
    before = {"X-Subject-Token": cloud.login("demo", cloud.DEMO, scope="unscoped").token}

    def named() -> list | None:
        shown = admin.get("/auth/tokens", headers=before).json()["token"].get("service_providers")
        assert cloud.ask("demo", cloud.DEMO, scope="unscoped").json()["token"].get("service_providers") == shown
        return shown

    assert named() is None
    urls = {"auth_url": "https://there.example/auth", "sp_url": "https://there.example/sp"}
    for id, enabled in (("two", True), ("off", False), ("one", True)):
        assert admin.put(f"/OS-FEDERATION/service_providers/{id}", {"service_provider": {"enabled": enabled, **urls}}).status_code == 201
    assert named() == [{"id": "one", **urls}, {"id": "two", **urls}]
    admin.patch("/OS-FEDERATION/service_providers/two", {"service_provider": {"enabled": False}})
    assert named() == [{"id": "one", **urls}]
    admin.delete("/OS-FEDERATION/service_providers/one")
    assert named() is None


def test_who_may(cloud, admin, demo, mapping):
    watcher = cloud.user(admin, "watcher")["id"]
    cloud.grant(admin, "reader", f"system/users/{watcher}")
    reader = cloud.login("watcher", "pw", scope="system")
    of_domain = cloud.login("admin", cloud.ADMIN, scope={"domain": {"id": "default"}})
    things = {f"{IDPS}/acme": {"identity_provider": {}}, f"{IDPS}/acme/protocols/p": {"protocol": {"mapping_id": mapping}},
              f"{SPS}/other": {"service_provider": SP}, f"{MAPPINGS}/new": {"mapping": {"rules": RULES}}}  # fmt: skip
    for path, body in things.items():
        for caller in (demo, reader, of_domain):
            assert caller.put(path, body).status_code == caller.patch(path, body).status_code == caller.delete(path).status_code == 403
        assert admin.put(path, body).status_code == 201
        for caller, status in ((demo, 403), (of_domain, 403), (reader, 200)):
            assert caller.get(path).status_code == caller.get(path.rpartition("/")[0]).status_code == status, path
        assert cloud.stranger(cloud.base).get(path).status_code == 401


def test_what_one_may_have_a_token_for(cloud, admin, demo):
    cloud.grant(admin, "member", f"domains/default/users/{cloud.user(admin, 'other')['id']}")
    other = cloud.login("other", "pw", scope={"domain": {"id": "default"}})
    for caller in (demo, other):
        for key in ("projects", "domains"):
            assert caller.get(f"/OS-FEDERATION/{key}").json()[key] == caller.get(f"/auth/{key}").json()[key]
    assert ids(other.get("/OS-FEDERATION/domains"), "domains") == ["default"]
    assert [one["name"] for one in demo.get("/OS-FEDERATION/projects").json()["projects"]] == ["demo"]
