"""IP protocols as security group rules name them, and the forms in which a rule is kept. Pure.

Names and numbers: IANA's register of protocol numbers, and the aliases that the network API documents.
"""

from __future__ import annotations

import ipaddress as ip

NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89,
    "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
ICMP, ICMPV6 = 1, 58
WITH_PORTS = frozenset({33, 132, 6, 17, 136})
ONLY_IPV6 = frozenset({41, 43, 44, 58, 59, 60})
ALL_PORTS = (1, 65535)


class Problem(ValueError):
    """What is wrong with a rule; `kind` is the network API's name for it."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind, self.message = kind, message


def protocol(text: str | int | None) -> str | None:
    """A protocol in lower case, None for any. Raises Problem for what is no name, and no number up to 255."""
    name = str(text).lower()
    if text is None or name == "any":
        return None
    if name in NUMBERS or (name.isascii() and name.isdecimal() and len(name) <= 3 and int(name) <= 255):
        return name
    raise Problem(
        "SecurityGroupRuleInvalidProtocol",
        f"Security group rule protocol {name[:64]} not supported. Only protocol values {[None, 'any', *NUMBERS]} and integer "
        "representations [0 to 255] are supported.",
    )


def number(protocol: str | None, ethertype: str) -> int | None:
    """A protocol's number; ICMP in a rule for IPv6 means that version's own."""
    if protocol is None:
        return None
    found = NUMBERS[protocol] if protocol in NUMBERS else int(protocol)
    return ICMPV6 if found == ICMP and ethertype == "IPv6" else found


def canonical(protocol: str | None, ethertype: str) -> str | None:
    """A protocol as it is kept: the old names of IPv6's ICMP become the present one."""
    if ethertype == "IPv6" and protocol in ("icmp", "icmpv6"):
        return "ipv6-icmp"
    return str(ICMPV6) if ethertype == "IPv6" and protocol == str(ICMP) else protocol


def ethertype(text: str) -> str:
    """`IPv4` or `IPv6`, however it was written. Raises Problem."""
    for known in ("IPv4", "IPv6"):
        if text.lower() == known.lower():
            return known
    raise Problem(
        "SecurityGroupRuleInvalidEtherType",
        f"Security group rule for ethertype '{text[:64]}' not supported. Allowed values are ['IPv4', 'IPv6'].",
    )


def prefix(text: str | None, ethertype: str) -> str | None:
    """A prefix or address as a CIDR, its host bits kept. Raises Problem for what is none, or of the other IP version."""
    if not text:
        return None
    try:
        found = ip.ip_interface(text)
    except ValueError:
        raise Problem("InvalidCIDR", f"Invalid CIDR {text[:64]} given as IP prefix.") from None
    if f"IPv{found.version}" != ethertype:
        raise Problem("SecurityGroupRuleParameterConflict", f"Conflicting value ethertype {ethertype} for CIDR {found}")
    return str(found)


def ports(protocol: str | None, ethertype: str, least: int | None, most: int | None) -> tuple[int | None, int | None]:
    """A rule's range of ports, or its ICMP type and code, checked. All ports are kept as none. Raises Problem."""
    for port in (least, most):
        if port is not None and not 0 <= port <= 65535:
            raise Problem("SecurityGroupInvalidPortValue", f"Invalid value for port {port}")
    if (least, most) in (ALL_PORTS, (None, None)):
        return None, None
    if protocol is None:
        raise Problem("SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
    of = number(protocol, ethertype)
    if of in (ICMP, ICMPV6):
        _check_icmp(least, most)
    elif of in WITH_PORTS:
        _check_range(least, most)
    else:
        raise Problem(
            "SecurityGroupInvalidProtocolForPort",
            f"Ports cannot be specified for protocol {of}. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE.",
        )
    return least, most


def check_version(protocol: str | None, ethertype: str) -> None:
    """Raise Problem for a protocol of IPv6 in a rule for IPv4."""
    if protocol is not None and ethertype == "IPv4" and number(protocol, ethertype) in ONLY_IPV6:
        raise Problem("SecurityGroupEthertypeConflictWithProtocol", f"Invalid ethertype {ethertype} for protocol {protocol}.")


def _check_icmp(type: int | None, code: int | None) -> None:
    for value, field, attribute in ((type, "type", "port_range_min"), (code, "code", "port_range_max")):
        if value is not None and value > 255:
            raise Problem("SecurityGroupInvalidIcmpValue", f"Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255.")
    if type is None and code is not None:
        raise Problem(
            "SecurityGroupMissingIcmpType", f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing."
        )


def _check_range(least: int | None, most: int | None) -> None:
    if 0 in (least, most):
        raise Problem("SecurityGroupInvalidPortValue", "Invalid value for port 0")
    if least is None or most is None or least > most:
        raise Problem("SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max")
