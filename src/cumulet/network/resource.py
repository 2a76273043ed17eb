"""What every resource of the network API has alike: its standard attributes, ownership, filters, paging, revisions."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, NotFound, Page, PreconditionFailed, Request, View, paged
from .tables import rbac_policies, tags

INT_MAX = 2**31 - 1
PAGING = {"limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"}
TAGGING = {"tags", "tags-any", "not-tags", "not-tags-any"}

Clause = sa.ColumnElement[bool]
Filter = t.Callable[[list[str]], Clause]


class StandardView(View, kw_only=True):
    """The attributes that every view begins with."""

    id: str
    name: str
    tenant_id: str
    project_id: str
    description: str
    revision_number: int
    created_at: str
    updated_at: str
    tags: list[str]


def standard_view(row: Row, tags: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """Those attributes of a row, for its view's constructor."""
    return {
        "id": row.id, "name": row.name, "tenant_id": row.project_id, "project_id": row.project_id,
        "description": row.description, "revision_number": row.revision_number, "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at or row.created_at), "tags": list(tags),
    }  # fmt: skip


def target(row: Row, network: Row | None = None) -> dict[str, t.Any]:
    """A row as policy sees it. network: that of a port or subnet, for rules about its owner."""
    found = {**row._mapping, "tenant_id": row.project_id}
    if "external" in found:
        found["router:external"] = found["external"]
    if network is not None:
        found["network:project_id"] = found["network:tenant_id"] = network.project_id
    return found


def own(context: Context, table: sa.Table) -> Clause:
    """Which rows are the caller's: their project's, or all for an administrator."""
    return sa.true() if context.is_admin else table.c.project_id == context.project_id


def find(tx: Tx, table: sa.Table, id: str, noun: str, visible: Clause) -> Row:
    """The row, if it is there and `visible`. Raises NotFound: `Network <id> could not be found.`, of kind
    `NetworkNotFound` for noun `Network`; of `SecurityGroupNotFound` for `Security group`."""
    row = tx.first(sa.select(table).where(table.c.id == id, visible)) if ids.is_uuid(id) else None
    if row is None:
        kind = "".join(word[:1].upper() + word[1:] for word in noun.split())
        raise NotFound(f"{noun} {id} could not be found.", kind=f"{kind}NotFound")
    return row


def owner(request: Request, given: dict[str, t.Any]) -> str:
    """Whose a new resource is: the project named in `given`, whose `project_id` and `tenant_id` are taken out, or
    the caller's. Raises BadRequest for somebody else's without being an administrator."""
    asked = {one for one in (given.pop("project_id", None), given.pop("tenant_id", None)) if one}
    mine = request.context.project_id
    if len(asked) > 1:
        raise BadRequest("'project_id' and 'tenant_id' do not match", kind="HTTPBadRequest")
    project = asked.pop() if asked else mine
    if not project:
        raise BadRequest("The token is of no project, and the request names none in project_id.", kind="HTTPBadRequest")
    if project != mine and not request.context.is_admin:
        raise BadRequest("Specifying 'project_id' or 'tenant_id' other than the authenticated project in request "
                         "requires admin privileges", kind="HTTPBadRequest")  # fmt: skip
    return project


def attribute_rules(request: Request, rule: str, given: t.Mapping[str, t.Any], columns: t.Mapping[str, str], of: dict,
                    defaults: t.Mapping[str, t.Any] | None = None) -> None:  # fmt: skip
    """Raise Forbidden where `given` (column -> value) has an attribute whose own rule, `create_network:shared`, is
    against it. columns: attribute -> column where they differ. What is given as by default asks for nothing."""
    names = {column: wire for wire, column in columns.items()}
    for name, value in given.items():
        finer = f"{rule}:{names.get(name, name)}"
        if finer in request.api.rules and not (defaults and name in defaults and defaults[name] == value):
            request.enforce(finer, of)


def change(tx: Tx, request: Request, table: sa.Table, row: Row, **values: t.Any) -> Row:
    """Write a resource's new values under the next revision, and return it whole. Raises PreconditionFailed."""
    check_revision(request, row)
    return revise(tx, table, row, **values)


def revise(tx: Tx, table: sa.Table, row: Row, **values: t.Any) -> Row:
    """`change` by the cloud itself, which no client's condition binds."""
    tx.update(table, row.id, revision_number=row.revision_number + 1, **values)
    return tx.one(table, id=row.id)


def check_revision(request: Request, row: Row) -> None:
    """Raises PreconditionFailed unless the row is at the revision that `If-Match` names, if it names one."""
    condition = request.headers.get("if-match", "")
    name, _, number = condition.partition("=")
    if not condition:
        return
    if name.strip() != "revision_number" or not number.strip().isdecimal() or len(number.strip()) > 18:
        raise BadRequest(f"If-Match must be revision_number=N, not {condition}.")
    if int(number) != row.revision_number:
        raise PreconditionFailed(
            f"Constrained to {number.strip()}, but current revision is {row.revision_number}",
            kind="RevisionNumberConstraintFailed",
        )


