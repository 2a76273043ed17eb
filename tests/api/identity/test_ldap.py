"""Domains with directories: what is theirs alone, beside what every driver does (test_drivers)."""

from __future__ import annotations

import concurrent.futures as cf
import hashlib
import io
import socket
import subprocess
import sys
import time
import typing as t

import ldap
import pytest
import structlog
from ldap_world import READER_PASSWORD, Editor, add, certificate, domain_of, options, person, team, tree

from cumulet.identity import directories
from cumulet.kernel import log
from cumulet.kernel.testing.engines import Slapd, free_port, slapd

ONE, TWO = "dc=one,dc=test", "dc=two,dc=test"
AWAY = "The directory that has this user cannot be asked now"


@pytest.fixture
def one() -> t.Iterator[Slapd]:
    entries = tree(ONE) + person(ONE, "alice") + person(ONE, "bob") + team(ONE, "devs", "alice")
    with slapd(ONE, entries) as running:
        yield running


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> t.Iterator[tuple[Slapd, str]]:
    """A directory that knows TLS, and its certificate."""
    files = certificate(tmp_path_factory.mktemp("tls"))
    with slapd(TWO, tree(TWO) + person(TWO, "alice", "other-pw") + person(TWO, "zoe") + team(TWO, "devs", "zoe"), files) as running:
        yield running, str(files[0])


def users(admin, domain: str, **query: str) -> dict[str, str]:
    return {user["name"]: user["id"] for user in admin.get("/users", params={"domain_id": domain, **query}).json()["users"]}


def until(true: t.Callable[[], bool], what: str, patience: float = 20.0) -> None:
    """What is known of a directory follows it within a second; a loaded machine may need longer to ask."""
    ends = time.monotonic() + patience
    while not true():
        assert time.monotonic() < ends, what
        time.sleep(0.02)


def good(caller, status: int = 200) -> bool:
    """Whether a caller's token is good: what is asked needs no right."""
    return caller.get("/auth/projects").status_code == status


def message(answer) -> str:
    return answer.json()["error"]["message"]


def test_two_directories_and_the_database(cloud, admin, demo, one, two):
    first, second = domain_of(admin, one, "first"), domain_of(admin, two[0], "second")
    cloud.user(admin, "alice", password="own-pw")
    tokens = {}
    for domain, right in (("first", "alice-pw"), ("second", "other-pw"), ("Default", "own-pw")):
        for password in ("alice-pw", "other-pw", "own-pw"):
            assert cloud.ask("alice", password, domain=domain).status_code == (201 if password == right else 401)
        caller = cloud.login("alice", right, domain=domain)
        tokens[domain] = caller.get("/auth/tokens", headers={"X-Subject-Token": caller.token}).json()["token"]["user"]["id"]
    assert (
        len(set(tokens.values())) == 3
        and sorted(users(admin, first)) == ["alice", "bob"]
        and sorted(users(admin, second)) == ["alice", "zoe"]
    )
    expected = hashlib.sha256(f"{first}useralice".encode()).hexdigest()
    assert tokens["first"] == users(admin, first)["alice"] == expected, "as the real service makes it"
    group = admin.get(f"/groups?domain_id={first}&name=devs").json()["groups"][0]["id"]
    assert group == hashlib.sha256(f"{first}groupdevs".encode()).hexdigest()
    for stranger in (tokens["second"], tokens["Default"]):
        across = admin.get(f"/groups/{group}/users/{stranger}")
        assert across.status_code == 403
        assert message(across) == (
            f"Group membership across backend boundaries is not allowed. Group in question is {group}, user is {stranger}.")  # fmt: skip
    everyone = [user["name"] for user in admin.get("/users").json()["users"]]
    assert everyone.count("alice") == 3, "a list of all domains is of what is known"
    manager = cloud.login("zoe", "zoe-pw", domain="second")
    assert manager.get(f"/users?domain_id={first}").status_code == 403


