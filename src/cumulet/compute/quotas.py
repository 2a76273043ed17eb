"""Quotas: how much of each thing a project may have, and has. What is used is counted from the rows themselves."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Tx
from ..kernel.http import UNSET, BadRequest, Body, Query, Request, UnsetType, since, until
from . import ADMIN, ANY, PROJECT_READER, api
from .quota_limits import class_limits, quota_classes, quota_limits, quotas, refuse_over
from .server_groups import server_groups
from .servers.tables import servers
from .wire import Limit, Truth, number, truth

# -- wire ----------------------------------------------------------------------------------------------------------

Old = t.Annotated[Limit | UnsetType, until("2.35")]
Injected = t.Annotated[Limit | UnsetType, until("2.56")]


class QuotaUpdate(Body):
    instances: Limit | UnsetType = UNSET
    cores: Limit | UnsetType = UNSET
    ram: Limit | UnsetType = UNSET
    metadata_items: Limit | UnsetType = UNSET
    key_pairs: Limit | UnsetType = UNSET
    server_groups: Limit | UnsetType = UNSET
    server_group_members: Limit | UnsetType = UNSET
    injected_files: Injected = UNSET
    injected_file_content_bytes: Injected = UNSET
    injected_file_path_bytes: Injected = UNSET
    fixed_ips: Old = UNSET
    floating_ips: Old = UNSET
    security_groups: Old = UNSET
    security_group_rules: Old = UNSET
    force: Truth | UnsetType = UNSET


class ClassUpdate(Body):
    instances: Limit | UnsetType = UNSET
    cores: Limit | UnsetType = UNSET
    ram: Limit | UnsetType = UNSET
    metadata_items: Limit | UnsetType = UNSET
    key_pairs: Limit | UnsetType = UNSET
    server_groups: t.Annotated[Limit | UnsetType, since("2.50")] = UNSET
    server_group_members: t.Annotated[Limit | UnsetType, since("2.50")] = UNSET
    injected_files: Injected = UNSET
    injected_file_content_bytes: Injected = UNSET
    injected_file_path_bytes: Injected = UNSET
    fixed_ips: t.Annotated[Limit | UnsetType, until("2.49")] = UNSET
    floating_ips: t.Annotated[Limit | UnsetType, until("2.49")] = UNSET
    security_groups: t.Annotated[Limit | UnsetType, until("2.49")] = UNSET
    security_group_rules: t.Annotated[Limit | UnsetType, until("2.49")] = UNSET


class QuotaQuery(Query):
    user_id: t.Annotated[str, msgspec.Meta(max_length=64)] = ""


NETWORK = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
GROUPS = {"server_groups", "server_group_members"}

# -- policy --------------------------------------------------------------------------------------------------------

SHOW = api.rule("os_compute_api:os-quota-sets:show", PROJECT_READER, "Show a project's quotas.")
DETAIL = api.rule("os_compute_api:os-quota-sets:detail", PROJECT_READER, "Show a project's quotas and what it uses of them.")
DEFAULT = api.rule("os_compute_api:os-quota-sets:defaults", ANY, "Show the quotas of a project for which none were set.")
UPDATE = api.rule("os_compute_api:os-quota-sets:update", ADMIN, "Set a project's quotas.")
DELETE = api.rule("os_compute_api:os-quota-sets:delete", ADMIN, "Put a project's quotas back to the default.")
CLASS_SHOW = api.rule("os_compute_api:os-quota-class-sets:show", ADMIN, "Show the quotas of a class.")
CLASS_UPDATE = api.rule("os_compute_api:os-quota-class-sets:update", ADMIN, "Set the quotas of a class.")

# -- operations ----------------------------------------------------------------------------------------------------


def _project(tx: Tx, request: Request, id: str) -> dict:
    return {"project_id": id}


@api.op("GET", "/os-quota-sets/{id}", policy=SHOW, target=_project, reply="quota_set", errors=(400,))
def show(tx: Tx, request: Request, id: str, query: QuotaQuery) -> dict:
    """Show a project's quotas."""
    return {"id": id} | _shown(request, quota_limits(tx, id, query.user_id))


@api.op("GET", "/os-quota-sets/{id}/detail", policy=DETAIL, target=_project, reply="quota_set", errors=(400,))
def detail(tx: Tx, request: Request, id: str, query: QuotaQuery) -> dict:
    """Show a project's quotas and what it uses of them."""
    used = quota_use(tx, id, query.user_id)
    limits = _shown(request, quota_limits(tx, id, query.user_id))
    return {"id": id} | {name: {"in_use": used.get(name, 0), "limit": limit, "reserved": 0} for name, limit in limits.items()}


@api.op("GET", "/os-quota-sets/{id}/defaults", policy=DEFAULT, reply="quota_set", errors=(400,))
def defaults(tx: Tx, request: Request, id: str) -> dict:
    """Show what a project may have where nothing was set for it."""
    return {"id": id} | _shown(request, class_limits(tx))


