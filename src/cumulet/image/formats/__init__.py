"""What an uploaded image really is, told from its bytes as they stream by; nothing is trusted and nothing opened."""

from __future__ import annotations

from .inspector import Inspected, Inspector
from .verdict import PACKED, UnsafeImage, check

__all__ = ["PACKED", "Inspected", "Inspector", "UnsafeImage", "check"]
