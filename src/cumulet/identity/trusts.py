"""Trusts: a user (the trustor) lends another (the trustee) some roles on a project, for a while or for some uses."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, Forbidden
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN_OR_SYSTEM_READER, PROJECT_ALONE, api, assignments, epoch
from . import roles as roles_
from .application_credentials import RoleReference, referenced
from .attributes import Id, taken
from .delegation import forbidden, refuse_for_trusts
from .entities import missing, shown
from .listing import asked
from .roles import find_role, roles
from .times import expiry, iso
from .tree import find_project
from .users import find_user

DEEPEST = 3
"""How often a trust may be passed on."""

# -- tables --------------------------------------------------------------------------------------------------------

trusts = table(
    "identity_trusts",
    sa.Column("trustor_user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("trustee_user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
    sa.Column("redelegated_trust_id", sa.String(64), sa.ForeignKey("identity_trusts.id", ondelete="CASCADE")),
    sa.Column("redelegation_count", sa.Integer, nullable=False),
    sa.Column("impersonation", sa.Boolean, nullable=False),
    sa.Column("expires_at", sa.DateTime),
    sa.Column("remaining_uses", sa.Integer),
    sa.Column("extra", sa.JSON, nullable=False),
)

trust_roles = table(
    "identity_trust_roles",
    sa.Column("trust_id", sa.String(64), sa.ForeignKey("identity_trusts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.String(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    id=False,
)

# -- wire ----------------------------------------------------------------------------------------------------------

Count = t.Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class TrustCreate(OpenBody):
    trustor_user_id: Id
    trustee_user_id: Id
    impersonation: bool
    project_id: Id | None = None
    roles: list[RoleReference] = msgspec.field(default_factory=list)
    expires_at: str | None = None
    remaining_uses: t.Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    allow_redelegation: bool = False
    redelegation_count: Count | None | UnsetType = UNSET
    redelegated_trust_id: str | None = None
    deleted_at: str | None = None
    roles_links: dict | None = None


# -- policy --------------------------------------------------------------------------------------------------------

TRUSTOR, TRUSTEE = "user_id:%(target.trust.trustor_user_id)s", "user_id:%(target.trust.trustee_user_id)s"
READ = "(rule:admin_required) or (role:reader and system_scope:all or "
CREATE = api.rule("identity:create_trust", TRUSTOR, "Create a trust.", scopes=PROJECT_ALONE)
LIST = api.rule("identity:list_trusts", ADMIN_OR_SYSTEM_READER, "List all trusts.")
LIST_GIVEN = api.rule("identity:list_trusts_for_trustor", f"{READ}{TRUSTOR})", "List a trustor's trusts.")
LIST_GOT = api.rule("identity:list_trusts_for_trustee", f"{READ}{TRUSTEE})", "List a trustee's trusts.")
LIST_ROLES = api.rule("identity:list_roles_for_trust", f"{READ}{TRUSTOR} or {TRUSTEE})", "List a trust's roles.")
GET_ROLE = api.rule("identity:get_role_for_trust", f"{READ}{TRUSTOR} or {TRUSTEE})", "Show a trust's role.")
DELETE = api.rule("identity:delete_trust", f"rule:admin_required or {TRUSTOR}", "Delete a trust.")
GET = api.rule("identity:get_trust", f"{READ}{TRUSTOR} or {TRUSTEE})", "Show a trust.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/OS-TRUST/trusts"
ONE = ALL + "/{trust_id}"


def _self(tx: Tx, request: Request) -> dict:
    """What a caller may do as trustor or trustee; the handler checks who is meant."""
    own = request.context.user_id
    return {"target.trust.trustor_user_id": own, "target.trust.trustee_user_id": own}


def _target(tx: Tx, request: Request, trust_id: str, **_: str) -> dict:
    row = find_usable(tx, trust_id)
    return {"target.trust.trustor_user_id": row.trustor_user_id, "target.trust.trustee_user_id": row.trustee_user_id}


@api.op("POST", ALL, policy=CREATE, target=_self, wrap="trust", status=201, errors=(404,))
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a trust of the caller's, or pass on the one that their token is of."""
    fields, extra = taken(body, TrustCreate, "trust")
    request.enforce(CREATE, {"target.trust.trustor_user_id": fields.trustor_user_id})
    refuse_for_trusts(request)
    if fields.project_id and not fields.roles:
        raise forbidden(request, "At least one role should be specified")
    find_user(tx, fields.trustee_user_id)
    source = find_trust(tx, request.context.trust_id) if request.context.trust_id else None
    lent = _lent_roles(tx, fields, source)
    expires = None if fields.expires_at is None else expiry(fields.expires_at)
    count = _redelegations(fields, source)
    if source is not None:
        _check_source(tx, source, fields, lent, expires)
        expires = expires or source.expires_at
    row = tx.insert(
        trusts, id=ids.new_hex(), trustor_user_id=fields.trustor_user_id, trustee_user_id=fields.trustee_user_id,
        project_id=fields.project_id, redelegated_trust_id=source.id if source else None, redelegation_count=count,
        impersonation=fields.impersonation, expires_at=expires, remaining_uses=fields.remaining_uses, extra=extra,
    )  # fmt: skip
    tx.insert_many(trust_roles, [{"trust_id": row.id, "role_id": role_id} for role_id in lent])
    return _view(tx, request, row)


