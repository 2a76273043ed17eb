"""RBAC policies: the shares of networks, subnet pools, address scopes and security groups, as their owners make them."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.http import UNSET, BadRequest, Conflict, NotFound, Page, Reply, Request, UnsetType, View
from . import quotas
from .bodies import Attributes, Id, Json, ProjectId, answer, one, one_or_many
from .networks import become_external, leave_external
from .resource import attribute_rules, find, listed, own, owner, target
from .security_groups.tables import security_groups
from .service import ADMIN, MEMBER, READER, api
from .sharing import ALL, EXTERNAL, SHARED, given_to, losers
from .tables import address_scopes, networks, rbac_policies, subnetpools

quotas.counted("rbac_policy", rbac_policies, 10)


class Kind(t.NamedTuple):
    """What can be shared. noun: as in `Network <id> could not be found.`"""

    table: sa.Table
    noun: str
    actions: tuple[str, ...] = (SHARED,)


KINDS = {
    "address_scope": Kind(address_scopes, "Address scope"),
    "network": Kind(networks, "Network", (SHARED, EXTERNAL)),
    "security_group": Kind(security_groups, "Security group"),
    "subnetpool": Kind(subnetpools, "Subnet pool"),
}

# -- wire ----------------------------------------------------------------------------------------------------------

Action = t.Annotated[str, msgspec.Meta(max_length=255)]


class PolicyUpdate(Attributes, kw_only=True):
    """`target_tenant` is the older name of `target_project`, and the one that most clients use."""

    target_tenant: ProjectId | UnsetType = UNSET
    target_project: ProjectId | UnsetType = UNSET


class PolicyCreate(PolicyUpdate, kw_only=True):
    object_type: t.Annotated[str, msgspec.Meta(max_length=255)]
    object_id: Id
    action: Action
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class RbacPolicy(View, kw_only=True):
    id: str
    tenant_id: str
    project_id: str
    object_type: str
    object_id: str
    action: str
    target_tenant: str
    target_project: str


# -- policy --------------------------------------------------------------------------------------------------------

NOT_ALL = f"({ADMIN}) or not '{ALL}':%(target_project)s"
api.rule("restrict_wildcard", NOT_ALL, "Sharing with all projects is for administrators.")
CREATE = api.rule("create_rbac_policy", MEMBER, "Create an RBAC policy.")
GET = api.rule("get_rbac_policy", READER, "Show an RBAC policy.")
UPDATE = api.rule("update_rbac_policy", MEMBER, "Change an RBAC policy.")
DELETE = api.rule("delete_rbac_policy", MEMBER, "Delete an RBAC policy.")
api.rule("create_rbac_policy:target_project", NOT_ALL, "Share with this project.")
api.rule("update_rbac_policy:target_project", NOT_ALL, "Share with this project instead.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/rbac-policies", policy=CREATE, status=201, errors=(403, 404, 409))
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, RbacPolicy | list[RbacPolicy]]]:
    """Share a thing of one's own with another project, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "rbac_policy", "rbac_policies", PolicyCreate)]
    return Reply(answer(body, "rbac_policy", "rbac_policies", _views(rows)))


@api.op("GET", "/rbac-policies", policy=GET, reply="rbac_policies")
def index(tx: Tx, request: Request) -> Page[RbacPolicy]:
    """List the project's RBAC policies."""
    return listed(tx, request, rbac_policies, "rbac_policies", _views, visible=own(request.context, rbac_policies),
                  columns={"target_tenant": "target_project"})  # fmt: skip


