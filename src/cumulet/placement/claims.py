"""Reading capacity and claiming it: the one path by which allocations are written, for the API and for compute."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.errors import Conflict
from .model import Inventory, Provider
from .tables import allocations, consumers, custom_traits
from .tables import providers as table

Amounts = t.Mapping[str, t.Mapping[str, int]]
"""Provider id -> resource class -> amount."""


PROVIDER_IN_USE = "placement.resource_provider.inuse"


class NoCapacity(Conflict):
    """A claim does not fit; the text says which class, of which provider, and what is free."""


# -- reading -------------------------------------------------------------------------------------------------------


def providers(tx: Tx, only: t.Collection[str] | None = None) -> list[Provider]:
    """Every provider (or those with these ids, in any order) with what is used of it, in two statements. One that an
    administrator removed has nothing, until its host says again what there is."""
    if only is None:
        return with_use(tx, tx.all(sa.select(table)), everything=True)
    found = with_use(tx, tx.all(sa.select(table).where(table.c.id.in_(only))))
    removed = set(only) - {provider.id for provider in found}
    return found + [Provider(id, id, 0, None, id, {}, frozenset(), frozenset()) for id in removed]


def with_use(tx: Tx, rows: t.Sequence[Row], *, everything: bool = False, without: t.Collection[str] = ()) -> list[Provider]:
    """Rows of the providers' table as providers. What the consumers `without` use is not counted."""
    found = {
        row.id: Provider(row.id, row.name, row.generation, row.parent_id, row.root_id, row.inventories, row.traits, row.aggregates)
        for row in rows
    }
    use = sa.select(allocations.c.provider_id, allocations.c.resource_class, sa.func.sum(allocations.c.used))
    use = use.group_by(allocations.c.provider_id, allocations.c.resource_class)
    if not everything:
        use = use.where(allocations.c.provider_id.in_(found))
    if without:
        use = use.where(allocations.c.consumer_id.not_in(without))
    for provider_id, name, used in tx.execute(use):
        if provider_id in found:
            found[provider_id].used[name] = int(used)
    return list(found.values())


