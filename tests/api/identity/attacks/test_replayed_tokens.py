"""Tokens that were good once: whatever ended them, they are worth nothing from the next request on, in any form that they were got in."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from cumulet.kernel import clock
from cumulet.kernel.testing.cloud import Caller


class Victim:
    """Somebody with tokens of every kind. Their roles on the project are a group's."""

    def __init__(self, cloud, admin: Caller):
        self.cloud, self.admin = cloud, admin
        self.home = self._domain("home")
        self.abroad = self._domain("abroad")
        self.user = cloud.user(admin, "victim", domain_id=self.home)["id"]
        self.trustee = cloud.user(admin, "trustee")["id"]
        self.group = admin.post("/groups", {"group": {"name": "g", "domain_id": self.home}}).json()["group"]["id"]
        assert admin.put(f"/groups/{self.group}/users/{self.user}").status_code == 204
        self.project = cloud.project(admin, "p", domain_id=self.abroad)["id"]
        cloud.role(admin, "worker")
        cloud.grant(admin, "worker", f"projects/{self.project}/groups/{self.group}")
        cloud.grant(admin, "worker", f"domains/{self.home}/users/{self.user}")
        cloud.grant(admin, "reader", f"system/users/{self.user}")
        self.tokens = self._tokens()

    def _domain(self, name: str) -> str:
        return self.admin.post("/domains", {"domain": {"name": name}}).json()["domain"]["id"]

    def _tokens(self) -> dict[str, str]:
        on = {"project": {"id": self.project}}
        project = self.cloud.login(self.user, "pw", scope=on)
        body = {"trustor_user_id": self.user, "trustee_user_id": self.trustee, "impersonation": False, "project_id": self.project,
                "roles": [{"name": "worker"}]}  # fmt: skip
        trust = project.post("/OS-TRUST/trusts", {"trust": body}).json()["trust"]["id"]
        kept = {"name": "a", "secret": "s"}
        made = project.post(f"/users/{self.user}/application_credentials", {"application_credential": kept}).json()
        self.credential = made["application_credential"]["id"]
        program = {"methods": ["application_credential"], "application_credential": {"id": self.credential, "secret": "s"}}
        return {
            "project": project.token,
            "again": self._got({"methods": ["token"], "token": {"id": project.token}}, on),
            "domain": self.cloud.login(self.user, "pw", scope={"domain": {"id": self.home}}).token,
            "system": self.cloud.login(self.user, "pw", scope="system").token,
            "unscoped": self.cloud.login(self.user, "pw", scope="unscoped").token,
            "trust": self.cloud.login(self.trustee, "pw", scope={"OS-TRUST:trust": {"id": trust}}).token,
            "program": self._got(program),
        }

    def _got(self, identity: dict, scope: dict | None = None) -> str:
        auth = {"identity": identity} | ({"scope": scope} if scope else {})
        answer = self.cloud.stranger(self.cloud.base).post("/auth/tokens", {"auth": auth})
        assert answer.status_code == 201, answer.text
        return answer.headers["x-subject-token"]

    def ended(self) -> set[str]:
        """The kinds whose tokens are worth nothing. A token is all or nothing: used, shown, or exchanged for another."""
        found = set()
        for kind, token in self.tokens.items():
            auth = {"identity": {"methods": ["token"], "token": {"id": token}}}
            said = (
                self.cloud.bearer(token).get("/auth/projects").status_code,
                self.admin.get("/auth/tokens", headers={"X-Subject-Token": token}).status_code,
                self.cloud.stranger(self.cloud.base).post("/auth/tokens", {"auth": auth}).status_code,
            )
            exchanged = 403 if kind in ("trust", "program") else 201
            assert said in ((401, 404, 404), (200, 200, exchanged)), (kind, said)
            if said[0] == 401:
                found.add(kind)
        return found


