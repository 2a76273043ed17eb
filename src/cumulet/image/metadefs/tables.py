"""The tables of metadata definitions: namespaces, and what is in them."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ...kernel import clock
from ...kernel.db import Row, Tx, table
from ...kernel.http import Conflict

OBJECT_TAKEN = "A metadata definition object with name={name} already exists in namespace={namespace}."
PROPERTY_TAKEN = "A metadata definition property with name={name} already exists in namespace={namespace}."
TAG_TAKEN = (
    "A metadata tag with name={name} already exists in namespace={namespace}. "
    "(Please note that metadata tag names are case insensitive)."
)  # fmt: skip
ASSOCIATION_TAKEN = (
    "The metadata definition resource-type association of resource-type={name} to namespace={namespace} already exists."
)  # fmt: skip


def _namespace() -> sa.Column:
    return sa.Column("namespace_id", sa.String(64), sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), nullable=False)


namespaces = table(
    "metadef_namespaces",
    sa.Column("namespace", sa.String(80), nullable=False),
    sa.Column("display_name", sa.String(80)),
    sa.Column("description", sa.Text),
    sa.Column("visibility", sa.String(32), nullable=False),
    sa.Column("protected", sa.Boolean, nullable=False),
    sa.Column("owner", sa.String(255), nullable=False, index=True),
    unique={("namespace",): "The metadata definition namespace={namespace} already exists."},
)

objects = table(
    "metadef_objects",
    _namespace(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("required", sa.JSON, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    unique={("namespace_id", "name"): OBJECT_TAKEN},
)

properties = table(
    "metadef_properties",
    _namespace(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("schema", sa.JSON, nullable=False),
    unique={("namespace_id", "name"): PROPERTY_TAKEN},
)

tags = table(
    "metadef_tags",
    _namespace(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("folded", sa.String(255), nullable=False),
    unique={("namespace_id", "folded"): TAG_TAKEN},
)
"""`folded` is the name without regard to capitals."""

resource_types = table(
    "metadef_resource_types",
    sa.Column("name", sa.String(80), nullable=False),
    unique={("name",): "A metadata definition resource-type with name={name} already exists."},
)

associations = table(
    "metadef_resource_type_associations",
    _namespace(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("prefix", sa.String(80)),
    sa.Column("properties_target", sa.String(80)),
    unique={("namespace_id", "name"): ASSOCIATION_TAKEN},
)
"""`name` is that of a resource type."""

KEYS = {objects: "name", properties: "name", tags: "folded", associations: "name"}
"""What a namespace has each of once, by the column that tells them apart."""


def content(tx: Tx, table: sa.Table, namespace: Row) -> list[Row]:
    """What a namespace has of a kind, in the order in which it was added."""
    return tx.rows(table, namespace_id=namespace.id, order=table.c.created_at)


def add(tx: Tx, table: sa.Table, namespace: Row, taken: str, rows: list[dict[str, t.Any]]) -> None:
    """Give a namespace more of a kind, in this order. Raises Conflict, worded by `taken`, for what it has."""
    key, now = KEYS[table], clock.now()
    seen = {getattr(row, key) for row in content(tx, table, namespace)}
    for i, row in enumerate(rows):
        if row[key] in seen:
            raise Conflict(taken.format(name=row["name"], namespace=namespace.namespace))
        seen.add(row[key])
        at = now + dt.timedelta(microseconds=i)
        row |= {"namespace_id": namespace.id, "created_at": at, "updated_at": at}
    tx.insert_many(table, rows)


def rename(tx: Tx, table: sa.Table, namespace: Row, row: Row, taken: str, **values: t.Any) -> Row:
    """Change something in a namespace. Raises Conflict, worded by `taken`, where another has its new name."""
    key = KEYS[table]
    other = tx.first(sa.select(table.c.id).where(
        table.c.namespace_id == namespace.id, table.c[key] == values[key], table.c.id != row.id
    ))  # fmt: skip
    if other is not None:
        raise Conflict(taken.format(name=values["name"], namespace=namespace.namespace))
    tx.update(table, row.id, **values)
    return tx.one(table, id=row.id)
