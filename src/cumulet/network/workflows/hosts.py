"""What a host's whole network should be, assembled from rows: a fixed number of queries for any number of hosts."""

from __future__ import annotations

import collections
import functools
import hashlib
import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ..drivers.base import AddressPair, FixedIp, FloatingIp, Group, HostNetwork, Lease, Network, Port, Router, RouterPort, Rule, Subnet
from ..floatingips import floatingips
from ..hosts import network_hosts
from ..networks import DHCP_OWNER
from ..ports.servers import OWNER
from ..routers.rows import GATEWAY, INTERFACE, routers
from ..security_groups.protocols import number
from ..security_groups.tables import security_group_rules as rules
from ..tables import fixed_ips, networks, port_security_groups, ports, subnets
from .outcome import Outcome, outcome


class Description(t.NamedTuple):
    """digest: of everything but the generation. settled: whether the rows tell already that it is so."""

    wanted: HostNetwork
    digest: str
    settled: bool


def describe(tx: Tx, hosts: t.Sequence[str], generation: int) -> dict[str, Description]:
    """The descriptions of these hosts, all of this generation."""
    facts = _Facts(tx, hosts)
    found = {}
    for host in hosts:
        wanted = _describe(facts, host)
        digest = hashlib.sha256(msgspec.msgpack.encode(wanted)).hexdigest()
        settled = _settled(facts, outcome(wanted, {}))
        found[host] = Description(msgspec.structs.replace(wanted, generation=generation), digest, settled)
    return found


class _Facts:
    """The rows that tell of some hosts."""

    def __init__(self, tx: Tx, hosts: t.Sequence[str]):
        here = ports.c.host.in_(list(hosts))
        local = sa.select(routers.c.id).where(routers.c.host.in_(list(hosts)))
        leg = sa.and_(ports.c.device_owner.in_((INTERFACE, GATEWAY)), ports.c.device_id.in_(local))
        present = sa.select(ports.c.network_id).where(sa.or_(here, leg))
        served = sa.select(ports.c.network_id).where(here, ports.c.device_owner == DHCP_OWNER)
        leased = ports.c.network_id.in_(served)

        self.ports = {row.id: row for row in tx.all(sa.select(ports).where(sa.or_(here, leg, leased)).order_by(ports.c.id))}
        self.routers = {row.id: row for row in tx.all(sa.select(routers).where(routers.c.id.in_(local)).order_by(routers.c.id))}
        self.networks = {row.id: row for row in tx.all(sa.select(networks).where(networks.c.id.in_(present)))}
        of_network = subnets.c.network_id.in_(present)
        self.subnets = _by("network_id", tx.all(sa.select(subnets).where(of_network).order_by(subnets.c.id)))
        held = sa.select(fixed_ips).join(ports, ports.c.id == fixed_ips.c.port_id).where(sa.or_(here, leg, leased))
        self.addresses = _by("port_id", tx.all(held.order_by(fixed_ips.c.created_at, fixed_ips.c.id)))
        f = floatingips.c
        still = sa.and_(fixed_ips.c.port_id == f.port_id, fixed_ips.c.address == f.fixed_ip_address)
        passed = sa.select(floatingips).join(fixed_ips, still).where(f.router_id.in_(local)).order_by(f.id)
        self.floating = _by("router_id", tx.all(passed))
        self._read_groups(tx, here)
        self._read_peers(tx, present)

        self.bound = _by("host", [row for row in self.ports.values() if not row.device_owner.startswith("network:")])
        self.dhcp = _by("host", [row for row in self.ports.values() if row.device_owner == DHCP_OWNER and self.addresses.get(row.id)])
        self.tenants = _by("network_id", [row for row in self.ports.values() if row.device_owner != DHCP_OWNER])
        self.legs = _by("device_id", [row for row in self.ports.values() if row.device_owner in (INTERFACE, GATEWAY)])
        self.local_routers = _by("host", list(self.routers.values()))

    def _read_groups(self, tx: Tx, here: sa.ColumnElement[bool]) -> None:
        """The groups of the hosts' ports, these groups' rules, and who is in the groups that the rules name."""
        g = port_security_groups.c
        inside = sa.select(g.port_id, g.security_group_id).join(ports, ports.c.id == g.port_id)
        self.groups = _by("port_id", tx.all(inside.where(here).order_by(g.security_group_id)))
        used = rules.c.security_group_id.in_(inside.with_only_columns(g.security_group_id).where(here))
        self.rules = _by("security_group_id", tx.all(sa.select(rules).where(used).order_by(rules.c.id)))
        named = sa.select(rules.c.remote_group_id).where(used, rules.c.remote_group_id.is_not(None))
        who = inside.with_only_columns(g.security_group_id, fixed_ips.c.address, ports.c.allowed_address_pairs)
        who = who.join(fixed_ips, fixed_ips.c.port_id == ports.c.id).where(g.security_group_id.in_(named))
        self.members: dict[str, set[str]] = collections.defaultdict(set)
        for row in tx.all(who):
            self.members[row.security_group_id] |= {row.address, *(pair["ip_address"] for pair in row.allowed_address_pairs)}

    def _read_peers(self, tx: Tx, present: sa.Select) -> None:
        """The hosts that networks are on, by their tunnel addresses; a cloud without tunnels asks no further."""
        h = network_hosts.c
        self.tunnels = {row.host: row.tunnel_ip for row in tx.all(sa.select(h.host, h.tunnel_ip).where(h.tunnel_ip != ""))}
        self.peers: dict[str, set[str]] = collections.defaultdict(set)
        plugged = sa.select(ports.c.network_id, ports.c.host).where(ports.c.host != "", ports.c.network_id.in_(present))
        routed = sa.select(ports.c.network_id, routers.c.host).join(routers, routers.c.id == ports.c.device_id)
        routed = routed.where(ports.c.device_owner.in_((INTERFACE, GATEWAY)), routers.c.host != "", ports.c.network_id.in_(present))
        for row in [*tx.all(plugged.distinct()), *tx.all(routed.distinct())] if self.tunnels else ():
            self.peers[row.network_id].add(row.host)

    @functools.cached_property
    def group_rules(self) -> dict[str, tuple[Rule, ...]]:
        return {id: tuple(_rule(row) for row in rows) for id, rows in self.rules.items()}

    @functools.cached_property
    def group_members(self) -> dict[str, tuple[str, ...]]:
        return {id: tuple(sorted(addresses)) for id, addresses in self.members.items()}

    @functools.cached_property
    def network_subnets(self) -> dict[str, tuple[Subnet, ...]]:
        return {id: tuple(_subnet(row) for row in rows) for id, rows in self.subnets.items()}


