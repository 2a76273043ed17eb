"""Ports: the places on networks that servers, routers and DHCP are plugged into, with their addresses."""
