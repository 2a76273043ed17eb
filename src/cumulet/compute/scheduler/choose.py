"""Choosing a host. No I/O: hosts come as columns, an ask as a value, the answer is an index or a reason."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import numpy as np

Mask = np.ndarray


@dc.dataclass(frozen=True)
class Hosts:
    """The hosts, a column a property. Memory in MiB, disk in GiB; `free` is what ratios and use leave, `free_others` the same
    of resource classes beyond these three."""

    names: list[str]
    enabled: np.ndarray
    free_vcpus: np.ndarray
    free_memory: np.ndarray
    free_disk: np.ndarray
    free_others: list[dict[str, int]]
    zones: list[str]
    traits: list[frozenset[str]]
    hypervisors: list[str]
    aggregates: list[list[dict[str, str]]]
    """For each host the metadata of its aggregates."""

    def __len__(self) -> int:
        return len(self.names)


@dc.dataclass(frozen=True)
class Ask:
    """What a server needs."""

    vcpus: int
    memory: int
    disk: int
    others: dict[str, int] = dc.field(default_factory=dict)
    zone: str | None = None
    host: str | None = None
    required_traits: frozenset[str] = frozenset()
    forbidden_traits: frozenset[str] = frozenset()
    hypervisor: str | None = None
    same_as: frozenset[str] = frozenset()
    """Hosts of the servers that it must share a host with; empty: no wish."""
    different_from: frozenset[str] = frozenset()
    max_on_host: dict[str, int] | None = None
    """Soft or hard limits of an anti-affinity group: host -> members that it may still take."""
    avoid: frozenset[str] = frozenset()
    """Hosts that were tried already."""
    extra_specs: dict[str, str] = dc.field(default_factory=dict)


class NoValidHost(Exception):
    """No host passes; the text says which filter rejected how many, and what came nearest."""


def pick(hosts: Hosts, ask: Ask, rank: Callable[[int], float] = lambda i: 0.0) -> int:
    """The index of the best host: of those that pass every filter the one with most free memory, then
    processors; `rank` breaks ties (greater wins). Raises NoValidHost."""
    left = np.ones(len(hosts), dtype=bool)
    steps = []
    for name, passes in FILTERS:
        before = int(left.sum())
        kept = left & passes(hosts, ask)
        if (gone := before - int(kept.sum())) > 0:
            steps.append(f"{name} rejected {gone} of {before}{_nearest(name, hosts, ask, left)}")
        left = kept
        if not left.any():
            raise NoValidHost("No valid host was found. " + ("; ".join(steps) or "There are no hosts") + ".")
    indexes = np.flatnonzero(left)
    return int(max(indexes, key=lambda i: (hosts.free_memory[i], hosts.free_vcpus[i], rank(int(i)))))


def _enabled(hosts: Hosts, ask: Ask) -> Mask:
    return hosts.enabled


def _not_tried(hosts: Hosts, ask: Ask) -> Mask:
    return _each(hosts.names, lambda name: name not in ask.avoid) if ask.avoid else _all(hosts)


def _zone(hosts: Hosts, ask: Ask) -> Mask:
    return _each(hosts.zones, lambda zone: zone == ask.zone) if ask.zone else _all(hosts)


def _host(hosts: Hosts, ask: Ask) -> Mask:
    return _each(hosts.names, lambda name: name == ask.host) if ask.host else _all(hosts)


def _hypervisor(hosts: Hosts, ask: Ask) -> Mask:
    return _each(hosts.hypervisors, lambda kind: kind == ask.hypervisor) if ask.hypervisor else _all(hosts)


def _traits(hosts: Hosts, ask: Ask) -> Mask:
    if not ask.required_traits and not ask.forbidden_traits:
        return _all(hosts)
    return _each(hosts.traits, lambda has: ask.required_traits <= has and not ask.forbidden_traits & has)


def _aggregate_specs(hosts: Hosts, ask: Ask) -> Mask:
    """Extra specs of the scope `aggregate_instance_extra_specs` must be in some aggregate's metadata."""
    prefix = "aggregate_instance_extra_specs:"
    wanted = {k.removeprefix(prefix): v for k, v in ask.extra_specs.items() if k.startswith(prefix)}
    if not wanted:
        return _all(hosts)
    return _each(hosts.aggregates, lambda has: all(any(a.get(k) == v for a in has) for k, v in wanted.items()))


def _affinity(hosts: Hosts, ask: Ask) -> Mask:
    return _each(hosts.names, lambda name: name in ask.same_as) if ask.same_as else _all(hosts)


def _anti_affinity(hosts: Hosts, ask: Ask) -> Mask:
    full = {host for host, room in (ask.max_on_host or {}).items() if room <= 0} | ask.different_from
    return _each(hosts.names, lambda name: name not in full) if full else _all(hosts)


def _vcpus(hosts: Hosts, ask: Ask) -> Mask:
    return hosts.free_vcpus >= ask.vcpus


def _memory(hosts: Hosts, ask: Ask) -> Mask:
    return hosts.free_memory >= ask.memory


def _disk(hosts: Hosts, ask: Ask) -> Mask:
    return hosts.free_disk >= ask.disk


def _others(hosts: Hosts, ask: Ask) -> Mask:
    if not ask.others:
        return _all(hosts)
    return _each(hosts.free_others, lambda free: all(free.get(name, 0) >= amount for name, amount in ask.others.items()))


FILTERS: list[tuple[str, Callable[[Hosts, Ask], Mask]]] = [
    ("enabled and up", _enabled),
    ("not tried before", _not_tried),
    ("availability zone", _zone),
    ("requested host", _host),
    ("hypervisor type", _hypervisor),
    ("traits", _traits),
    ("aggregate extra specs", _aggregate_specs),
    ("affinity", _affinity),
    ("anti-affinity", _anti_affinity),
    ("processors", _vcpus),
    ("memory", _memory),
    ("disk", _disk),
    ("other resources", _others),
]
_AMOUNTS = {"processors": ("free_vcpus", "vcpus", ""), "memory": ("free_memory", "memory", " MiB"), "disk": ("free_disk", "disk", " GiB")}


def _nearest(name: str, hosts: Hosts, ask: Ask, left: Mask) -> str:
    """What came nearest to passing a filter of amounts."""
    if name not in _AMOUNTS or not left.any():
        return ""
    column, field, unit = _AMOUNTS[name]
    free = np.where(left, getattr(hosts, column), -np.inf)
    best = int(free.argmax())
    return f" (asked {getattr(ask, field)}{unit}, most free is {int(free[best])}{unit} on {hosts.names[best]})"


def _each(column: list, passes: Callable) -> Mask:
    return np.fromiter((passes(value) for value in column), dtype=bool, count=len(column))


def _all(hosts: Hosts) -> Mask:
    return np.ones(len(hosts), dtype=bool)
