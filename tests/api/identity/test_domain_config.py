from __future__ import annotations

import pytest

CONFIG = {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://there", "user_tree_dn": "ou=Users"}}


@pytest.fixture
def domain(admin) -> str:
    return admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]["id"]


@pytest.fixture
def path(domain) -> str:
    return f"/domains/{domain}/config"


def refused(answer) -> str:
    """Why a configuration was not taken."""
    assert answer.status_code == 403, answer.text
    return answer.json()["error"]["message"].removeprefix("Invalid domain specific configuration: ")


def test_set_shown_and_deleted(admin, domain, path):
    made = admin.put(path, {"config": CONFIG})
    assert made.status_code == 201 and made.json() == {"config": CONFIG} == admin.get(path).json()
    assert admin.get(f"{path}/ldap").json() == {"config": {"ldap": CONFIG["ldap"]}}
    assert admin.get(f"{path}/ldap/url").json() == {"config": {"url": "ldap://there"}}
    for below in ("", "/ldap", "/ldap/url"):
        answer = admin("HEAD", path + below)
        assert answer.status_code == 200 and not answer.content
    other = {"config": {"identity": {"list_limit": 0}}}
    again = admin.put(path, other)
    assert again.status_code == 200 and again.json() == other == admin.get(path).json()
    assert admin.delete(f"{path}/identity/list_limit").status_code == 204, "what is set to nothing much is there all the same"
    assert admin.delete(path).status_code == 204 and admin.delete(path).status_code == 204
    gone = admin.get(path)
    assert gone.status_code == 404
    assert gone.json()["error"]["message"] == f"Could not find any options in domain configuration for domain {domain}."


def test_changed(admin, domain, path):
    admin.put(path, {"config": CONFIG})
    changed = admin.patch(path, {"config": {"ldap": {"url": "x", "page_size": 7}}}).json()["config"]
    assert changed == {"identity": {"driver": "ldap"}, "ldap": {"url": "x", "user_tree_dn": "ou=Users", "page_size": 7}}
    changed = admin.patch(f"{path}/identity", {"config": {"identity": {"driver": "sql", "list_limit": 3}}}).json()["config"]
    assert changed["identity"] == {"driver": "sql", "list_limit": 3} and "ldap" in changed
    changed = admin.patch(f"{path}/identity/driver", {"config": {"driver": None}}).json()["config"]
    assert changed["identity"]["driver"] is None
    assert admin.delete(f"{path}/identity/driver").status_code == 204
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"config": {"driver": "x"}})):
        answer = admin(method, f"{path}/identity/driver", body)
        message = f"Could not find option driver in group identity in domain configuration for domain {domain}."
        assert answer.status_code == 404 and answer.json()["error"]["message"] == message
    assert admin.delete(f"{path}/identity").status_code == 204
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"config": {"identity": {"driver": "x"}}})):
        answer = admin(method, f"{path}/identity", body)
        message = f"Could not find group identity in domain configuration for domain {domain}."
        assert answer.status_code == 404 and answer.json()["error"]["message"] == message
    assert admin.patch(path, {"config": {"identity": {"driver": "x"}}}).json()["config"]["identity"] == {"driver": "x"}


def test_secrets_are_sealed_and_never_shown(cloud, admin, domain, path):
    from cumulet.identity.domain_config import domain_options

    kept = lambda: repr(cloud.transact(lambda tx: tx.rows(domain_options, domain_id=domain)))
    secret = {"config": {"ldap": {"password": "hush-hush", "url": "ldap://%(password)s"}}}
    assert admin.put(path, secret).json() == {"config": {"ldap": {"url": "ldap://%(password)s"}}} == admin.get(path).json()
    assert "hush-hush" not in kept()
    assert admin.get(f"{path}/ldap/password").status_code == 404
    assert "hush" not in admin.patch(f"{path}/ldap/password", {"config": {"password": "hush-again"}}).text and "hush-again" not in kept()
    assert admin.delete(f"{path}/ldap/password").status_code == 204 and admin.delete(f"{path}/ldap/password").status_code == 404
    alone = {"config": {"ldap": {"password": "hush-hush"}}}
    assert admin.put(path, alone).json() == {"config": {}} == admin.patch(path, alone).json() and admin.get(path).status_code == 404
    assert admin.put(path, alone).status_code == 200, "there was one, though it is not shown"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "No options specified."),
        ({"ldap": {}}, "The value of group ldap specified in the config should be a dictionary of options."),
        ({"ldap": "x"}, "The value of group ldap specified in the config should be a dictionary of options."),
        ({"token": {"expiration": 1}}, "Group token is not supported for domain specific configurations."),
        (
            {"security_compliance": {"password_regex": "."}},
            "Group security_compliance is not supported for domain specific configurations.",
        ),
        ({"ldap": {"colour": "x"}}, "Option colour in group ldap is not supported for domain specific configurations."),
        ({"identity": {"password": "x"}}, "Option password in group identity is not supported for domain specific configurations."),
    ],
)
def test_what_may_not_be_set(admin, path, config, why):
    assert refused(admin.put(path, {"config": config})) == why == refused(admin.patch(path, {"config": config}))
    assert admin.get(path).status_code == 404


def test_what_is_no_configuration(admin, path):
    assert admin.put(path, {}).status_code == 403
    for body in ({"config": []}, {"config": "x"}, {"config": {"ldap": {"url": "\0"}}}, {"config": {"identity": {"list_limit": 2**70}}}):
        assert admin.put(path, body).status_code == 400
        assert admin.patch(f"{path}/ldap/url", body).status_code == 400


