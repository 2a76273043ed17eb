"""The operations on security groups."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ...kernel.db import Row, Tx
from ...kernel.http import UNSET, BadRequest, Conflict, Page, Reply, Request, UnsetType
from .. import quotas
from ..bodies import Attributes, Json, ProjectId, Text, answer, one, one_or_many
from ..resource import StandardView, change, check_revision, listed, owner, remove, standard_view, tags_of, target
from ..service import MEMBER, READER, api
from ..sharing import by_shared, given_to, shared_with
from ..tables import port_security_groups
from ..tags import taggable
from .rules import Rule, rules_of
from .tables import DEFAULT, KIND, add_group, default_security_group, find_security_group, visible
from .tables import security_groups as table

# -- wire ----------------------------------------------------------------------------------------------------------


class GroupUpdate(Attributes):
    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    stateful: bool | UnsetType = UNSET


class GroupCreate(GroupUpdate):
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class Group(StandardView, kw_only=True):
    stateful: bool
    shared: bool
    security_group_rules: list[Rule]


# -- policy --------------------------------------------------------------------------------------------------------

api.rule("shared_security_group", "True:%(shared)s", "The group is shared with the project.")
CREATE = api.rule("create_security_group", MEMBER, "Create a security group.")
GET = api.rule("get_security_group", f"{READER} or rule:shared_security_group", "Show a security group.")
UPDATE = api.rule("update_security_group", MEMBER, "Change a security group.")
DELETE = api.rule("delete_security_group", MEMBER, "Delete a security group.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/security-groups", policy=CREATE, status=201, errors=(403, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Group | list[Group]]]:
    """Create a security group, or several. Everything may leave the ports in it, and nothing come in."""
    rows = [make(tx, request, wanted) for wanted in one_or_many(body, "security_group", "security_groups", GroupCreate)]
    return Reply(answer(body, "security_group", "security_groups", _views(tx, request, rows)))


@api.op("GET", "/security-groups", policy=GET, reply="security_groups", write=True)
def index(tx: Tx, request: Request) -> Page[Group]:
    """List the project's security groups; its default one is made if it is not there yet."""
    if request.context.project_id:
        default_security_group(tx, request.context.project_id)
    return listed(tx, request, table, "security_groups", lambda rows: _views(tx, request, rows), visible=visible(request.context),
                  special={"shared": by_shared(table.c.id, KIND, request.context.project_id)})  # fmt: skip


@api.op("GET", "/security-groups/{id}", policy=GET, reply="security_group", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Group:
    """Show a security group."""
    return _views(tx, request, [find_security_group(tx, request.context, id)])[0]


@api.op("PUT", "/security-groups/{id}", policy=UPDATE, reply="security_group", errors=(404, 409, 412))
def update(tx: Tx, request: Request, id: str, body: Json) -> Group:
    """Change a security group."""
    row = find_security_group(tx, request.context, id)
    request.enforce(UPDATE, target(row))
    given = one(body, "security_group", GroupUpdate).given()
    if "name" in given and row.is_default:
        raise Conflict("Updating default security group not allowed.", kind="SecurityGroupCannotUpdateDefault")
    _check_name(given)
    if given.get("stateful", row.stateful) != row.stateful:
        _check_unused(tx, id)
    return _views(tx, request, [change(tx, request, table, row, **given)])[0]


@api.op("DELETE", "/security-groups/{id}", policy=DELETE, status=204, errors=(404, 409, 412))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a security group that no port is in, with its rules and other groups' rules about it."""
    row = find_security_group(tx, request.context, id)
    request.enforce(DELETE, target(row))
    check_revision(request, row)
    _check_unused(tx, id)
    if row.is_default and not request.context.is_admin:
        raise Conflict("Insufficient rights for removing default security group.", kind="SecurityGroupCannotRemoveDefault")
    remove(tx, table, id)
    tx.nudge("network")


# -- for other resources and services ------------------------------------------------------------------------------


def named_groups(tx: Tx, project_id: str, names_or_ids: t.Sequence[str]) -> list[str]:
    """The ids of groups of a project and of those shared with it, each once, in the order of their names or ids; without
    any, of its default group. Raises BadRequest for one that is not there, Conflict for a name that several have."""
    default = default_security_group(tx, project_id).id
    if not names_or_ids:
        return [default]
    reach = sa.or_(table.c.project_id == project_id, table.c.id.in_(given_to(KIND, project_id)))
    mine = tx.all(sa.select(table.c.id, table.c.name).where(reach))
    return list(dict.fromkeys(_named(project_id, mine, wanted) for wanted in names_or_ids))


taggable("security-groups", table, lambda tx, request, id: find_security_group(tx, request.context, id))

# -- helpers -------------------------------------------------------------------------------------------------------


def make(tx: Tx, request: Request, wanted: GroupCreate) -> Row:
    """A security group as asked for. Raises the errors that its creation answers with."""
    given = wanted.given()
    project = owner(request, given)
    default_security_group(tx, project)
    _check_name(given)
    quotas.check(tx, project, "security_group")
    quotas.check(tx, project, "security_group_rule", 2)
    return add_group(tx, **given, project_id=project)


def _check_name(given: Json) -> None:
    if given.get("name", "").lower() == DEFAULT:
        raise Conflict("Default security group already exists.", kind="SecurityGroupDefaultAlreadyExists")


def _check_unused(tx: Tx, id: str) -> None:
    if tx.first(sa.select(port_security_groups.c.id).where(port_security_groups.c.security_group_id == id).limit(1)):
        raise Conflict(f"Security Group {id} in use.", kind="SecurityGroupInUse")


def _named(project_id: str, mine: t.Sequence[Row], wanted: str) -> str:
    found = [row.id for row in mine if row.id == wanted] or [row.id for row in mine if row.name == wanted]
    if not found:
        raise BadRequest(f"Security group {wanted} not found for project {project_id}.")
    if len(found) > 1:
        raise Conflict(f"Multiple security groups found matching '{wanted}'. Use an ID to be more specific.")
    return found[0]


def _views(tx: Tx, request: Request, rows: list[Row]) -> list[Group]:
    tagged, rules = tags_of(tx, rows), rules_of(tx, rows)
    shared = shared_with(tx, KIND, [row.id for row in rows], request.context.project_id)
    return [
        Group(**standard_view(row, tagged[row.id]), stateful=row.stateful, shared=row.id in shared, security_group_rules=rules[row.id])
        for row in rows
    ]  # fmt: skip
