"""Whom this machine trusts: the certificates by which other servers are known."""

from __future__ import annotations

import functools
import ssl


@functools.cache
def trusted() -> ssl.SSLContext:
    """The system's certificates, read once: that takes some 20 ms."""
    return ssl.create_default_context()
