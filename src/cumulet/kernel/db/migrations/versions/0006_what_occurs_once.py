"""What occurs once is kept by indexes

Requests saw to it before, each in a serialisable transaction, so there should be nothing twice. Where there is, the oldest stays
as it is, and of the others as much as can be.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PROJECTS = sa.table("identity_projects", *map(sa.column, ("id", "created_at", "domain_id", "name")))
ROLES = sa.table("identity_roles", *map(sa.column, ("id", "created_at", "domain_id", "name")))
REGISTERED = sa.table("identity_registered_limits", *map(sa.column, ("id", "created_at", "service_id", "resource_name", "region_id")))
DISKS = sa.table("server_block_devices", *map(sa.column, ("id", "created_at", "server_id", "volume_id", "boot_index")))
CARDS = sa.table("server_nics", *map(sa.column, ("id", "created_at", "server_id", "port_id")))
NETWORKS = sa.table("networks", sa.column("id"), sa.column("created_at"), sa.column("is_default", sa.Boolean))
POOLS = sa.table("subnetpools", sa.column("id"), sa.column("created_at"), sa.column("ip_version"), sa.column("is_default", sa.Boolean))
GROUPS = sa.table("security_groups", sa.column("id"), sa.column("created_at"), sa.column("project_id"), sa.column("is_default", sa.Boolean))
FLOATING = sa.table(
    "floatingips", *map(sa.column, ("id", "created_at", "port_id", "fixed_ip_address", "floating_network_id", "router_id", "status"))
)
ATTACHMENTS = sa.table(
    "volume_attachments", *map(sa.column, ("id", "created_at", "volume_id", "instance_id")), sa.column("by_compute", sa.Boolean)
)


def upgrade() -> None:
    for table, longest in ((PROJECTS, 64), (ROLES, 255)):
        renamed = {"name": _apart(table.c.name, table.c.id, longest)}
        _once(table, ("domain_id", "name"), change=renamed)
        _once(table, ("name",), "domain_id", table.c.domain_id.is_(None), change=renamed)
    renamed = {"resource_name": _apart(REGISTERED.c.resource_name, REGISTERED.c.id, 255)}
    _once(REGISTERED, ("service_id", "resource_name", "region_id"), change=renamed)
    _once(REGISTERED, ("service_id", "resource_name"), "region_id", REGISTERED.c.region_id.is_(None), change=renamed)
    _once(DISKS, ("server_id", "volume_id"))
    _once(DISKS, ("server_id",), "boot_index", DISKS.c.boot_index == sa.literal_column("0"), change={"boot_index": None})
    _once(CARDS, ("server_id", "port_id"))
    for table, columns in ((NETWORKS, ("is_default",)), (POOLS, ("ip_version",)), (GROUPS, ("project_id",))):
        _once(table, columns, "is_default", table.c.is_default.is_(True), change={"is_default": False})
    nobody = {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}
    _once(FLOATING, ("port_id", "fixed_ip_address", "floating_network_id"), change=nobody)
    _once(ATTACHMENTS, ("volume_id", "instance_id"), "by_compute", ATTACHMENTS.c.by_compute.is_(True))


def _once(table: sa.TableClause, columns: tuple[str, ...], among: str | None = None, rows: sa.ColumnElement[bool] | None = None,
          change: dict[str, t.Any] | None = None) -> None:  # fmt: skip
    """Have these columns occur once together among some rows. change: what becomes of a later row; None: it goes."""
    there = [table.c[name].is_not(None) for name in columns] + ([] if rows is None else [rows])
    place = sa.func.row_number().over(partition_by=[table.c[name] for name in columns], order_by=[table.c.created_at, table.c.id])
    numbered = sa.select(table.c.id, place.label("place")).where(*there).subquery()
    later = table.c.id.in_(sa.select(numbered.c.id).where(numbered.c.place > 1))
    op.execute(sa.delete(table).where(later) if change is None else sa.update(table).where(later).values(change))
    op.create_index(_name(table.name, columns, among), table.name, list(columns), unique=True, sqlite_where=rows, postgresql_where=rows)


def _name(table: str, columns: tuple[str, ...], among: str | None) -> str:
    return "_".join((f"uq_{table}", *columns, *(("among", among) if among else ())))[:63]


def _apart(name: sa.ColumnClause, id: sa.ColumnClause, longest: int) -> sa.ColumnElement[str]:
    """A name of its own for a row: with the beginning of its id."""
    return sa.func.substr(name, 1, longest - 9) + "-" + sa.func.substr(id, 1, 8)


def downgrade() -> None:
    for table in (PROJECTS, ROLES):
        op.drop_index(_name(table.name, ("domain_id", "name"), None), table.name)
        op.drop_index(_name(table.name, ("name",), "domain_id"), table.name)
    op.drop_index(_name(REGISTERED.name, ("service_id", "resource_name", "region_id"), None), REGISTERED.name)
    op.drop_index(_name(REGISTERED.name, ("service_id", "resource_name"), "region_id"), REGISTERED.name)
    op.drop_index(_name(DISKS.name, ("server_id", "volume_id"), None), DISKS.name)
    op.drop_index(_name(DISKS.name, ("server_id",), "boot_index"), DISKS.name)
    op.drop_index(_name(CARDS.name, ("server_id", "port_id"), None), CARDS.name)
    for table, columns in ((NETWORKS, ("is_default",)), (POOLS, ("ip_version",)), (GROUPS, ("project_id",))):
        op.drop_index(_name(table.name, columns, "is_default"), table.name)
    op.drop_index(_name(FLOATING.name, ("port_id", "fixed_ip_address", "floating_network_id"), None), FLOATING.name)
    op.drop_index(_name(ATTACHMENTS.name, ("volume_id", "instance_id"), "by_compute"), ATTACHMENTS.name)
