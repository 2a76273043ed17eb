"""By what images are found among many: their tags and properties, in an index that the database keeps by itself, and how lists use it and
others."""

from __future__ import annotations

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


def with_tag(tag: str) -> sa.Select:
    """Ids of the images that may have a tag: those that have one which begins like it."""
    return _having(f"t{tag}")


def with_property(name: str, value: str) -> sa.Select:
    """Ids of the images that may have a property of that value."""
    return _having(f"p{name}={value}")


def _having(term: str) -> sa.Select:
    return sa.select(terms.c.image_id).where(terms.c.term == term[:LONGEST])


class Wanted:
    """What a list is asked for. `led`: whether few images meet one of its conditions, by which they are found; else the order of the list
    leads to the next ones that meet all."""

    def __init__(self, tx: Tx, id: sa.Column):
        self._tx, self._id = tx, id
        self.conditions: list[sa.ColumnElement[bool]] = []
        self.led = False

    def add(self, *conditions: sa.ColumnElement[bool]) -> None:
        """One of these, each of which an index knows."""
        found = sa.union_all(*(sa.select(self._id).where(condition) for condition in conditions))
        if not self.among(found):
            self.conditions.append(unled(sa.or_(*conditions)))

    def among(self, found: sa.Select | sa.CompoundSelect) -> bool:
        """One of those whose ids a statement finds, if these are few and nothing else leads to few already; whether that is so."""
        if self.led:
            return False
        few = self._tx.scalar(sa.select(sa.func.count()).select_from(found.limit(FEW + 1).subquery())) <= FEW
        if few:
            self.conditions.append(self._id.in_(found))
        self.led = few
        return few


def unled(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """A condition that is hidden from the database, which would be led by it to most images there are, and have to put them all in
    order."""
    return sa.func.coalesce(condition, sa.false())
