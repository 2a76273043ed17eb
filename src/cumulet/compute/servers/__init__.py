"""Servers: everything that is done with them."""