def test_many_users_in_pages(cloud, admin):
    count = 1200
    many = "".join(person(ONE, f"user-{i:04}") for i in range(count))
    with slapd(ONE, tree(ONE) + many + team(ONE, "all", *(f"user-{i:04}" for i in range(count)))) as server:
        whole = domain_of(admin, server, "paged", page_size=100)
        assert len(users(admin, whole)) == count
        found, path = [], f"/users?domain_id={whole}&limit=250"
        while path:
            page = admin.get(path).json()
            found += [user["name"] for user in page["users"]]
            path = (page["links"]["next"] or "").removeprefix("http://cloud/identity/v3")
        assert found == sorted(found) and len(set(found)) == count
        group = admin.get(f"/groups?domain_id={whole}").json()["groups"][0]["id"]
        assert len(admin.get(f"/groups/{group}/users").json()["users"]) == count
        unpaged = domain_of(admin, server, "unpaged")
        assert users(admin, unpaged) == {}, "the server gives no more than 500 at once: nobody is known yet"
        assert list(users(admin, unpaged, name="user-0007")) == ["user-0007"]
        cloud.login("user-1199", "user-1199-pw", domain="unpaged")
        assert sorted(users(admin, unpaged)) == ["user-0007", "user-1199"]


def test_many_come_at_once(cloud, admin, one):
    names = [f"new-{i}" for i in range(24)]
    add(one, "".join(person(ONE, name) for name in names) + team(ONE, "all", *names))
    domain = domain_of(admin, one, "d")
    with cf.ThreadPoolExecutor(12) as clients:
        logins = [clients.submit(cloud.ask, name, f"{name}-pw", domain="d") for name in [*names, *names]]
        lists = [clients.submit(users, admin, domain) for _ in range(6)]
        assert [login.result().status_code for login in logins] == [201] * len(logins)
        assert all(set(names) <= set(found.result()) for found in lists)
    group = admin.get(f"/groups?domain_id={domain}&name=all").json()["groups"][0]["id"]
    assert len(admin.get(f"/groups/{group}/users").json()["users"]) == len(names)


def test_who_leaves_is_out(cloud, admin, one):
    domain = domain_of(admin, one, "d", user_attribute_ignore=[], user_enabled_attribute="employeeType")
    project = cloud.project(admin, "p")["id"]
    alice, bob = (cloud.login(name, f"{name}-pw", domain="d") for name in ("alice", "bob"))
    id = users(admin, domain)["alice"]
    cloud.grant(admin, "member", f"projects/{project}/users/{id}")
    with Editor(one) as at:
        at.delete_s(f"uid=alice,ou=people,{ONE}")
        at.modify_s(f"uid=bob,ou=people,{ONE}", [(ldap.MOD_REPLACE, "employeeType", b"FALSE")])
    until(lambda: good(alice, 401) and good(bob, 401), "their tokens end")
    subject = {"X-Subject-Token": alice.token}
    assert admin.get("/auth/tokens", headers=subject).status_code == 404
    assert cloud.ask("alice", "alice-pw", domain="d").status_code == cloud.ask("bob", "bob-pw", domain="d").status_code == 401
    assert list(users(admin, domain)) == ["bob"] and admin.get(f"/users/{id}").status_code == 404
    assert id not in {user["id"] for user in admin.get("/users").json()["users"]}
    add(one, person(ONE, "alice"))
    until(lambda: good(alice), "who comes back is who they were")
    assert [p["id"] for p in alice.get("/auth/projects").json()["projects"]] == [project], "with what they had"


def test_who_leaves_a_group_loses_its_roles(cloud, admin, one):
    domain = domain_of(admin, one, "d")
    project = cloud.project(admin, "p")["id"]
    group = admin.get(f"/groups?domain_id={domain}").json()["groups"][0]["id"]
    cloud.grant(admin, "member", f"projects/{project}/groups/{group}")
    scope = {"project": {"id": project}}
    alice = cloud.login("alice", "alice-pw", domain="d", scope=scope)
    with Editor(one) as at:
        at.modify_s(f"cn=devs,ou=teams,{ONE}", [(ldap.MOD_REPLACE, "member", f"uid=bob,ou=people,{ONE}".encode())])
    until(lambda: good(alice, 401), "a token is no good without a role")
    cloud.login("bob", "bob-pw", domain="d", scope=scope)
    with Editor(one) as at:
        at.delete_s(f"cn=devs,ou=teams,{ONE}")
    until(lambda: cloud.ask("bob", "bob-pw", domain="d", scope=scope).status_code == 401, "a group that is gone gives nothing")
    assert admin.get(f"/groups/{group}").status_code == 404


