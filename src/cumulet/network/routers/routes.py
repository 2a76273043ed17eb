"""A router's routes to networks that it is not on, by way of a host on one that it is on."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.http import BadRequest, Conflict
from .. import ipam
from .rows import attached

MOST = 30
"""Routes of one router at most."""

Text = t.Annotated[str, msgspec.Meta(max_length=64)]
Pair = dict[str, str]


class Route(msgspec.Struct, forbid_unknown_fields=True):
    destination: Text
    nexthop: Text


class Routes(msgspec.Struct, forbid_unknown_fields=True):
    routes: list[Route]


def canonical(routes: t.Iterable[Route]) -> list[Pair]:
    """Routes as the table holds them, each once. Raises BadRequest."""
    made = []
    for route in routes:
        try:
            destination = ipam.network(route.destination)
            pair = {"destination": str(destination), "nexthop": str(ipam.address(route.nexthop, destination.version))}
        except ipam.Problem as problem:
            raise BadRequest(f"Invalid input for routes. Reason: {problem.message}.", kind="HTTPBadRequest") from None
        if pair not in made:
            made.append(pair)
    return made


def check(tx: Tx, router_id: str, routes: list[Pair]) -> None:
    """Raise unless every next hop is another host on a subnet that the router is on now."""
    if len(routes) > MOST:
        raise BadRequest(f"Unable to complete operation for {router_id}. The number of routes exceeds the maximum {MOST}.",
                         kind="RoutesExhausted")  # fmt: skip
    legs = attached(tx, router_id) if routes else []
    own, nets = {leg.address for leg in legs}, [ipam.network(leg.cidr) for leg in legs]
    for route in routes:
        if not any(ipam.address(route["nexthop"]) in net for net in nets):
            raise _invalid(routes, "the nexthop is not connected with router")
        if route["nexthop"] in own:
            raise _invalid(routes, "the nexthop is used by router")


def check_leaving(router: Row, subnet: Row) -> None:
    """Raise Conflict where a route goes by way of a subnet that the router is about to leave."""
    net = ipam.network(subnet.cidr)
    if any(ipam.address(route["nexthop"]) in net for route in router.routes):
        raise Conflict(
            f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is required by one or more "
            "routes.", kind="RouterInterfaceInUseByRoute",
        )  # fmt: skip


def _invalid(routes: list[Pair], why: str) -> BadRequest:
    return BadRequest(f"Invalid format for routes: {routes}, {why}", kind="InvalidRoutes")
