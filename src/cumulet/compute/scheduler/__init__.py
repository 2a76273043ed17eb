"""Where a server goes: filters and weights as pure functions on arrays, and a reason where there is no place."""

from .choose import Ask, Hosts, NoValidHost, pick

__all__ = ["Ask", "Hosts", "NoValidHost", "pick"]