@api.op("GET", "/rbac-policies/{id}", policy=GET, reply="rbac_policy", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> RbacPolicy:
    """Show an RBAC policy."""
    return _views([_find(tx, request, id)])[0]


@api.op("PUT", "/rbac-policies/{id}", policy=UPDATE, reply="rbac_policy", errors=(404, 409))
def update(tx: Tx, request: Request, id: str, body: Json) -> RbacPolicy:
    """Share with another project instead. Who uses what is shared must not lose it by that."""
    row = _find(tx, request, id)
    request.enforce(UPDATE, target(row))
    new = _target(one(body, "rbac_policy", PolicyUpdate))
    attribute_rules(request, UPDATE, {"target_project": new}, {}, {**target(row), "target_project": new})
    if new != row.target_project:
        _check_loss(tx, row, _owned(tx, request, row.object_type, row.object_id), new)
        tx.update(rbac_policies, id, target_project=new)
    return _views([_find(tx, request, id)])[0]


@api.op("DELETE", "/rbac-policies/{id}", policy=DELETE, status=204, errors=(404, 409))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Share no more. Nobody else must use what is shared."""
    row = _find(tx, request, id)
    request.enforce(DELETE, target(row))
    thing = tx.one(KINDS[row.object_type].table, id=row.object_id)
    _check_loss(tx, row, thing, None)
    tx.delete(rbac_policies, id=id)
    if row.action == EXTERNAL and not tx.rows(rbac_policies, object_id=thing.id, action=EXTERNAL):
        leave_external(tx, thing)


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    row = tx.first(sa.select(rbac_policies).where(rbac_policies.c.id == id, own(request.context, rbac_policies)))
    if row is None:
        raise NotFound(f"RBAC policy of type unknown with ID {id} not found", kind="RbacPolicyNotFound")
    return row


def _create(tx: Tx, request: Request, wanted: PolicyCreate) -> Row:
    project, to = owner(request, wanted.given()), _target(wanted)
    of = {"project_id": project, "tenant_id": project, "target_project": to}
    request.enforce(CREATE, of)
    attribute_rules(request, CREATE, {"target_project": to}, {}, of)
    kind = wanted.object_type.strip().lower()
    if kind not in KINDS:
        raise _invalid(f"'{wanted.object_type}' is not a valid RBAC object type")
    if wanted.action not in KINDS[kind].actions:
        known = ", ".join(KINDS[kind].actions)
        raise _invalid(f"Invalid action '{wanted.action}' for object type '{kind}'. Valid actions: {known}", "InvalidActionForType")
    quotas.check(tx, project, "rbac_policy")
    thing = _owned(tx, request, kind, wanted.object_id)
    if wanted.action == EXTERNAL:
        become_external(tx, request, thing)
    return tx.insert(
        rbac_policies, project_id=project, object_type=kind, object_id=thing.id, action=wanted.action, target_project=to,
    )  # fmt: skip


def _target(wanted: PolicyUpdate) -> str:
    """The project that is named, or all. Raises BadRequest."""
    to = wanted.target_project if wanted.target_project is not UNSET else wanted.target_tenant
    if to is UNSET:
        raise BadRequest("Failed to parse request. Required attribute 'target_tenant' not specified", kind="HTTPBadRequest")
    if to != ALL and not ids.is_uuid(to):
        raise _invalid(f"'{to}' is not a valid target project ID; expected a UUID or '{ALL}'")
    return to


def _owned(tx: Tx, request: Request, kind: str, id: str) -> Row:
    """What is to be shared. Raises NotFound, and BadRequest where it is somebody else's."""
    table, noun, _ = KINDS[kind]
    seen = sa.or_(own(request.context, table), table.c.id.in_(given_to(kind, request.context.project_id)))
    thing = find(tx, table, id, noun, seen)
    if thing.project_id != request.context.project_id and not request.context.is_admin:
        raise _invalid("Only admins can manipulate policies on objects they do not own")
    return thing


def _check_loss(tx: Tx, row: Row, thing: Row, instead: str | None) -> None:
    """Raise Conflict where somebody depends on a policy that is about to go, or to be for another project."""
    if row.action == EXTERNAL and row.target_project == ALL and thing.is_default:
        raise _in_use(row, "Default external networks must be shared to everyone.")
    lost = losers(tx, row.object_type, row.action, thing, row.target_project, instead)
    if lost and row.action == EXTERNAL:
        raise _in_use(row, "There are routers attached to this network that depend on this policy for access.")
    if lost:
        raise _in_use(row, f"project_id={', '.join(sorted(lost)[:5])}")


def _in_use(row: Row, why: str) -> Conflict:
    return Conflict(f"RBAC policy on object {row.object_id} cannot be removed because other objects depend on it.\nDetails: {why}",
                    kind="RbacPolicyInUse")  # fmt: skip


def _invalid(text: str, kind: str = "InvalidInput") -> BadRequest:
    return BadRequest(text if kind != "InvalidInput" else f"Invalid input for operation: {text}.", kind=kind)


def _views(rows: list[Row]) -> list[RbacPolicy]:
    same = ("id", "project_id", "object_type", "object_id", "action", "target_project")
    return [
        RbacPolicy(**{name: getattr(row, name) for name in same}, tenant_id=row.project_id, target_tenant=row.target_project)
        for row in rows
    ]  # fmt: skip