def _by(column: str, rows: t.Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = collections.defaultdict(list)
    for row in rows:
        found[getattr(row, column)].append(row)
    return found


# -- one host ------------------------------------------------------------------------------------------------------


def _describe(facts: _Facts, host: str) -> HostNetwork:
    local = [_router(facts, row) for row in facts.local_routers[host]]
    served = {row.network_id: row for row in facts.dhcp[host]}
    bound = tuple(_port(facts, row) for row in facts.bound[host])
    present = {port.network_id for port in bound} | set(served)
    present |= {leg.network_id for router in local for leg in router.legs}
    return HostNetwork(
        host=host, generation=0, ports=bound, routers=tuple(local), groups=_groups(facts, bound),
        networks=tuple(_network(facts, host, facts.networks[id], served.get(id)) for id in sorted(present)),
    )  # fmt: skip


def _network(facts: _Facts, host: str, row: Row, dhcp: Row | None) -> Network:
    others = facts.peers[row.id] - {host}
    return Network(
        id=row.id, kind=row.network_type, mtu=row.mtu, segment=row.segmentation_id or 0, physical=row.physical_network or "",
        up=row.admin_state_up, subnets=facts.network_subnets.get(row.id, ()), dhcp_port=_port(facts, dhcp) if dhcp else None,
        leases=_leases(facts, row.id) if dhcp else (), peers=tuple(sorted(facts.tunnels[h] for h in others if h in facts.tunnels)),
    )  # fmt: skip


def _subnet(row: Row) -> Subnet:
    return Subnet(
        id=row.id, cidr=row.cidr, ip_version=row.ip_version, gateway=row.gateway_ip, dhcp=row.enable_dhcp,
        dns=tuple(row.dns_nameservers), routes=tuple((r["destination"], r["nexthop"]) for r in row.host_routes),
        ipv6_ra_mode=row.ipv6_ra_mode, ipv6_address_mode=row.ipv6_address_mode,
    )  # fmt: skip


def _leases(facts: _Facts, network_id: str) -> tuple[Lease, ...]:
    return tuple(
        Lease(
            port_id=row.id, mac=row.mac_address, addresses=_addresses(facts, row), hostname=_hostname(facts, row),
            server_id=row.device_id if row.device_owner == OWNER else "", options=_options(row),
        ) for row in facts.tenants[network_id] if facts.addresses[row.id]
    )  # fmt: skip


def _port(facts: _Facts, row: Row) -> Port:
    secured = row.port_security_enabled
    return Port(
        id=row.id, network_id=row.network_id, mac=row.mac_address, fixed_ips=_addresses(facts, row), device_id=row.device_id,
        groups=tuple(one.security_group_id for one in facts.groups[row.id]) if secured else (), port_security=secured,
        pairs=tuple(AddressPair(pair["ip_address"], pair["mac_address"]) for pair in row.allowed_address_pairs),
        up=row.admin_state_up, hostname=_hostname(facts, row), dhcp_options=_options(row),
    )  # fmt: skip


def _addresses(facts: _Facts, row: Row) -> tuple[FixedIp, ...]:
    return tuple(FixedIp(ip.subnet_id, ip.address) for ip in facts.addresses[row.id])


def _hostname(facts: _Facts, row: Row) -> str:
    """The port's own name, or one made of its first address."""
    first = next((ip.address for ip in facts.addresses[row.id]), "")
    return row.dns_name or (f"host-{first.replace('.', '-').replace(':', '-')}" if first else "")


def _options(row: Row) -> dict[str, str]:
    """By their names; those of DHCPv6 with `option6:` before them."""
    return {f"{'option6:' if one['ip_version'] == 6 else ''}{one['opt_name']}": str(one["opt_value"]) for one in row.extra_dhcp_opts}


# -- groups and routers --------------------------------------------------------------------------------------------


def _groups(facts: _Facts, bound: t.Sequence[Port]) -> tuple[Group, ...]:
    """The groups of the host's ports with their rules, and those that these rules name with their members."""
    used = {id for port in bound for id in port.groups}
    named = {rule.remote_group for id in used for rule in facts.group_rules.get(id, ()) if rule.remote_group}
    return tuple(
        Group(
            id=id, rules=facts.group_rules.get(id, ()) if id in used else (),
            members=facts.group_members.get(id, ()) if id in named else (),
        ) for id in sorted(used | named)
    )  # fmt: skip


def _rule(row: Row) -> Rule:
    """A rule for the host, its protocol by number: which names there are is this side's matter."""
    protocol = number(row.protocol, row.ethertype)
    return Rule(
        direction=row.direction, ethertype=row.ethertype, protocol=None if protocol is None else str(protocol), port_min=row.port_range_min,
        port_max=row.port_range_max, remote_cidr=row.remote_ip_prefix, remote_group=row.remote_group_id,
    )  # fmt: skip


def _router(facts: _Facts, row: Row) -> Router:
    legs = {port.id: port for port in facts.legs[row.id]}
    made = [_leg(facts, port) for port in legs.values()]
    return Router(
        id=row.id, up=row.admin_state_up, snat=row.enable_snat,
        interfaces=tuple(leg for leg in made if legs[leg.port_id].device_owner == INTERFACE),
        gateway=next((leg for leg in made if legs[leg.port_id].device_owner == GATEWAY), None),
        floating_ips=tuple(FloatingIp(f.floating_ip_address, f.fixed_ip_address) for f in facts.floating[row.id]),
        routes=tuple((route["destination"], route["nexthop"]) for route in row.routes),
    )  # fmt: skip


def _leg(facts: _Facts, port: Row) -> RouterPort:
    return RouterPort(port_id=port.id, network_id=port.network_id, mac=port.mac_address, fixed_ips=_addresses(facts, port))


def _settled(facts: _Facts, good: Outcome) -> bool:
    """Whether every row has the status that it gets when its host is as described."""
    return (
        all(facts.ports[id].status == status for id, status in good.ports.items())
        and all(facts.routers[id].status == status for id, status in good.routers.items())
        and all(f.status == good.routers[id] for id in good.routers for f in facts.floating[id])
    )
