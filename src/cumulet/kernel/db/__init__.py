"""State: explicit SQL on SQLite or PostgreSQL, one transaction at a time."""

from .engine import Await, Database
from .tables import Once, metadata, table
from .transaction import Row, Tx

__all__ = ["Await", "Database", "Once", "Row", "Tx", "metadata", "table"]
