"""State: explicit SQL on SQLite or PostgreSQL, one transaction at a time."""

from .engine import Await, Database
from .tables import Once, metadata, table
from .transaction import Row, Tx, having
from .values import MANY, VALUES, Texts, each

__all__ = ["MANY", "VALUES", "Await", "Database", "Once", "Row", "Texts", "Tx", "each", "having", "metadata", "table"]
