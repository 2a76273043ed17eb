"""Security groups: what may go to and from the ports that are in them."""

from .groups import named_groups
from .tables import default_security_group, find_security_group

__all__ = ["default_security_group", "find_security_group", "named_groups"]
