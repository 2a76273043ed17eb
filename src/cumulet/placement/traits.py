"""Traits: qualities that a provider has or has not. Every cloud knows the standard ones; others begin with `CUSTOM_`."""

from __future__ import annotations

import re
import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Conflict, NotFound
from ..kernel.http import Body, Reply, Request
from . import ADMIN_OR_SERVICE, api
from .standard import TRAITS
from .tables import custom_traits, providers
from .wire import ClassName, Generation, check_generation, dated, find, only_known, unknown_traits, values

# -- wire ----------------------------------------------------------------------------------------------------------


class TraitsSet(Body):
    resource_provider_generation: Generation
    traits: list[ClassName]


# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("placement:traits:list", ADMIN_OR_SERVICE, "List traits.")
SHOW = api.rule("placement:traits:show", ADMIN_OR_SERVICE, "Show whether there is a trait.")
UPDATE = api.rule("placement:traits:update", ADMIN_OR_SERVICE, "Create a trait.")
DELETE = api.rule("placement:traits:delete", ADMIN_OR_SERVICE, "Delete a trait.")
OF_LIST = api.rule("placement:resource_providers:traits:list", ADMIN_OR_SERVICE, "List a provider's traits.")
OF_UPDATE = api.rule("placement:resource_providers:traits:update", ADMIN_OR_SERVICE, "Set a provider's traits.")
OF_DELETE = api.rule("placement:resource_providers:traits:delete", ADMIN_OR_SERVICE, "Remove a provider's traits.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/traits", policy=LIST, first="1.6", errors=(400,))
def index(tx: Tx, request: Request) -> Reply:
    """List traits."""
    only_known(request, ("name", "associated"))
    rows = tx.rows(custom_traits)
    keep = _name_filter(values(request, "name"))
    names = {name for name in TRAITS | {row.name for row in rows} if keep(name)}
    if asked := values(request, "associated"):
        if asked[-1].lower() not in ("true", "false"):
            raise BadRequest('The query parameter "associated" only accepts "true" or "false"')
        used = _used(tx)
        names = names & used if asked[-1].lower() == "true" else names - used
    return dated(request, {"traits": sorted(names)}, rows)


@api.op("GET", "/traits/{name}", policy=SHOW, first="1.6", status=204, errors=(404,))
def show(tx: Tx, request: Request, name: str) -> Reply:
    """Show whether there is a trait."""
    _check_known(tx, name)
    return dated(request)


@api.op("PUT", "/traits/{name}", policy=UPDATE, first="1.6", status=204, errors=(201, 400))
def ensure(tx: Tx, request: Request, name: str) -> Reply:
    """Create a custom trait unless it is there."""
    if len(name) > 255 or not re.fullmatch("CUSTOM_[A-Z0-9_]+", name):
        raise BadRequest(
            'The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "CUSTOM_" '
            'and use following characters: "A"-"Z", "0"-"9" and "_"'
        )
    new = bool(unknown_traits(tx, [name]))
    if new:
        tx.insert(custom_traits, name=name)
    return dated(request, status=201 if new else 204, headers={"Location": f"{api.prefix}/traits/{name}"})


@api.op("DELETE", "/traits/{name}", policy=DELETE, first="1.6", status=204, errors=(400, 404, 409))
def delete(tx: Tx, request: Request, name: str) -> None:
    """Delete a custom trait that no provider has."""
    _check_known(tx, name)
    if name in TRAITS:
        raise BadRequest(f"Cannot delete standard trait {name}.")
    if name in _used(tx):
        raise Conflict(f"The trait {name} is in use by a resource provider.")
    tx.delete(custom_traits, name=name)


@api.op("GET", "/resource_providers/{uuid}/traits", policy=OF_LIST, first="1.6", errors=(404,))
def list_of(tx: Tx, request: Request, uuid: str) -> Reply:
    """List a provider's traits."""
    return _listed(request, find(tx, uuid))


@api.op("PUT", "/resource_providers/{uuid}/traits", policy=OF_UPDATE, first="1.6", errors=(400, 404, 409))
def set_of(tx: Tx, request: Request, uuid: str, body: TraitsSet) -> Reply:
    """Set a provider's traits."""
    row = find(tx, uuid)
    check_generation(row, body.resource_provider_generation)
    if unknown := unknown_traits(tx, body.traits):
        raise BadRequest(f"No such trait {', '.join(unknown)}")
    return _listed(request, _set(tx, row, frozenset(body.traits)))


@api.op("DELETE", "/resource_providers/{uuid}/traits", policy=OF_DELETE, first="1.6", status=204, errors=(404, 409))
def delete_of(tx: Tx, request: Request, uuid: str) -> None:
    """Remove all of a provider's traits."""
    _set(tx, find(tx, uuid), frozenset())


# -- helpers -------------------------------------------------------------------------------------------------------


def _name_filter(asked: list[str]) -> t.Callable[[str], bool]:
    """`in:A,B` or `startswith:PREFIX`."""
    if not asked:
        return lambda name: True
    kind, colon, rest = asked[-1].partition(":")
    if not colon or kind not in ("in", "startswith"):
        raise BadRequest(
            "Badly formatted name parameter. Expected name query string parameter in form: "
            f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{asked[-1]}"'
        )
    if kind == "startswith":
        return lambda name: name.startswith(rest)
    return frozenset(rest.split(",")).__contains__


def _used(tx: Tx) -> frozenset[str]:
    return frozenset().union(*tx.execute(sa.select(providers.c.traits).distinct()).scalars())


def _check_known(tx: Tx, name: str) -> None:
    if unknown_traits(tx, [name]):
        raise NotFound(f"No such trait(s): {name}.")


def _set(tx: Tx, row: Row, traits: frozenset[str]) -> Row:
    if traits == row.traits:
        return row
    tx.update(providers, row.id, traits=traits, generation=row.generation + 1)
    return find(tx, row.id)


def _listed(request: Request, row: Row) -> Reply:
    return dated(request, {"traits": sorted(row.traits), "resource_provider_generation": row.generation}, [row])