@api.op("GET", ALL, policy=LIST_GIVEN, target=_self, reply="trusts")
def index(tx: Tx, request: Request) -> Page:
    """List trusts: all, or a trustor's, or a trustee's."""
    refuse_for_trusts(request)
    trustor, trustee = asked(request, "trustor_user_id"), asked(request, "trustee_user_id")
    statement = sa.select(trusts).where(_unexpired())
    if trustor:
        request.enforce(LIST_GIVEN, {"target.trust.trustor_user_id": trustor})
        statement = statement.where(trusts.c.trustor_user_id == trustor)
    elif trustee:
        request.enforce(LIST_GOT, {"target.trust.trustee_user_id": trustee})
        statement = statement.where(trusts.c.trustee_user_id == trustee)
    else:
        request.enforce(LIST)
    return Page([_brief(request, row) for row in tx.all(statement.order_by(trusts.c.created_at))])


@api.op("GET", ONE, policy=GET, target=_target, reply="trust", errors=(404,))
def show(tx: Tx, request: Request, trust_id: str) -> dict:
    """Show a trust."""
    refuse_for_trusts(request)
    return _view(tx, request, find_usable(tx, trust_id))


@api.op("DELETE", ONE, policy=DELETE, target=_target, status=204, errors=(404,))
def delete(tx: Tx, request: Request, trust_id: str) -> None:
    """Delete a trust and those that were passed on from it; their tokens end with them."""
    refuse_for_trusts(request)
    tx.delete(trusts, id=find_trust(tx, trust_id).id)
    epoch.bump(tx)


@api.op("GET", ONE + "/roles", policy=LIST_ROLES, target=_target, errors=(404,))
def index_roles(tx: Tx, request: Request, trust_id: str) -> dict:
    """List the roles that a trust lends."""
    refuse_for_trusts(request)
    trust = _view(tx, request, find_trust(tx, trust_id))
    return {"roles": trust["roles"], "links": trust["roles_links"]}


@api.op("GET", ONE + "/roles/{role_id}", policy=GET_ROLE, target=_target, reply="role", errors=(404,))
def show_role(tx: Tx, request: Request, trust_id: str, role_id: str) -> dict:
    """Show a role that a trust lends."""
    refuse_for_trusts(request)
    if tx.get(trust_roles, trust_id=find_trust(tx, trust_id).id, role_id=role_id) is None:
        raise missing("role", role_id)
    return roles_.view(request, find_role(tx, role_id))


# -- helpers -------------------------------------------------------------------------------------------------------


def find_trust(tx: Tx, id: str) -> Row:
    """A trust that has not expired. Raises NotFound."""
    row = tx.first(sa.select(trusts).where(trusts.c.id == id, _unexpired()))
    if row is None:
        raise missing("trust", id)
    return row


def find_usable(tx: Tx, id: str) -> Row:
    """A trust that has not expired and is not used up. Raises NotFound."""
    row = find_trust(tx, id)
    if row.remaining_uses == 0:
        raise missing("trust", id)
    return row


def original_trustor(tx: Tx, trust: Row) -> str:
    """Whose roles a trust lends in the end, however often it was passed on."""
    while trust.redelegated_trust_id is not None:
        trust = find_trust(tx, trust.redelegated_trust_id)
        if not find_user(tx, trust.trustee_user_id).enabled:
            raise Forbidden("One of the trust agents is disabled or deleted")
    return trust.trustor_user_id


