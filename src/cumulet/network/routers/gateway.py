"""A router's gateway: its port on an external network, and whether what goes out by it takes its address."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Conflict, Request, UnsetType
from ..bodies import Id, Ip
from ..floatingips import floatingips
from ..networks import find_network
from ..ports.addresses import assign
from ..ports.rows import drop, insert
from ..tables import subnets
from .rows import GATEWAY, bad, check_overlap, gateways


class ExternalIp(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    subnet_id: Id | None = None
    ip_address: Ip | None = None


class GatewayInfo(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`external_gateway_info` of a request. One that names nothing at all means no gateway."""

    network_id: Id | None = None
    enable_snat: bool | UnsetType = UNSET
    external_fixed_ips: t.Annotated[list[ExternalIp], msgspec.Meta(max_length=16)] | None | UnsetType = UNSET
    qos_policy_id: None | UnsetType = UNSET


def enforce(request: Request, rule: str, info: GatewayInfo | None, of: dict) -> None:
    """Ask the rules of the attributes inside `external_gateway_info`. Raises Forbidden."""
    for name in ("network_id", "enable_snat", "external_fixed_ips"):
        if info is not None and getattr(info, name) not in (UNSET, None):
            request.enforce(f"{rule}:external_gateway_info:{name}", of)


def set_gateway(tx: Tx, context: Context, router: Row, info: GatewayInfo | None) -> bool:
    """Give a router this gateway, or none; whether it then does source NAT. Raises BadRequest, NotFound, Conflict."""
    port = gateways(tx, [router.id]).get(router.id)
    if info is None or not info.network_id:
        _check_empty(info)
        _leave(tx, router, port)
        return True
    network = find_network(tx, context, info.network_id)
    if not network.external:
        raise bad(f"Network {network.id} is not an external network")
    asked = [msgspec.to_builtins(one) for one in info.external_fixed_ips or ()]
    parts = tx.rows(subnets, network_id=network.id)
    _check_not_gateway(parts, asked)
    if port is not None and port.network_id == network.id:
        if asked:
            assign(tx, port, asked)
    else:
        _leave(tx, router, port)
        check_overlap(tx, router.id, parts)
        insert(tx, network.id, "", fixed_ips=asked or None, device_id=router.id, device_owner=GATEWAY)
    return info.enable_snat is not False


def _check_empty(info: GatewayInfo | None) -> None:
    if info is not None and (info.enable_snat is not UNSET or info.external_fixed_ips):
        raise BadRequest("Invalid input for external_gateway_info. Reason: network_id is missing.", kind="HTTPBadRequest")


def _leave(tx: Tx, router: Row, port: Row | None) -> None:
    if port is None:
        return
    if tx.first(sa.select(floatingips.c.id).where(floatingips.c.router_id == router.id).limit(1)):
        raise Conflict(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network {port.network_id} is required "
            "by one or more floating IPs.", kind="RouterExternalGatewayInUseByFloatingIp",
        )  # fmt: skip
    drop(tx, port.id)


def _check_not_gateway(parts: t.Sequence[Row], asked: list[dict]) -> None:
    taken = {part.gateway_ip for part in parts if part.gateway_ip}
    for one in asked:
        if one.get("ip_address") in taken:
            raise bad(f"External IP {one['ip_address']} is the same as the gateway IP")
