"""Application credentials: a secret with which a program acts for a user in one project, with some of their roles."""

from __future__ import annotations

import base64
import datetime as dt
import os
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import MANY, Row, Tx, table
from ..kernel.errors import BadRequest, NotFound
from ..kernel.http import Body, OpenBody, Page, Request
from . import PROJECT_ALONE, access_rules, api, epoch, implied_roles
from .access_rules import AccessRule, access_rule_uses
from .attributes import Name, Text, taken
from .delegation import forbidden, refuse_for_application_credentials
from .entities import missing, shown
from .listing import listed
from .passwords import LONGEST
from .roles import find_role, role_named, roles
from .state import state
from .times import expiry, iso

# -- tables --------------------------------------------------------------------------------------------------------

application_credentials = table(
    "identity_application_credentials",
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("secret_hash", sa.String(128), nullable=False),
    sa.Column("expires_at", sa.DateTime),
    sa.Column("unrestricted", sa.Boolean, nullable=False),
    unique={("user_id", "name"): "Conflict occurred attempting to store application_credential - Duplicate entry found with name {name}."},
)

credential_roles = table(
    "identity_application_credential_roles",
    sa.Column("credential_id", sa.String(64), sa.ForeignKey("identity_application_credentials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.String(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    id=False,
)

# -- wire ----------------------------------------------------------------------------------------------------------


class RoleReference(OpenBody):
    id: t.Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    name: Name | None = None
    domain: dict[str, str] | None = None


class ApplicationCredentialCreate(Body):
    name: Name
    secret: t.Annotated[str, msgspec.Meta(max_length=LONGEST)] | None = None
    description: Text | None = None
    expires_at: str | None = None
    roles: list[RoleReference] = msgspec.field(default_factory=list)
    unrestricted: bool | None = None
    access_rules: list[AccessRule] = msgspec.field(default_factory=list)


# -- policy --------------------------------------------------------------------------------------------------------

READ = "(rule:admin_required) or (role:reader and system_scope:all) or rule:owner"
GET = api.rule("identity:get_application_credential", READ, "Show an application credential.")
LIST = api.rule("identity:list_application_credentials", READ, "List a user's application credentials.")
CREATE = api.rule(
    "identity:create_application_credential", "user_id:%(user_id)s", "Create an application credential.", scopes=PROJECT_ALONE
)
DELETE = api.rule("identity:delete_application_credential", "rule:admin_or_owner", "Delete an application credential.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/users/{user_id}/application_credentials"
ONE = ALL + "/{application_credential_id}"
ROLE = ("id", "name", "domain_id", "description", "options")
"""What a credential shows of its roles."""


def _of_path(tx: Tx, request: Request, user_id: str) -> dict:
    return {"user_id": user_id}


def _owner(tx: Tx, request: Request, user_id: str, application_credential_id: str) -> dict:
    """Whose a credential is, whatever user the path names."""
    row = tx.get(application_credentials, id=application_credential_id)
    return {"user_id": row.user_id if row else user_id}


@api.op("POST", ALL, policy=CREATE, target=_of_path, wrap="application_credential", status=201, errors=(409,))
async def create(request: Request, user_id: str, body: dict[str, t.Any]) -> dict:
    """Create an application credential for the token's project. Its secret is shown this once."""
    fields, _ = taken(body, ApplicationCredentialCreate, "application_credential")
    refuse_for_application_credentials(request)
    _refuse_restricted(request)
    if request.context.project_id is None:
        raise BadRequest("Invalid application credential: a token for a project is needed to create one")
    expires = None if fields.expires_at is None else expiry(fields.expires_at)
    secret = fields.secret or base64.urlsafe_b64encode(os.urandom(64)).rstrip(b"=").decode()
    hashed = await state(request.runtime).passwords.hash(secret)
    made = await request.write(lambda tx: _insert(tx, request, fields, expires, hashed))
    return made | {"secret": secret}


@api.op("GET", ALL, policy=LIST, target=_of_path, reply="application_credentials")
def index(tx: Tx, request: Request, user_id: str) -> Page:
    """List a user's application credentials."""
    refuse_for_application_credentials(request)
    page = listed(tx, request, application_credentials, lambda row: row, ("name",), user_id=user_id)
    return page._replace(items=_views(tx, request, page.items))


@api.op("GET", ONE, policy=GET, target=_owner, reply="application_credential", errors=(404,))
def show(tx: Tx, request: Request, user_id: str, application_credential_id: str) -> dict:
    """Show an application credential."""
    refuse_for_application_credentials(request)
    return _views(tx, request, [_find(tx, application_credential_id)])[0]


@api.op("DELETE", ONE, policy=DELETE, target=_owner, status=204, errors=(404,))
def delete(tx: Tx, request: Request, user_id: str, application_credential_id: str) -> None:
    """Delete an application credential; its tokens end with it."""
    refuse_for_application_credentials(request)
    _refuse_restricted(request)
    tx.delete(application_credentials, id=_find(tx, application_credential_id).id)
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def _refuse_restricted(request: Request) -> None:
    """A program's secret makes no further ones, unless it was made for that."""
    if request.context.extra.get("restricted"):
        action = "Using method 'application_credential' is not allowed for managing additional application credentials."
        raise forbidden(request, action)


def referenced(tx: Tx, references: list[RoleReference]) -> set[str]:
    """The ids of the roles named. Raises NotFound."""
    found = set()
    for reference in references:
        role = find_role(tx, reference.id) if reference.id else role_named(tx, reference.name or "")
        if role is None:
            raise NotFound(f"Role {reference.name} is not defined")
        found.add(role.id)
    return found


def role_ids_of(tx: Tx, id: str) -> set[str]:
    return {row.role_id for row in tx.rows(credential_roles, credential_id=id)}


def _find(tx: Tx, id: str) -> Row:
    row = tx.get(application_credentials, id=id)
    if row is None:
        raise missing("Application Credential", id)
    return row


def _insert(tx: Tx, request: Request, fields: ApplicationCredentialCreate, expires: dt.datetime | None, hashed: str) -> dict:
    context = request.context
    row = tx.insert(
        application_credentials, id=ids.new_hex(), user_id=context.user_id, project_id=context.project_id, name=fields.name,
        description=fields.description, secret_hash=hashed, expires_at=expires, unrestricted=bool(fields.unrestricted),
    )  # fmt: skip
    chosen = _chosen_roles(tx, request, fields)
    tx.insert_many(credential_roles, [{"credential_id": row.id, "role_id": id} for id in chosen])
    rules = [_rule(tx, str(context.user_id), rule) for rule in fields.access_rules]
    tx.insert_many(access_rule_uses, [{"credential_id": row.id, "rule_id": id} for id in dict.fromkeys(rules)])
    return _views(tx, request, [row])[0]


def _chosen_roles(tx: Tx, request: Request, fields: ApplicationCredentialCreate) -> set[str]:
    """The roles asked for with what they imply, or the token's. Raises BadRequest for one that the token has not."""
    own = {role["id"] for role in request.context.extra["token_roles"]}
    if not fields.roles:
        return own
    if any(one.id is None and one.name is None for one in fields.roles):
        raise BadRequest("Invalid input for field/attribute roles: each is named by its id or by its name")
    named = {reference.id for reference in fields.roles if reference.id}
    asked = implied_roles.expanded(implied_roles.direct(tx), named | referenced(tx, [one for one in fields.roles if not one.id]))
    if asked - own:
        raise BadRequest("Invalid application credential: Cannot create an application credential with unassigned role")
    return asked


def _rule(tx: Tx, user_id: str, rule: AccessRule) -> str:
    """The id of the user's rule that says this; made where there is none."""
    if rule.id is not None and tx.get(access_rules.access_rules, id=rule.id, user_id=user_id):
        return rule.id
    if rule.service is None or rule.path is None or rule.method is None:
        raise BadRequest("Invalid application credential: an access rule needs service, path and method, or a known id")
    says = {"user_id": user_id, "service": rule.service, "path": rule.path, "method": rule.method}
    found = tx.rows(access_rules.access_rules, **says)
    return found[0].id if found else tx.insert(access_rules.access_rules, id=ids.new_hex(), **says).id


_ROLES = (
    sa.select(credential_roles.c.credential_id, roles)
    .join(roles, roles.c.id == credential_roles.c.role_id)
    .where(credential_roles.c.credential_id.in_(MANY))
    .order_by(roles.c.name)
)


def _views(tx: Tx, request: Request, rows: list[Row]) -> list[dict]:
    found: dict[str, list[dict]] = {row.id: [] for row in rows}
    for row in tx.many(_ROLES, found):
        found[row.credential_id].append({name: getattr(row, name) for name in ROLE} | row.extra)
    rules = access_rules.of_credentials(tx, list(found))
    return [_view(request, row, found[row.id], rules[row.id]) for row in rows]


def _view(request: Request, row: Row, its_roles: list[dict], rules: list[dict]) -> dict:
    columns = ("name", "description", "user_id", "project_id", "unrestricted")
    more: dict[str, t.Any] = {"roles": its_roles, "system": None, "expires_at": iso(row.expires_at, zone="")}
    if rules:
        more["access_rules"] = rules
    return shown(request, "application_credentials", row, *columns, **more)
