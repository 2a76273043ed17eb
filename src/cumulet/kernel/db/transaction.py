"""What a handler does with the database: explicit statements inside one transaction."""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa

from .. import clock, ids
from ..errors import Conflict
from .tables import conflict

Row = sa.Row


class Tx:
    """A transaction. It commits when the handler returns and rolls back when it raises."""

    def __init__(self, connection: sa.Connection):
        self._connection = connection
        self.nudges: set[str] = set()

    def execute(self, statement: sa.Executable, values: t.Any = None) -> sa.CursorResult:
        return t.cast(sa.CursorResult, self._connection.execute(statement, values))

    def insert(self, table: sa.Table, **values: t.Any) -> Row:
        """Add a row and return it whole. Raises Conflict, in the words declared with the table, where it is there already."""
        if "id" in table.c:
            values.setdefault("id", ids.new())
        if "created_at" in table.c:
            values.setdefault("created_at", clock.now())
        try:
            return self._connection.execute(table.insert().values(**values).returning(table)).one()
        except sa.exc.IntegrityError as error:
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
            self._connection.execute(table.insert(), rows)
        except sa.exc.IntegrityError as error:
            raise self._conflict(error, rows[0]) from None

    def get(self, table: sa.Table, **where: t.Any) -> Row | None:
        """The row with these values, or None."""
        return self._connection.execute(sa.select(table).filter_by(**where)).one_or_none()

    def rows(self, table: sa.Table, *, order: t.Any = None, **where: t.Any) -> list[Row]:
        """Every row with these values."""
        statement = sa.select(table).filter_by(**where)
        if order is not None:
            statement = statement.order_by(order)
        return list(self._connection.execute(statement))

    def all(self, statement: sa.Select) -> list[Row]:
        return list(self._connection.execute(statement))

    def first(self, statement: sa.Select) -> Row | None:
        return self._connection.execute(statement).first()

    def scalar(self, statement: t.Any) -> t.Any:
        return self._connection.execute(statement).scalar()

    def update(self, table: sa.Table, where: dict[str, t.Any] | str, **values: t.Any) -> int:
        """Change the rows with these values (a text is an id); the number of rows changed."""
        if "updated_at" in table.c:
            values.setdefault("updated_at", clock.now())
        clause = {"id": where} if isinstance(where, str) else where
        try:
            return self.execute(table.update().filter_by(**clause).values(**values)).rowcount
        except sa.exc.IntegrityError as error:
            raise self._conflict(error, values) from None

    def delete(self, table: sa.Table, **where: t.Any) -> int:
        """Remove the rows with these values; their number."""
        return self.execute(table.delete().filter_by(**where)).rowcount

    @contextlib.contextmanager
    def savepoint(self) -> t.Iterator[None]:
        """What is done inside is taken back where it raises, and the transaction goes on."""
        nested = self._connection.begin_nested()
        try:
            yield
        except BaseException:
            nested.rollback()
            raise
        nested.commit()

    def nudge(self, topic: str) -> None:
        """Wake whoever waits for `topic`, once this has committed."""
        self.nudges.add(topic)

    @staticmethod
    def _conflict(error: sa.exc.IntegrityError, values: dict) -> Exception:
        known = conflict(error)
        if known is None:
            return error
        message, kind = known
        return Conflict(message.format_map(_Blank(values)), kind=kind)


class _Blank(dict):
    def __missing__(self, key: str) -> str:
        return ""