def test_a_trust_of_who_left_is_worth_nothing(cloud, admin, demo, one):
    domain, project = domain_of(admin, one, "d"), cloud.project(admin, "p")["id"]
    alice = cloud.login("alice", "alice-pw", domain="d")
    cloud.grant(admin, "member", f"projects/{project}/users/{users(admin, domain)['alice']}")
    alice = cloud.login("alice", "alice-pw", domain="d", scope={"project": {"id": project}})
    trustee = admin.get("/users?name=demo").json()["users"][0]["id"]
    trust = {"trustor_user_id": users(admin, domain)["alice"], "trustee_user_id": trustee, "project_id": project, "impersonation": False,
             "roles": [{"name": "member"}]}  # fmt: skip
    lent = alice.post("/OS-TRUST/trusts", {"trust": trust}).json()["trust"]["id"]
    trusted = cloud.login("demo", cloud.DEMO, scope={"OS-TRUST:trust": {"id": lent}})
    assert good(trusted)
    with Editor(one) as at:
        at.delete_s(f"uid=alice,ou=people,{ONE}")
    until(lambda: good(trusted, 401), "its token ends with its trustor")
    assert good(demo)


def test_the_server_dies_and_comes_back(cloud, admin, demo, one, two):
    domain, other = domain_of(admin, one, "d"), domain_of(admin, two[0], "other")
    alice, zoe = cloud.login("alice", "alice-pw", domain="d"), cloud.login("zoe", "zoe-pw", domain="other")
    known = users(admin, domain)
    group = admin.get(f"/groups?domain_id={domain}").json()["groups"][0]["id"]
    one.kill()
    until(lambda: good(alice, 401), "whom nobody vouches for is not let in")
    for refused in (alice.get("/auth/projects"), cloud.ask("bob", "bob-pw", domain="d"), cloud.ask("nobody", "x", domain="d")):
        assert refused.status_code == 401 and message(refused).startswith(AWAY) and refused.headers["Retry-After"] == "2"
    subject = admin.get("/auth/tokens", headers={"X-Subject-Token": alice.token})
    assert subject.status_code == 401 and message(subject).startswith(AWAY), "it may be good: a service is not told that it is not"
    assert good(zoe) and good(demo) and good(cloud.login("zoe", "zoe-pw", domain="other")), "others notice nothing"
    assert users(admin, domain) == known and list(users(admin, other)) == ["alice", "zoe"], "what was known is shown"
    assert [user["name"] for user in admin.get(f"/groups/{group}/users").json()["users"]] == ["alice"]
    project = cloud.project(admin, "p")["id"]
    cloud.grant(admin, "member", f"projects/{project}/users/{known['alice']}")
    one.start()
    until(lambda: good(alice), "the token is good again")
    cloud.login("alice", "alice-pw", domain="d", scope={"project": {"id": project}})


def test_a_server_that_says_nothing_keeps_nobody_waiting_for_long(cloud, admin, one):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        domain_of(admin, one, "d", url=f"ldap://127.0.0.1:{silent.getsockname()[1]}")
        assert message(cloud.ask("alice", "alice-pw", domain="d")).startswith(AWAY)
    domain_of(admin, one, "e", url=f"ldap://127.0.0.1:{free_port()} ldap://127.0.0.1:{free_port()},{one.url}")
    cloud.login("alice", "alice-pw", domain="e")


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"page_size": "many"}, {"query_scope": "three"}, {"user_enabled_mask": 2, "user_attribute_ignore": []},
     {"user_filter": "(uid=a"}, {"url": "nonsense"}, {"tls_cacertfile": "/nowhere", "use_tls": True},
     {"user_additional_attribute_mapping": ["sn"]}],
    ids=repr,
)  # fmt: skip
def test_options_that_cannot_work_are_told_to_the_operator(cloud, admin, one, wrong):
    domain = domain_of(admin, one, "d", **wrong)
    refused = cloud.ask("alice", "alice-pw", domain="d")
    assert refused.status_code == 401 and message(refused).startswith(AWAY)
    assert users(admin, domain) == {}


