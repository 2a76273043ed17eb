"""Showing and listing servers, and the small changes of their names and descriptions."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ... import network
from ...kernel.db import Tx
from ...kernel.http import UNSET, BadRequest, Body, Page, Query, Request, UnsetType, paged, since
from .. import PROJECT_MEMBER, PROJECT_READER, api
from ..wire import Name, changed_between
from ..workflows import delete as workflow
from ..workflows.tell import TellServer
from . import states
from .create import Hostname, Text, access_addresses, check_hostname
from .find import ANY_TASK, find, permit, record, target
from .tables import servers
from .views import Brief, Server, Summary, changed, summary, views, wire

# -- wire ----------------------------------------------------------------------------------------------------------


class ServerQuery(Query):
    name: str | None = None
    status: list[str] = []
    vm_state: list[str] = []
    image: str | None = None
    flavor: str | None = None
    host: str | None = None
    node: str | None = None
    ip: str | None = None
    ip6: str | None = None
    uuid: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    tenant_id: str | None = None
    all_tenants: str | None = None
    availability_zone: str | None = None
    reservation_id: str | None = None
    key_name: str | None = None
    config_drive: str | None = None
    locked: str | None = None
    deleted: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    description: str | None = None
    hostname: str | None = None
    power_state: int | None = None
    task_state: str | None = None
    changes_since: str | None = wire("changes-since", None)
    changes_before: str | None = wire("changes-before", None)
    tags: str | None = None
    tags_any: str | None = wire("tags-any", None)
    not_tags: str | None = wire("not-tags", None)
    not_tags_any: str | None = wire("not-tags-any", None)
    sort_key: list[str] = []
    sort_dir: list[str] = []
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None


class ServerUpdate(Body):
    name: Name | UnsetType = UNSET
    access_ipv4: str | None | UnsetType = wire("accessIPv4", UNSET)
    access_ipv6: str | None | UnsetType = wire("accessIPv6", UNSET)
    disk_config: t.Literal["AUTO", "MANUAL"] | UnsetType = wire("OS-DCF:diskConfig", UNSET)
    description: t.Annotated[Text | None | UnsetType, since("2.19")] = UNSET
    hostname: t.Annotated[Hostname | UnsetType, since("2.90")] = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

INDEX = api.rule("os_compute_api:servers:index", PROJECT_READER, "List servers.")
DETAIL = api.rule("os_compute_api:servers:detail", PROJECT_READER, "List servers with details.")
ALL = api.rule("os_compute_api:servers:index:get_all_tenants", "rule:context_is_admin", "List every project's servers.")
SHOW = api.rule("os_compute_api:servers:show", PROJECT_READER, "Show a server.")
UPDATE = api.rule("os_compute_api:servers:update", PROJECT_MEMBER, "Update a server.")
DELETE = api.rule("os_compute_api:servers:delete", PROJECT_MEMBER, "Delete a server.")
ATTRIBUTES = api.rule("os_compute_api:os-extended-server-attributes", "rule:context_is_admin", "See a server's host and internals.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/servers", policy=INDEX, reply="servers")
def index(tx: Tx, request: Request, query: ServerQuery) -> Page[Summary]:
    """List servers, in short."""
    rows, marker = _page(tx, request, query)
    return Page([summary(request, row) for row in rows], marker)


@api.op("GET", "/servers/detail", policy=DETAIL, reply="servers")
def detail(tx: Tx, request: Request, query: ServerQuery) -> Page[Server]:
    """List servers whole."""
    rows, marker = _page(tx, request, query)
    return Page(views(tx, request, rows, detail=True), marker)


@api.op("GET", "/servers/{id}", policy=SHOW, target=target, wrap="server", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Server:
    """Show a server."""
    return views(tx, request, [find(tx, request, id)])[0]


@api.op("PUT", "/servers/{id}", policy=UPDATE, target=target, wrap="server", errors=(400, 404, 409))
def update(tx: Tx, request: Request, id: str, body: ServerUpdate) -> Brief:
    """Change a server's name, description, access addresses or host name."""
    check_hostname(request, body.hostname)
    row = find(tx, request, id)
    changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET} | access_addresses(body)
    if changes:
        tx.update(servers, row.id, **changes)
        TellServer.start(tx, row.id, request_id=request.id)
    return changed(tx, request, id)


