"""Audit: what was done, by whom, to what, as events that are recorded with it and told to whoever keeps them."""

from .events import Noted, authentication, record
from .relay import AuditRelay

__all__ = ["AuditRelay", "Noted", "authentication", "record"]
