"""What is there before a scene of identity begins: a domain with projects, and a user for each role who holds it everywhere."""

from __future__ import annotations

import datetime
import secrets
import typing as t

from parity.play import Send, Stage

ROLES = ("admin", "manager", "member", "reader")
PASSWORD = "Parity-1"
SYSTEM = [f"system-{role}" for role in ("admin", "member", "reader")]
DOMAIN = [f"domain-{role}" for role in ROLES]
PROJECT = [f"project-{role}" for role in ROLES]
GROUPS = {"all": [*SYSTEM, *DOMAIN, *PROJECT, "unscoped", "nobody", "forged"], "scoped": [*SYSTEM, *DOMAIN, *PROJECT]}
"""What stands for several actors. `unscoped` has no role; `nobody` sends no token; `forged` sends one that nobody issued."""


class Builder:
    """Builds as the user `admin` with this password; every failure is an error."""

    def __init__(self, send: Send, password: str):
        self.send = send
        self.token = self.login({"name": "admin", "domain": {"id": "default"}, "password": password}, _project("admin"))

    def __call__(self, method: str, path: str, json: t.Any = None) -> t.Any:
        answer = self.send(method, f"/v3{path}", json=json, headers={"X-Auth-Token": self.token})
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def login(self, user: dict[str, t.Any], scope: t.Any = None) -> str:
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}} | ({"scope": scope} if scope else {})
        answer = self.send("POST", "/v3/auth/tokens", json={"auth": auth})
        assert answer.status_code == 201, answer.text
        return answer.headers["x-subject-token"]

    def make(self, kind: str, **values: t.Any) -> str:
        return self("POST", f"/{kind}s", {kind: values})[kind]["id"]


def build(send: Send, base: str, password: str) -> Stage:
    """Make the stage, as the user `admin` with this password."""
    return people(Builder(send, password), base)


def people(admin: Builder, base: str) -> Stage:
    """The stage of a service at this address."""
    run = secrets.token_hex(4)
    names: dict[str, t.Any] = {"run": run, "password": PASSWORD} | _texts() | _times()
    names |= {f"role_{role}": admin("GET", f"/roles?name={role}")["roles"][0]["id"] for role in ROLES}
    domain, far = (names[name] for name in _domains(admin, names))
    tokens: dict[str, str | None] = {"admin": admin.token, "nobody": None, "forged": "gAAAAABforged"}
    for role in ROLES:
        user = _user(admin, names, role)
        for place in (f"domains/{domain}", f"projects/{names['project']}", "system"):
            admin("PUT", f"/{place}/users/{user}/roles/{names[f'role_{role}']}")
        login = {"id": user, "password": PASSWORD}
        tokens[f"domain-{role}"] = admin.login(login, {"domain": {"id": domain}})
        tokens[f"project-{role}"] = admin.login(login, {"project": {"id": names["project"]}})
        tokens[f"system-{role}"] = admin.login(login, {"system": {"all": True}})
    tokens["unscoped"] = admin.login({"id": _user(admin, names, "none"), "password": PASSWORD})
    return Stage(names, tokens, base, lambda: _close(admin, domain, far))


def _domains(admin: Builder, names: dict[str, t.Any]) -> tuple[str, str]:
    """A domain with two projects, of which the second is nobody's, and another domain with one."""
    run = names["run"]
    names["domain"] = admin.make("domain", name=f"parity-{run}")
    names["far_domain"] = admin.make("domain", name=f"parity-far-{run}")
    names["project"] = admin.make("project", name="parity", domain_id=names["domain"])
    names["other_project"] = admin.make("project", name="other", domain_id=names["domain"])
    names["far_project"] = admin.make("project", name="far", domain_id=names["far_domain"])
    return "domain", "far_domain"


def _user(admin: Builder, names: dict[str, t.Any], role: str) -> str:
    names[f"user_{role}"] = admin.make("user", name=f"the-{role}", domain_id=names["domain"], password=PASSWORD)
    return names[f"user_{role}"]


def _texts() -> dict[str, str]:
    return {f"x{length}": "x" * length for length in (64, 65, 255, 256)} | {"no_id": "0123456789abcdef" * 2}


def _times() -> dict[str, str]:
    now = datetime.datetime.now(datetime.UTC)
    days = {"yesterday": -1, "tomorrow": 1, "next_week": 7}
    return {name: f"{now + datetime.timedelta(days=by):%Y-%m-%dT%H:%M:%S.000000Z}" for name, by in days.items()}


def _close(admin: Builder, *domains: str) -> None:
    for domain in domains:
        admin("PATCH", f"/domains/{domain}", {"domain": {"enabled": False}})
        admin("DELETE", f"/domains/{domain}")


def _project(name: str) -> dict[str, t.Any]:
    return {"project": {"name": name, "domain": {"id": "default"}}}
