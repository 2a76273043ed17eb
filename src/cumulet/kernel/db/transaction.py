"""What a handler does with the database: explicit statements inside one transaction."""

from __future__ import annotations

import contextlib
import functools
import typing as t

import sqlalchemy as sa
from sqlalchemy import exc

from .. import clock, ids
from ..errors import Conflict
from .tables import conflict
from .values import MANY, VALUES

Row = sa.Row


class Broken(Conflict):
    """A write broke a constraint."""


class Tx:
    """A transaction. It commits when the handler returns and rolls back when it raises."""

    def __init__(self, connection: sa.Connection, reader: t.Any = None):
        """reader: the driver's connection, of a transaction on PostgreSQL that only reads."""
        self._connection, self._reader = connection, reader
        self.nudges: set[str] = set()
        self.seen: dict[str, t.Any] = {}
        """What was read in this transaction, by whoever would read it again."""
        self._found: dict[t.Hashable, Row | None] = {}
        """What `get` found. A transaction sees one moment, so it would find the same again until it writes: a request's row is asked for by
        policy and by its handler."""

    def execute(self, statement: sa.Executable, values: t.Any = None) -> sa.CursorResult:
        if not statement.is_select:
            self._found.clear()
        return t.cast(sa.CursorResult, self._connection.execute(statement, values))

    def insert(self, table: sa.Table, **values: t.Any) -> Row:
        """Add a row and return it whole. Raises Conflict, in the words declared with the table, where it is there already."""
        if "id" in table.c:
            values.setdefault("id", ids.new())
        if "created_at" in table.c:
            values.setdefault("created_at", clock.now())
        try:
            return self.execute(_insert(table), values).one()
        except exc.IntegrityError as error:
            raise self._conflict(error, values) from None

    def insert_many(self, table: sa.Table, rows: list[dict]) -> None:
        """Add rows of which nothing is read back."""
        if not rows:
            return
        now = clock.now()
        for row in rows:
            if "id" in table.c:
                row.setdefault("id", ids.new())
            if "created_at" in table.c:
                row.setdefault("created_at", now)
        try:
            self.execute(table.insert(), rows)
        except exc.IntegrityError as error:
            raise self._conflict(error, rows[0]) from None

    def get(self, table: sa.Table, **where: t.Any) -> Row | None:
        """The row with these values, or None."""
        key = table, *where.items()
        if key not in self._found:
            self._found[key] = self.execute(having(table, where), where).one_or_none()
        return self._found[key]

    def one(self, table: sa.Table, **where: t.Any) -> Row:
        """The row with these values, where one has to be. Raises LookupError where none is."""
        row = self.get(table, **where)
        if row is None:
            raise LookupError(f"There is no row of {table.name} with {', '.join(f'{name} {value}' for name, value in where.items())}.")
        return row

    def rows(self, table: sa.Table, *, order: t.Any = None, **where: t.Any) -> list[Row]:
        """Every row with these values."""
        statement = having(table, where)
        if order is not None:
            statement = statement.order_by(order)
        return t.cast("list[Row]", self.execute(statement, where).all())

    def among(self, column: sa.Column[t.Any], values: t.Collection[t.Any]) -> list[Row]:
        """Every row of the column's table that has one of these values in it, however many they are."""
        return self.many(_among(column), values)

    def many(self, statement: sa.Select, values: t.Collection[t.Any], others: t.Mapping[str, t.Any] | None = None) -> list[Row]:
        """What a statement finds for values, however many, which are its parameter `MANY`. others: those of its other parameters."""
        return self.all(statement, {**(others or {}), VALUES.key: list(values)}) if values else []

    def ahead(self, statement: sa.Executable, values: t.Mapping[str, t.Any] | None = None) -> list[Row]:
        """What a statement finds, for which it may be a moment before the one that the transaction sees. Where a request needs no other,
        PostgreSQL is spared beginning a transaction and ending it: two of three ways there and back."""
        reader = self._reader
        if reader is None or reader.pgconn.transaction_status:  # 0 is that nothing was begun yet
            return self.all(statement, values)
        reader.autocommit = True
        try:
            return self.all(statement, values)
        finally:
            if not reader.closed:
                reader.autocommit = False

    def all(self, statement: sa.Executable, values: t.Mapping[str, t.Any] | None = None) -> list[Row]:
        return t.cast("list[Row]", self.execute(statement, values).all())

    def first(self, statement: sa.Select) -> Row | None:
        return self.execute(statement).first()

    def scalar(self, statement: t.Any, values: t.Mapping[str, t.Any] | None = None) -> t.Any:
        return self.execute(statement, values).scalar()

    def update(self, table: sa.Table, where: dict[str, t.Any] | str, **values: t.Any) -> int:
        """Change the rows with these values (a text is an id); the number of rows changed."""
        if "updated_at" in table.c:
            values.setdefault("updated_at", clock.now())
        clause = {"id": where} if isinstance(where, str) else where
        computed = {name: value for name, value in values.items() if isinstance(value, sa.ClauseElement)}
        statement = _update(table, _form(clause))
        if computed:
            statement = statement.values(**computed)
        plain = {name: value for name, value in values.items() if name not in computed}
        try:
            return self.execute(statement, plain | {f"{WHERE}{name}": value for name, value in clause.items()}).rowcount
        except exc.IntegrityError as error:
            raise self._conflict(error, values) from None

    def delete(self, table: sa.Table, **where: t.Any) -> int:
        """Remove the rows with these values; their number. Raises Conflict where other rows still refer to them."""
        try:
            return self.execute(_delete(table, _form(where)), where).rowcount
        except exc.IntegrityError:
            raise Broken(f"It cannot be deleted from {table.name}: others still refer to it.") from None

    @contextlib.contextmanager
    def savepoint(self) -> t.Iterator[None]:
        """What is done inside is taken back where it raises, and the transaction goes on."""
        nested = self._connection.begin_nested()
        try:
            yield
        except BaseException:
            nested.rollback()
            self._found.clear()
            raise
        nested.commit()

    def nudge(self, topic: str) -> None:
        """Wake whoever waits for `topic`, once this has committed."""
        self.nudges.add(topic)

    @staticmethod
    def _conflict(error: exc.IntegrityError, values: dict) -> Exception:
        known = conflict(error)
        if known is None:
            return error
        message, kind = known
        return Broken(message.format_map(_Blank(values)), kind=kind)


