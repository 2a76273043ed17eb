"""Security groups as the compute API shows them, until 2.35: the network service's, of which only incoming rules."""

from __future__ import annotations

import contextlib
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Conflict, Forbidden, OpenBody, Query, Request
from ..network.bodies import load
from ..network.security_groups import default_security_group, find_security_group, groups, rules
from ..network.security_groups import tables as network
from . import PROJECT_MEMBER, PROJECT_READER, api

# -- wire ----------------------------------------------------------------------------------------------------------

Text = t.Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00]*$")]


class GroupWanted(OpenBody):
    name: Text
    description: Text


class RuleWanted(OpenBody):
    parent_group_id: str
    group_id: str | None = None
    from_port: int | str | None = None
    to_port: int | str | None = None
    ip_protocol: str | None = None
    cidr: str | None = None


class GroupQuery(Query):
    all_tenants: str | None = None
    limit: t.Annotated[int, msgspec.Meta(ge=0, le=2147483647)] | None = None
    offset: t.Annotated[int, msgspec.Meta(ge=0, le=2147483647)] = 0


# -- policy --------------------------------------------------------------------------------------------------------


def _rule(name: str, check: str, description: str) -> str:
    return api.rule(f"os_compute_api:os-security-groups:{name}", check, description)


LIST = _rule("get", PROJECT_READER, "List security groups.")
SHOW = _rule("show", PROJECT_READER, "Show a security group.")
CREATE = _rule("create", PROJECT_MEMBER, "Create a security group.")
UPDATE = _rule("update", PROJECT_MEMBER, "Change a security group.")
DELETE = _rule("delete", PROJECT_MEMBER, "Delete a security group.")
RULE_CREATE = _rule("rule:create", PROJECT_MEMBER, "Create a security group rule.")
RULE_DELETE = _rule("rule:delete", PROJECT_MEMBER, "Delete a security group rule.")
LAST = "2.35"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/os-security-groups", policy=LIST, reply="security_groups", last=LAST, write=True)
def index(tx: Tx, request: Request, query: GroupQuery) -> list[dict]:
    """List the project's security groups, the default one among them; administrators may list all projects'."""
    table = network.security_groups
    if request.context.project_id is not None:
        default_security_group(tx, request.context.project_id)
    statement = sa.select(table).order_by(table.c.project_id, table.c.name, table.c.id)
    if query.all_tenants is None or not request.context.is_admin:
        statement = statement.where(table.c.project_id == request.context.project_id)
    most = request.runtime.config.page_limit
    return group_views(tx, tx.all(statement.offset(query.offset).limit(min(query.limit or most, most))))


@api.op("POST", "/os-security-groups", policy=CREATE, wrap="security_group", last=LAST, errors=(400, 403))
def create(tx: Tx, request: Request, body: GroupWanted) -> dict:
    """Create a security group."""
    with _worded():
        made = groups.make(tx, request, load(msgspec.to_builtins(body), groups.GroupCreate))
    return _shown(tx, request, made.id)


@api.op("GET", "/os-security-groups/{id}", policy=SHOW, reply="security_group", last=LAST, errors=(400, 404))
def show(tx: Tx, request: Request, id: str) -> dict:
    """Show a security group."""
    _check_id(id)
    return _shown(tx, request, id)


@api.op("PUT", "/os-security-groups/{id}", policy=UPDATE, wrap="security_group", last=LAST, errors=(400, 404))
def update(tx: Tx, request: Request, id: str, body: GroupWanted) -> dict:
    """Change a security group's name and description."""
    _check_id(id)
    with _worded():
        groups.update(tx, request, id, {"security_group": msgspec.to_builtins(body)})
    return _shown(tx, request, id)


