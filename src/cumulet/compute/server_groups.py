"""Server groups: servers that should be on one host, or on different ones."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from ..kernel.http import UNSET, BadRequest, Body, Forbidden, NotFound, Page, Query, Request, UnsetType, View, paged, since, until
from . import ADMIN, PROJECT_MEMBER, PROJECT_READER, api
from .quota_limits import quota_limits, refuse_over
from .servers.tables import servers
from .wire import INT_MAX, Name

# -- tables --------------------------------------------------------------------------------------------------------

server_groups = table(
    "server_groups",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("policy", sa.String(40), nullable=False),
    sa.Column("rules", sa.JSON, nullable=False),
)
"""`policy` is affinity, anti-affinity, soft-affinity or soft-anti-affinity; `rules` may have `max_server_per_host`."""

server_group_members = table(
    "server_group_members",
    sa.Column("group_id", sa.String(64), sa.ForeignKey("server_groups.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("server_id", sa.String(64), sa.ForeignKey("servers.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.PrimaryKeyConstraint("group_id", "server_id"),
    id=False,
)

# -- wire ----------------------------------------------------------------------------------------------------------

Policy = t.Literal["anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity"]
SOFT = (2, 15)
"""From this microversion on there are soft policies."""


class Rules(Body):
    max_server_per_host: t.Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)] | t.Annotated[
        str, msgspec.Meta(pattern=r"^[1-9]\d{0,8}$")
    ] | UnsetType = UNSET  # fmt: skip


class GroupCreate(Body):
    name: Name
    policies: t.Annotated[t.Annotated[list[Policy], msgspec.Meta(min_length=1, max_length=1)] | UnsetType, until("2.63")] = UNSET
    policy: t.Annotated[Policy | UnsetType, since("2.64")] = UNSET
    rules: t.Annotated[Rules | UnsetType, since("2.64")] = UNSET


class GroupQuery(Query):
    all_projects: str | None = None
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    offset: t.Annotated[int, msgspec.Meta(ge=0, le=INT_MAX)] = 0


class Group(View):
    id: str
    name: str
    policies: t.Annotated[list[str], until("2.63")]
    policy: t.Annotated[str, since("2.64")]
    rules: t.Annotated[dict[str, int], since("2.64")]
    metadata: t.Annotated[dict, until("2.63")]
    members: list[str]
    project_id: t.Annotated[str, since("2.13")]
    user_id: t.Annotated[str, since("2.13")]


# -- policy --------------------------------------------------------------------------------------------------------

CREATE = api.rule("os_compute_api:os-server-groups:create", PROJECT_MEMBER, "Create a server group.")
DELETE = api.rule("os_compute_api:os-server-groups:delete", PROJECT_MEMBER, "Delete a server group.")
INDEX = api.rule("os_compute_api:os-server-groups:index", PROJECT_READER, "List server groups.")
INDEX_ALL = api.rule("os_compute_api:os-server-groups:index:all_projects", ADMIN, "List the server groups of all projects.")
SHOW = api.rule("os_compute_api:os-server-groups:show", PROJECT_READER, "Show a server group.")

# -- operations ----------------------------------------------------------------------------------------------------


def _owner(tx: Tx, request: Request, id: str) -> dict:
    return {"project_id": _find(tx, request, id).project_id}


@api.op("POST", "/os-server-groups", policy=CREATE, wrap="server_group", errors=(400, 403))
def create(tx: Tx, request: Request, body: GroupCreate) -> Group:
    """Create a server group."""
    project, user = request.project, request.context.user_id
    policy, rules = _policy(request, body)
    used = tx.scalar(sa.select(sa.func.count()).select_from(server_groups).where(server_groups.c.project_id == project))
    refuse_over(quota_limits(tx, project), {"server_groups": used}, {"server_groups": 1})
    row = tx.insert(server_groups, project_id=project, user_id=user, name=body.name, policy=policy, rules=rules)
    return _view(row, [])


@api.op("GET", "/os-server-groups", policy=INDEX, reply="server_groups", errors=(400,))
def index(tx: Tx, request: Request, query: GroupQuery) -> Page[Group]:
    """List the project's server groups; administrators may ask for all projects'."""
    statement = sa.select(server_groups)
    if query.all_projects is None or not request.context.is_admin:
        statement = statement.where(server_groups.c.project_id == request.context.project_id)
    else:
        request.enforce(INDEX_ALL)
    statement = statement.offset(query.offset)
    rows, _ = paged(tx, statement, server_groups, order=[("created_at", "asc")], limit=query.limit or None, marker=None)
    members: dict[str, list[str]] = {}
    for entry in tx.all(sa.select(server_group_members).where(server_group_members.c.group_id.in_([row.id for row in rows]))):
        members.setdefault(entry.group_id, []).append(entry.server_id)
    return Page([_view(row, members.get(row.id, [])) for row in rows])


@api.op("GET", "/os-server-groups/{id}", policy=SHOW, target=_owner, reply="server_group", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Group:
    """Show a server group."""
    return _view(_find(tx, request, id), [entry.server_id for entry in tx.rows(server_group_members, group_id=id)])


@api.op("DELETE", "/os-server-groups/{id}", policy=DELETE, target=_owner, status=204, errors=(404,))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a server group; its servers stay where they are."""
    tx.delete(server_groups, id=_find(tx, request, id).id)


