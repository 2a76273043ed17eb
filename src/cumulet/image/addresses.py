"""Which URLs, and which addresses behind them, images may be fetched from. Pure: names are resolved elsewhere, and every
address that a name has is brought here.

Source of the ranges: the IANA registries of special-purpose addresses, as the standard library's ipaddress has them.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from urllib.parse import SplitResult, urlsplit

from ..kernel.config_imports import ImageImport

PORTS = {"http": 80, "https": 443}
LONGEST = 2048
"""Characters of a URL."""
METADATA = {ipaddress.ip_address("168.63.129.16")}
"""Metadata services that are at public addresses: that of Azure. All others' are link-local or private."""
_FORBIDDEN = re.compile(r"[^\x21-\x7e]|\\")


class Refused(Exception):
    """An image is not fetched from there; the text says why, to whoever asked for it."""


class Target(t.NamedTuple):
    """Whom to ask for what. `host` is a name or an address, in lower case, without brackets; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host, and the port where it is not the scheme's own, as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def target(url: str) -> Target:
    """What a URL means. Raises Refused for one that two readers could understand differently, that has a user or password in
    it, or is of a scheme that nobody could fetch."""
    if len(url) > LONGEST or _FORBIDDEN.search(url):
        raise Refused(f"the URL has more than {LONGEST} characters, or some that have to be quoted")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"the URL is malformed: {error}") from None
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    if scheme not in PORTS:
        raise Refused(f"the scheme is {scheme or 'missing'}; it can be http or https")
    if not host:
        raise Refused("the URL names no host")
    if "@" in parts.netloc:
        raise Refused("the URL has a user name or password in it, which whoever may see the task would see")
    if port == 0:
        raise Refused("there is no port 0")
    return Target(scheme, host, PORTS[scheme] if port is None else port, _path(parts))


def admit(target: Target, rules: ImageImport) -> None:
    """Raise Refused unless the settings allow its scheme, host and port. What the host's addresses are is another question."""
    for what, value, allowed, disallowed in (
        ("scheme", target.scheme, rules.allowed_schemes, rules.disallowed_schemes),
        ("host", target.host, _hosts(rules.allowed_hosts), _hosts(rules.disallowed_hosts)),
        ("port", target.port, rules.allowed_ports, rules.disallowed_ports),
    ):
        if value not in allowed if allowed else value in disallowed:
            raise Refused(f"this cloud fetches no images from {what} {value}")


def admit_address(text: str, rules: ImageImport) -> None:
    """Raise Refused for an address that is not everybody's to reach: of this machine, of a private network, of a metadata
    service, or one in which such an address can hide (translation and tunnels to IPv4); unless the settings allow it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if any(address in network for network in map(ipaddress.ip_network, rules.allowed_networks)):
        return
    site_local = getattr(address, "is_site_local", False)
    if not address.is_global or address.is_multicast or address.is_reserved or site_local or address in METADATA:
        raise Refused(f"{text} is no public address")


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _hosts(names: list[str]) -> list[str]:
    return [name.lower().strip("[]").rstrip(".") for name in names]