def people_of(tx: Tx, id: str | None) -> set[str]:
    """The users whom a trust goes through: who gave it, who got it, and those before them that passed it on."""
    found: set[str] = set()
    while id is not None and (row := tx.get(trusts, id=id)) is not None:
        found |= {row.trustor_user_id, row.trustee_user_id}
        id = row.redelegated_trust_id
    return found


def role_ids_of(tx: Tx, id: str) -> set[str]:
    return {row.role_id for row in tx.rows(trust_roles, trust_id=id)}


def use(tx: Tx, trust: Row) -> None:
    """Count one use of a trust that has so many."""
    if trust.remaining_uses is not None:
        left = trust.remaining_uses - 1
        if left < 0 or not tx.update(trusts, {"id": trust.id, "remaining_uses": trust.remaining_uses}, remaining_uses=left):
            raise Forbidden(f"No remaining uses for trust: {trust.id}.")


def _unexpired() -> sa.ColumnElement[bool]:
    return sa.or_(trusts.c.expires_at.is_(None), trusts.c.expires_at > clock.now())


def _lent_roles(tx: Tx, fields: TrustCreate, source: Row | None) -> set[str]:
    """The roles asked for, all of which the trustor has on the project; without a project there are none to lend."""
    if any(role.id is None and role.name is None for role in fields.roles):
        raise BadRequest("Invalid input for field/attribute roles: each is named by its id or by its name")
    lent = referenced(tx, fields.roles)
    own: set[str] = set()
    if fields.project_id:
        find_project(tx, fields.project_id)
        trustor = original_trustor(tx, source) if source else fields.trustor_user_id
        own = {row.id for row in assignments.roles_on(tx, trustor, "project", fields.project_id)}
    if without := lent - own:
        raise missing("role", sorted(without)[0])
    return lent


def _redelegations(fields: TrustCreate, source: Row | None) -> int:
    """How often the trust may be passed on."""
    wanted = fields.redelegation_count if fields.redelegation_count is not UNSET else None
    if not fields.allow_redelegation or wanted == 0:
        return 0
    if wanted and wanted > DEEPEST:
        raise Forbidden(f"Requested redelegation depth of {wanted} is greater than allowed {DEEPEST}")
    if fields.remaining_uses is not None:
        raise BadRequest("remaining_uses must not be set if redelegation is allowed")
    if source is None:
        return wanted or DEEPEST
    if wanted and wanted != source.redelegation_count - 1:
        raise Forbidden('Modifying "redelegation_count" upon redelegation is forbidden. Omitting this parameter is advised.')
    return source.redelegation_count - 1


def _check_source(tx: Tx, source: Row, fields: TrustCreate, lent: set[str], expires: t.Any) -> None:
    """A trust that is passed on gives no more than it was given."""
    if not 0 < source.redelegation_count <= DEEPEST:
        raise Forbidden(f"Remaining redelegation depth of {source.redelegation_count} out of allowed range of [0..{DEEPEST}]")
    if fields.remaining_uses is not None:
        raise Forbidden(f'Field "remaining_uses" is set to {fields.remaining_uses} while it must not be set in order to redelegate a trust')
    if expires and source.expires_at and source.expires_at < expires:
        raise Forbidden("Requested expiration time is more than redelegated trust can provide")
    if fields.project_id != source.project_id or lent - role_ids_of(tx, source.id):
        raise Forbidden("Some of requested roles are not in redelegated trust")
    if fields.impersonation and not source.impersonation:
        raise Forbidden(
            f"Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated trust id: {source.id}"
        )


def _brief(request: Request, row: Row) -> dict:
    columns = ("trustor_user_id", "trustee_user_id", "project_id", "impersonation", "remaining_uses", "redelegation_count",
               "redelegated_trust_id")  # fmt: skip
    return shown(request, "OS-TRUST/trusts", row, *columns, expires_at=iso(row.expires_at), deleted_at=None)


def _view(tx: Tx, request: Request, row: Row) -> dict:
    statement = sa.select(roles).join(trust_roles, trust_roles.c.role_id == roles.c.id)
    lent = tx.all(statement.where(trust_roles.c.trust_id == row.id).order_by(roles.c.name))
    links = {"self": f"{request.base}/v3/OS-TRUST/trusts/{row.id}/roles", "next": None, "previous": None}
    return _brief(request, row) | {"roles": [roles_.view(request, role) for role in lent], "roles_links": links}
