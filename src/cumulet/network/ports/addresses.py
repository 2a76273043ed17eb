"""Which addresses a port has: those asked for, and otherwise one of each IP version with every automatic one.

Two transactions never give one address away twice: the table refuses it, and its words are the client's answer.
"""

from __future__ import annotations

import random
import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Conflict
from .. import ipam
from ..tables import allocation_pools, fixed_ips, subnets

AUTOMATIC = ("slaac", "dhcpv6-stateless")
"""IPv6 modes in which a guest makes its address itself, of the prefix and its MAC."""
ROUTER_OWNERS = (
    "network:router_interface",
    "network:router_gateway",
    "network:floatingip",
    "network:router_centralized_snat",
)
"""Ports that take addresses of automatic subnets by choice only."""
MOST = 5
_choose = random.SystemRandom()


class Want(t.NamedTuple):
    """An address of a subnet; None: any that is free (or the automatic one)."""

    subnet: Row
    address: str | None


def assign(tx: Tx, port: Row, asked: list[dict] | None) -> None:
    """Give a port the addresses `asked` for ({"subnet_id"} or {"ip_address"} or both, each), or those it gets by
    default (None). What it has already and may keep, it keeps. Raises BadRequest, Conflict."""
    offers = tx.rows(subnets, network_id=port.network_id, order=(subnets.c.created_at))
    wants = _default(tx, port, offers) if asked is None else [_resolve(port, offers, one) for one in asked]
    if asked is None or asked:
        wants += _automatic(port, offers, {want.subnet.id for want in wants})
    held = tx.rows(fixed_ips, port_id=port.id, order=fixed_ips.c.created_at)
    wants = [_made(port, want) for want in wants]
    kept, missing = _match(held, wants)
    for row in held:
        if row.id not in kept:
            tx.delete(fixed_ips, id=row.id)
    for want in missing:
        _add(tx, port, want)


def add_from(tx: Tx, port: Row, subnet: Row) -> bool:
    """Give a port one more address, the lowest free one of this subnet; False where there is none or it has one there."""
    if tx.rows(fixed_ips, port_id=port.id, subnet_id=subnet.id):
        return False
    want = _made(port, Want(subnet, None))
    address = want.address or lowest_free(tx, subnet)
    if address is None or taken(tx, subnet.network_id, [address]):
        return False
    _add(tx, port, Want(subnet, address))
    return True


def automatic(subnet: Row) -> bool:
    """Whether the subnet's hosts make their addresses themselves."""
    return subnet.ipv6_address_mode in AUTOMATIC or subnet.ipv6_ra_mode in AUTOMATIC


def free_address(tx: Tx, subnet: Row) -> str | None:
    """An address of the subnet's pools that no port has, None where all are in use."""
    pools = _pools(tx, subnet)
    some = ipam.candidates(pools, subnet.ip_version, _choose)
    used = taken(tx, subnet.network_id, some)
    if (one := next((address for address in some if address not in used), None)) is not None:
        return one
    return lowest_free(tx, subnet)


def lowest_free(tx: Tx, subnet: Row) -> str | None:
    """The first of those addresses."""
    used = tx.all(sa.select(fixed_ips.c.address).where(fixed_ips.c.subnet_id == subnet.id))
    return ipam.first_free(_pools(tx, subnet), subnet.ip_version, {row.address for row in used})


def _pools(tx: Tx, subnet: Row) -> list[ipam.Pool]:
    return [ipam.pool(row.first, row.last) for row in tx.rows(allocation_pools, subnet_id=subnet.id)]


def taken(tx: Tx, network_id: str, among: list[str]) -> set[str]:
    """Which of these addresses ports of the network have."""
    statement = sa.select(fixed_ips.c.address).where(fixed_ips.c.network_id == network_id, fixed_ips.c.address.in_(among))
    return {row.address for row in tx.all(statement)}


def of_ports(tx: Tx, ids: t.Sequence[str]) -> dict[str, list[Row]]:
    """The addresses of these ports, in the order in which they came."""
    found: dict[str, list[Row]] = {id: [] for id in ids}
    statement = sa.select(fixed_ips).where(fixed_ips.c.port_id.in_(list(ids))).order_by(fixed_ips.c.created_at, fixed_ips.c.id)
    for row in tx.all(statement) if found else ():
        found[row.port_id].append(row)
    return found


# -- what is wanted ------------------------------------------------------------------------------------------------