@api.op("DELETE", "/os-security-groups/{id}", policy=DELETE, status=202, last=LAST, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a security group that no server is in."""
    _check_id(id)
    with _worded():
        groups.delete(tx, request, id)


@api.op("POST", "/os-security-group-rules", policy=RULE_CREATE, wrap="security_group_rule", last=LAST, errors=(400, 403, 404))
def create_rule(tx: Tx, request: Request, body: RuleWanted) -> dict:
    """Let something in."""
    wanted = {"security_group_id": body.parent_group_id, "direction": "ingress"} | _matched(body)
    with _worded():
        (row,) = rules.make(tx, request, [load(wanted, rules.RuleCreate)])
    return _rule_view(row, _names(tx, [row]))


@api.op("DELETE", "/os-security-group-rules/{id}", policy=RULE_DELETE, status=202, last=LAST, errors=(400, 404))
def delete_rule(tx: Tx, request: Request, id: str) -> None:
    """No longer let something in."""
    _check_id(id)
    with _worded():
        rules.delete(tx, request, id)


# -- for servers ---------------------------------------------------------------------------------------------------


def group_views(tx: Tx, rows: t.Sequence[Row]) -> list[dict]:
    """Groups as the compute API shows them, with their incoming rules."""
    table = network.security_group_rules
    wanted = (table.c.security_group_id.in_([row.id for row in rows])) & (table.c.direction == "ingress")
    found = tx.all(sa.select(table).where(wanted).order_by(table.c.created_at, table.c.id))
    names = _names(tx, found)
    return [
        {
            "id": row.id, "name": row.name, "description": row.description, "tenant_id": row.project_id,
            "rules": [_rule_view(rule, names) for rule in found if rule.security_group_id == row.id],
        }
        for row in rows
    ]  # fmt: skip


# -- helpers -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _worded() -> t.Iterator[None]:
    """The network service's refusals with this API's statuses: it knows no conflict here."""
    try:
        yield
    except Conflict as error:
        if error.kind == "OverQuota":
            raise Forbidden(error.message) from None
        raise BadRequest(error.message) from None


def _check_id(id: str) -> None:
    if not ids.is_uuid(id):
        raise BadRequest("Security group id should be uuid")


def _shown(tx: Tx, request: Request, id: str) -> dict:
    return group_views(tx, [find_security_group(tx, request.context, id)])[0]


def _matched(body: RuleWanted) -> dict[str, t.Any]:
    """What a rule lets in, in the network service's words."""
    protocol = body.ip_protocol.lower() if body.ip_protocol else None
    least, most = (_port(name, value) for name, value in (("from_port", body.from_port), ("to_port", body.to_port)))
    if body.group_id is None and (protocol is None or least is None or most is None):
        raise BadRequest("Not enough parameters to build a valid rule.")
    matched: dict[str, t.Any] = {"protocol": protocol, "ethertype": "IPv6" if ":" in (body.cidr or "") else "IPv4"}
    if least not in (None, -1) or most not in (None, -1):
        matched |= {"port_range_min": least, "port_range_max": None if most == -1 else most}
    if body.group_id is not None:
        return matched | {"remote_group_id": body.group_id}
    return matched | {"remote_ip_prefix": body.cidr or "0.0.0.0/0"}


def _port(name: str, value: int | str | None) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:
        raise BadRequest(f"Invalid input received: {name} must be an integer, not {value!r}") from None


def _names(tx: Tx, found: t.Sequence[Row]) -> dict[str, dict[str, str]]:
    """The groups that rules name as sources: id -> name and project."""
    table = network.security_groups
    wanted = {rule.remote_group_id for rule in found if rule.remote_group_id}
    rows = tx.all(sa.select(table).where(table.c.id.in_(wanted))) if wanted else []
    return {row.id: {"name": row.name, "tenant_id": row.project_id} for row in rows}


def _rule_view(row: Row, names: t.Mapping[str, dict[str, str]]) -> dict:
    least, most = row.port_range_min, row.port_range_max
    if row.protocol and least is None and most is None:
        least, most = (1, 65535) if row.protocol in ("tcp", "udp") else (-1, -1)
    anywhere = "::/0" if row.ethertype == "IPv6" else "0.0.0.0/0"
    return {
        "id": row.id, "parent_group_id": row.security_group_id, "ip_protocol": row.protocol, "from_port": least, "to_port": most,
        "group": names[row.remote_group_id] if row.remote_group_id else {},
        "ip_range": {} if row.remote_group_id else {"cidr": row.remote_ip_prefix or anywhere},
    }  # fmt: skip
