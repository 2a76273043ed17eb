"""Limits: how much of a service's resource a project or a domain may have, where that is not what is registered for all."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Forbidden, NotFound
from ..kernel.http import Body, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, SCOPES, api, limit_models
from .assignments import names_of
from .attributes import Id, Name, expecting, given
from .entities import shown
from .limit_models import Wanted
from .listing import listed, matching
from .regions import RegionId
from .registered_limits import FILTERS, Amount, Remark, check_references, limits, registered, registered_limits
from .tree import projects

# -- wire ----------------------------------------------------------------------------------------------------------


class LimitCreate(Body):
    service_id: Id
    resource_name: Name
    resource_limit: Amount
    region_id: RegionId | None = None
    project_id: Id | None = None
    domain_id: Id | None = None
    description: Remark | None = None


class LimitUpdate(Body):
    resource_limit: Amount | UnsetType = UNSET
    description: Remark | None | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule(
    "identity:get_limit",
    "rule:admin_required or (role:reader and system_scope:all) or "
    "(domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s) or "
    "(project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)",
    "Show a limit.",
    scopes=SCOPES,
)
LIST = api.rule(
    "identity:list_limits", "", "List the limits that concern one's token; all, for an administrator or a service.", scopes=SCOPES
)
MODEL = api.rule("identity:get_limit_model", "", "Show how limits go together.", scopes=SCOPES)
CREATE = api.rule("identity:create_limits", ADMIN, "Create limits.")
UPDATE = api.rule("identity:update_limit", ADMIN, "Update a limit.")
DELETE = api.rule("identity:delete_limit", ADMIN, "Delete a limit.")

# -- operations ----------------------------------------------------------------------------------------------------

ONE = "/limits/{limit_id}"


def _target(tx: Tx, request: Request, limit_id: str) -> dict:
    row = tx.get(limits, id=limit_id)
    if row is None:
        return {}
    project = tx.get(projects, id=row.project_id) if row.project_id else None
    named = {"target.limit.project_id": row.project_id, "target.limit.domain.id": row.domain_id}
    return named | {"target.limit.project.domain_id": project.domain_id if project else None}


def _there(tx: Tx, request: Request, limit_id: str) -> dict:
    """Everybody may know which limits there are not."""
    _find(tx, limit_id)
    return {}


@api.op("GET", "/limits/model", policy=MODEL, reply="model")
def show_model(tx: Tx, request: Request) -> dict:
    """Show how limits of projects and domains go together."""
    model = request.runtime.config.limit_model
    return {"name": model, "description": limit_models.MODELS[model]}


@api.op("POST", "/limits", policy=CREATE, wrap="limits", status=201, errors=(409,))
def create(tx: Tx, request: Request, body: t.Annotated[list[LimitCreate], msgspec.Meta(min_length=1)]) -> list[dict]:
    """Create limits: all, or where one is refused, none."""
    wanted = [_wanted(tx, fields) for fields in body]
    limit_models.check(tx, request.runtime.config.limit_model, wanted)
    return _views(tx, request, [_insert(tx, one, fields.description) for one, fields in zip(wanted, body, strict=True)])


@api.op("GET", "/limits", policy=LIST, reply="limits")
def index(tx: Tx, request: Request) -> Page:
    """List the limits of the token's project, or of its domain and the projects there; an administrator and a service see all."""
    registered_ids = sa.select(registered_limits.c.id).where(*matching(request, registered_limits, FILTERS))
    of = limits.c.registered_limit_id.in_(registered_ids)
    page = listed(tx, request, limits, lambda row: row, ("project_id", "domain_id"), of, *_visible(request))
    return page._replace(items=_views(tx, request, page.items))


@api.op("GET", ONE, policy=GET, target=_target, reply="limit", errors=(404,))
def show(tx: Tx, request: Request, limit_id: str) -> dict:
    """Show a limit."""
    return _views(tx, request, [_find(tx, limit_id)])[0]


@api.op("PATCH", ONE, policy=UPDATE, wrap="limit", errors=(404,))
def update(tx: Tx, request: Request, limit_id: str, body: LimitUpdate) -> dict:
    """Change a limit."""
    row = _find(tx, limit_id)
    values = given(body)
    of = tx.one(registered_limits, id=row.registered_limit_id)
    amount = values.get("resource_limit", row.resource_limit)
    wanted = Wanted(of.service_id, of.region_id, of.resource_name, amount, row.project_id, row.domain_id)
    limit_models.check(tx, request.runtime.config.limit_model, [wanted])
    tx.update(limits, row.id, **values)
    return show(tx, request, limit_id)


@api.op("DELETE", ONE, policy=DELETE, target=_there, status=204, errors=(404,))
def delete(tx: Tx, request: Request, limit_id: str) -> None:
    """Delete a limit: what is registered counts again."""
    tx.delete(limits, id=_find(tx, limit_id).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, id: str) -> Row:
    row = tx.get(limits, id=id)
    if row is None:
        raise NotFound(f"Could not find limit for {id}.")
    return row


def _wanted(tx: Tx, fields: LimitCreate) -> Wanted:
    """The limit that a client asks for. One of a project that acts as a domain is the domain's."""
    check_references(tx, fields.service_id, fields.region_id, "limit")
    if (fields.project_id is None) == (fields.domain_id is None):
        raise BadRequest("Invalid input for field/attribute limits: each is of one project_id or of one domain_id")
    kind, id = ("project_id", fields.project_id) if fields.project_id else ("domain_id", fields.domain_id)
    row = tx.get(projects, id=id)
    if row is None or (kind == "domain_id" and not row.is_domain):
        raise expecting(kind, "limit")
    whose = {"domain_id" if row.is_domain else "project_id": row.id}
    return Wanted(fields.service_id, fields.region_id, fields.resource_name, fields.resource_limit, **whose)


def _insert(tx: Tx, wanted: Wanted, description: str | None) -> Row:
    of = registered(tx, *wanted.of)
    if of is None:
        raise Forbidden("Unable to create a limit that has no corresponding registered limit.")
    return tx.insert(
        limits, id=ids.new_hex(), registered_limit_id=of.id, project_id=wanted.project_id, domain_id=wanted.domain_id,
        resource_limit=wanted.resource_limit, description=description,
    )  # fmt: skip


def _visible(request: Request) -> list[sa.ColumnElement[bool]]:
    context = request.context
    if context.system or context.roles & {"admin", "service"}:
        return []
    if context.domain_id is not None:
        inside = sa.select(projects.c.id).where(projects.c.domain_id == context.domain_id)
        return [sa.or_(limits.c.domain_id == context.domain_id, limits.c.project_id.in_(inside))]
    return [limits.c.project_id == context.project_id if context.project_id else sa.false()]


def _views(tx: Tx, request: Request, rows: list[Row]) -> list[dict]:
    of = names_of(tx, {row.registered_limit_id for row in rows}, registered_limits)
    columns = ("project_id", "domain_id", "resource_limit", "description")
    return [
        shown(request, "limits", row, *columns, **{name: getattr(of[row.registered_limit_id], name) for name in FILTERS}) for row in rows
    ]
