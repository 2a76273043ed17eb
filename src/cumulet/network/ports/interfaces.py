"""What servers have of the network: for compute's answers, and for the metadata that their guests read."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.db import Row, Tx
from .. import ipam
from ..floatingips import floatingips
from ..security_groups.tables import security_groups
from ..tables import fixed_ips, networks, port_security_groups, ports, subnets
from .servers import OWNER


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """An address of an interface, and the floating IPs that lead to it."""

    address: str
    version: int
    subnet_id: str
    floating: tuple[str, ...] = ()


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """A server's port. `status` is ACTIVE once its host has made it."""

    port_id: str
    network_id: str
    network_name: str
    project_id: str
    mac: str
    mtu: int
    host: str
    status: str
    created: str
    addresses: tuple[Address, ...] = ()
    security_groups: tuple[str, ...] = ()
    """Names of the groups that it is in."""


def interfaces(tx: Tx, device_ids: t.Sequence[str]) -> dict[str, list[Interface]]:
    """The interfaces of these devices, in the order in which their ports were made; four queries for any number."""
    found: dict[str, list[Interface]] = {id: [] for id in device_ids}
    if not found:
        return found
    rows = tx.all(_ports(list(found)))
    port_ids = [row.id for row in rows]
    addresses, groups = _addresses(tx, port_ids), _groups(tx, port_ids)
    for row in rows:
        found[row.device_id].append(Interface(
            port_id=row.id, network_id=row.network_id, network_name=row.network_name, project_id=row.project_id,
            mac=row.mac_address, mtu=row.mtu, host=row.host, status=row.status, created=row.created_at.isoformat(),
            addresses=tuple(addresses.get(row.id, ())), security_groups=tuple(groups.get(row.id, ())),
        ))  # fmt: skip
    return found


def network_data(tx: Tx, device_id: str) -> dict[str, t.Any]:
    """A server's `network_data.json`: its links, the networks on them, its name servers; the form is nova's
    (doc/api_schemas/network_data.json)."""
    links, nets, servers = [], [], []
    for port in tx.all(_ports([device_id])):
        link = f"tap{port.id[:11]}"
        links.append({"id": link, "vif_id": port.id, "type": "bridge", "mtu": port.mtu, "ethernet_mac_address": port.mac_address})
        for row in tx.all(_subnets(port.id)):
            nets.append({"id": f"network{len(nets)}", "link": link, "network_id": port.network_id, **_network(row)})
            servers += [one for one in row.dns_nameservers if one not in servers]
    return {"links": links, "networks": nets, "services": [_dns(one) for one in servers]}


def _ports(device_ids: list[str]) -> sa.Select:
    p = ports.c
    columns = (p.id, p.device_id, p.network_id, p.project_id, p.mac_address, p.host, p.status, p.created_at)
    joined = sa.select(*columns, networks.c.name.label("network_name"), networks.c.mtu).join(networks, networks.c.id == p.network_id)
    return joined.where(ports.c.device_id.in_(device_ids), ports.c.device_owner == OWNER).order_by(ports.c.created_at, ports.c.id)


def _addresses(tx: Tx, port_ids: list[str]) -> dict[str, list[Address]]:
    f, i = floatingips.c, fixed_ips.c
    floating: dict[tuple[str, str], list[str]] = {}
    for port, fixed, address in tx.all(sa.select(f.port_id, f.fixed_ip_address, f.floating_ip_address).where(f.port_id.in_(port_ids))):
        floating.setdefault((port, fixed), []).append(address)
    found: dict[str, list[Address]] = {}
    wanted = sa.select(i.port_id, i.address, i.subnet_id).where(i.port_id.in_(port_ids)).order_by(i.created_at, i.id)
    for port, address, subnet in tx.all(wanted):
        found.setdefault(port, []).append(Address(
            address=address, version=6 if ":" in address else 4, subnet_id=subnet, floating=tuple(floating.get((port, address), ())),
        ))  # fmt: skip
    return found


def _groups(tx: Tx, port_ids: list[str]) -> dict[str, list[str]]:
    """The names of the security groups that ports are in."""
    joined = sa.select(port_security_groups.c.port_id, security_groups.c.name).join(
        security_groups, security_groups.c.id == port_security_groups.c.security_group_id
    )
    found: dict[str, list[str]] = {}
    for row in tx.all(joined.where(port_security_groups.c.port_id.in_(port_ids)).order_by(security_groups.c.name)):
        found.setdefault(row.port_id, []).append(row.name)
    return found


def devices_with_address(pattern: str) -> sa.Select:
    """The devices that have an address which contains `pattern` (a leading ^ or trailing $ binds it to an end)."""
    text = pattern.strip("^$").replace("\\.", ".")
    column = fixed_ips.c.address
    if pattern.startswith("^"):
        clause = column.startswith(text, autoescape=True)
    else:
        clause = column.endswith(text, autoescape=True) if pattern.endswith("$") else column.contains(text, autoescape=True)
    return sa.select(ports.c.device_id).join(fixed_ips, fixed_ips.c.port_id == ports.c.id).where(ports.c.device_owner == OWNER, clause)


def _subnets(port_id: str) -> sa.Select:
    joined = sa.select(subnets, fixed_ips.c.address).join(fixed_ips, fixed_ips.c.subnet_id == subnets.c.id)
    return joined.where(fixed_ips.c.port_id == port_id).order_by(fixed_ips.c.created_at, fixed_ips.c.id)


def _network(row: Row) -> dict[str, t.Any]:
    """One address: by name alone where DHCP or router advertisements tell the guest the rest, else in full."""
    if row.ip_version == 6 and row.ipv6_address_mode:
        return {"type": f"ipv6_{row.ipv6_address_mode}"}
    if row.enable_dhcp:
        return {"type": f"ipv{row.ip_version}_dhcp"}
    net = ipam.network(row.cidr)
    nothing = "0.0.0.0" if row.ip_version == 4 else "::"
    routes = [{"network": nothing, "netmask": nothing, "gateway": row.gateway_ip}] if row.gateway_ip else []
    for route in row.host_routes:
        to = ipam.network(route["destination"])
        routes.append({"network": str(to[0]), "netmask": str(to.netmask), "gateway": route["nexthop"]})
    return {"type": f"ipv{row.ip_version}", "ip_address": row.address, "netmask": str(net.netmask), "routes": routes,
            "services": [_dns(one) for one in row.dns_nameservers]}  # fmt: skip


def _dns(address: str) -> dict[str, str]:
    return {"type": "dns", "address": address}
