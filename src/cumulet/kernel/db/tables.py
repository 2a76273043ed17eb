"""Declaring tables: their common columns, and what to tell a client whose write breaks a constraint."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import exc

metadata = sa.MetaData(naming_convention={
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s",
})  # fmt: skip

CONFLICTS: dict[str, tuple[str, str | None]] = {}
"""Constraint (by its name, and as SQLite words it) -> message for the client, and its fault's kind."""


def table(name: str, *columns: sa.schema.SchemaItem, id: bool = True,
          unique: dict[tuple[str, ...], str | tuple[str, str]] | None = None) -> sa.Table:  # fmt: skip
    """A table with `id`, `created_at` and `updated_at` before its own columns.

    unique: columns that together occur once -> what to tell a client that repeats them, formatted with the
    values of the row (and, as a pair, the fault's kind).
    """
    common = [sa.Column("id", sa.String(64), primary_key=True)] if id else []
    common += [sa.Column("created_at", sa.DateTime, nullable=False), sa.Column("updated_at", sa.DateTime)]
    made = sa.Table(name, metadata, *common, *columns)
    for over, message in (unique or {}).items():
        constraint = f"uq_{name}_{'_'.join(over)}"
        made.append_constraint(sa.UniqueConstraint(*over, name=constraint))
        pair = message if isinstance(message, tuple) else (message, None)
        CONFLICTS[constraint] = CONFLICTS[", ".join(f"{name}.{column}" for column in over)] = pair
    return made


def conflict(error: exc.IntegrityError) -> tuple[str, str | None] | None:
    """The declared message of the constraint that a write broke."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return CONFLICTS.get(diagnosis.constraint_name)
    return CONFLICTS.get(str(error.orig).removeprefix("UNIQUE constraint failed: "))