def test_better_options_count_at_once(cloud, admin, one):
    domain = domain_of(admin, one, "d", password="wrong")
    assert message(cloud.ask("alice", "alice-pw", domain="d")).startswith(AWAY)
    admin.patch(f"/domains/{domain}/config/ldap", {"config": {"ldap": {"password": READER_PASSWORD}}})
    until(lambda: cloud.ask("alice", "alice-pw", domain="d").status_code == 201, "and with better ones it works")


def test_tls(cloud, admin, two):
    server, trusted = two
    domain_of(admin, server, "trusted", use_tls=True, tls_cacertfile=trusted)
    cloud.login("zoe", "zoe-pw", domain="trusted")
    domain_of(admin, server, "untrusted", use_tls=True)
    assert message(cloud.ask("zoe", "zoe-pw", domain="untrusted")).startswith(AWAY), "a certificate that nobody vouches for"
    domain_of(admin, server, "careless", use_tls=True, tls_req_cert="never")
    cloud.login("zoe", "zoe-pw", domain="careless")


def test_tls_is_asked_of_a_server_that_has_none(cloud, admin, one, two):
    domain_of(admin, one, "d", use_tls=True, tls_cacertfile=two[1])
    assert message(cloud.ask("alice", "alice-pw", domain="d")).startswith(AWAY), "no password is sent in the clear instead"


def test_a_domain_gets_another_driver_and_back(cloud, admin, one):
    domain = domain_of(admin, one, "d")
    project = cloud.project(admin, "p")["id"]
    known = users(admin, domain)
    cloud.grant(admin, "member", f"projects/{project}/users/{known['alice']}")
    alice = cloud.login("alice", "alice-pw", domain="d")
    assert admin.patch(f"/domains/{domain}/config/identity/driver", {"config": {"driver": "sql"}}).status_code == 200
    assert good(alice, 401) and cloud.ask("alice", "alice-pw", domain="d").status_code == 401
    assert users(admin, domain) == {} and admin.get(f"/users/{known['alice']}").status_code == 404
    own = cloud.user(admin, "alice", domain_id=domain)["id"]
    cloud.login("alice", "pw", domain="d")
    back = admin.patch(f"/domains/{domain}/config/identity/driver", {"config": {"driver": "ldap"}})
    assert back.status_code == 409
    assert message(back) == f"Domain {domain} has 1 users and groups in the database: delete them before it gets the driver ldap."
    assert good(cloud.login("alice", "pw", domain="d")), "it is as it was"
    admin.delete(f"/users/{own}")
    assert admin.patch(f"/domains/{domain}/config/identity/driver", {"config": {"driver": "ldap"}}).status_code == 200
    until(lambda: users(admin, domain) == known, "the directory counts again")
    assert good(alice)
    assert [p["id"] for p in alice.get("/auth/projects").json()["projects"]] == [project]
    assert admin.delete(f"/domains/{domain}/config").status_code == 204 and users(admin, domain) == {} and good(alice, 401)


def test_the_default_domain_keeps_its_administrator(admin, one):
    refused = admin.put("/domains/default/config", {"config": {"identity": {"driver": "ldap"}, "ldap": options(one)}})
    assert refused.status_code == 409 and admin.get("/domains/default/config").status_code == 404


def test_a_domain_is_deleted_with_what_is_known_of_its_directory(cloud, admin, one):
    domain = domain_of(admin, one, "d")
    alice, known = cloud.login("alice", "alice-pw", domain="d"), users(admin, domain)
    admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    assert good(alice, 401) and cloud.ask("alice", "alice-pw", domain="d").status_code == 401
    assert admin.delete(f"/domains/{domain}").status_code == 204
    assert admin.get(f"/users/{known['alice']}").status_code == 404 and good(alice, 401)