def _resolve(port: Row, offers: list[Row], asked: dict) -> Want:
    """A request's entry as a subnet and an address, checked."""
    id, text = asked.get("subnet_id"), asked.get("ip_address")
    if not id and not text:
        raise BadRequest("Invalid input for operation: IP allocation requires subnet_id or ip_address.", kind="InvalidInput")
    address = _address(text) if text else None
    if id:
        subnet = next((offer for offer in offers if offer.id == id), None)
        if subnet is None:
            raise BadRequest(
                f"Invalid input for operation: Failed to create port on network {port.network_id}, because fixed_ips "
                f"included invalid subnet {id}.", kind="InvalidInput",
            )  # fmt: skip
    else:
        subnet = next((offer for offer in offers if address in ipam.network(offer.cidr)), None)
        if subnet is None:
            raise BadRequest(
                f"IP address {text} is not a valid IP for any of the subnets on the specified network.",
                kind="InvalidIpForNetwork",
            )
    if address is not None:
        _check_address(port, subnet, address)
    return Want(subnet, str(address) if address is not None else None)


def _address(text: str) -> ipam.Address:
    try:
        return ipam.address(text)
    except ipam.Problem as problem:
        raise BadRequest(f"Invalid input for fixed_ips. Reason: {problem.message}.", kind="HTTPBadRequest") from None


def _check_address(port: Row, subnet: Row, address: ipam.Address) -> None:
    net = ipam.network(subnet.cidr)
    first, last = ipam.usable(net)
    # the gateway of an IPv6 network may have the routers' anycast address
    least = int(net[0]) if net.version == 6 and port.device_owner in ROUTER_OWNERS else first
    if address not in net or not least <= int(address) <= last:
        raise BadRequest(f"IP address {address} is not a valid IP for the specified subnet.", kind="InvalidIpForSubnet")
    if automatic(subnet) and port.device_owner not in ROUTER_OWNERS and str(address) != ipam.eui64(net, port.mac_address):
        raise BadRequest(
            f"IPv6 address {address} can not be directly assigned to a port on subnet {subnet.id} since the subnet is "
            "configured for automatic addresses", kind="AllocationOnAutoAddressSubnet",
        )  # fmt: skip


def _default(tx: Tx, port: Row, offers: list[Row]) -> list[Want]:
    """One address of each IP version that the network has subnets of, from the first subnet with a free one."""
    wants = []
    for version in (4, 6):
        among = [offer for offer in offers if offer.ip_version == version and not automatic(offer)]
        fitting = [offer for offer in among if not offer.service_types or _serves(offer, port.device_owner)]
        if among and not fitting:
            raise Conflict(
                f"No valid service subnet for the given device owner, network {port.network_id}, service type "
                f"{port.device_owner}.", kind="IpAddressGenerationFailureNoMatchingSubnet",
            )  # fmt: skip
        if fitting:
            roomy = ((offer, free_address(tx, offer)) for offer in fitting)
            found = next((Want(offer, address) for offer, address in roomy if address is not None), None)
            if found is None:
                raise exhausted(port.network_id)
            wants.append(found)
    return wants


def _serves(subnet: Row, device_owner: str) -> bool:
    return any(device_owner.startswith(kind) for kind in subnet.service_types)


def _automatic(port: Row, offers: list[Row], named: set[str]) -> list[Want]:
    """The automatic addresses that come with every port but a router's."""
    if port.device_owner in ROUTER_OWNERS:
        return []
    return [Want(offer, None) for offer in offers if automatic(offer) and offer.id not in named]


def _made(port: Row, want: Want) -> Want:
    if want.address is None and automatic(want.subnet) and port.device_owner not in ROUTER_OWNERS:
        return Want(want.subnet, ipam.eui64(ipam.network(want.subnet.cidr), port.mac_address))
    return want


def _match(held: list[Row], wants: list[Want]) -> tuple[set[str], list[Want]]:
    """The rows that stay, and what no row answers. An exact address is matched before any one of a subnet."""
    kept: set[str] = set()
    missing = []
    for want in sorted(wants, key=lambda want: want.address is None):
        fits = (r for r in held if r.id not in kept and r.subnet_id == want.subnet.id and want.address in (None, r.address))
        if (row := next(fits, None)) is not None:
            kept.add(row.id)
        else:
            missing.append(want)
    return kept, missing


def _add(tx: Tx, port: Row, want: Want) -> None:
    address = want.address or free_address(tx, want.subnet)
    if address is None:
        raise exhausted(port.network_id)
    if want.address and taken(tx, port.network_id, [address]):
        raise Conflict(f"IP address {address} already allocated in subnet {want.subnet.id}", kind="IpAddressAlreadyAllocated")
    tx.insert(fixed_ips, port_id=port.id, network_id=port.network_id, subnet_id=want.subnet.id, address=address)


def exhausted(network_id: str) -> Conflict:
    return Conflict(f"No more IP addresses available on network {network_id}.", kind="IpAddressGenerationFailure")
