"""Identity: who may do what (the Keystone API, version 3)."""

from __future__ import annotations

from ..kernel.http import Api, IdentityDialect

api = Api(
    "identity",
    prefix="/identity",
    base="/v3",
    dialect=IdentityDialect(),
    forbidden="You are not authorized to perform the requested action: {rule}.",
)

NO_DOMAIN = "domain_id:None"
"""For the many rules that no token for a domain passes, whatever its roles; a few pass for a project's alone."""
PROJECT_ALONE = f"{NO_DOMAIN} and not system_scope:all"
ADMIN = f"rule:admin_required and {NO_DOMAIN}"
ADMIN_OR_SYSTEM_READER = f"(rule:admin_required or (role:reader and system_scope:all)) and {NO_DOMAIN}"

api.rule("admin_required", "role:admin or is_admin:1")
api.rule("service_role", "role:service")
api.rule("service_or_admin", "rule:admin_required or rule:service_role")
api.rule("owner", "user_id:%(user_id)s")
api.rule("admin_or_owner", "rule:admin_required or rule:owner")
api.rule("token_subject", "user_id:%(target.token.user_id)s")
api.rule("admin_or_token_subject", "rule:admin_required or rule:token_subject")
api.rule("service_admin_or_token_subject", "rule:service_or_admin or rule:token_subject")
api.rule(
    "domain_managed_target_role",
    "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
    "The roles that the manager of a domain may hand out.",
)

# The API must be there before what is declared on it.
from .bootstrap import bootstrap  # noqa: E402
from .tokens.caller import authenticate  # noqa: E402

__all__ = ["api", "authenticate", "bootstrap"]
