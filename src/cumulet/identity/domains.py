"""Domains: the roots under which projects, users, groups and roles have their names."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.errors import Conflict, Forbidden
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, SCOPES, api, epoch
from .attributes import Id, ShortName, Text, given, refuse_immutable, something, taken
from .entities import once, shown
from .listing import listed
from .project_tags import Tags
from .tree import change, find_domain, projects, set_tags, tags_of

# -- wire ----------------------------------------------------------------------------------------------------------


class DomainCreate(OpenBody):
    name: ShortName
    description: Text | None = None
    enabled: bool = True
    tags: Tags = msgspec.field(default_factory=list)
    options: dict[str, bool | None] = msgspec.field(default_factory=dict)
    explicit_domain_id: Id | None = None


class DomainUpdate(OpenBody):
    name: ShortName | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: dict[str, bool | None] | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

READ = "rule:admin_required or (role:reader and system_scope:all) or "
GET = api.rule(
    "identity:get_domain",
    READ + "token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s",
    "Show a domain.",
    scopes=SCOPES,
)
LIST = api.rule("identity:list_domains", READ + "(role:reader and domain_id:%(target.domain.id)s)", "List domains.", scopes=SCOPES)
CREATE = api.rule("identity:create_domain", ADMIN, "Create a domain.")
UPDATE = api.rule("identity:update_domain", ADMIN, "Update a domain.")
DELETE = api.rule("identity:delete_domain", ADMIN, "Delete a domain.")

# -- operations ----------------------------------------------------------------------------------------------------


def _there(tx: Tx, request: Request, domain_id: str) -> dict:
    return {"target.domain.id": find_domain(tx, domain_id).id}


@api.op("POST", "/domains", policy=CREATE, wrap="domain", status=201, errors=(409,))
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a domain."""
    fields, extra = taken(body, DomainCreate, "domain")
    once(tx, projects, fields.name, None)
    if fields.explicit_domain_id and tx.get(projects, id=fields.explicit_domain_id):
        raise Conflict(f"Conflict occurred attempting to store domain - Duplicate ID, {fields.explicit_domain_id}.")
    row = tx.insert(
        projects, id=fields.explicit_domain_id or ids.new_hex(), name=fields.name, domain_id=None, parent_id=None,
        description=fields.description or "", enabled=fields.enabled, is_domain=True, options=fields.options, extra=extra,
    )  # fmt: skip
    set_tags(tx, row.id, fields.tags)
    return view(request, row, fields.tags)


@api.op("GET", "/domains", policy=LIST, target=lambda tx, request: {"target.domain.id": request.context.domain_id},
        reply="domains")  # fmt: skip
def index(tx: Tx, request: Request) -> Page:
    """List domains; with a token for a domain, that domain alone."""
    own: dict[str, t.Any] = {"id": request.context.domain_id} if request.context.domain_id else {}
    page = listed(tx, request, projects, lambda row: row, ("name", "enabled"), domain_id=None, is_domain=True, **own)
    tags = tags_of(tx, [row.id for row in page.items])
    return page._replace(items=[view(request, row, tags[row.id]) for row in page.items])


@api.op("GET", "/domains/{domain_id}", policy=GET, target=lambda tx, request, domain_id: {"target.domain.id": domain_id},
        reply="domain", errors=(404,))  # fmt: skip
def show(tx: Tx, request: Request, domain_id: str) -> dict:
    """Show a domain."""
    row = find_domain(tx, domain_id)
    return view(request, row, tags_of(tx, [row.id])[row.id])


@api.op("PATCH", "/domains/{domain_id}", policy=UPDATE, target=_there, wrap="domain", errors=(404, 409))
def update(tx: Tx, request: Request, domain_id: str, body: dict[str, t.Any]) -> dict:
    """Change a domain. Disabling it disables the tokens of its users and for its projects."""
    row = find_domain(tx, domain_id)
    something(body, "domain")
    fields, extra = taken(body, DomainUpdate, "domain")
    refuse_immutable(row.options, fields.options, domain_id, "domain")
    change(tx, row, given(fields, "tags"), extra, fields.tags)
    return show(tx, request, domain_id)


@api.op("DELETE", "/domains/{domain_id}", policy=DELETE, target=_there, status=204, errors=(404,))
def delete(tx: Tx, request: Request, domain_id: str) -> None:
    """Delete a disabled domain with its projects, users, groups and roles, and whatever is theirs."""
    row = find_domain(tx, domain_id)
    refuse_immutable(row.options, None, domain_id, "domain", "delete")
    if row.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    tx.delete(projects, id=row.id)
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def view(request: Request, row: Row, tags: list[str]) -> dict:
    return shown(request, "domains", row, "name", "description", "enabled", "options", tags=tags)
