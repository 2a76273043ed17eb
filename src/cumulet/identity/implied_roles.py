"""Implied roles: who has the prior role has the implied one as well, and what that one implies in turn."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from ..kernel.errors import Conflict, Forbidden, NotFound
from ..kernel.http import Request
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, epoch
from .roles import find_role, roles

# -- table ---------------------------------------------------------------------------------------------------------

implied_roles = table(
    "identity_implied_roles",
    sa.Column("prior_role_id", sa.String(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("implied_role_id", sa.String(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    id=False,
)

# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_implied_role", ADMIN_OR_SYSTEM_READER, "Show a role inference rule.")
LIST = api.rule("identity:list_implied_roles", ADMIN_OR_SYSTEM_READER, "List the roles that a role implies.")
CREATE = api.rule("identity:create_implied_role", ADMIN, "Create a role inference rule.")
DELETE = api.rule("identity:delete_implied_role", ADMIN, "Delete a role inference rule.")
LIST_ALL = api.rule("identity:list_role_inference_rules", ADMIN_OR_SYSTEM_READER, "List all role inference rules.")
CHECK = api.rule("identity:check_implied_role", ADMIN_OR_SYSTEM_READER, "Check a role inference rule.")

# -- operations ----------------------------------------------------------------------------------------------------

RULE = "/roles/{prior_role_id}/implies/{implied_role_id}"


def _there(tx: Tx, request: Request, prior_role_id: str, implied_role_id: str) -> dict:
    """Everybody may know which roles there are not."""
    find_role(tx, prior_role_id)
    find_role(tx, implied_role_id)
    return {}


@api.op("GET", "/roles/{prior_role_id}/implies", policy=LIST, errors=(404,))
def index(tx: Tx, request: Request, prior_role_id: str) -> dict:
    """List the roles that a role implies by itself."""
    prior = find_role(tx, prior_role_id)
    implied = sa.select(roles).join(implied_roles, implied_roles.c.implied_role_id == roles.c.id)
    rows = tx.all(implied.where(implied_roles.c.prior_role_id == prior.id).order_by(roles.c.name))
    return {"role_inference": _inference(request, prior, [_brief(request, row) for row in rows])} | _links(request)


@api.op("PUT", RULE, policy=CREATE, status=201, errors=(404, 409))
def create(tx: Tx, request: Request, prior_role_id: str, implied_role_id: str) -> dict:
    """Make a role imply another."""
    prior, implied = find_role(tx, prior_role_id), find_role(tx, implied_role_id)
    if implied.name == "admin" or (prior.domain_id is None and implied.domain_id is not None):
        raise Forbidden(f"{implied.id} cannot be an implied roles.")
    if tx.get(implied_roles, prior_role_id=prior.id, implied_role_id=implied.id) is not None:
        raise Conflict("Conflict occurred attempting to store implied_role - Duplicate entry.")
    tx.insert(implied_roles, prior_role_id=prior.id, implied_role_id=implied.id)
    epoch.bump(tx)
    return _view(request, prior, implied)


@api.op("GET", RULE, policy=GET, errors=(404,))
def show(tx: Tx, request: Request, prior_role_id: str, implied_role_id: str) -> dict:
    """Show a role inference rule."""
    prior, implied = _find(tx, prior_role_id, implied_role_id)
    return _view(request, prior, implied)


@api.op("HEAD", RULE, policy=CHECK, status=204, errors=(404,))
def check(tx: Tx, request: Request, prior_role_id: str, implied_role_id: str) -> None:
    """Check whether a role implies another by itself."""
    _find(tx, prior_role_id, implied_role_id)


@api.op("DELETE", RULE, policy=DELETE, target=_there, status=204, errors=(404,))
def delete(tx: Tx, request: Request, prior_role_id: str, implied_role_id: str) -> None:
    """Make a role imply another no more."""
    prior, implied = _find(tx, prior_role_id, implied_role_id)
    tx.delete(implied_roles, prior_role_id=prior.id, implied_role_id=implied.id)
    epoch.bump(tx)


@api.op("GET", "/role_inferences", policy=LIST_ALL)
def index_all(tx: Tx, request: Request) -> dict:
    """List every role inference rule, by prior role."""
    known = {row.id: row for row in tx.rows(roles)}
    listed = [
        _inference(request, known[prior], [_brief(request, known[one]) for one in sorted(implied)])
        for prior, implied in sorted(direct(tx).items())
    ]
    return {"role_inferences": listed}


# -- helpers -------------------------------------------------------------------------------------------------------


def direct(tx: Tx) -> dict[str, set[str]]:
    """Every prior role's id and the ids of those that it implies by itself."""
    found: dict[str, set[str]] = {}
    for row in tx.rows(implied_roles):
        found.setdefault(row.prior_role_id, set()).add(row.implied_role_id)
    return found


def expanded(rules: dict[str, set[str]], held: t.Iterable[str]) -> set[str]:
    """These roles and all that they imply, however indirectly; circles do no harm."""
    found: set[str] = set()
    waiting = list(held)
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting += rules.get(role, ())
    return found


def priors(rules: dict[str, set[str]], held: str) -> dict[str, str | None]:
    """A role and all that it implies, each with the one that implies it, the nearest to the role that is held (whose is none)."""
    found: dict[str, str | None] = {held: None}
    waiting = [held]
    for role in waiting:
        new = sorted(rules.get(role, set()) - found.keys())
        found |= dict.fromkeys(new, role)
        waiting += new
    return found


def _find(tx: Tx, prior_role_id: str, implied_role_id: str) -> tuple[Row, Row]:
    prior, implied = find_role(tx, prior_role_id), find_role(tx, implied_role_id)
    if tx.get(implied_roles, prior_role_id=prior.id, implied_role_id=implied.id) is None:
        raise NotFound(f"{prior.id} does not imply {implied.id}.")
    return prior, implied


def _view(request: Request, prior: Row, implied: Row) -> dict:
    return {"role_inference": _inference(request, prior, _brief(request, implied))} | _links(request)


def _inference(request: Request, prior: Row, implied: t.Any) -> dict:
    return {"prior_role": _brief(request, prior), "implies": implied}


def _brief(request: Request, row: Row) -> dict:
    return {"id": row.id, "name": row.name, "links": {"self": f"{request.base}/v3/roles/{row.id}"}}


def _links(request: Request) -> dict:
    return {"links": {"self": request.url}}
