"""Who is not let in learns nothing from it: not whether there is such a user, and not by how long it took."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from cumulet.kernel.config import SecurityCompliance
from cumulet.kernel.metrics import exposition

UNKNOWN = "0" * 32


def hashes() -> float:
    """How many passwords the metrics tell of as hashed so far."""
    count = next(line for line in exposition().decode().splitlines() if line.startswith("cumulet_password_seconds_count"))
    return float(count.split()[1])


def told(answer) -> tuple:
    """An answer without what is each one's own, and the names of its headers."""
    return answer.status_code, answer.json(), sorted(set(answer.headers) - {"date"})


@pytest.fixture
def others(cloud, admin) -> dict[str, t.Callable[[], t.Any]]:
    """Requests for a token that are all refused, each for another reason."""
    cloud.runtime.config.security_compliance = SecurityCompliance(lockout_failure_attempts=2)
    domain = admin.post("/domains", {"domain": {"name": "closed"}}).json()["domain"]["id"]
    users = {name: cloud.user(admin, name)["id"] for name in ("known", "disabled", "locked")}
    users["none"] = admin.post("/users", {"user": {"name": "none"}}).json()["user"]["id"]
    users["closed"] = cloud.user(admin, "inside", domain_id=domain)["id"]
    admin.patch(f"/users/{users['disabled']}", {"user": {"enabled": False}})
    admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    for _ in range(2):
        cloud.ask(users["locked"], "wrong")
    return {
        "a wrong password": lambda: cloud.ask(users["known"], "wrong"),
        "a wrong password, by name": lambda: cloud.ask("known", "wrong"),
        "no such user": lambda: cloud.ask("nobody", "wrong"),
        "no such id": lambda: cloud.ask(UNKNOWN, "wrong"),
        "no such domain": lambda: cloud.ask("known", "pw", domain="Nowhere"),
        "another domain": lambda: cloud.ask("known", "pw", domain="closed"),
        "disabled, and right": lambda: cloud.ask(users["disabled"], "pw"),
        "disabled, and wrong": lambda: cloud.ask(users["disabled"], "wrong"),
        "locked out, and right": lambda: cloud.ask(users["locked"], "pw"),
        "locked out, and wrong": lambda: cloud.ask(users["locked"], "wrong"),
        "without a password": lambda: cloud.ask(users["none"], "wrong"),
        "in a disabled domain, and right": lambda: cloud.ask(users["closed"], "pw"),
    }  # fmt: skip


def test_everybody_is_told_the_same(others):
    answers = {why: told(ask()) for why, ask in others.items()}
    expected = answers["no such user"]
    assert expected[:2] == (
        401,
        {"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}},
    )
    assert {why for why, answer in answers.items() if answer != expected} == set()


def test_everybody_is_refused_after_the_same_work(cloud, others):
    """One password is hashed, the right one or nobody's, whoever it is. How long that takes is for the benchmark."""
    cloud.ask("nobody", "first")
    for why, ask in others.items():
        before = hashes()
        ask()
        assert hashes() - before == 1, why


def test_changing_a_password_tells_no_more(cloud, others, admin):
    """It asks for no token, so it is another door to the same."""
    ids = {row["name"]: row["id"] for row in admin.get("/users").json()["users"]}
    body = {"user": {"original_password": "wrong", "password": "new"}}
    stranger = cloud.stranger(cloud.base)
    stranger.post(f"/users/{UNKNOWN}/password", body)
    said = set()
    for id in (UNKNOWN, *(ids[name] for name in ("known", "disabled", "locked", "none", "inside")), "%00", "x" * 300, "é"):
        before = hashes()
        answer = stranger.post(f"/users/{id}/password", body)
        if id != "%00":  # which no path has
            said.add(str(told(answer)))
            assert hashes() - before == 1, id
    assert len(said) == 1 and "401" in said.pop()


def test_application_credentials_are_not_told_apart_by_name(cloud, admin):
    me = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]["user"]["id"]
    assert admin.post(f"/users/{me}/application_credentials", {"application_credential": {"name": "a"}}).status_code == 201
    said = set()
    for user, name in ((me, "a"), (me, "b"), (UNKNOWN, "a")):
        part = {"name": name, "user": {"id": user}, "secret": "wrong"}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": part}}
        before = hashes()
        said.add(str(told(cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}))))
        assert hashes() - before == 1
    assert len(said) == 1


def test_projects_and_domains_are_not_told_apart_by_asking_for_tokens(cloud, admin):
    """One that is not there, one where the user has no role, a disabled one."""
    cloud.user(admin, "known")
    project, closed = cloud.project(admin, "secret")["id"], cloud.project(admin, "closed", enabled=False)["id"]
    scopes: list[dict] = [{"project": {"id": id}} for id in (project, closed, UNKNOWN)]
    scopes += [{"project": {"name": name, "domain": {"id": "default"}}} for name in ("secret", "nowhere")]
    scopes += [{"domain": {"id": id}} for id in ("default", UNKNOWN)] + [{"system": {"all": True}}, {"OS-TRUST:trust": {"id": UNKNOWN}}]
    assert len({str(told(cloud.ask("known", "pw", scope=scope))) for scope in scopes}) == 1


def test_many_who_bring_the_same_at_once_cost_one_hash(cloud):
    cloud.runtime.config.bcrypt_rounds = 11  # as long as it takes for all to have come
    cloud.runtime.shared.clear()
    cloud.ask("nobody", "first")
    before = hashes()
    with ThreadPoolExecutor(8) as clients:
        statuses = list(clients.map(lambda _: cloud.ask("nobody", "again").status_code, range(8)))
    assert statuses == [401] * 8
    assert hashes() - before < 8
