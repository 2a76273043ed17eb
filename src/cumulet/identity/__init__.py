"""Identity: who may do what (the Keystone API, version 3)."""

from __future__ import annotations

from ..kernel.auth.context import SCOPES
from ..kernel.http import Api, IdentityDialect

api = Api(
    "identity",
    prefix="/identity",
    base="/v3",
    dialect=IdentityDialect(),
    scopes=("system", "project"),
    forbidden="You are not authorized to perform the requested action: {rule}.",
)

PROJECT_ALONE = ("project",)
"""The scope of the few rules that are for no other token; most are for those of projects and of the system."""
ADMIN = "rule:admin_required"
ADMIN_OR_SYSTEM_READER = "rule:admin_required or (role:reader and system_scope:all)"

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
UNUSED = "Nothing asks for it: the name is known because operators' files may have it."
api.rule("identity:revocation_list", "rule:service_or_admin", UNUSED)
api.rule("identity:list_projects_for_user", "", UNUSED, scopes=SCOPES)
api.rule("identity:list_domains_for_user", "", UNUSED, scopes=SCOPES)

# The API must be there before what is declared on it.
from .asking import Scope, asking  # noqa: E402
from .audit import note  # noqa: E402
from .bootstrap import First, bootstrap, bootstrap_first  # noqa: E402
from .catalog import endpoint_url  # noqa: E402
from .ceilings import Ceiling, ceilings  # noqa: E402
from .tokens.caller import authenticate  # noqa: E402

api.audit, api.exchange = note, "keystone"

__all__ = [
    "SCOPES", "Ceiling", "First", "Scope", "api", "asking", "authenticate", "bootstrap", "bootstrap_first", "ceilings", "endpoint_url",
]  # fmt: skip
