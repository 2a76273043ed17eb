"""By what images are found among many: their tags and properties, in an index that the database keeps by itself, and how lists use it and
others."""

from __future__ import annotations

import functools
import itertools
import typing as t

import sqlalchemy as sa
from sqlalchemy import event

from ..kernel.db import Tx, metadata

FEW = 2_000
"""Images that are put in order one by one. Where more have what is asked for, the next of them is not far in any order."""
LONGEST = 400
"""Characters of a term: PostgreSQL's indexes take values of some 2,700 bytes."""

terms = sa.Table(
    "image_terms",
    metadata,
    sa.Column("term", sa.String(LONGEST), primary_key=True),
    sa.Column("image_id", sa.String(64), sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True, index=True),
)
"""The beginnings of tags and properties, which the triggers below write: whoever changes an image has not to think of it."""

_TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER image_terms_made AFTER INSERT ON images BEGIN
        INSERT INTO image_terms (term, image_id)
        SELECT substr('t' || value, 1, 400), NEW.id FROM json_each(NEW.tags)
        UNION SELECT substr('p' || key || '=' || value, 1, 400), NEW.id FROM json_each(NEW.properties);
        END
        """,
        """
        CREATE TRIGGER image_terms_changed AFTER UPDATE OF tags, properties ON images BEGIN
        DELETE FROM image_terms WHERE image_id = NEW.id;
        INSERT INTO image_terms (term, image_id)
        SELECT substr('t' || value, 1, 400), NEW.id FROM json_each(NEW.tags)
        UNION SELECT substr('p' || key || '=' || value, 1, 400), NEW.id FROM json_each(NEW.properties);
        END
        """,
    ),
    "postgresql": (
        """
        CREATE OR REPLACE FUNCTION image_terms() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM image_terms WHERE image_id = NEW.id;
        INSERT INTO image_terms (term, image_id)
        SELECT substr('t' || value, 1, 400), NEW.id FROM json_array_elements_text(NEW.tags)
        UNION SELECT substr('p' || key || '=' || value, 1, 400), NEW.id FROM json_each_text(NEW.properties);
        RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER image_terms AFTER INSERT OR UPDATE OF tags, properties ON images FOR EACH ROW EXECUTE FUNCTION image_terms()",
    ),
}
for _database, _statements in _TRIGGERS.items():
    for _statement in _statements:
        event.listen(terms, "after_create", sa.DDL(_statement.replace("%", "%%")).execute_if(dialect=_database))


class Wanted:
    """What a list is asked for. `led`: whether few images meet one of its conditions, by which they are found; else the order of the list
    leads to the next ones that meet all. `values` are those of the conditions' parameters. embedded: whether the database is SQLite."""

    def __init__(self, tx: Tx, images: sa.Table, embedded: bool):
        self._tx, self._images, self._embedded = tx, images, embedded
        self._conditions: list[sa.ColumnElement[bool]] = []
        self._terms = itertools.count()
        self.values: dict[str, t.Any] = {}
        self.led = False

    def statement(self) -> sa.Select:
        """What finds them."""
        return _meeting_all(self._images, tuple(self._conditions))

    def where(self, condition: sa.ColumnElement[bool], values: dict[str, t.Any]) -> None:
        """What no index leads to."""
        self._conditions.append(condition)
        self.values |= values

    def among(self, conditions: tuple[sa.ColumnElement[bool], ...], values: dict[str, t.Any]) -> None:
        """One of these, each of which an index knows."""
        if not self._led_by(_meeting_any(self._images, conditions), values):
            self.where(unled(*conditions), values)

    def tag(self, tag: str) -> None:
        n = next(self._terms)
        if not self._told_by(n, f"t{tag}"):
            self.where(_tagged(self._images, self._embedded, n), {f"value_{n}": tag})

    def property(self, name: str, value: str) -> None:
        n = next(self._terms)
        if not self._told_by(n, f"p{name}={value}") or "=" in name + value:  # a term with two of them may be of another name
            self.where(_with_property(self._images, self._embedded, n), {f"key_{n}": name, f"value_{n}": value})

    def _told_by(self, n: int, term: str) -> bool:
        """Whether a term leads to few images, and is there as a whole."""
        return self._led_by(_having(n), {f"term_{n}": term[:LONGEST]}) and len(term) < LONGEST

    def _led_by(self, found: Found, values: dict[str, t.Any]) -> bool:
        """One of those whose ids a statement finds, if these are few and nothing else leads to few already; whether that is so."""
        if self.led:
            return False
        self.led = self._tx.scalar(_number(found), {**values, "most": FEW + 1}) <= FEW
        if self.led:
            self.where(_among(self._images, found), values)
        return self.led


# -- statements ----------------------------------------------------------------------------------------------------
#
# They are put together of parts with parameters, and each is made once: making one costs more than asking the database. Of parts there
# are not many, for a query has at most so many terms; but whoever asks may put them together as they like.

Found = sa.Select | sa.CompoundSelect


@functools.lru_cache(maxsize=256)
def _meeting_all(images: sa.Table, conditions: tuple[sa.ColumnElement[bool], ...]) -> sa.Select:
    return sa.select(images).where(*conditions)


@functools.cache
def unled(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """One of these, hidden from the database, which would be led by it to most images there are, and have to put them all in order."""
    return sa.func.coalesce(sa.or_(*conditions), sa.false())


@functools.cache
def _meeting_any(images: sa.Table, conditions: tuple[sa.ColumnElement[bool], ...]) -> Found:
    """Ids of the images that meet one of these."""
    return sa.union_all(*(sa.select(images.c.id).where(condition) for condition in conditions))


@functools.cache
def _having(n: int) -> Found:
    """Ids of the images that may have a tag or property: those that have one which begins like it."""
    return sa.select(terms.c.image_id).where(terms.c.term == sa.bindparam(f"term_{n}"))


@functools.cache
def _number(found: Found) -> sa.Select:
    """How many a statement finds, as far as that matters."""
    return sa.select(sa.func.count()).select_from(found.limit(sa.bindparam("most", type_=sa.Integer)).subquery())


@functools.cache
def _among(images: sa.Table, found: Found) -> sa.ColumnElement[bool]:
    return images.c.id.in_(found)


@functools.cache
def _tagged(images: sa.Table, embedded: bool, n: int) -> sa.ColumnElement[bool]:
    each = sa.func.json_each if embedded else sa.func.json_array_elements_text
    return _has_entry(images, each(images.c.tags), value=f"value_{n}")


@functools.cache
def _with_property(images: sa.Table, embedded: bool, n: int) -> sa.ColumnElement[bool]:
    each = sa.func.json_each if embedded else sa.func.json_each_text
    return _has_entry(images, each(images.c.properties), key=f"key_{n}", value=f"value_{n}")


def _has_entry(images: sa.Table, entries: sa.FunctionElement, **wanted: str) -> sa.ColumnElement[bool]:
    """Whether one of the rows that the database's function makes of JSON has these; wanted: by column, the parameter."""
    one = entries.table_valued(*wanted)
    same = (one.c[column] == sa.bindparam(parameter, type_=sa.String) for column, parameter in wanted.items())
    return sa.select(sa.literal(1)).select_from(one).where(*same).correlate(images).exists()