ALL = {"project", "again", "domain", "system", "unscoped", "trust", "program"}
OWN = ALL - {"trust"}
"""Those that say that their bearer is the victim."""
ON_PROJECT = {"project", "again", "trust", "program"}
Call = t.Callable[[Victim], t.Any]
ENDS: dict[str, tuple[Call, set[str]]] = {
    "a password that they chose": (
        lambda v: v.admin.post(f"/users/{v.user}/password", {"user": {"original_password": "pw", "password": "new"}}), OWN),
    "a password that they were given": (lambda v: v.admin.patch(f"/users/{v.user}", {"user": {"password": "new"}}), OWN),
    "the user disabled": (lambda v: v.admin.patch(f"/users/{v.user}", {"user": {"enabled": False}}), ALL),
    "the user deleted": (lambda v: v.admin.delete(f"/users/{v.user}"), ALL),
    "the trustee disabled": (lambda v: v.admin.patch(f"/users/{v.trustee}", {"user": {"enabled": False}}), {"trust"}),
    "the trustee's password": (lambda v: v.admin.patch(f"/users/{v.trustee}", {"user": {"password": "new"}}), {"trust"}),
    "their domain disabled": (lambda v: v.admin.patch(f"/domains/{v.home}", {"domain": {"enabled": False}}), ALL),
    "the project's domain disabled": (lambda v: v.admin.patch(f"/domains/{v.abroad}", {"domain": {"enabled": False}}), ON_PROJECT),
    "the project disabled": (lambda v: v.admin.patch(f"/projects/{v.project}", {"project": {"enabled": False}}), ON_PROJECT),
    "the project deleted": (lambda v: v.admin.delete(f"/projects/{v.project}"), ON_PROJECT),
    "taken from the group": (lambda v: v.admin.delete(f"/groups/{v.group}/users/{v.user}"), ALL),
    "the group deleted": (lambda v: v.admin.delete(f"/groups/{v.group}"), ON_PROJECT),
    "the group's role taken away": (
        lambda v: v.cloud.revoke(v.admin, "worker", f"projects/{v.project}/groups/{v.group}"), ON_PROJECT),
    "the role on the domain taken away": (
        lambda v: v.cloud.revoke(v.admin, "worker", f"domains/{v.home}/users/{v.user}"), {"domain"}),
    "the role in the system taken away": (lambda v: v.cloud.revoke(v.admin, "reader", f"system/users/{v.user}"), {"system"}),
    "the role deleted": (lambda v: v.admin.delete(f"/roles/{v.cloud.role(v.admin, 'worker')}"), ON_PROJECT | {"domain"}),
    "the application credential deleted": (
        lambda v: v.cloud.bearer(v.tokens["project"]).delete(f"/users/{v.user}/application_credentials/{v.credential}"), {"program"}),
    "nothing": (lambda v: None, set()),
}  # fmt: skip


@pytest.fixture
def victim(cloud, admin) -> Victim:
    return Victim(cloud, admin)


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_tokens(victim: Victim, what: str):
    assert victim.ended() == set(), "they are remembered from now on"
    end, kinds = ENDS[what]
    answer = end(victim)
    assert answer is None or answer.status_code < 300, answer.text
    assert victim.ended() == kinds


@pytest.mark.parametrize("kind", sorted(ALL))
def test_a_token_that_is_revoked(victim: Victim, kind: str):
    """It alone is: not those of the same login, nor what was got with it."""
    subject = {"X-Subject-Token": victim.tokens[kind]}
    assert victim.cloud.bearer(victim.tokens[kind]).delete("/auth/tokens", headers=subject).status_code == 204
    assert victim.ended() == {kind}
    assert victim.admin.get("/auth/tokens?allow_expired=1", headers=subject).status_code == 404
    assert victim.admin.delete("/auth/tokens", headers=subject).status_code == 404


def test_tokens_that_are_too_old(victim: Victim, monkeypatch):
    """A token got with another ends with it."""
    assert victim.ended() == set()
    later = clock.now() + dt.timedelta(hours=victim.cloud.runtime.config.token_hours, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    victim.admin = victim.cloud.login("admin", victim.cloud.ADMIN, scope="admin")
    assert victim.ended() == ALL


def test_what_another_process_did_counts_here(victim: Victim):
    """Each process keeps what it worked out of tokens; a second one, over the same database, revokes them."""
    assert victim.ended() == set()
    here = dict(victim.cloud.runtime.shared)
    victim.cloud.runtime.shared.clear()
    for token in victim.tokens.values():
        assert victim.admin.delete("/auth/tokens", headers={"X-Subject-Token": token}).status_code == 204
    victim.cloud.runtime.shared.update(here)
    assert victim.ended() == ALL