@api.op("PUT", "/os-quota-sets/{id}", policy=UPDATE, wrap="quota_set", errors=(400,))
def update(tx: Tx, request: Request, id: str, body: QuotaUpdate, query: QuotaQuery) -> dict:
    """Set a project's quotas, or those of one of its users."""
    _named(id)
    wanted = _given(body)
    if not (body.force is not UNSET and truth(body.force)):
        _check_settable(tx, id, query.user_id, wanted)
    for name, limit in wanted.items():
        where = {"project_id": id, "user_id": query.user_id, "resource": name}
        if not tx.update(quotas, where, hard_limit=limit):
            tx.insert(quotas, **where, hard_limit=limit)
    return _shown(request, quota_limits(tx, id, query.user_id))


@api.op("DELETE", "/os-quota-sets/{id}", policy=DELETE, status=202)
def delete(tx: Tx, request: Request, id: str, query: QuotaQuery) -> None:
    """Put a project's quotas (or those of one of its users) back to the default."""
    tx.delete(quotas, project_id=id, **({"user_id": query.user_id} if query.user_id else {}))


@api.op("GET", "/os-quota-class-sets/{id}", policy=CLASS_SHOW, reply="quota_class_set")
def show_class(tx: Tx, request: Request, id: str) -> dict:
    """Show the quotas of a class; the class `default` is every project's."""
    return {"id": id} | _shown_class(request, class_limits(tx, id))


@api.op("PUT", "/os-quota-class-sets/{id}", policy=CLASS_UPDATE, wrap="quota_class_set", errors=(400,))
def update_class(tx: Tx, request: Request, id: str, body: ClassUpdate) -> dict:
    """Set the quotas of a class."""
    _named(id)
    for name, limit in _given(body).items():
        if not tx.update(quota_classes, {"name": id, "resource": name}, hard_limit=limit):
            tx.insert(quota_classes, name=id, resource=name, hard_limit=limit)
    return _shown_class(request, class_limits(tx, id))


# -- what others ask -----------------------------------------------------------------------------------------------


def quota_use(tx: Tx, project_id: str, user_id: str = "") -> dict[str, int]:
    """What a project, or one of its users, has of each thing that is counted."""
    count = sa.func.count()
    total = sa.select(count, sa.func.sum(servers.c.vcpus), sa.func.sum(servers.c.memory_mib))
    total = total.where(servers.c.project_id == project_id)
    groups = sa.select(count).select_from(server_groups).where(server_groups.c.project_id == project_id)
    if user_id:
        total, groups = total.where(servers.c.user_id == user_id), groups.where(server_groups.c.user_id == user_id)
    instances, cores, ram = tx.all(total)[0]
    return {"instances": instances, "cores": int(cores or 0), "ram": int(ram or 0), "server_groups": tx.scalar(groups)}


def check_quota(tx: Tx, project_id: str, user_id: str = "", **wanted: int) -> None:
    """Raise OverLimit where the project (or this user of it) would have more than it may of `instances`, `cores` or `ram`,
    or where more than allowed is asked of what each request may have at most: `metadata_items`, `injected_files`,
    `injected_file_content_bytes`, `injected_file_path_bytes`."""
    refuse_over(quota_limits(tx, project_id), quota_use(tx, project_id), wanted)
    if user_id and tx.rows(quotas, project_id=project_id, user_id=user_id):
        refuse_over(quota_limits(tx, project_id, user_id), quota_use(tx, project_id, user_id), wanted)


def fitting(tx: Tx, project_id: str, user_id: str, each: t.Mapping[str, int], most: int) -> int:
    """How many of something quotas leave room for, of which each takes so much of `instances`, `cores` and `ram`; `most` at
    most."""
    room = [most]
    for whose in ("", user_id):
        limits, used = quota_limits(tx, project_id, whose), quota_use(tx, project_id, whose)
        room += [(limits[name] - used[name]) // amount for name, amount in each.items() if amount and limits[name] >= 0]
    return max(0, min(room))


# -- helpers -------------------------------------------------------------------------------------------------------


def _named(id: str) -> None:
    if len(id) > 64 or "\x00" in id:
        raise BadRequest(f"Invalid input for {id[:64]!r}: at most 64 characters, none of them NUL.")


def _given(body: QuotaUpdate | ClassUpdate) -> dict[str, int]:
    named = ((name, getattr(body, name)) for name in body.__struct_fields__ if name != "force")
    return {name: number(name, value, least=-1) for name, value in named if value is not UNSET}


def _check_settable(tx: Tx, project_id: str, user_id: str, wanted: t.Mapping[str, int]) -> None:
    """A limit may not be below what is used and, for a user, not above the project's."""
    used = quota_use(tx, project_id, user_id)
    most = quota_limits(tx, project_id) if user_id else {}
    for name, limit in wanted.items():
        if 0 <= limit < used.get(name, 0):
            raise BadRequest(f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved {used[name]}.")
        if most.get(name, -1) >= 0 and not 0 <= limit <= most[name]:
            raise BadRequest(f"Quota limit {limit} for {name} must be less than or equal to {most[name]}.")


def _shown(request: Request, limits: t.Mapping[str, int]) -> dict[str, int]:
    hidden = (NETWORK if request.version >= (2, 36) else set()) | (FILES if request.version >= (2, 57) else set())
    return {name: limit for name, limit in limits.items() if name not in hidden}


def _shown_class(request: Request, limits: t.Mapping[str, int]) -> dict[str, int]:
    hidden = (NETWORK if request.version >= (2, 50) else GROUPS) | (FILES if request.version >= (2, 57) else set())
    return {name: limit for name, limit in limits.items() if name not in hidden}
