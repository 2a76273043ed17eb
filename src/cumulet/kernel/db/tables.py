"""Declaring tables: their common columns, and what to tell a client whose write breaks a constraint."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from sqlalchemy import exc

metadata = sa.MetaData(naming_convention={
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s",
})  # fmt: skip

CONFLICTS: dict[str, tuple[str, str | None]] = {}
"""Constraint (by its name, and as SQLite words it) -> message for the client, and its fault's kind."""


LONGEST = 63
"""Characters of a name of PostgreSQL's."""
Message = str | tuple[str, str]
"""What to tell a client, formatted with the values of the row, and, as a pair, the fault's kind."""


class Once(t.NamedTuple):
    """Columns that together occur once among the rows with some values (None: null). An index keeps it, so a table can get
    one later."""

    columns: tuple[str, ...]
    message: Message
    among: dict[str, bool | int | None] = {}


AMONG = "among"
"""Where an index keeps these values."""


def table(name: str, *columns: sa.schema.SchemaItem, id: bool = True, taken: Message | None = None,
          unique: dict[tuple[str, ...], Message] | None = None, once: tuple[Once, ...] = ()) -> sa.Table:  # fmt: skip
    """A table with `id`, `created_at` and `updated_at` before its own columns.

    taken: what to tell a client that names an id which is there. unique: columns that together occur once -> what to tell a client that
    repeats them. once: what `unique` cannot say.
    """
    common = [sa.Column("id", sa.String(64), primary_key=True)] if id else []
    common += [sa.Column("created_at", sa.DateTime, nullable=False), sa.Column("updated_at", sa.DateTime)]
    made = sa.Table(name, metadata, *common, *columns)
    if taken is not None:
        _tell(name, f"pk_{name}", ("id",), taken)
    for over, message in (unique or {}).items():
        constraint = f"uq_{name}_{'_'.join(over)}"
        made.append_constraint(sa.UniqueConstraint(*over, name=constraint))
        _tell(name, constraint, over, message)
    for over, message, among in once:
        constraint = "_".join((f"uq_{name}", *over, *(("among", *among) if among else ())))[:LONGEST]
        rows = sa.and_(*(_is(made.c[column], value) for column, value in among.items())) if among else None
        indexed = (made.c[column] for column in over)
        sa.Index(constraint, *indexed, unique=True, sqlite_where=rows, postgresql_where=rows, info={AMONG: among})
        _tell(name, constraint, over, message)
    return made


def _tell(name: str, constraint: str, over: tuple[str, ...], message: Message) -> None:
    pair = message if isinstance(message, tuple) else (message, None)
    CONFLICTS[constraint] = CONFLICTS[", ".join(f"{name}.{column}" for column in over)] = pair


def _is(column: sa.Column, value: bool | int | None) -> sa.ColumnElement[bool]:
    return column.is_(value) if value is None or isinstance(value, bool) else column == value


def conflict(error: exc.IntegrityError) -> tuple[str, str | None] | None:
    """The declared message of the constraint that a write broke."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return CONFLICTS.get(diagnosis.constraint_name)
    return CONFLICTS.get(str(error.orig).removeprefix("UNIQUE constraint failed: "))
