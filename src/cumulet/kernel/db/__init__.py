"""State: explicit SQL on SQLite or PostgreSQL, one transaction at a time."""

from .engine import Database
from .tables import metadata, table
from .transaction import Row, Tx

__all__ = ["Database", "Row", "Tx", "metadata", "table"]