def test_a_name_that_two_have_lets_nobody_in(cloud, admin, one):
    domain = domain_of(admin, one, "d", user_name_attribute="sn")
    cloud.login("Bob", "bob-pw", domain="d")
    add(one, person(ONE, "bobby", sn="Bob"))
    until(lambda: len(users(admin, domain)) == 3, "both are there")
    shown = users(admin, domain)
    other = next(name for name in shown if name.startswith("Bob #"))
    assert "Bob" in shown and shown[other].startswith(other.removeprefix("Bob #"))
    for password in ("bob-pw", "bobby-pw"):
        until(lambda password=password: cloud.ask("Bob", password, domain="d").status_code == 401, "it does not say who is meant")
    for id, password in ((shown["Bob"], "bob-pw"), (shown[other], "bobby-pw")):
        auth = {"identity": {"methods": ["password"], "password": {"user": {"id": id, "password": password}}}}
        assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 201


def test_names_change_places(cloud, admin, one):
    domain = domain_of(admin, one, "d", user_name_attribute="sn")
    before = users(admin, domain)
    with Editor(one) as at:
        for uid, name in (("alice", b"Bob"), ("bob", b"Alice")):
            at.modify_s(f"uid={uid},ou=people,{ONE}", [(ldap.MOD_REPLACE, "sn", name)])
    until(lambda: users(admin, domain) == {"Alice": before["Bob"], "Bob": before["Alice"]}, "each has the other's")


def test_letters_case_in_a_login_is_the_directorys_matter(cloud, admin, one):
    domain_of(admin, one, "d")
    assert good(cloud.login("ALICE", "alice-pw", domain="d"))


def test_attributes_of_ones_own(cloud, admin, one):
    domain = domain_of(admin, one, "d", user_additional_attribute_mapping=["sn:surname"], user_description_attribute="sn")
    shown = admin.get(f"/users/{users(admin, domain)['alice']}").json()["user"]
    assert shown["surname"] == "Alice" == shown["description"]


def test_only_those_that_the_filter_lets_through(cloud, admin, one):
    domain = domain_of(admin, one, "d", user_filter="(!(uid=bob))")
    assert list(users(admin, domain)) == ["alice"] and cloud.ask("bob", "bob-pw", domain="d").status_code == 401


def test_no_name_means_anything(cloud, admin, one):
    domain = domain_of(admin, one, "d")
    for name in (
        "*",
        "a*",
        "alice)(uid=*",
        "alice)(|(uid=*",
        "*)(objectClass=*",
        "\\2a",
        "alice,ou=people",
        f"uid=alice,ou=people,{ONE}",
        "a" * 255,
    ):
        assert cloud.ask(name, "alice-pw", domain="d").status_code == 401
        assert admin.get("/users", params={"domain_id": domain, "name": name}).json()["users"] == []
        assert admin.get("/groups", params={"domain_id": domain, "name": name}).json()["groups"] == []
    assert cloud.ask("alice\0", "alice-pw", domain="d").status_code == 400


def test_a_cloud_without_directories_does_not_load_libldap():
    code = "import sys; from cumulet.kernel import services; services.load('identity'); sys.exit('ldap' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_passwords_are_in_no_log(cloud, admin, one, monkeypatch):
    lines = io.StringIO()
    monkeypatch.setattr(directories, "log", log.Logger("directories"))
    before = structlog.get_config()
    log.configure("debug", lines)
    try:
        domain_of(admin, one, "d")
        cloud.ask("alice", "a-wrong-secret", domain="d")
        cloud.login("alice", "alice-pw", domain="d")
        one.kill()
        until(lambda: cloud.ask("alice", "alice-pw", domain="d").status_code == 401, "it is away")
    finally:
        structlog.configure(**before)
    said = lines.getvalue()
    assert "a directory cannot be asked" in said
    assert not any(secret in said for secret in ("a-wrong-secret", "alice-pw", "reader-pw"))