def test_what_the_path_names_must_be_in_the_body_alone(admin, path):
    admin.put(path, {"config": CONFIG})
    narrow = lambda below, config: refused(admin.patch(path + below, {"config": config}))
    only = "Trying to update group ldap, so that, and only that, group must be specified in the config."
    assert narrow("/ldap", CONFIG) == only
    other = "request to update group ldap, but config provided contains group identity instead."
    assert narrow("/ldap", {"identity": {"driver": "x"}}) == other
    only = "Trying to update option url in group ldap, so that, and only that, option must be specified  in the config."
    assert narrow("/ldap/url", {"url": "x", "suffix": "y"}) == only
    other = "Trying to update option url in group ldap, but config provided contains option suffix instead."
    assert narrow("/ldap/url", {"suffix": "y"}) == other
    assert admin.get(path).json()["config"] == CONFIG


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_groups_and_options_that_are_unknown(admin, path, method):
    assert admin(method, f"{path}/colour").status_code == admin(method, f"{path}/ldap/colour").status_code == 403


def test_defaults(admin):
    everything = admin.get("/domains/config/default").json()["config"]
    assert everything["identity"] == {"driver": "sql", "list_limit": None} and everything["ldap"]["url"] == "ldap://localhost"
    assert "password" not in everything["ldap"]
    for group, options in everything.items():
        assert admin.get(f"/domains/config/{group}/default").json() == {"config": {group: options}}
        for option, value in options.items():
            assert admin.get(f"/domains/config/{group}/{option}/default").json() == {"config": {option: value}}
    assert admin("HEAD", "/domains/config/default").status_code == 200
    hidden = refused(admin.get("/domains/config/ldap/password/default"))
    assert hidden == "Reading the default for option password in group ldap is not supported."
    assert "Group colour is not supported" in refused(admin.get("/domains/config/colour/default"))
    assert "Option colour in group ldap" in refused(admin.get("/domains/config/ldap/colour/default"))


def test_demands_on_passwords_are_for_every_user_to_read(cloud, admin, demo, domain):
    path = "/domains/default/config/security_compliance"
    demands = {"password_regex": None, "password_regex_description": None}
    assert demo.get(path).json() == {"config": {"security_compliance": demands}} == admin.get(path).json()
    assert demo.get(f"{path}/password_regex").json() == {"config": {"password_regex": None}}
    assert demo("HEAD", path).status_code == demo("HEAD", f"{path}/password_regex_description").status_code == 200
    other = "Reading security compliance values other than password_regex and password_regex_description is not allowed.."
    assert refused(demo.get(f"{path}/lockout_duration")) == other
    elsewhere = "Reading security compliance information for any domain other than the default domain is not allowed or supported.."
    assert refused(demo.get(f"/domains/{domain}/config/security_compliance")) == elsewhere
    for method in ("PATCH", "DELETE"):
        assert demo(method, path, {"config": {"password_regex": "."}}).status_code == 403
        assert "is not supported" in refused(admin(method, f"{path}/password_regex", {"config": {"password_regex": "."}}))


def test_who_may(cloud, admin, demo, domain, path):
    admin.put(path, {"config": CONFIG | {"identity": {"driver": "sql"}}})
    keeper = cloud.user(admin, "keeper", domain_id=domain)["id"]
    cloud.grant(admin, "admin", f"domains/{domain}/users/{keeper}")
    watcher = cloud.user(admin, "watcher")["id"]
    cloud.grant(admin, "reader", f"system/users/{watcher}")
    of_domain = cloud.login(keeper, "pw", scope={"domain": {"id": domain}})
    of_system = cloud.login("watcher", "pw", scope="system")
    calls = [("GET", path), ("GET", f"{path}/ldap"), ("GET", f"{path}/ldap/url"), ("GET", "/domains/config/default")]
    for method, at in calls:
        assert of_system(method, at).status_code == 200
        assert demo(method, at).status_code == of_domain(method, at).status_code == 403, "a domain's admin keeps no configuration"
    for caller in (of_system, demo, of_domain):
        assert caller.put(path, {"config": CONFIG}).status_code == 403
        assert caller.patch(path, {"config": CONFIG}).status_code == 403
        assert caller.patch(f"{path}/ldap/url", {"config": {"url": "x"}}).status_code == 403
        assert caller.delete(path).status_code == caller.delete(f"{path}/ldap").status_code == 403
    assert cloud.stranger(cloud.base).get(f"{path}/security_compliance").status_code == 401
    assert cloud.login("admin", cloud.ADMIN, scope="system").delete(path).status_code == 204


def test_domains_that_are_not_there_or_no_more(cloud, admin, domain, path):
    from cumulet.identity.domain_config import domain_options

    project = cloud.project(admin, "p")["id"]
    for id in ("nowhere", project):
        other = f"/domains/{id}/config"
        assert admin.get(other).status_code == admin.get(f"{other}/ldap").status_code == admin.delete(other).status_code == 404
        assert admin.put(other, {"config": CONFIG}).status_code == admin.patch(other, {"config": CONFIG}).status_code == 404
    admin.put(path, {"config": CONFIG})
    admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    assert admin.delete(f"/domains/{domain}").status_code == 204 and admin.get(path).status_code == 404
    assert cloud.transact(lambda tx: tx.rows(domain_options)) == []
