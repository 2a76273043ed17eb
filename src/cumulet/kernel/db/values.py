"""Statements about many values that stay the same for however many: each is made once, and prepared once.

They are one parameter, an array on PostgreSQL and a JSON text on SQLite, where `IN` has a parameter for each."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

Texts = t.cast("sa.types.TypeEngine[list[str]]", sa.JSON().with_variant(ARRAY(sa.String), "postgresql"))
"""The type of a parameter that is a list of texts."""


class _Each(FunctionElement[str]):
    inherit_cache = True
    type = sa.String()


@compiles(_Each, "postgresql")
def _of_array(element: _Each, compiler: t.Any, **options: t.Any) -> str:
    return f"unnest({compiler.process(element.clauses, **options)})"


@compiles(_Each, "sqlite")
def _of_json(element: _Each, compiler: t.Any, **options: t.Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


def each(values: sa.BindParameter[list[str]]) -> sa.Select[str]:
    """The values of a parameter of the type `Texts`, as rows."""
    return sa.select(_Each(values).column_valued("value"))


VALUES: sa.BindParameter[list[str]] = sa.bindparam("many", type_=Texts)
MANY = each(VALUES)
"""The values that `Tx.many` is told; `COLUMN.in_(MANY)`."""