class _Blank(dict):
    def __missing__(self, key: str) -> str:
        return ""


def having(table: sa.Table, where: t.Mapping[str, t.Any], *more: sa.ColumnElement[bool]) -> sa.Select:
    """The statement that finds the rows with these values, which it is executed with. more: what else is asked of them, made
    once for many requests."""
    return _select(table, _form(where), *more)


# -- statements ----------------------------------------------------------------------------------------------------
#
# Each is made once for a table and the columns that its callers name: making one costs more than running it.

WHERE = "where_"
"""Before the names of an UPDATE's conditions, for its values have the columns' own names."""
Form = tuple[tuple[str, bool], ...]
"""The columns that rows are looked for by, each with whether it is to be null."""


def _form(where: t.Mapping[str, t.Any]) -> Form:
    return tuple((name, value is None) for name, value in where.items())


@functools.cache
def _insert(table: sa.Table) -> sa.Insert:
    return table.insert().returning(table)


@functools.cache
def _select(table: sa.Table, form: Form, *more: sa.ColumnElement[bool]) -> sa.Select:
    return sa.select(table).where(*_clauses(table, form), *more)


@functools.cache
def _among(column: sa.Column[t.Any]) -> sa.Select:
    return sa.select(column.table).where(column.in_(MANY))


@functools.cache
def _update(table: sa.Table, form: Form) -> sa.Update:
    return table.update().where(*_clauses(table, form, WHERE))


@functools.cache
def _delete(table: sa.Table, form: Form) -> sa.Delete:
    return table.delete().where(*_clauses(table, form))


def _clauses(table: sa.Table, form: Form, prefix: str = "") -> t.Iterator[sa.ColumnElement[bool]]:
    for name, null in form:
        yield table.c[name].is_(None) if null else table.c[name] == sa.bindparam(prefix + name)
