"""Routers: they join a project's networks to each other and, by their gateways, to external networks.

A router's interfaces and gateway are ports whose device it is; there is no other record of them.
"""
