"""Subnet pools: prefixes out of which subnets are cut, so that none of them overlap."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Conflict, NotFound, Page, Reply, Request, UnsetType, View
from . import ipam, quotas
from .address_scopes import find_scope
from .bodies import Attributes, Count, Id, Json, ProjectId, Text, answer, invalid, load, one, one_or_many
from .resource import (
    StandardView,
    attribute_rules,
    change,
    check_revision,
    find,
    listed,
    own,
    owner,
    remove,
    standard_view,
    tags_of,
    target,
)
from .service import ADMIN, MEMBER, READER, api
from .sharing import by_shared, given_to, share, shared_with
from .tables import subnetpools, subnets
from .tags import taggable

quotas.counted("subnetpool", subnetpools, -1)

KIND = "subnetpool"
LEAST = {4: 8, 6: 64}
"""The default for the shortest prefix that may be cut out."""

# -- wire ----------------------------------------------------------------------------------------------------------

Prefix = t.Annotated[str, msgspec.Meta(max_length=64)]
Length = t.Annotated[int, msgspec.Meta(ge=0, le=128)]
Prefixes = t.Annotated[list[Prefix], msgspec.Meta(min_length=1, max_length=256)]


class SubnetpoolCommon(Attributes, kw_only=True):
    description: Text | UnsetType = UNSET
    default_prefixlen: Length | UnsetType = UNSET
    min_prefixlen: Length | UnsetType = UNSET
    max_prefixlen: Length | UnsetType = UNSET
    default_quota: Count | None | UnsetType = UNSET
    address_scope_id: Id | None | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET


class SubnetpoolUpdate(SubnetpoolCommon, kw_only=True):
    name: Text | UnsetType = UNSET
    prefixes: Prefixes | UnsetType = UNSET


class SubnetpoolCreate(SubnetpoolCommon, kw_only=True):
    name: Text
    prefixes: Prefixes
    shared: bool | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class PrefixList(Attributes, kw_only=True):
    prefixes: Prefixes


class Subnetpool(StandardView, kw_only=True):
    ip_version: int
    prefixes: list[str]
    default_prefixlen: str
    min_prefixlen: str
    max_prefixlen: str
    default_quota: int | None
    shared: bool
    is_default: bool
    address_scope_id: str | None


class PrefixesView(View, kw_only=True):
    prefixes: list[str]


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("create_subnetpool", MEMBER, "Create a subnet pool.")
GET = api.rule("get_subnetpool", f"{READER} or rule:shared_subnetpools", "Show a subnet pool.")
UPDATE = api.rule("update_subnetpool", MEMBER, "Change a subnet pool.")
DELETE = api.rule("delete_subnetpool", MEMBER, "Delete a subnet pool.")
ADD = api.rule("add_prefixes", MEMBER, "Add prefixes to a subnet pool.")
REMOVE = api.rule("remove_prefixes", MEMBER, "Remove prefixes from a subnet pool.")
api.rule("shared_subnetpools", "True:%(shared)s", "The pool is shared by all projects.")
for _attribute in ("shared", "is_default"):
    api.rule(f"create_subnetpool:{_attribute}", ADMIN, f"Give a new subnet pool `{_attribute}`.")
api.rule("update_subnetpool:is_default", ADMIN, "Change `is_default` of a subnet pool.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/subnetpools", policy=CREATE, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Subnetpool | list[Subnetpool]]]:
    """Create a subnet pool, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "subnetpool", "subnetpools", SubnetpoolCreate)]
    return Reply(answer(body, "subnetpool", "subnetpools", _views(tx, request, rows)))


@api.op("GET", "/subnetpools", policy=GET, reply="subnetpools")
def index(tx: Tx, request: Request) -> Page[Subnetpool]:
    """List the project's subnet pools, and the shared ones."""
    return listed(tx, request, subnetpools, "subnetpools", lambda rows: _views(tx, request, rows), visible=visible(request.context),
                  special={"shared": by_shared(subnetpools.c.id, KIND, request.context.project_id)})  # fmt: skip


