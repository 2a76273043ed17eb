"""Placement's rows. A provider is one document guarded by its generation; allocations are rows and usage their sum."""

from __future__ import annotations

import functools
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import table
from .model import Inventory


class Names(sa.types.TypeDecorator):
    """A set of names, kept as sorted words. Equal sets are one object in memory."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: t.Any, dialect: t.Any) -> str:
        return " ".join(sorted(value))

    def process_result_value(self, value: t.Any, dialect: t.Any) -> frozenset[str]:
        return _names(value)


class Inventories(sa.types.TypeDecorator):
    """Resource class -> Inventory, kept as JSON. Equal ones are one object in memory: do not change it."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: t.Any, dialect: t.Any) -> str:
        return msgspec.json.encode(value, order="deterministic").decode()

    def process_result_value(self, value: t.Any, dialect: t.Any) -> t.Mapping[str, Inventory]:
        return _inventories(value)


@functools.lru_cache(maxsize=4096)
def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@functools.lru_cache(maxsize=4096)
def _inventories(text: str) -> t.Mapping[str, Inventory]:
    return msgspec.json.decode(text, type=dict[str, Inventory])


providers = table(
    "placement_providers",
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("parent_id", sa.String(64), sa.ForeignKey("placement_providers.id"), index=True),
    sa.Column("root_id", sa.String(64), nullable=False, index=True),
    sa.Column("inventories", Inventories, nullable=False),
    sa.Column("traits", Names, nullable=False),
    sa.Column("aggregates", Names, nullable=False),
    unique={("name",): ("Conflicting resource provider name: {name} already exists.", "placement.duplicate_name")},
)

consumers = table(
    "placement_consumers",
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("type", sa.String(255)),
)

allocations = table(
    "placement_allocations",
    sa.Column("consumer_id", sa.String(64), sa.ForeignKey("placement_consumers.id"), nullable=False),
    sa.Column("provider_id", sa.String(64), sa.ForeignKey("placement_providers.id"), nullable=False),
    sa.Column("resource_class", sa.String(255), nullable=False),
    sa.Column("used", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("consumer_id", "provider_id", "resource_class"),
    sa.Index("ix_placement_allocations_use", "provider_id", "resource_class", "used"),
    id=False,
)

custom_classes = table(
    "placement_classes",
    sa.Column("name", sa.String(255), nullable=False),
    unique={("name",): "Conflicting resource class already exists: {name}"},
)

custom_traits = table(
    "placement_traits",
    sa.Column("name", sa.String(255), nullable=False),
    unique={("name",): "Conflicting trait already exists: {name}"},
)
