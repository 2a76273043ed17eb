"""Flavor access: which projects may use a flavor that is not public."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.db import Row, Tx
from ..kernel.http import Body, Conflict, NotFound, Request
from . import ADMIN, api
from .flavors import find_flavor, flavor_access

# -- wire ----------------------------------------------------------------------------------------------------------


class Tenant(Body):
    tenant: t.Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9-]*$")]


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("os_compute_api:os-flavor-access", ADMIN, "List the projects that may use a flavor.")
ADD = api.rule("os_compute_api:os-flavor-access:add_tenant_access", ADMIN, "Let a project use a flavor.")
REMOVE = api.rule("os_compute_api:os-flavor-access:remove_tenant_access", ADMIN, "No longer let a project use a flavor.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/flavors/{id}/os-flavor-access", policy=LIST, reply="flavor_access", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> list[dict]:
    """List the projects that may use a flavor."""
    row = find_flavor(tx, request, id)
    if row.is_public:
        raise NotFound("Access list not available for public flavors.")
    return _listed(tx, row)


@api.op("POST", "/flavors/{id}/action", action="addTenantAccess", policy=ADD, reply="flavor_access", errors=(400, 404, 409))
def add(tx: Tx, request: Request, id: str, body: Tenant) -> list[dict]:
    """Let a project use a flavor."""
    row = find_flavor(tx, request, id)
    if row.is_public and request.version >= (2, 7):
        raise Conflict("Can not add access to a public flavor.")
    if tx.get(flavor_access, flavor_id=row.id, project_id=body.tenant):
        raise Conflict(f"Flavor access already exists for flavor {id} and project {body.tenant} combination.")
    tx.insert(flavor_access, flavor_id=row.id, project_id=body.tenant)
    return _listed(tx, row)


@api.op("POST", "/flavors/{id}/action", action="removeTenantAccess", policy=REMOVE, reply="flavor_access", errors=(400, 404))
def remove(tx: Tx, request: Request, id: str, body: Tenant) -> list[dict]:
    """No longer let a project use a flavor."""
    row = find_flavor(tx, request, id)
    if not tx.delete(flavor_access, flavor_id=row.id, project_id=body.tenant):
        raise NotFound(f"Flavor access not found for {id} / {body.tenant} combination.")
    return _listed(tx, row)


# -- helpers -------------------------------------------------------------------------------------------------------


def _listed(tx: Tx, row: Row) -> list[dict]:
    rows = tx.rows(flavor_access, order=flavor_access.c.project_id, flavor_id=row.id)
    return [{"flavor_id": row.flavorid, "tenant_id": one.project_id} for one in rows]
