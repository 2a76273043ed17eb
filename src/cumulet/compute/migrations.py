"""Migrations: servers' moves from host to host (and resizes, which may be moves), under way and past."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx, table
from ..kernel.http import Page, Query, Request, View, paged, since
from . import ADMIN, api
from .wire import changed_between

# -- table ---------------------------------------------------------------------------------------------------------

migrations = table(
    "compute_migrations",
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("server_id", sa.String(64), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("source", sa.String(255)),
    sa.Column("destination", sa.String(255)),
)
"""`kind` is migration, resize, live-migration or evacuation; `number` is the id that clients use, the row's own the `uuid`,
which is also the consumer in placement that holds what the server had on its old host."""

# -- wire ----------------------------------------------------------------------------------------------------------


class MigrationQuery(Query):
    host: str | None = None
    hidden: str | None = None
    instance_uuid: str | None = None
    source_compute: str | None = None
    status: str | None = None
    migration_type: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    changes_since: str | None = msgspec.field(name="changes-since", default=None)
    changes_before: str | None = msgspec.field(name="changes-before", default=None)
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None


class Migration(View):
    id: int
    uuid: t.Annotated[str, since("2.59")]
    instance_uuid: str
    status: str
    migration_type: t.Annotated[str, since("2.23")]
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    old_instance_type_id: int | None
    new_instance_type_id: int | None
    created_at: str
    updated_at: str | None
    project_id: t.Annotated[str, since("2.80")]
    user_id: t.Annotated[str, since("2.80")]


# -- policy --------------------------------------------------------------------------------------------------------

INDEX = api.rule("os_compute_api:os-migrations:index", "rule:project_manager_or_admin", "List one's own project's migrations.")
INDEX_ALL = api.rule("os_compute_api:os-migrations:index:all_projects", ADMIN, "List the migrations of all projects.")
INDEX_HOST = api.rule("os_compute_api:os-migrations:index:host", ADMIN, "See the hosts of migrations.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-migrations", policy=INDEX, reply="migrations", errors=(400,))
def index(tx: Tx, request: Request, query: MigrationQuery) -> Page[Migration]:
    """List migrations, the newest first from 2.59 on."""
    if query.project_id is None or query.project_id != request.context.project_id:
        request.enforce(INDEX_ALL)
    statement = sa.select(migrations).where(*_filters(request, query))
    if request.version < (2, 59):
        rows, marker = tx.all(statement.order_by(migrations.c.number)), None
    else:
        rows, marker = paged(tx, statement, migrations, order=[("created_at", "desc"), ("number", "desc")],
                             limit=query.limit, marker=query.marker, most=request.runtime.config.page_limit)  # fmt: skip
    hosts = request.allows(INDEX_HOST)
    return Page([_view(row, hosts) for row in rows], marker)


# -- what others ask -----------------------------------------------------------------------------------------------


def start_migration(tx: Tx, server: Row, kind: str, destination: str | None = None, *, status: str = "queued") -> Row:
    """Write down that a server is about to move; whoever moves it keeps `status` and `destination` up to date."""
    number = (tx.scalar(sa.select(sa.func.max(migrations.c.number))) or 0) + 1
    return tx.insert(migrations, number=number, server_id=server.id, project_id=server.project_id, user_id=server.user_id,
                     kind=kind, status=status, source=server.host, destination=destination)  # fmt: skip


def note_migration(tx: Tx, id: str, status: str) -> None:
    """Write down how far a move is."""
    tx.update(migrations, id, status=status)


# -- helpers -------------------------------------------------------------------------------------------------------


def _filters(request: Request, query: MigrationQuery) -> list[sa.ColumnElement[bool]]:
    c = migrations.c
    wanted = {c.server_id: query.instance_uuid, c.source: query.source_compute, c.status: query.status, c.kind: query.migration_type,
              c.project_id: query.project_id, c.user_id: query.user_id}  # fmt: skip
    clauses = [column == value for column, value in wanted.items() if value is not None]
    if query.host is not None:
        clauses.append((c.source == query.host) | (c.destination == query.host))
    changed = sa.func.coalesce(c.updated_at, c.created_at)
    since = query.changes_since if request.version >= (2, 59) else None
    return [*clauses, *changed_between(changed, since, query.changes_before if request.version >= (2, 66) else None)]


def _view(row: Row, hosts: bool) -> Migration:
    source, destination = (row.source, row.destination) if hosts else (None, None)
    return Migration(
        id=row.number, uuid=row.id, instance_uuid=row.server_id, status=row.status, migration_type=row.kind,
        source_compute=source, source_node=source, dest_compute=destination, dest_node=destination, dest_host=destination,
        old_instance_type_id=None, new_instance_type_id=None, created_at=clock.iso(row.created_at, micro=True, zone="") or "",
        updated_at=clock.iso(row.updated_at, micro=True, zone=""), project_id=row.project_id, user_id=row.user_id,
    )  # fmt: skip
