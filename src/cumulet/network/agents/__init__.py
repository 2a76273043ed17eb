"""Agents: what serves the networks on each host, by the names that the API has for it; and what lives where.

A host has one of each kind. What an L3 agent hosts is the routers whose `host` is the agent's, what a DHCP agent hosts is the
networks whose DHCP port is there: there is no other record of it.
"""