# -- what others ask -----------------------------------------------------------------------------------------------


def join_group(tx: Tx, request: Request, server_id: str, group_id: t.Any) -> None:
    """Put a server into a group (none: do nothing), by a scheduler hint of whatever form. Raises BadRequest for one that there
    is not, Forbidden where it is full."""
    if group_id is None:
        return
    row = tx.get(server_groups, id=str(group_id))
    if row is None or (row.project_id != request.context.project_id and not request.context.is_admin):
        raise BadRequest(f"Instance group {group_id} could not be found.")
    most = quota_limits(tx, row.project_id, str(request.context.user_id))["server_group_members"]
    if 0 <= most <= _size(tx, group_id):
        raise Forbidden(f"Quota exceeded, too many servers in group: it may have {most}.")
    tx.insert(server_group_members, group_id=group_id, server_id=server_id)


def leave_group(tx: Tx, server_id: str) -> None:
    """Take a server out of its group."""
    tx.delete(server_group_members, server_id=server_id)


def groups_of(tx: Tx, server_id: str) -> list[str]:
    """The ids of a server's groups."""
    return [entry.group_id for entry in tx.rows(server_group_members, server_id=server_id)]


def affinity(tx: Tx, server_id: str) -> tuple[frozenset[str], dict[str, int] | None]:
    """What a server's group asks of its host: the hosts of which it must be one (empty: any), and how many more members
    each host may take (None: any number). Soft policies ask nothing."""
    group = tx.first(sa.select(server_groups).join(server_group_members).where(server_group_members.c.server_id == server_id))
    if group is None or group.policy not in ("affinity", "anti-affinity"):
        return frozenset(), None
    joined = sa.select(servers.c.host, sa.func.count()).join(server_group_members, server_group_members.c.server_id == servers.c.id)
    clause = (server_group_members.c.group_id == group.id) & (servers.c.id != server_id) & servers.c.host.is_not(None)
    members = {host: count for host, count in tx.all(joined.where(clause).group_by(servers.c.host))}
    if group.policy == "affinity":
        return frozenset(members), None
    most = group.rules.get("max_server_per_host", 1)
    return frozenset(), {host: most - count for host, count in members.items()}


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    row = tx.get(server_groups, id=id)
    if row is None or (row.project_id != request.context.project_id and not request.context.is_admin):
        raise NotFound(f"Instance group {id} could not be found.")
    return row


def _policy(request: Request, body: GroupCreate) -> tuple[str, dict[str, int]]:
    policy = body.policies[0] if body.policies else body.policy
    if not policy:
        name = "policy" if request.version >= (2, 64) else "policies"
        raise BadRequest(f"Invalid input for field/attribute server_group: '{name}' is a required property")
    if policy.startswith("soft-") and request.version < SOFT:
        raise BadRequest(f"Invalid input for field/attribute policies. Value: {policy}. It needs microversion 2.15.")
    rules = msgspec.to_builtins(body.rules) if body.rules else {}
    if rules and policy != "anti-affinity":
        raise BadRequest("Only anti-affinity policy supports rules.")
    return policy, {name: int(value) for name, value in rules.items()}


def _size(tx: Tx, group_id: str) -> int:
    clause = server_group_members.c.group_id == group_id
    return tx.scalar(sa.select(sa.func.count()).select_from(server_group_members).where(clause))


def _view(row: Row, members: list[str]) -> Group:
    return Group(
        id=row.id, name=row.name, policies=[row.policy], policy=row.policy, rules=row.rules, metadata={}, members=members,
        project_id=row.project_id, user_id=row.user_id,
    )  # fmt: skip
