"""The operations on security group rules. A rule permits; what no rule permits does not pass."""

from __future__ import annotations

import ipaddress as ip
import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel import clock
from ...kernel.auth.context import Context
from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Conflict, Page, Reply, Request, UnsetType, View
from .. import quotas
from ..bodies import Attributes, Id, Json, ProjectId, Text, answer, one_or_many
from ..resource import Clause, check_revision, find, listed, own, owner, revise, target
from ..service import api
from . import protocols
from .tables import find_security_group, security_group_rules, security_groups, visible

# -- wire ----------------------------------------------------------------------------------------------------------


class RuleCreate(Attributes):
    security_group_id: Id
    direction: t.Literal["ingress", "egress"]
    ethertype: str = "IPv4"
    protocol: int | str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: t.Annotated[str, msgspec.Meta(max_length=64)] | None = None
    remote_group_id: Id | None = None
    remote_address_group_id: None = None
    description: Text | None = None
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class Rule(View, kw_only=True):
    id: str
    tenant_id: str
    project_id: str
    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    normalized_cidr: str | None
    remote_group_id: str | None
    remote_address_group_id: None = None
    belongs_to_default_sg: bool
    description: str
    revision_number: int
    created_at: str | None
    updated_at: str | None


# -- policy --------------------------------------------------------------------------------------------------------

api.rule("sg_owner", "project_id:%(security_group:project_id)s", "The project that owns the security group.")
OWNER = "(rule:admin_only) or (role:{role} and rule:sg_owner)"
CREATE = api.rule("create_security_group_rule", OWNER.format(role="member"), "Create a security group rule.")
GET = api.rule("get_security_group_rule", OWNER.format(role="reader"), "Show a security group rule.")
DELETE = api.rule("delete_security_group_rule", OWNER.format(role="member"), "Delete a security group rule.")


def _mine(tx: Tx, request: Request, **_: str) -> dict:
    """Before the group is known, policy is asked about one of the caller's own."""
    return request.context.own_target() | {"security_group:project_id": request.context.project_id}


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/security-group-rules", policy=CREATE, target=_mine, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Rule | list[Rule]]]:
    """Create a rule, or several in one group."""
    rows = make(tx, request, one_or_many(body, "security_group_rule", "security_group_rules", RuleCreate))
    return Reply(answer(body, "security_group_rule", "security_group_rules", _views(tx, rows)))


def make(tx: Tx, request: Request, wanted: list[RuleCreate]) -> list[Row]:
    """Rules of one group as asked for. Raises the errors that their creation answers with."""
    if len({rule.security_group_id for rule in wanted}) > 1:
        raise BadRequest("Only allowed to update rules for one security profile at a time", kind="SecurityGroupNotSingleGroupRules")
    group = find_security_group(tx, request.context, wanted[0].security_group_id)
    request.enforce(CREATE, target(group) | {"security_group:project_id": group.project_id})
    quotas.check(tx, group.project_id, "security_group_rule", len(wanted))
    values = [_values(tx, request, group, rule) for rule in wanted]
    _check_new(tx, group, values)
    rows = [tx.insert(security_group_rules, **one) for one in values]
    _changed(tx, group)
    return rows


@api.op("GET", "/security-group-rules", policy=GET, target=_mine, reply="security_group_rules")
def index(tx: Tx, request: Request) -> Page[Rule]:
    """List the rules of the project's security groups, and of those shared with it."""
    return listed(tx, request, security_group_rules, "security_group_rules", lambda rows: _views(tx, rows),
                  visible=_visible(request.context))  # fmt: skip


