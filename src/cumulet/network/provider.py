"""What networks are made of: their type, the physical network they are on, the number that keeps them apart."""

from __future__ import annotations

import random
import typing as t

import sqlalchemy as sa

from ..kernel.db import Tx
from ..kernel.http import Conflict
from .bodies import Json, invalid
from .tables import networks

MTU = {"vxlan": 1450, "vlan": 1500, "flat": 1500, "local": 1500}
"""The largest MTU of each type over links of 1500: a VXLAN packet carries 50 octets more (RFC 7348)."""
SEGMENTS = {"vlan": (1, 4094), "vxlan": (1, 2**24 - 1)}


def choose(tx: Tx, given: Json) -> Json:
    """A new network's provider attributes, chosen where they were not given. Raises BadRequest, Conflict."""
    kind = given.get("network_type", "vxlan")
    physical, number = given.get("physical_network") or None, given.get("segmentation_id")
    if (problem := _problem(kind, physical, number)) is not None:
        raise invalid(problem)
    if kind in SEGMENTS and number is None:
        number = _free(tx, kind, physical)
    if kind != "local" and _taken(tx, kind, physical, [number]):
        raise _in_use(kind, physical, number)
    return {"network_type": kind, "physical_network": physical, "segmentation_id": number}


def _problem(kind: str, physical: str | None, number: int | None) -> str | None:
    """Why a network of this type cannot have these attributes."""
    if kind in ("flat", "vlan") and not physical:
        return f"physical_network required for {kind} provider network"
    if kind in ("vxlan", "local") and physical:
        return f"provider:physical_network specified for {kind} network"
    if number is None:
        return None
    if kind not in SEGMENTS:
        return f"provider:segmentation_id specified for {kind} network"
    least, most = SEGMENTS[kind]
    if not least <= number <= most:
        return f"segmentation_id of {kind} must be between {least} and {most}, not {number}"
    return None


def _free(tx: Tx, kind: str, physical: str | None) -> int:
    least, most = SEGMENTS[kind]
    some = [random.randint(least, most) for _ in range(8)]
    if free := set(some) - _taken(tx, kind, physical, some):
        return free.pop()
    taken = _taken(tx, kind, physical, None)
    number = next((n for n in range(least, most + 1) if n not in taken), None)
    if number is None:
        raise Conflict("Unable to create the network. No tenant network is available for allocation.", kind="NoNetworkAvailable")
    return number


def _taken(tx: Tx, kind: str, physical: str | None, among: t.Sequence[int | None] | None) -> set[int | None]:
    """Which of these segmentation ids (of all, without `among`) networks of a type have."""
    c = networks.c
    statement = sa.select(c.segmentation_id).where(c.network_type == kind)
    if physical is not None:
        statement = statement.where(c.physical_network == physical)
    if among is not None and among != [None]:
        statement = statement.where(c.segmentation_id.in_(among))
    return {row.segmentation_id for row in tx.all(statement)}


def _in_use(kind: str, physical: str | None, number: int | None) -> Conflict:
    text, name = {
        "flat": (f"Unable to create the flat network. Physical network {physical} is in use.", "FlatNetworkInUse"),
        "vlan": (
            f"Unable to create the network. The VLAN {number} on physical network {physical} is in use.",
            "VlanIdInUse",
        ),
        "vxlan": (f"Unable to create the network. The tunnel ID {number} is in use.", "TunnelIdInUse"),
    }[kind]
    return Conflict(text, kind=name)
