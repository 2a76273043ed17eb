"""What a token is to be for: what the request says, else the user's default project (save with an identity provider's
word), else nothing."""

from __future__ import annotations

from ...kernel.db import Row, Tx
from ...kernel.errors import Forbidden, NotFound, Unauthorized
from .. import assignments, tree, trusts
from ..attributes import expecting
from ..fernet import Where
from .body import AllOfSystem, Auth, NamedProject, NamedTrust, Scope
from .methods import Found, named_domain, named_in_domain
from .resolve import denied

UNSCOPED: Where = ("u", "")
ONE_OF = "system, project, domain, OS-TRUST:trust or unscoped"


def choose(tx: Tx, auth: Auth, user: Row, found: list[Found]) -> tuple[Where, Row | None]:
    """Where the token is to be good, and the trust it is of, if any. Raises BadRequest for a scope that is several
    or none, Unauthorized for one that is not there."""
    credential = next((one.credential for one in found if one.credential is not None), None)
    if credential is not None:
        if auth.scope is not None:
            raise Unauthorized("Error authenticating with application credential: Application credentials cannot request a scope.")
        return ("p", credential.project_id), None
    access = next((one.access_token for one in found if one.access_token is not None), None)
    if access is not None:
        return ("p", access.project_id), None
    if isinstance(auth.scope, str) and auth.scope != "unscoped":
        raise expecting(ONE_OF, "scope")
    if isinstance(auth.scope, str) or (auth.scope is not None and auth.scope.unscoped is not None):
        return UNSCOPED, None
    if auth.scope is None:
        federated = any(one.claims is not None and one.claims.federated is not None for one in found)
        return UNSCOPED if federated else default(tx, user), None
    if auth.scope.system is None and auth.scope.trust is None and any(one.claims and one.claims.scope[0] == "s" for one in found):
        action = "Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed."
        raise Forbidden(f"You are not authorized to perform the requested action: {action}.")
    return _asked(tx, auth.scope)


def default(tx: Tx, user: Row) -> Where:
    """The user's default project, where they have a role on it; else the token is for nothing."""
    project = tx.get(tree.projects, id=user.default_project_id) if user.default_project_id else None
    if project is None or not project.enabled or not assignments.roles_on(tx, user.id, "project", project.id):
        return UNSCOPED
    domain = tree.find_domain(tx, project.domain_id) if project.domain_id else project
    return ("p", project.id) if domain.enabled else UNSCOPED


def _asked(tx: Tx, scope: Scope) -> tuple[Where, Row | None]:
    parts = [part for part in (scope.project, scope.domain, scope.system, scope.trust) if part is not None]
    if len(parts) != 1:
        raise expecting(ONE_OF, "scope")
    part = parts[0]
    if isinstance(part, NamedTrust):
        return _trust(tx, part)
    if isinstance(part, AllOfSystem):
        if not part.all:
            raise expecting("all", "system")
        return ("s", "all"), None
    if isinstance(part, NamedProject):
        return ("p", _there(named_in_domain(tx, tree.projects, part, "project")).id), None
    return ("d", _there(named_domain(tx, part)).id), None


def _there(row: Row | None) -> Row:
    if row is None:
        raise denied()
    return row


def _trust(tx: Tx, named: NamedTrust) -> tuple[Where, Row]:
    if named.id is None:
        raise expecting("trust_id", "trust")
    try:
        trust = trusts.find_usable(tx, named.id)
    except NotFound:
        raise denied() from None
    return (("p", trust.project_id) if trust.project_id else UNSCOPED), trust
