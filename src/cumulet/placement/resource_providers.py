"""Resource providers: what has inventories. They form trees, and each carries a generation that every change moves on."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Conflict
from ..kernel.http import UNSET, Body, Reply, Request, UnsetType, since
from . import ADMIN_OR_SERVICE, api
from .claims import forget_provider, with_use
from .model import Provider
from .tables import providers
from .wire import LooseUuid, dated, find, in_tree, member_of, only_known, plain, resources, traits, unknown_classes, unknown_traits, values

# -- wire ----------------------------------------------------------------------------------------------------------

Name = t.Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class ProviderCreate(Body):
    name: Name
    uuid: LooseUuid | UnsetType = UNSET
    parent_provider_uuid: t.Annotated[LooseUuid | None, since("1.14")] = None


class ProviderUpdate(Body):
    name: Name
    parent_provider_uuid: t.Annotated[LooseUuid | None | UnsetType, since("1.14")] = UNSET


FILTERS = {"name": (1, 0), "uuid": (1, 0), "member_of": (1, 3), "resources": (1, 4), "in_tree": (1, 14), "required": (1, 18)}
"""Query parameter -> the microversion that brought it."""
LINKS = {"inventories": (1, 0), "usages": (1, 0), "aggregates": (1, 1), "traits": (1, 6), "allocations": (1, 11)}

# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("placement:resource_providers:list", ADMIN_OR_SERVICE, "List resource providers.")
CREATE = api.rule("placement:resource_providers:create", ADMIN_OR_SERVICE, "Create a resource provider.")
SHOW = api.rule("placement:resource_providers:show", ADMIN_OR_SERVICE, "Show a resource provider.")
UPDATE = api.rule("placement:resource_providers:update", ADMIN_OR_SERVICE, "Rename or move a resource provider.")
DELETE = api.rule("placement:resource_providers:delete", ADMIN_OR_SERVICE, "Delete a resource provider.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/resource_providers", policy=LIST, errors=(400,))
def index(tx: Tx, request: Request) -> Reply:
    """List resource providers: those that pass every filter by themselves."""
    only_known(request, [name for name, first in FILTERS.items() if request.version >= first])
    rows = tx.all(_wanted(tx, request).order_by(providers.c.created_at, providers.c.id))
    passes = _filter(tx, request)
    kept = {provider.id for provider in with_use(tx, rows, everything=True) if passes(provider)}
    rows = [row for row in rows if row.id in kept]
    return dated(request, {"resource_providers": [_view(request, row) for row in rows]}, rows)


@api.op("POST", "/resource_providers", policy=CREATE, status={"0.0": 201, "1.20": 200}, errors=(400, 409))
def create(tx: Tx, request: Request, body: ProviderCreate) -> Reply:
    """Create a resource provider."""
    id = plain(body.uuid) if body.uuid else ids.new()
    if tx.get(providers, id=id):
        raise Conflict(f"Conflicting resource provider uuid: {id} already exists.", kind="placement.duplicate_name")
    what = f'Unable to create resource provider "{body.name}", {id}: Object action create failed because:'
    parent = _parent(tx, id, body.parent_provider_uuid, what)
    root = parent.root_id if parent else id
    row = tx.insert(providers, id=id, name=body.name, generation=0, parent_id=parent and parent.id, root_id=root,
                    inventories={}, traits=(), aggregates=())  # fmt: skip
    shown = _view(request, row) if request.version >= (1, 20) else None
    return dated(request, shown, [row], headers={"Location": _url(row)}, since=(1, 20))


@api.op("GET", "/resource_providers/{uuid}", policy=SHOW, errors=(404,))
def show(tx: Tx, request: Request, uuid: str) -> Reply:
    """Show a resource provider."""
    row = find(tx, uuid)
    return dated(request, _view(request, row), [row])


@api.op("PUT", "/resource_providers/{uuid}", policy=UPDATE, errors=(400, 404, 409))
def update(tx: Tx, request: Request, uuid: str, body: ProviderUpdate) -> Reply:
    """Rename a resource provider, or put it (with all below it) under another one."""
    row = find(tx, uuid)
    values: dict[str, t.Any] = {"name": body.name}
    if body.parent_provider_uuid is not UNSET:
        values |= _moved(tx, request, row, body.parent_provider_uuid)
    tx.update(providers, row.id, **values)
    row = find(tx, uuid)
    return dated(request, _view(request, row), [row])


@api.op("DELETE", "/resource_providers/{uuid}", policy=DELETE, status=204, errors=(404, 409))
def delete(tx: Tx, request: Request, uuid: str) -> None:
    """Delete a resource provider that nothing is allocated from and none is below."""
    row = find(tx, uuid)
    if tx.rows(providers, parent_id=row.id):
        raise Conflict(f"Unable to delete parent resource provider {row.id}: It has child resource providers.",
                       kind="placement.resource_provider.cannot_delete_parent")  # fmt: skip
    forget_provider(tx, row.id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _wanted(tx: Tx, request: Request) -> sa.Select:
    """What the filters that a database can apply leave."""
    statement = sa.select(providers)
    if asked := values(request, "name"):
        statement = statement.where(providers.c.name == asked[-1])
    if asked := values(request, "uuid"):
        if not ids.is_uuid(asked[-1]):
            raise BadRequest(f"Invalid query string parameters: uuid: {asked[-1]!r} is not a 'uuid'")
        statement = statement.where(providers.c.id == plain(asked[-1]))
    if tree := in_tree(request, "in_tree"):
        statement = statement.where(providers.c.root_id.in_(sa.select(providers.c.root_id).where(providers.c.id == tree)))
    return statement


def _filter(tx: Tx, request: Request) -> t.Callable[[Provider], bool]:
    wanted = resources(asked[-1]) if (asked := values(request, "resources")) else {}
    if unknown := unknown_classes(tx, wanted):
        raise BadRequest(f"Invalid resource class in resources parameter: No such resource class {', '.join(unknown)}.")
    required, forbidden = traits(request, "required")
    if unknown := unknown_traits(tx, frozenset().union(forbidden, *required)):
        raise BadRequest(f'Invalid trait(s) in "required" parameter: No such trait(s): {", ".join(unknown)}.')
    groups, outside = member_of(request, "member_of")

    def passes(provider: Provider) -> bool:
        return (
            all(provider.traits & any_of for any_of in required) and not provider.traits & forbidden
            and all(provider.aggregates & any_of for any_of in groups) and not provider.aggregates & outside
            and provider.fits(wanted)
        )  # fmt: skip

    return passes


def _parent(tx: Tx, id: str, parent: str | None, what: str) -> Row | None:
    if parent is None:
        return None
    if plain(parent) == id:
        raise BadRequest(
            f"{what} parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent."
        )
    row = tx.get(providers, id=plain(parent))
    if row is None:
        raise BadRequest(f"{what} parent provider UUID does not exist.")
    return row


def _moved(tx: Tx, request: Request, row: Row, wanted: str | None) -> dict[str, t.Any]:
    """The columns that a new parent changes, after the roots of all below were."""
    what = f"Unable to save resource provider {row.id}: Object action update failed because:"
    parent = _parent(tx, row.id, wanted, what)
    if (parent and parent.id) == row.parent_id:
        return {}
    if request.version < (1, 37) and row.parent_id is not None:
        raise BadRequest(f"{what} {'re-parenting' if parent else 'un-parenting'} a provider is not currently allowed.")
    below = _below(tx, row)
    if parent and parent.id in below:
        raise BadRequest(f"{what} creating loop in the provider tree is not allowed.")
    root = parent.root_id if parent else row.id
    tx.execute(sa.update(providers).where(providers.c.id.in_(below)).values(root_id=root))
    return {"parent_id": parent and parent.id, "root_id": root}


def _below(tx: Tx, row: Row) -> set[str]:
    """A provider and all that are below it."""
    family = tx.rows(providers, root_id=row.root_id)
    found, grown = {row.id}, True
    while grown:
        more = {one.id for one in family if one.parent_id in found} - found
        found, grown = found | more, bool(more)
    return found


def _view(request: Request, row: Row) -> dict:
    links = [{"rel": "self", "href": _url(row)}]
    links += [{"rel": rel, "href": f"{_url(row)}/{rel}"} for rel, first in LINKS.items() if request.version >= first]
    shown = {"uuid": row.id, "name": row.name, "generation": row.generation, "links": links}
    if request.version >= (1, 14):
        shown |= {"parent_provider_uuid": row.parent_id, "root_provider_uuid": row.root_id}
    return shown


def _url(row: Row) -> str:
    return f"{api.prefix}/resource_providers/{row.id}"