@api.op("DELETE", "/servers/{id}", policy=DELETE, target=target, status=204, errors=(404, 409))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a server, whatever it is doing."""
    row = find(tx, request, id)
    permit(request, row, "delete", tasks=ANY_TASK)
    if row.task_state != states.Task.DELETING:
        record(tx, request, row, "delete")
        workflow.delete(tx, row, request.id)


# -- helpers -------------------------------------------------------------------------------------------------------

SORTABLE = {"created_at", "updated_at", "name", "display_name", "uuid", "host", "vm_state", "task_state", "power_state", "hostname",
            "image_ref", "key_name", "project_id", "user_id", "launch_index", "launched_at", "locked", "config_drive",
            "availability_zone", "instance_type_id", "display_description", "access_ip_v4", "access_ip_v6", "progress", "node"}  # fmt: skip
COLUMNS = {"display_name": "name", "uuid": "id", "image_ref": "image_id", "display_description": "description",
           "access_ip_v4": "access_ipv4", "access_ip_v6": "access_ipv6", "node": "host", "locked": "locked_by",
           "instance_type_id": "vcpus"}  # fmt: skip


def _page(tx: Tx, request: Request, query: ServerQuery) -> tuple[list, str | None]:
    statement = sa.select(servers)
    for clause in _clauses(request, query):
        statement = statement.where(clause)
    for key in query.sort_key:
        if key not in SORTABLE:
            raise BadRequest(f"Invalid input for query parameters sort_key. Value: {key}. It is not one of {sorted(SORTABLE)}")
    keys = [COLUMNS.get(key, key) for key in query.sort_key] or ["created_at"]
    directions = [*query.sort_dir, *["desc"] * len(keys)][: len(keys)]
    return paged(tx, statement, servers, order=list(zip(keys, directions, strict=True)), limit=query.limit,
                 marker=query.marker, most=request.runtime.config.page_limit)  # fmt: skip


def _clauses(request: Request, query: ServerQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    yield from _scope(request, query)
    if query.status or query.vm_state:
        yield _by_status(query)
    for column, value in (("image_id", query.image), ("reservation_id", query.reservation_id), ("id", query.uuid),
                          ("key_name", query.key_name), ("access_ipv4", query.access_ip_v4), ("access_ipv6", query.access_ip_v6),
                          ("availability_zone", query.availability_zone), ("power_state", query.power_state),
                          ("task_state", query.task_state), ("user_id", query.user_id)):  # fmt: skip
        if value is not None:
            yield servers.c[column] == value
    if query.flavor is not None:
        yield servers.c.flavor["id"].as_string() == query.flavor
    for column, value in (("name", query.name), ("hostname", query.hostname), ("description", query.description)):
        if value is not None:
            yield servers.c[column].contains(value.strip("^$"), autoescape=True)
    for value in (query.host, query.node):
        if value is not None and request.context.is_admin:
            yield servers.c.host == value
    changed = sa.func.coalesce(servers.c.updated_at, servers.c.created_at)
    yield from changed_between(changed, query.changes_since, query.changes_before if request.version >= (2, 66) else None)
    yield from _tags(query)
    if query.locked is not None and request.version >= (2, 73):
        yield servers.c.locked_by.is_not(None) if query.locked.lower() in ("true", "1") else servers.c.locked_by.is_(None)
    if query.ip or query.ip6:
        yield servers.c.id.in_(network.devices_with_address(query.ip or query.ip6 or ""))
    if (query.deleted or "").lower() in ("true", "1", "t"):
        yield sa.false()


def _scope(request: Request, query: ServerQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    """Own project's servers; an administrator may ask for all, or for one project's, which `tenant_id` does by itself."""
    everybody = query.all_tenants or ("1" if query.tenant_id and request.context.is_admin else query.all_tenants)
    if everybody is not None and everybody.lower() not in ("0", "false", "no"):
        request.enforce(ALL)
        if project := query.project_id or query.tenant_id:
            yield servers.c.project_id == project
    else:
        yield servers.c.project_id == request.context.project_id


def _by_status(query: ServerQuery) -> sa.ColumnElement[bool]:
    """Servers whose status is any of those asked for; what is no status matches nothing."""
    matching: list[sa.ColumnElement[bool]] = [servers.c.vm_state.in_(query.vm_state)] if query.vm_state else []
    for wanted in query.status:
        for vm in states.vm_states(wanted.upper()):
            tasks = [task for task in (None, *states.Task) if states.status(vm, task) == wanted.upper()]
            named = [task for task in tasks if task is not None]
            matching.append(sa.and_(servers.c.vm_state == vm, sa.or_(
                servers.c.task_state.in_(named), servers.c.task_state.is_(None) if None in tasks else sa.false())))  # fmt: skip
    return sa.or_(*matching) if matching else sa.false()


def _tags(query: ServerQuery) -> t.Iterator[sa.ColumnElement[bool]]:
    """A tag stands in the JSON list between quotes; tags have neither comma nor slash, and no quote that is not escaped."""
    has = lambda tag: sa.cast(servers.c.tags, sa.Text).contains(msgspec.json.encode(tag).decode(), autoescape=True)
    for given, join, wanted in ((query.tags, sa.and_, True), (query.tags_any, sa.or_, True),
                                (query.not_tags, sa.and_, False), (query.not_tags_any, sa.or_, False)):  # fmt: skip
        if given:
            clause = join(*(has(tag) for tag in given.split(",")))
            yield clause if wanted else ~clause
