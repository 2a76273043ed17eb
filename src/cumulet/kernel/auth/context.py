"""Who is asking: what a valid token says."""

from __future__ import annotations

import msgspec

SCOPES = ("system", "domain", "project")
"""The kinds of token that a rule may be for. One without a scope counts as a project's, as upstream."""


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

    @property
    def scope(self) -> str:
        """Which of SCOPES the token is of."""
        return "system" if self.system else "domain" if self.domain_id else "project"

    def __repr__(self) -> str:
        return f"<Context of user {self.user_id}>"  # without the token

    def own_target(self) -> dict:
        """What policy is checked against where an operation names no target: the caller's own things."""
        return {"project_id": self.project_id, "user_id": self.user_id, "tenant_id": self.project_id}


ANONYMOUS = Context()