@api.op("GET", "/security-group-rules/{id}", policy=GET, target=_mine, reply="security_group_rule", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Rule:
    """Show a rule."""
    return _views(tx, [_find(tx, request, id)])[0]


@api.op("DELETE", "/security-group-rules/{id}", policy=DELETE, target=_mine, status=204, errors=(404, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a rule."""
    row = _find(tx, request, id)
    group = tx.one(security_groups, id=row.security_group_id)
    request.enforce(DELETE, target(row) | {"security_group:project_id": group.project_id})
    check_revision(request, row)
    tx.delete(security_group_rules, id=id)
    _changed(tx, group)


# -- for groups ----------------------------------------------------------------------------------------------------


def rules_of(tx: Tx, groups: t.Sequence[Row]) -> dict[str, list[Rule]]:
    """The rules of these groups, by the groups' ids."""
    found: dict[str, list[Rule]] = {group.id: [] for group in groups}
    c = security_group_rules.c
    wanted = sa.select(security_group_rules).where(c.security_group_id.in_(list(found))).order_by(c.created_at, c.id)
    rows = tx.all(wanted) if found else []
    defaults = {group.id for group in groups if group.is_default}
    for row in rows:
        found[row.security_group_id].append(_view(row, defaults))
    return found


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    return find(tx, security_group_rules, id, "Security group rule", _visible(request.context))


def _visible(context: Context) -> Clause:
    seen = sa.select(security_groups.c.id).where(visible(context))
    return sa.or_(own(context, security_group_rules), security_group_rules.c.security_group_id.in_(seen))


def _values(tx: Tx, request: Request, group: Row, wanted: RuleCreate) -> dict[str, t.Any]:
    """A new rule's columns. Raises BadRequest, NotFound."""
    if wanted.remote_ip_prefix and wanted.remote_group_id:
        raise BadRequest("Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
                         kind="SecurityGroupMultipleRemoteEntites")  # fmt: skip
    owner(request, wanted.given())
    if wanted.remote_group_id:
        find_security_group(tx, request.context, wanted.remote_group_id)
    try:
        matched = _matched(wanted)
    except protocols.Problem as problem:
        raise BadRequest(problem.message, kind=problem.kind) from None
    return matched | {
        "security_group_id": group.id, "project_id": group.project_id, "direction": wanted.direction,
        "remote_group_id": wanted.remote_group_id or None, "description": wanted.description or "",
    }  # fmt: skip


def _matched(wanted: RuleCreate) -> dict[str, t.Any]:
    ethertype = protocols.ethertype(wanted.ethertype)
    protocol = protocols.canonical(protocols.protocol(wanted.protocol), ethertype)
    least, most = protocols.ports(protocol, ethertype, wanted.port_range_min, wanted.port_range_max)
    protocols.check_version(protocol, ethertype)
    return {
        "ethertype": ethertype, "protocol": protocol, "port_range_min": least, "port_range_max": most,
        "remote_ip_prefix": protocols.prefix(wanted.remote_ip_prefix, ethertype),
    }  # fmt: skip


def _check_new(tx: Tx, group: Row, values: list[dict[str, t.Any]]) -> None:
    """Raise Conflict where a rule is in the group already, or twice in the request."""
    present = {_key(row._asdict()): row.id for row in tx.rows(security_group_rules, security_group_id=group.id)}
    asked = [_key(one) for one in values]
    if len(set(asked)) < len(asked):
        raise Conflict("Duplicate Security Group Rule in POST.", kind="DuplicateSecurityGroupRuleInPost")
    if same := next((present[key] for key in asked if key in present), None):
        raise Conflict(f"Security group rule already exists. Rule id is {same}.", kind="SecurityGroupRuleExists")


def _key(rule: t.Mapping[str, t.Any]) -> tuple:
    """What makes two rules the same: what they match, however it is written."""
    anywhere = rule["remote_ip_prefix"] in ("0.0.0.0/0", "::/0")
    return (
        rule["direction"], rule["ethertype"], protocols.number(rule["protocol"], rule["ethertype"]), rule["port_range_min"],
        rule["port_range_max"], rule["remote_group_id"], None if anywhere else rule["remote_ip_prefix"],
    )  # fmt: skip


def _changed(tx: Tx, group: Row) -> None:
    revise(tx, security_groups, group)
    tx.nudge("network")


def _views(tx: Tx, rows: t.Sequence[Row]) -> list[Rule]:
    c = security_groups.c
    of = {row.security_group_id for row in rows}
    defaults = {row.id for row in tx.all(sa.select(c.id).where(c.id.in_(of), c.is_default))}
    return [_view(row, defaults) for row in rows]


def _view(row: Row, defaults: set[str]) -> Rule:
    same = ("id", "project_id", "security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max",
            "remote_ip_prefix", "remote_group_id", "description", "revision_number")  # fmt: skip
    cidr = row.remote_ip_prefix and str(ip.ip_interface(row.remote_ip_prefix).network)
    return Rule(
        **{name: getattr(row, name) for name in same}, tenant_id=row.project_id, normalized_cidr=cidr,
        belongs_to_default_sg=row.security_group_id in defaults, created_at=clock.iso(row.created_at),
        updated_at=clock.iso(row.updated_at or row.created_at),
    )  # fmt: skip
