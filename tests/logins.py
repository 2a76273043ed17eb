"""A cloud whose callers log in, for the tests of identity and of policy."""

from __future__ import annotations

from cumulet import identity
from cumulet.kernel import services
from cumulet.kernel.auth.context import Context
from cumulet.kernel.testing.cloud import Caller, Cloud

ENDPOINTS = [("identity", "keystone", "http://cloud/identity"), ("volumev3", "cinder", "http://cloud/volume/v3/%(project_id)s")]


class Identity(Cloud):
    """A cloud whose callers log in."""

    base = "/identity/v3"
    ADMIN, DEMO = "admin-pw", "demo-pw"
    """Passwords of the two users that bootstrap makes."""

    def __init__(self, url: str, data: str, *names: str, config: dict | None = None):
        """names: the services that there are besides identity."""
        super().__init__(url, data, services.load("identity", *names), authenticate=identity.authenticate, config=config)
        settings = self.runtime.config
        self.transact(lambda tx: identity.bootstrap(
            tx, settings, admin_password=self.ADMIN, demo_password=self.DEMO, endpoints=ENDPOINTS))  # fmt: skip

    def login(self, user: str, password: str, *, scope: dict | str | None = None, domain: str = "Default") -> Caller:
        """A caller with a token. scope: as in a request, `system`, or a project's name."""
        answer = self.ask(user, password, scope=scope, domain=domain)
        assert answer.status_code == 201, answer.text
        return self.bearer(answer.headers["x-subject-token"])

    def ask(self, user: str, password: str, *, scope: dict | str | None = None, domain: str = "Default"):
        who = {"id": user} if len(user) == 32 else {"name": user, "domain": {"name": domain}}
        auth: dict = {"identity": {"methods": ["password"], "password": {"user": who | {"password": password}}}}
        if scope == "system":
            auth["scope"] = {"system": {"all": True}}
        elif scope is not None:
            named = {"project": {"name": scope, "domain": {"id": "default"}}}
            auth["scope"] = scope if isinstance(scope, dict) or scope == "unscoped" else named
        return self.stranger(self.base).post("/auth/tokens", {"auth": auth})

    def bearer(self, token: str) -> Caller:
        return Caller(self, self.base, token, Context())

    def user(self, admin: Caller, name: str, **more: object) -> dict:
        return admin.post("/users", {"user": {"name": name, "password": "pw", **more}}).json()["user"]

    def project(self, admin: Caller, name: str, **more: object) -> dict:
        return admin.post("/projects", {"project": {"name": name, **more}}).json()["project"]

    def role(self, admin: Caller, name: str) -> str:
        """A role's id; the role is made where it is not there."""
        found = admin.get(f"/roles?name={name}").json()["roles"]
        return found[0]["id"] if found else admin.post("/roles", {"role": {"name": name}}).json()["role"]["id"]

    def grant(self, admin: Caller, role: str, path: str) -> None:
        answer = admin.put(f"/{path}/roles/{self.role(admin, role)}")
        assert answer.status_code == 204, answer.text

    def revoke(self, admin: Caller, role: str, path: str) -> None:
        assert admin.delete(f"/{path}/roles/{self.role(admin, role)}").status_code == 204