def usage(tx: Tx, consumer_ids: t.Collection[str]) -> dict[str, dict[str, dict[str, int]]]:
    """Consumer -> provider -> resource class -> amount; consumers that use nothing are left out."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in tx.all(sa.select(allocations).where(allocations.c.consumer_id.in_(consumer_ids))):
        found.setdefault(row.consumer_id, {}).setdefault(row.provider_id, {})[row.resource_class] = row.used
    return found


# -- writing -------------------------------------------------------------------------------------------------------


def ensure_provider(tx: Tx, id: str, name: str, inventories: t.Mapping[str, Inventory], traits: t.Collection[str]) -> None:
    """Make a root provider be there with these inventories and traits; nothing is written where it is so already.

    Custom classes and custom traits that others gave it stay, and so does the inventory of a class that is in use.
    """
    row = tx.get(table, id=id)
    if row is None:
        _know_traits(tx, traits)
        tx.insert(table, id=id, name=name, generation=0, root_id=id, inventories=inventories, traits=traits, aggregates=())
        return
    kept = {c: i for c, i in row.inventories.items() if c not in inventories and (c.startswith("CUSTOM_") or _in_use(tx, id, c))}
    wanted = {
        "name": name, "inventories": {**kept, **inventories},
        "traits": frozenset(traits) | {trait for trait in row.traits if trait.startswith("CUSTOM_")},
    }  # fmt: skip
    if wanted != {key: getattr(row, key) for key in wanted}:
        _know_traits(tx, wanted["traits"] - row.traits)
        tx.update(table, id, generation=row.generation + 1, **wanted)


def forget_provider(tx: Tx, id: str) -> None:
    """Remove a provider that nothing is allocated from; one that is not there is fine. Raises Conflict where it is in use."""
    if tx.first(sa.select(allocations.c.consumer_id).where(allocations.c.provider_id == id).limit(1)) is not None:
        raise Conflict(f"Unable to delete resource provider {id}: Resource provider has allocations.", kind=PROVIDER_IN_USE)
    tx.delete(table, id=id)


def claim(tx: Tx, consumer: str, provider: str, resources: t.Mapping[str, int], project_id: str, user_id: str) -> None:
    """Make these amounts of one provider all that the consumer has. Nothing is changed where NoCapacity is raised."""
    wanted = {consumer: {provider: {name: amount for name, amount in resources.items() if amount}}}
    check(tx, wanted)
    before = tx.get(consumers, id=consumer)
    if before is None:
        tx.insert(consumers, id=consumer, project_id=project_id, user_id=user_id, generation=1, type="INSTANCE")
    else:
        tx.update(consumers, consumer, generation=before.generation + 1)
    replace(tx, wanted)


def release(tx: Tx, consumer: str) -> None:
    """Give back all that a consumer has; one that has nothing is fine."""
    replace(tx, {consumer: {}})
    tx.delete(consumers, id=consumer)


def move(tx: Tx, consumer: str, to_consumer: str) -> None:
    """Give all that a consumer has to another one, in place of what that one had. A consumer with nothing is fine,
    and changes nothing."""
    row = tx.get(consumers, id=consumer)
    if row is None:
        return
    release(tx, to_consumer)
    tx.insert(consumers, id=to_consumer, project_id=row.project_id, user_id=row.user_id, generation=1, type=row.type)
    tx.update(allocations, {"consumer_id": consumer}, consumer_id=to_consumer)
    tx.delete(consumers, id=consumer)


def check(tx: Tx, wanted: t.Mapping[str, Amounts]) -> None:
    """Raise NoCapacity where what these consumers want, in place of what they have, does not fit."""
    sums: dict[str, dict[str, int]] = {}
    for amounts in wanted.values():
        for provider_id, resources in amounts.items():
            for name, amount in resources.items():
                of = sums.setdefault(provider_id, {})
                of[name] = of.get(name, 0) + amount
    rows = tx.all(sa.select(table).where(table.c.id.in_(sums))) if sums else []
    found = {provider.id: provider for provider in with_use(tx, rows, without=wanted.keys())} if rows else {}
    for amounts in wanted.values():
        for provider_id, resources in amounts.items():
            for name, amount in resources.items():
                _check_one(found.get(provider_id), provider_id, name, amount, sums[provider_id][name])


def replace(tx: Tx, wanted: t.Mapping[str, Amounts]) -> None:
    """Write allocations, unchecked, in place of all that these consumers had; providers' generations grow by one."""
    had = tx.execute(sa.select(allocations.c.provider_id).where(allocations.c.consumer_id.in_(wanted)).distinct()).scalars()
    touched = {*had, *(provider for amounts in wanted.values() for provider in amounts)}
    if not touched:
        return
    tx.execute(sa.delete(allocations).where(allocations.c.consumer_id.in_(wanted)))
    tx.insert_many(allocations, [
        {"consumer_id": consumer, "provider_id": provider, "resource_class": name, "used": amount}
        for consumer, amounts in wanted.items() for provider, resources in amounts.items()
        for name, amount in resources.items()
    ])  # fmt: skip
    tx.execute(sa.update(table).where(table.c.id.in_(touched)).values(generation=table.c.generation + 1, updated_at=clock.now()))


# -- helpers -------------------------------------------------------------------------------------------------------


def _check_one(provider: Provider | None, provider_id: str, name: str, amount: int, together: int) -> None:
    where = f"'{name}' on resource provider '{provider_id}'"
    if provider is None or (inventory := provider.inventories.get(name)) is None:
        raise NoCapacity(f"Unable to create allocation for {where}: it has no inventory of that class.")
    if not inventory.admits(amount):
        raise NoCapacity(
            f"Unable to create allocation for {where}. The requested amount would violate inventory constraints: {amount} "
            f"is not between {inventory.min_unit} and {inventory.max_unit} in steps of {inventory.step_size}."
        )
    if together > (free := provider.free(name)):
        raise NoCapacity(
            f"Unable to create allocation for {where}. The requested amount would exceed the capacity: "
            f"{together} of {max(free, 0)} that are free."
        )


def _in_use(tx: Tx, provider_id: str, name: str) -> bool:
    clause = (allocations.c.provider_id == provider_id) & (allocations.c.resource_class == name)
    return tx.scalar(sa.select(sa.literal(1)).where(clause).limit(1)) is not None


def _know_traits(tx: Tx, traits: t.Collection[str]) -> None:
    """Custom traits that a host brings with it are made known."""
    custom = {trait for trait in traits if trait.startswith("CUSTOM_")}
    if custom:
        known = set(tx.execute(sa.select(custom_traits.c.name).where(custom_traits.c.name.in_(custom))).scalars())
        tx.insert_many(custom_traits, [{"name": name} for name in sorted(custom - known)])