def listed(tx: Tx, request: Request, table: sa.Table, name: str, view: t.Callable[[list[Row]], list], *,
           visible: Clause, columns: dict[str, str] | None = None,
           special: dict[str, Filter] | None = None) -> Page:  # fmt: skip
    """A page of the `visible` rows that the query's filters leave, newest attributes and all.

    name: the list's key on the wire (`networks`), which its links carry too.
    view: makes the views of a page's rows.
    columns: attribute -> column, where their names differ; `special`: attribute -> clause of its values.
    Raises BadRequest for a filter or sort key that is none.
    """
    known = {c.name: c.name for c in table.c if not isinstance(c.type, sa.JSON)} | {"tenant_id": "project_id"} | (columns or {})
    special = {"changed_since": lambda values: _changed_since(table, values), **(special or {})}
    statement = sa.select(table).where(visible, *_filters(table, request.query, known, special))
    query: dict[str, list[str]] = {}
    for key, value in request.query:
        query.setdefault(key, []).append(value)
    back = query.get("page_reverse", [""])[-1].lower() in ("true", "1")
    limit, marker = _limit(query), query.get("marker", [None])[-1]
    rows, more = paged(tx, statement, table, order=_order(query, known, back), limit=limit, marker=marker,
                       most=request.runtime.config.page_limit, reverse=back)  # fmt: skip
    links = _links(request, rows, marker, back, more is not None)
    return Page(view(rows), None, {f"{name}_links": links} if links else None)


def _filters(table: sa.Table, pairs: list[tuple[str, str]], known: dict[str, str], special: dict[str, Filter]) -> t.Iterator[Clause]:
    asked: dict[str, list[str]] = {}
    for key, value in pairs:
        if key not in PAGING:
            asked.setdefault(key, []).append(value)
    if unknown := sorted(set(asked) - set(known) - set(special) - TAGGING):
        raise BadRequest(f"Invalid input for operation: {unknown} is invalid attribute for filtering.", kind="InvalidInput")
    for key, values in asked.items():
        if key in special:
            yield special[key](values)
        elif key in TAGGING:
            yield _tagged(table, key, values)
        else:
            column = table.c[known[key]]
            yield column.in_([typed(column, key, value) for value in values])


def typed(column: sa.Column, name: str, value: str) -> t.Any:
    """A query's text as a column's type. Raises BadRequest."""
    try:
        if isinstance(column.type, sa.Boolean):
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        if isinstance(column.type, sa.Integer):
            return max(-INT_MAX, min(INT_MAX, int(value)))
        if isinstance(column.type, sa.DateTime):
            return clock.parse(value)
    except (KeyError, ValueError):
        raise BadRequest(f"Invalid input for {name}. Reason: '{value}' is no {column.type!r}.", kind="InvalidInput") from None
    return value


def _changed_since(table: sa.Table, values: list[str]) -> Clause:
    moment = typed(table.c.created_at, "changed_since", values[-1])
    return sa.or_(table.c.created_at >= moment, table.c.updated_at >= moment)


def _limit(query: dict[str, list[str]]) -> int | None:
    text = query.get("limit", [None])[-1]
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise BadRequest(f"Invalid input for limit. Reason: '{text[:40]}' is no number of zero or more.")
    return int(text) or None


def _order(query: dict[str, list[str]], known: dict[str, str], back: bool) -> list[tuple[str, str]]:
    keys, directions = query.get("sort_key", []), query.get("sort_dir", [])
    if directions and len(keys) != len(directions):
        raise BadRequest("The number of sort_keys and sort_dirs must be same")
    if wrong := [key for key in keys if key not in known]:
        raise BadRequest(f"[{', '.join(map(repr, wrong))}] is invalid attribute for sort_keys")
    if wrong := [d for d in directions if d not in ("asc", "desc")]:
        raise BadRequest(f"{wrong[0]} is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    order = list(zip((known[key] for key in keys), directions or ["asc"] * len(keys), strict=True)) or [("id", "asc")]
    return [(key, "asc" if direction == "desc" else "desc") for key, direction in order] if back else order


def _links(request: Request, rows: list[Row], marker: str | None, back: bool, more: bool) -> list[dict]:
    """The next page's address where there is one, and that of the page before where this is not the first."""
    links = []
    if rows and (more or (back and marker)):
        links.append({"rel": "next", "href": _link(request, rows[-1].id, False)})
    if rows and (marker if not back else more):
        links.append({"rel": "previous", "href": _link(request, rows[0].id, True)})
    return links


def _link(request: Request, marker: str, back: bool) -> str:
    address, _, query = request.link_to_page(marker).partition("?")
    kept = [part for part in query.split("&") if not part.startswith("page_reverse=")]
    return f"{address}?{'&'.join([*kept, 'page_reverse=True'] if back else kept)}"


# -- tags ----------------------------------------------------------------------------------------------------------


def tags_of(tx: Tx, rows: t.Sequence[Row]) -> dict[str, list[str]]:
    """The tags of these resources, by their ids."""
    found: dict[str, list[str]] = {row.id: [] for row in rows}
    wanted = sa.select(tags).where(tags.c.resource_id.in_(list(found))).order_by(tags.c.tag)
    for row in tx.all(wanted) if found else ():
        found[row.resource_id].append(row.tag)
    return found


def remove(tx: Tx, table: sa.Table, id: str) -> None:
    """Delete a resource with its tags, and with what shares it."""
    tx.delete(tags, resource_id=id)
    tx.delete(rbac_policies, object_id=id)
    tx.delete(table, id=id)


def _tagged(table: sa.Table, key: str, values: list[str]) -> Clause:
    wanted = {tag for value in values for tag in value.split(",")}
    having = sa.select(tags.c.resource_id).where(tags.c.tag.in_(wanted))
    if not key.endswith("-any"):
        having = having.group_by(tags.c.resource_id).having(sa.func.count() == len(wanted))
    return table.c.id.not_in(having) if key.startswith("not-") else table.c.id.in_(having)
