"""State: explicit SQL on SQLite or PostgreSQL, one transaction at a time."""

from .engine import Await, Database
from .tables import Once, metadata, table
from .transaction import MANY, Row, Tx, having

__all__ = ["MANY", "Await", "Database", "Once", "Row", "Tx", "having", "metadata", "table"]
