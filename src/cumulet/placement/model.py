"""What placement's arithmetic works on: inventories, providers and what is used of them. No I/O."""

from __future__ import annotations

import dataclasses as dc
import typing as t

import msgspec

INT_MAX = 2147483647


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one resource class a provider has. `allocation_ratio` is how much may be promised for each unit."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = INT_MAX
    step_size: int = 1
    allocation_ratio: float = 1.0

    @property
    def capacity(self) -> int:
        """Units that may be allocated in all; a ratio beyond reason makes it no more than clients can read exactly."""
        return min(int((self.total - self.reserved) * self.allocation_ratio), 2**53)

    def admits(self, amount: int) -> bool:
        """Whether one allocation may be of this size at all."""
        return self.min_unit <= amount <= self.max_unit and amount % self.step_size == 0


@dc.dataclass(slots=True)
class Provider:
    """A resource provider as it is now. `used` has only the classes of which something is used."""

    id: str
    name: str
    generation: int
    parent_id: str | None
    root_id: str
    inventories: t.Mapping[str, Inventory]
    traits: frozenset[str]
    aggregates: frozenset[str]
    used: dict[str, int] = dc.field(default_factory=dict)

    def free(self, resource_class: str) -> int:
        """Units of a class that may still be allocated; 0 where the provider has none, below it when overcommitted."""
        inventory = self.inventories.get(resource_class)
        return 0 if inventory is None else inventory.capacity - self.used.get(resource_class, 0)

    def largest(self, resource_class: str) -> int:
        """The largest amount of a class that one more allocation may be; 0 where none may."""
        inventory = self.inventories.get(resource_class)
        return 0 if inventory is None else max(min(self.free(resource_class), inventory.max_unit), 0)

    def fits(self, resources: t.Mapping[str, int]) -> bool:
        """Whether all these amounts can be allocated here."""
        return all(
            (inventory := self.inventories.get(name)) is not None
            and inventory.admits(amount)
            and self.used.get(name, 0) + amount <= inventory.capacity
            for name, amount in resources.items()
        )
