"""Subnets: the IP prefixes of networks, with what DHCP tells about them and which addresses it hands out."""

from .operations import find_subnet

__all__ = ["find_subnet"]
