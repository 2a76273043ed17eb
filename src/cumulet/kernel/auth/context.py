"""Who is asking: what a valid token says."""

from __future__ import annotations

import msgspec


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The caller, with the scope and roles of their token."""

    user_id: str | None = None
    user_name: str | None = None
    user_domain_id: str | None = None
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    roles: frozenset[str] = frozenset()
    token: str | None = None
    is_admin: bool = False
    """Holds the admin role in any scope: sees every project's resources."""
    app_credential_id: str | None = None
    trust_id: str | None = None
    extra: dict = {}

    def own_target(self) -> dict:
        """What policy is checked against where an operation names no target: the caller's own things."""
        return {"project_id": self.project_id, "user_id": self.user_id, "tenant_id": self.project_id}


ANONYMOUS = Context()
