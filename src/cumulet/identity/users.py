"""Users: who logs in. Their passwords are kept as bcrypt hashes."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, Unauthorized
from ..kernel.http import Body, OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import api, epoch
from .attributes import Id, Name, Text, given, same_id, taken
from .entities import find, once, shown
from .listing import listed, of_own_domain
from .passwords import LONGEST
from .state import state
from .tree import DEFAULT_DOMAIN, find_domain, projects

# -- table ---------------------------------------------------------------------------------------------------------

users = table(
    "identity_users",
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("domain_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("default_project_id", sa.String(64), index=True),
    sa.Column("description", sa.Text),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("password_hash", sa.String(128)),
    sa.Column("valid_from", sa.DateTime, nullable=False),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    unique={
        ("domain_id", "name"): "Conflict occurred attempting to store user - Duplicate entry found with name {name} at "
        "domain ID {domain_id}."
    },
)
"""`valid_from`: tokens issued before are worthless, for the user changed their password or was disabled since."""

# -- wire ----------------------------------------------------------------------------------------------------------

Password = t.Annotated[str, msgspec.Meta(max_length=LONGEST)]


class Options(Body):
    """What an administrator may set of a user's passwords and authentication."""

    ignore_change_password_upon_first_use: bool | None | UnsetType = UNSET
    ignore_password_expiry: bool | None | UnsetType = UNSET
    ignore_lockout_failure_attempts: bool | None | UnsetType = UNSET
    ignore_user_inactivity: bool | None | UnsetType = UNSET
    lock_password: bool | None | UnsetType = UNSET
    multi_factor_auth_enabled: bool | None | UnsetType = UNSET
    multi_factor_auth_rules: list[list[str]] | None | UnsetType = UNSET


class UserCreate(OpenBody):
    name: Name
    domain_id: Id | None = None
    default_project_id: t.Annotated[str, msgspec.Meta(max_length=64)] | None = None
    description: Text | None = None
    enabled: bool = True
    password: Password | None = None
    options: Options = msgspec.field(default_factory=Options)


class UserUpdate(OpenBody):
    name: Name | UnsetType = UNSET
    domain_id: Id | None | UnsetType = UNSET
    default_project_id: t.Annotated[str, msgspec.Meta(max_length=64)] | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    password: Password | None | UnsetType = UNSET
    options: Options | UnsetType = UNSET


class PasswordChange(OpenBody):
    original_password: Password
    password: t.Annotated[Password, msgspec.Meta(min_length=1)]


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule(
    "identity:get_user",
    "(rule:admin_required) or (role:reader and system_scope:all) or "
    "(role:reader and token.domain.id:%(target.user.domain_id)s) or user_id:%(target.user.id)s",
    "Show a user.",
)
LIST = api.rule(
    "identity:list_users",
    "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)",
    "List users.",
)
WRITE = "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)"
CREATE = api.rule("identity:create_user", WRITE, "Create a user.")
UPDATE = api.rule("identity:update_user", WRITE, "Update a user.")
DELETE = api.rule("identity:delete_user", WRITE, "Delete a user.")

# -- operations ----------------------------------------------------------------------------------------------------


def target(tx: Tx, request: Request, user_id: str, **_: str) -> dict:
    """A user, for policy; of one that is not there, nothing, so that only those above all learn of it."""
    row = tx.get(users, id=user_id)
    own = {"user_id": user_id}
    return own if row is None else own | {"target.user.id": row.id, "target.user.domain_id": row.domain_id}


def _own_domain(tx: Tx, request: Request) -> dict:
    domain = request.context.domain_id
    return {"target.user.domain_id": domain, "target.domain_id": domain}


@api.op("POST", "/users", policy=CREATE, target=_own_domain, wrap="user", status=201, errors=(409,))
async def create(request: Request, body: dict[str, t.Any]) -> dict:
    """Create a user, in the token's domain (or the default one) where the body names none."""
    fields, extra = taken(body, UserCreate, "user")
    domain_id = fields.domain_id or request.context.domain_id or DEFAULT_DOMAIN
    request.enforce(CREATE, {"target.user.domain_id": fields.domain_id})
    hashed = await _hash(request, fields.password)
    row = await request.runtime.db.write(lambda tx: _insert(tx, fields, extra, domain_id, hashed))
    return view(request, row)


@api.op("GET", "/users", policy=LIST, target=_own_domain, reply="users")
def index(tx: Tx, request: Request) -> Page:
    """List users; with a token for a domain, that domain's alone."""
    where = of_own_domain(request, users)
    return listed(tx, request, users, lambda row: view(request, row), ("domain_id", "enabled", "name"), *where)


