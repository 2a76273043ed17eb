"""The hosts that keep volumes, as they report themselves, and the choice among them."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.bus import Event
from ..kernel.db import Row, Tx
from ..kernel.runtime import Runtime
from .tables import backends, types, volumes

ALIVE = dt.timedelta(seconds=60)
BACKEND = "cumulet"
DEFAULT_TYPE = "__DEFAULT__"


class NoBackend(Exception):
    """No host can keep the volume; the text says what each lacks."""


async def host_event(runtime: Runtime, event: Event) -> None:
    """Take in what a host says of itself."""
    if event.name == "hello" and "volume" in event.data:
        await runtime.db.write(lambda tx: _seen(tx, event.host, event.data["volume"]))
        runtime.bus.nudge("volumes")
    elif event.name == "alive":
        now = clock.now()
        await runtime.db.write(lambda tx: tx.execute(
            sa.update(backends).where(backends.c.host.in_(event.data["hosts"])).values(last_seen=now)))  # fmt: skip


def choose(tx: Tx, size_gib: int, *, specs: dict[str, str], on: str | None = None) -> str:
    """The host for a new volume: the one with most room of those that offer what its type's `specs` ask for; only `on`,
    where that is given, for the volume's source is there. Raises NoBackend."""
    reasons, fit = [], []
    used = {
        row.host: int(row.used)
        for row in tx.all(sa.select(volumes.c.host, sa.func.sum(volumes.c.size).label("used")).group_by(volumes.c.host))
    }
    for row in tx.rows(backends):
        if on is not None and row.host != on:
            reasons.append(f"{row.host} has not the volume's source")
        elif row.disabled or not alive(row):
            reasons.append(f"{row.host} is {'disabled' if row.disabled else 'down'}")
        elif (free := _room(row, used.get(row.host, 0))) < size_gib:
            reasons.append(f"{row.host} has {free:.0f} GiB free")
        elif lacking := _lacking(row, specs):
            reasons.append(f"{row.host} has not {lacking}")
        else:
            fit.append((free, row.host))
    if not fit:
        raise NoBackend(f"No valid backend was found for a volume of {size_gib} GiB: {'; '.join(reasons) or 'there is none'}.")
    return max(fit)[1]


def alive(row: Row) -> bool:
    return clock.now() - row.last_seen <= ALIVE


def capabilities(row: Row) -> dict[str, t.Any]:
    """What a back end says of itself, under the names that type's extra specs and clients know."""
    said = row.capacity
    return {
        "volume_backend_name": BACKEND, "vendor_name": said["vendor"], "driver_version": "1.0", "storage_protocol": said["protocol"],
        "total_capacity_gb": said["total_gib"], "free_capacity_gb": said["free_gib"], "reserved_percentage": 0, "QoS_support": False,
        "multiattach": True, "thin_provisioning_support": said["thin"], "thick_provisioning_support": not said["thin"],
        "max_over_subscription_ratio": "20.0", "location_info": None, "replication_enabled": False, "backend_state": "up",
    }  # fmt: skip


def _lacking(row: Row, specs: dict[str, str]) -> str | None:
    """The first capability that a type asks for and the back end has not. Specs of other scopes are for others."""
    offered = capabilities(row)
    for key, wanted in specs.items():
        scope, _, name = key.rpartition(":")
        if scope not in ("", "capabilities"):
            continue
        if name not in offered or not _meets(offered[name], wanted):
            return f"{name}={wanted}" + (f" (it has {offered[name]})" if name in offered else "")
    return None


def _meets(offered: t.Any, wanted: str) -> bool:
    operator, _, value = wanted.partition(" ")
    if operator == "<is>":
        return str(offered).lower() == value.strip().lower()
    if operator == "<in>":
        return value.strip() in str(offered)
    if operator == "<or>":
        return str(offered) in [one.strip() for one in value.split("<or>")]
    return str(offered).lower() == wanted.lower()


def _room(row: Row, used: int) -> float:
    """GiB that may still be promised: of a thin back end all that is free, of a thick one what is not promised yet."""
    capacity: dict[str, t.Any] = row.capacity
    return capacity["free_gib"] if capacity["thin"] else capacity["total_gib"] - used


def _seen(tx: Tx, host: str, capacity: dict) -> None:
    if tx.update(backends, {"host": host}, capacity=capacity, last_seen=clock.now()) == 0:
        tx.insert(backends, host=host, capacity=capacity, last_seen=clock.now(), disabled=False)
    if tx.get(types, name=DEFAULT_TYPE) is None:
        tx.insert(types, name=DEFAULT_TYPE, description="Default Volume Type", is_public=True, extra_specs={})
