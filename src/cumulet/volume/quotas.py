"""Quotas: the limits of projects, and the defaults. The numbers themselves are counted in `quota`."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel.db import Tx
from ..kernel.http import BadRequest, Query, Request
from . import ADMIN, READER, api
from .quota import DEFAULTS, defaults, limits, usage
from .tables import quota_classes, quotas
from .wire import INT_MAX, truth

SHOW = api.rule("volume_extension:quotas:show", READER, "Show a project's quotas.")
UPDATE = api.rule("volume_extension:quotas:update", ADMIN, "Change a project's quotas.")
DELETE = api.rule("volume_extension:quotas:delete", ADMIN, "Give a project the default quotas again.")
CLASS_SHOW = api.rule("volume_extension:quota_classes:get", ADMIN, "Show the default quotas.")
CLASS_UPDATE = api.rule("volume_extension:quota_classes:update", ADMIN, "Change the default quotas.")

Limit = t.Annotated[int, msgspec.Meta(ge=-1, le=INT_MAX)]
Limits = dict[str, Limit | str | None]
NO_LIMITS = ("id", "tenant_id", "project_id", "force", "class_name", "skip_validation")
"""Keys of a body that name no limit; some clients send them."""


class QuotaQuery(Query):
    usage: str | None = None


def target(tx: Tx, request: Request, tenant: str) -> dict:
    """What policy is checked against: the project whose quotas they are."""
    return {"project_id": tenant}


@api.op("GET", "/os-quota-sets/{tenant}", policy=SHOW, target=target, reply="quota_set", errors=(400,))
def show(tx: Tx, request: Request, tenant: str, query: QuotaQuery) -> dict:
    """Show a project's limits and, where that is asked for, what it has."""
    found = limits(tx, tenant)
    if not truth(query.usage):
        return {"id": tenant, **found}
    used = usage(tx, tenant)
    return {"id": tenant, **{name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in found.items()}}


@api.op("GET", "/os-quota-sets/{tenant}/defaults", policy=SHOW, target=target, reply="quota_set")
def show_defaults(tx: Tx, request: Request, tenant: str) -> dict:
    """Show the limits of a project that has none of its own."""
    return {"id": tenant, **defaults(tx)}


@api.op("PUT", "/os-quota-sets/{tenant}", policy=UPDATE, target=target, wrap="quota_set", errors=(400,))
def update(tx: Tx, request: Request, tenant: str, body: Limits) -> dict:
    """Change a project's limits; not below what it has."""
    wanted, used = _wanted(tx, body), usage(tx, tenant)
    for name, limit in wanted.items():
        if limit != -1 and limit < used.get(name, 0):
            raise BadRequest(f"Quota {name} limit must be equal or greater than existing resources. Current usage is {used[name]} and the "
                             f"requested limit is {limit}.")  # fmt: skip
    for name, limit in wanted.items():
        if not tx.update(quotas, {"project_id": tenant, "resource": name}, hard_limit=limit):
            tx.insert(quotas, project_id=tenant, resource=name, hard_limit=limit)
    return limits(tx, tenant)


@api.op("DELETE", "/os-quota-sets/{tenant}", policy=DELETE, target=target)
def delete(tx: Tx, request: Request, tenant: str) -> None:
    """Give a project the default limits again."""
    tx.delete(quotas, project_id=tenant)


@api.op("GET", "/os-quota-class-sets/{name}", policy=CLASS_SHOW, reply="quota_class_set")
def show_class(tx: Tx, request: Request, name: str) -> dict:
    """Show the default limits. There is one class of quotas, `default`; others have its limits."""
    return {"id": name, **defaults(tx)}


@api.op("PUT", "/os-quota-class-sets/{name}", policy=CLASS_UPDATE, wrap="quota_class_set", errors=(400,))
def update_class(tx: Tx, request: Request, name: str, body: Limits) -> dict:
    """Change the default limits."""
    if name != "default":
        raise BadRequest(f"Invalid input for field/attribute id. Value: {name}. The only quota class is default.")
    for resource, limit in _wanted(tx, body).items():
        if not tx.update(quota_classes, {"resource": resource}, hard_limit=limit):
            tx.insert(quota_classes, resource=resource, hard_limit=limit)
    return defaults(tx)


def _wanted(tx: Tx, body: Limits) -> dict[str, int]:
    """The limits in a body. Raises BadRequest for what is no limit of a resource."""
    known, found = defaults(tx), {}
    for name, value in body.items():
        if name in NO_LIMITS:
            continue
        if name not in known:
            raise BadRequest(
                f"Invalid input for field/attribute quota_set. {name} is no resource with a quota; known are {', '.join(known)}."
            )
        found[name] = _limit(name, value)
    if not found:
        raise BadRequest(f"Invalid input for field/attribute quota_set. At least one of {', '.join(DEFAULTS)} is required.")
    return found


def _limit(name: str, value: int | str | None) -> int:
    try:
        limit = None if value is None else int(value)
    except ValueError:
        limit = None
    if limit is None or not -1 <= limit <= INT_MAX:
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. It must be an integer from -1 to {INT_MAX}.")
    return limit