@api.op("GET", "/users/{user_id}", policy=GET, target=target, reply="user", errors=(404,))
def show(tx: Tx, request: Request, user_id: str) -> dict:
    """Show a user."""
    return view(request, find_user(tx, user_id))


@api.op("PATCH", "/users/{user_id}", policy=UPDATE, target=target, wrap="user", errors=(404, 409))
async def update(request: Request, user_id: str, body: dict[str, t.Any]) -> dict:
    """Change a user. A new password, or disabling them, ends the tokens they have."""
    same_id(body, user_id, "user")
    fields, extra = taken(body, UserUpdate, "user")
    hashed = UNSET if fields.password is UNSET else await _hash(request, fields.password)
    row = await request.runtime.db.write(lambda tx: _change(tx, user_id, fields, extra, hashed))
    return view(request, row)


@api.op("DELETE", "/users/{user_id}", policy=DELETE, target=target, status=204, errors=(404,))
def delete(tx: Tx, request: Request, user_id: str) -> None:
    """Delete a user with their assignments, credentials and trusts."""
    tx.delete(users, id=find_user(tx, user_id).id)
    epoch.bump(tx)


@api.op("POST", "/users/{user_id}/password", policy=None, wrap="user", status=204, errors=(401,))
async def change_password(request: Request, user_id: str, body: PasswordChange) -> None:
    """Change one's own password, knowing the old one; no token is asked for. It ends the tokens one has."""
    db, passwords = request.runtime.db, state(request.runtime).passwords
    row = await db.read(lambda tx: tx.get(users, id=user_id))
    right = await passwords.check(body.original_password, row.password_hash if row else None)
    if row is None or not right or not row.enabled:
        raise Unauthorized("The request you have made requires authentication.")
    if row.options.get("lock_password"):
        raise BadRequest(
            "Password validation error: You cannot change your password at this time due to password policy disallowing "
            "password changes. Please contact your administrator to reset your password."
        )
    hashed = await passwords.hash(body.password)
    await db.write(lambda tx: _replace_password(tx, row, hashed))


# -- helpers -------------------------------------------------------------------------------------------------------


def find_user(tx: Tx, id: str) -> Row:
    return find(tx, users, id, "user")


def view(request: Request, row: Row) -> dict:
    body = shown(request, "users", row, "name", "domain_id", "enabled", "options", password_expires_at=None)
    for name in ("default_project_id", "description"):
        if getattr(row, name) is not None:
            body[name] = getattr(row, name)
    return body


async def _hash(request: Request, password: str | None) -> str | None:
    return None if password is None else await state(request.runtime).passwords.hash(password)


def _insert(tx: Tx, fields: UserCreate, extra: dict, domain_id: str, hashed: str | None) -> Row:
    find_domain(tx, domain_id)
    _check_default_project(tx, fields.default_project_id)
    return tx.insert(
        users, id=ids.new_hex(), name=fields.name, domain_id=domain_id, default_project_id=fields.default_project_id,
        description=fields.description, enabled=fields.enabled, password_hash=hashed, valid_from=clock.now(),
        options=given(fields.options), extra=extra,
    )  # fmt: skip


def _change(tx: Tx, user_id: str, fields: UserUpdate, extra: dict, hashed: str | None | UnsetType) -> Row:
    row = find_user(tx, user_id)
    if fields.domain_id is not UNSET and fields.domain_id != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    values = given(fields, "password", "domain_id", "options")
    if values.get("default_project_id"):
        _check_default_project(tx, values["default_project_id"])
    if "name" in values:
        once(tx, users, values["name"], row.domain_id, but=row.id)
    if fields.options is not UNSET:
        options = row.options | given(fields.options)
        values["options"] = {name: value for name, value in options.items() if value is not None}
    if hashed is not UNSET:
        values["password_hash"] = hashed
    if hashed is not UNSET or (row.enabled and values.get("enabled") is False):
        values["valid_from"] = clock.now()
    tx.update(users, user_id, **values, extra=row.extra | extra)
    epoch.bump(tx)
    return find_user(tx, user_id)


def _replace_password(tx: Tx, row: Row, hashed: str) -> None:
    """Unless another change came first: then the old password was no longer the one checked."""
    where = {"id": row.id, "password_hash": row.password_hash}
    if not tx.update(users, where, password_hash=hashed, valid_from=clock.now()):
        raise Unauthorized("The request you have made requires authentication.")
    epoch.bump(tx)


def _check_default_project(tx: Tx, id: str | None) -> None:
    if id and tx.scalar(sa.select(projects.c.id).where(projects.c.id == id, projects.c.is_domain)):
        raise BadRequest(f"User's default project ID cannot be a domain ID: {id}")
