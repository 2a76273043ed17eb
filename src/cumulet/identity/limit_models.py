"""How limits of projects and domains go together, by the setting `limit_model`: not at all (flat), or so that what a domain
has is the most that each project right below it may have (strict_two_level)."""

from __future__ import annotations

import math
import typing as t

from ..kernel.db import Tx
from ..kernel.errors import Forbidden
from .registered_limits import limits, registered
from .tree import DEEPEST, find_project, ids_below

MODELS = {
    "flat": "Limit enforcement and validation does not take project hierarchy into consideration.",
    "strict_two_level": "This model requires project hierarchy never exceeds a depth of two",
}
"""What each says of itself, in upstream's words."""


class Wanted(t.NamedTuple):
    """A limit as it is to be: a project's or a domain's."""

    service_id: str
    region_id: str | None
    resource_name: str
    resource_limit: int
    project_id: str | None = None
    domain_id: str | None = None

    @property
    def of(self) -> tuple[str, str | None, str]:
        return self.service_id, self.region_id, self.resource_name


def deepest(model: str) -> int:
    """Projects from the domain (which is not counted) down to the lowest."""
    return 2 if model == "strict_two_level" else DEEPEST


def check(tx: Tx, model: str, wanted: list[Wanted]) -> None:
    """Raise Forbidden where a limit would be more than its domain's, or less than that of a project of its domain. Of a
    domain whose limit is among those wanted, that one counts."""
    if model == "flat":
        return
    given = {(one.domain_id, one.of): one.resource_limit for one in wanted if one.domain_id}
    for one in wanted:
        if not (_below_parent(tx, one, given) if one.project_id else _above_children(tx, one)):
            raise Forbidden(f"Invalid resource limit: {_described(one)} doesn't satisfy current hierarchy model..")


def _below_parent(tx: Tx, one: Wanted, given: dict) -> bool:
    parent_id = find_project(tx, str(one.project_id)).parent_id
    if (parent_id, one.of) in given:
        return _size(one.resource_limit) <= _size(given[parent_id, one.of])
    found = registered(tx, *one.of)
    if found is None:
        return True
    own = tx.get(limits, registered_limit_id=found.id, domain_id=parent_id)
    return _size(one.resource_limit) <= _size(own.resource_limit if own else found.default_limit)


def _above_children(tx: Tx, one: Wanted) -> bool:
    found = registered(tx, *one.of)
    if found is None:
        return True
    below = ids_below(tx, [str(one.domain_id)])[str(one.domain_id)]
    rows = [row for row in tx.among(limits.c.project_id, below) if row.registered_limit_id == found.id]
    return all(_size(row.resource_limit) <= _size(one.resource_limit) for row in rows)


def _size(limit: int) -> float:
    return math.inf if limit == -1 else limit


def _described(one: Wanted) -> str:
    level = f"project_id: {one.project_id}" if one.project_id else f"domain_id: {one.domain_id}"
    return (
        f"The resource limit ({level}, resource_name: {one.resource_name}, resource_limit: {one.resource_limit}, "
        f"service_id: {one.service_id}, region_id: {one.region_id})"
    )