@api.op("GET", "/subnetpools/{id}", policy=GET, reply="subnetpool", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Subnetpool:
    """Show a subnet pool."""
    return _views(tx, request, [_found(tx, request, id)])[0]


@api.op("PUT", "/subnetpools/{id}", policy=UPDATE, reply="subnetpool", errors=(404, 409, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> Subnetpool:
    """Change a subnet pool. Prefixes may grow, not shrink: subnets are cut out of them."""
    row = _owned(tx, request, id, UPDATE)
    given = one(body, "subnetpool", SubnetpoolUpdate).given()
    attribute_rules(request, UPDATE, given, {}, target(row))
    if "prefixes" in given:
        given["prefixes"] = _widened(row, given["prefixes"])
    merged = {**row._mapping, **given}
    _check(tx, request, merged, row.id)
    return _views(tx, request, [change(tx, request, subnetpools, row, **given)])[0]


@api.op("PUT", "/subnetpools/{id}/add_prefixes", policy=ADD, errors=(404, 409, 412))
def add_prefixes(tx: Tx, request: Request, id: str, body: Json) -> PrefixesView:
    """Add prefixes to a subnet pool."""
    row = _owned(tx, request, id, ADD)
    prefixes = _canonical([*row.prefixes, *load(body, PrefixList).prefixes])[0]
    _check(tx, request, {**row._mapping, "prefixes": prefixes}, row.id)
    return PrefixesView(prefixes=change(tx, request, subnetpools, row, prefixes=prefixes).prefixes)


@api.op("PUT", "/subnetpools/{id}/remove_prefixes", policy=REMOVE, errors=(404, 412))
def remove_prefixes(tx: Tx, request: Request, id: str, body: Json) -> PrefixesView:
    """Remove prefixes that no subnet is cut out of."""
    row = _owned(tx, request, id, REMOVE)
    going = _canonical(load(body, PrefixList).prefixes)[0]
    left = _without(row.prefixes, going)
    for subnet in tx.rows(subnets, subnetpool_id=id):
        if not ipam.within(left, ipam.network(subnet.cidr)):
            raise BadRequest(
                f"Illegal update to prefixes: One or more the prefixes to be removed is in use by a subnet: {subnet.id} ({subnet.cidr}).",
                kind="IllegalSubnetPoolPrefixUpdate",
            )
    return PrefixesView(prefixes=change(tx, request, subnetpools, row, prefixes=left).prefixes)


@api.op("DELETE", "/subnetpools/{id}", policy=DELETE, status=204, errors=(404, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a subnet pool that no subnet is cut out of."""
    row = _owned(tx, request, id, DELETE)
    check_revision(request, row)
    if tx.rows(subnets, subnetpool_id=id):
        raise BadRequest("Unable to delete subnet pool: Subnet pool has existing allocations.", kind="SubnetPoolDeleteError")
    remove(tx, subnetpools, id)


# -- for subnets ---------------------------------------------------------------------------------------------------


def carve(tx: Tx, context: Context, network_id: str, project_id: str, pool_id: str | None, version: int,
          cidr: str | None, length: int | None) -> tuple[ipam.Network, str]:  # fmt: skip
    """Find room for a subnet in a pool (None: the default one of the version): `cidr` itself, or the first free
    prefix of `length`. The prefix and the pool's id. Raises BadRequest, NotFound, Conflict."""
    pool = _default_pool(tx, version) if pool_id is None else find(tx, subnetpools, pool_id, "Subnet pool", visible(context))
    if pool.ip_version != version:
        raise invalid(f"Cannot allocate IPv{version} subnet from IPv{pool.ip_version} subnet pool")
    if cidr is not None and length is not None:
        raise invalid("cidr and prefixlen must not be supplied together")
    _check_network(tx, network_id, pool)
    net = None if cidr is None else _net(cidr, version)
    size = net.prefixlen if net is not None else length if length is not None else pool.default_prefixlen
    _check_length(pool, size)
    taken = tx.rows(subnets, subnetpool_id=pool.id)
    _check_quota(pool, project_id, taken, size)
    if net is None:
        room = ipam.room(pool.prefixes, [subnet.cidr for subnet in taken], size)
        if room is None:
            raise _no_room(f"Insufficient prefix space to allocate subnet size /{size}")
        return ipam.network(room), pool.id
    if not ipam.within(pool.prefixes, net) or any(net.overlaps(ipam.network(s.cidr)) for s in taken):
        raise _no_room(f"Cannot allocate requested subnet from the available set of prefixes: {net}")
    return net, pool.id


def visible(context: Context) -> sa.ColumnElement[bool]:
    return sa.or_(own(context, subnetpools), subnetpools.c.id.in_(given_to(KIND, context.project_id)))


def _found(tx: Tx, request: Request, id: str) -> Row:
    return find(tx, subnetpools, id, "Subnet pool", visible(request.context))


taggable("subnetpools", subnetpools, _found)

# -- helpers -------------------------------------------------------------------------------------------------------


def _owned(tx: Tx, request: Request, id: str, rule: str) -> Row:
    row = _found(tx, request, id)
    request.enforce(rule, target(row))
    return row


DEFAULTS: Json = {
    "description": "", "default_quota": None, "shared": False, "is_default": False, "address_scope_id": None,
}  # fmt: skip


def _create(tx: Tx, request: Request, wanted: SubnetpoolCreate) -> Row:
    given = wanted.given()
    project = owner(request, given)
    of = {"project_id": project, "tenant_id": project}
    request.enforce(CREATE, of)
    attribute_rules(request, CREATE, given, {}, of, DEFAULTS)
    quotas.check(tx, project, "subnetpool")
    prefixes, version = _canonical(wanted.prefixes)
    least = given.get("min_prefixlen", LEAST[version])
    lengths = {"min_prefixlen": least, "max_prefixlen": ipam.BITS[version], "default_prefixlen": least}
    values = {**DEFAULTS, **lengths, **given, "prefixes": prefixes, "ip_version": version, "project_id": project}
    _check(tx, request, values, None)
    shared = values.pop("shared")
    row = tx.insert(subnetpools, **values)
    if shared:
        share(tx, KIND, row)
    return row


def _no_room(text: str) -> Conflict:
    return Conflict(f"Failed to allocate subnet: {text}.", kind="SubnetAllocationError")


def _net(cidr: str, version: int | None = None) -> ipam.Network:
    try:
        return ipam.network(cidr, version)
    except ipam.Problem as problem:
        raise invalid(problem.message) from None


def _canonical(prefixes: list[str]) -> tuple[list[str], int]:
    """Prefixes without overlaps, and the IP version that they share."""
    versions = {_net(prefix).version for prefix in prefixes}
    if len(versions) > 1:
        raise BadRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", kind="PrefixVersionMismatch")
    return ipam.merged(prefixes), versions.pop()


def _widened(row: Row, prefixes: list[str]) -> list[str]:
    merged, version = _canonical(prefixes)
    lost = [one for one in row.prefixes if not ipam.within(merged, ipam.network(one))]
    if version != row.ip_version or lost:
        raise BadRequest(
            "Illegal update to prefixes: Removal of existing prefixes is not supported by update; use remove_prefixes.",
            kind="IllegalSubnetPoolPrefixUpdate",
        )
    return merged


def _without(prefixes: list[str], going: list[str]) -> list[str]:
    left = [ipam.network(prefix) for prefix in prefixes]
    for gone in map(ipam.network, going):
        parts: list = []
        for net in left:
            if net.version == gone.version and gone.subnet_of(net):  # type: ignore[arg-type]
                parts += net.address_exclude(gone)  # type: ignore[arg-type]
            elif not net.overlaps(gone):
                parts.append(net)
        left = parts
    return ipam.merged(map(str, left))


def _check(tx: Tx, request: Request, values: t.Mapping[str, t.Any], id: str | None) -> None:
    """Raise where lengths, the address scope or the default do not fit."""
    version, least, most, usual = (values[name] for name in ("ip_version", "min_prefixlen", "max_prefixlen", "default_prefixlen"))
    if not 0 < least <= usual <= most <= ipam.BITS[version]:
        raise BadRequest(
            f"Illegal prefix bounds: min_prefixlen={least}, default_prefixlen={usual}, max_prefixlen={most} must rise, "
            f"and be at most {ipam.BITS[version]}.", kind="IllegalSubnetPoolPrefixBounds",
        )  # fmt: skip
    if values["address_scope_id"] is not None:
        _check_scope(tx, request, values, id)
    if values["is_default"]:
        other = tx.get(subnetpools, is_default=True, ip_version=version)
        if other is not None and other.id != id:
            raise invalid("A default subnetpool for this IP family has already been set. Only one default may exist per "
                          f"IP family: {other.id}")  # fmt: skip


def _check_scope(tx: Tx, request: Request, values: t.Mapping[str, t.Any], id: str | None) -> None:
    """Pools of one address scope are of its version and do not overlap."""
    scope = find_scope(tx, request.context, values["address_scope_id"])
    if scope.ip_version != values["ip_version"]:
        raise invalid(f"Illegal subnetpool association: subnetpool cannot associate with address scope {scope.id} because "
                      f"subnetpool ip_version is not {scope.ip_version}")  # fmt: skip
    for other in tx.rows(subnetpools, address_scope_id=scope.id):
        mine, theirs = (list(map(ipam.network, one)) for one in (values["prefixes"], other.prefixes))
        if other.id != id and any(a.overlaps(b) for a in mine for b in theirs):
            raise Conflict(
                f"Subnetpool overlaps with subnetpool {other.id} in address scope {scope.id}.",
                kind="AddressScopePrefixConflict",
            )


def _default_pool(tx: Tx, version: int) -> Row:
    row = tx.get(subnetpools, is_default=True, ip_version=version)
    if row is None:
        raise NotFound(f"No default subnetpool found for IPv{version}.", kind="DefaultSubnetPoolNotFound")
    return row


def _check_network(tx: Tx, network_id: str, pool: Row) -> None:
    """All of a network's subnets of one version come from one pool, as in the released service."""
    for other in tx.rows(subnets, network_id=network_id, ip_version=pool.ip_version):
        if other.subnetpool_id != pool.id:
            raise BadRequest(
                "Subnets hosted on the same network must be allocated from the same subnet pool: "
                f"{other.id} is not from {pool.id}.", kind="NetworkSubnetPoolAffinityError",
            )  # fmt: skip


def _check_length(pool: Row, length: int) -> None:
    if not pool.min_prefixlen <= length <= pool.max_prefixlen:
        end, limit = ("min", pool.min_prefixlen) if length < pool.min_prefixlen else ("max", pool.max_prefixlen)
        raise BadRequest(
            f"Unable to allocate subnet with prefix length {length}, {end}imum allowed prefix is {limit}.",
            kind=f"{end.capitalize()}PrefixSubnetAllocationError",
        )


def _check_quota(pool: Row, project_id: str, taken: list[Row], length: int) -> None:
    """A pool's default_quota counts addresses of IPv4, networks of /64 of IPv6."""
    if pool.default_quota is None or pool.default_quota < 0:
        return
    unit = 32 if pool.ip_version == 4 else 64
    sizes = [ipam.network(s.cidr).prefixlen for s in taken if s.project_id == project_id]
    if sum(2 ** max(0, unit - size) for size in [*sizes, length]) > pool.default_quota:
        raise Conflict("Per-tenant subnet pool prefix quota exceeded.", kind="SubnetPoolQuotaExceeded")


def _views(tx: Tx, request: Request, rows: list[Row]) -> list[Subnetpool]:
    tagged, shared = tags_of(tx, rows), shared_with(tx, KIND, [row.id for row in rows], request.context.project_id)
    return [
        Subnetpool(
            **standard_view(row, tagged[row.id]), ip_version=row.ip_version, prefixes=row.prefixes, shared=row.id in shared,
            default_prefixlen=str(row.default_prefixlen), min_prefixlen=str(row.min_prefixlen),
            max_prefixlen=str(row.max_prefixlen), default_quota=row.default_quota, is_default=row.is_default,
            address_scope_id=row.address_scope_id,
        ) for row in rows
    ]  # fmt: skip
