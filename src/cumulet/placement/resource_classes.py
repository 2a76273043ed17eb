"""Resource classes: what kinds of things are counted. Every cloud has the standard ones; others begin with `CUSTOM_`."""

from __future__ import annotations

import re

import sqlalchemy as sa

from ..kernel.db import Tx
from ..kernel.errors import BadRequest, Conflict, NotFound
from ..kernel.http import Body, Reply, Request
from . import ADMIN_OR_SERVICE, api
from .standard import CLASSES
from .tables import custom_classes, providers
from .wire import CustomName, dated, unknown_classes

# -- wire ----------------------------------------------------------------------------------------------------------


class ClassNamed(Body):
    name: CustomName


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("placement:resource_classes:list", ADMIN_OR_SERVICE, "List resource classes.")
CREATE = api.rule("placement:resource_classes:create", ADMIN_OR_SERVICE, "Create a resource class.")
SHOW = api.rule("placement:resource_classes:show", ADMIN_OR_SERVICE, "Show a resource class.")
UPDATE = api.rule("placement:resource_classes:update", ADMIN_OR_SERVICE, "Rename or ensure a resource class.")
DELETE = api.rule("placement:resource_classes:delete", ADMIN_OR_SERVICE, "Delete a resource class.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/resource_classes", policy=LIST, first="1.2")
def index(tx: Tx, request: Request) -> Reply:
    """List resource classes."""
    rows = tx.rows(custom_classes, order=custom_classes.c.created_at)
    names = [*CLASSES, *(row.name for row in rows)]
    return dated(request, {"resource_classes": [_view(name) for name in names]}, rows)


@api.op("POST", "/resource_classes", policy=CREATE, first="1.2", status=201, errors=(400, 409))
def create(tx: Tx, request: Request, body: ClassNamed) -> Reply:
    """Create a custom resource class."""
    tx.insert(custom_classes, name=body.name)
    return Reply(headers={"Location": _url(body.name)})


@api.op("GET", "/resource_classes/{name}", policy=SHOW, first="1.2", errors=(404,))
def show(tx: Tx, request: Request, name: str) -> Reply:
    """Show a resource class."""
    _check_known(tx, name)
    return dated(request, _view(name))


@api.op("PUT", "/resource_classes/{name}", policy=UPDATE, first="1.2", last="1.6", errors=(400, 404, 409))
def rename(tx: Tx, request: Request, name: str, body: ClassNamed) -> dict:
    """Rename a custom resource class that nothing uses."""
    _check_known(tx, name)
    if name in CLASSES:
        raise BadRequest(f"Cannot update standard resource class {name}")
    _refuse_used(tx, name)
    tx.update(custom_classes, {"name": name}, name=body.name)
    return _view(body.name)


@api.op("PUT", "/resource_classes/{name}", policy=UPDATE, first="1.7", status=204, errors=(201, 400))
def ensure(tx: Tx, request: Request, name: str) -> Reply:
    """Create a custom resource class unless it is there."""
    if len(name) > 255 or not re.fullmatch("CUSTOM_[A-Z0-9_]+", name):
        raise BadRequest(f"JSON does not validate: {name[:255]!r} does not match '^CUSTOM_[A-Z0-9_]+$', or is over 255 characters long")
    new = bool(unknown_classes(tx, [name]))
    if new:
        tx.insert(custom_classes, name=name)
    return Reply(status=201 if new else 204, headers={"Location": _url(name)})


@api.op("DELETE", "/resource_classes/{name}", policy=DELETE, first="1.2", status=204, errors=(400, 404, 409))
def delete(tx: Tx, request: Request, name: str) -> None:
    """Delete a custom resource class that no provider has an inventory of."""
    _check_known(tx, name)
    if name in CLASSES:
        raise BadRequest(f"Error in delete resource class: Cannot delete standard resource class {name}.")
    _refuse_used(tx, name)
    tx.delete(custom_classes, name=name)


# -- helpers -------------------------------------------------------------------------------------------------------


def _check_known(tx: Tx, name: str) -> None:
    if unknown_classes(tx, [name]):
        raise NotFound(f"No such resource class {name}.")


def _refuse_used(tx: Tx, name: str) -> None:
    inventories = sa.cast(providers.c.inventories, sa.Text)
    for row in tx.all(sa.select(providers).where(sa.type_coerce(inventories, sa.Text).contains(f'"{name}"', autoescape=True))):
        if name in row.inventories:
            raise Conflict(f"Error in delete resource class: Cannot delete or rename {name}: provider {row.id} has an inventory of it.")


def _view(name: str) -> dict:
    return {"name": name, "links": [{"rel": "self", "href": _url(name)}]}


def _url(name: str) -> str:
    return f"{api.prefix}/resource_classes/{name}"
