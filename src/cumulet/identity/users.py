"""Users: who logs in. Their passwords are kept as bcrypt hashes."""

from __future__ import annotations

import operator
import re
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock, ids
from ..kernel.config import SecurityCompliance
from ..kernel.db import Once, Row, Tx, table
from ..kernel.errors import BadRequest
from ..kernel.http import Body, OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import SCOPES, api, epoch, password_rules
from .attributes import Id, Name, Text, given, same_id, something, taken
from .domain_drivers import check_new, check_writable
from .entities import find, missing, once, shown
from .federation import names
from .federation.names import Federated
from .listing import asked, listed, of_own_domain
from .passwords import LONGEST
from .state import state
from .times import iso, moment_told
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
    sa.Column("password_expires_at", sa.DateTime),
    sa.Column("password_chosen_at", sa.DateTime),
    sa.Column("failed_auth_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed_auth_at", sa.DateTime),
    sa.Column("last_active_on", sa.Date),
    sa.Column("valid_from", sa.DateTime, nullable=False, index=True),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("shadow", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("local_id", sa.String(255)),
    sa.Column("gone", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_identity_users_name", "name"),
    sa.Index("ix_identity_users_domain_id_name", "domain_id", "name"),
    once=(Once(
        ("domain_id", "name"),
        "Conflict occurred attempting to store user - Duplicate entry found with name {name} at domain ID {domain_id}.",
        {"shadow": False},
    ),),
)  # fmt: skip
"""`shadow`: an identity provider brought the user, who logs in there; several may have one name.
`valid_from`: tokens issued before are worthless, for the user changed their password or was disabled since.
`password_chosen_at`: none where an administrator set the password. `last_active_on`: the day of the last login by password.
`local_id`: the id that the domain's directory knows the user by; such a row is written by `mirror` alone, which says what `gone` is."""

old_passwords = table(
    "identity_old_passwords",
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("password_hash", sa.String(128), nullable=False),
)
"""The passwords that users had before, as many as the rules ask for."""

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
    multi_factor_auth_rules: list[t.Annotated[list[str], msgspec.Meta(min_length=1)]] | None | UnsetType = UNSET


class UserCreate(OpenBody):
    name: Name
    domain_id: Id | UnsetType = UNSET
    default_project_id: t.Annotated[str, msgspec.Meta(max_length=64)] | None = None
    description: Text | None = None
    enabled: bool = True
    password: Password | None = None
    options: Options = msgspec.field(default_factory=Options)
    federated: list[Federated] = []


class UserUpdate(OpenBody):
    name: Name | UnsetType = UNSET
    domain_id: Id | None | UnsetType = UNSET
    default_project_id: t.Annotated[str, msgspec.Meta(max_length=64)] | None | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    password: Password | None | UnsetType = UNSET
    options: Options | UnsetType = UNSET
    federated: list[Federated] | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule(
    "identity:get_user",
    "(rule:admin_required) or (role:reader and system_scope:all) or "
    "(role:reader and token.domain.id:%(target.user.domain_id)s) or user_id:%(target.user.id)s",
    "Show a user.",
    scopes=SCOPES,
)
LIST = api.rule(
    "identity:list_users",
    "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)",
    "List users.",
    scopes=SCOPES,
)
WRITE = "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)"
CREATE = api.rule("identity:create_user", WRITE, "Create a user.", scopes=SCOPES)
UPDATE = api.rule("identity:update_user", WRITE, "Update a user.", scopes=SCOPES)
DELETE = api.rule("identity:delete_user", WRITE, "Delete a user.", scopes=SCOPES)

# -- operations ----------------------------------------------------------------------------------------------------


def target(tx: Tx, request: Request, user_id: str, **_: str) -> dict:
    """A user, for policy; of one that is not there, nothing, so that only those above all learn of it."""
    row = tx.get(users, id=user_id)
    state(request.runtime).directories.ask_user(row)
    own = {"user_id": user_id}
    return own if row is None or row.gone else own | {"target.user.id": row.id, "target.user.domain_id": row.domain_id}


def _own_domain(tx: Tx, request: Request) -> dict:
    domain = request.context.domain_id
    return {"target.user.domain_id": domain, "target.domain_id": domain}


@api.op("POST", "/users", policy=CREATE, target=_own_domain, wrap="user", status=201, errors=(409,))
async def create(request: Request, body: dict[str, t.Any]) -> dict:
    """Create a user, in the token's domain (or the default one) where the body names none."""
    fields, extra = taken(body, UserCreate, "user")
    _check_options(fields.options)
    domain_id = fields.domain_id or request.context.domain_id or DEFAULT_DOMAIN
    request.enforce(CREATE, {"target.user.domain_id": fields.domain_id or None})
    rules = request.runtime.config.security_compliance
    if fields.password is not None:
        password_rules.check_strength(fields.password, rules)
    hashed = await _hash(request, fields.password)
    return await request.write(lambda tx: whole(tx, request, _insert(tx, fields, extra, domain_id, hashed, rules)))


@api.op("GET", "/users", policy=LIST, target=_own_domain, reply="users")
def index(tx: Tx, request: Request) -> Page:
    """List users; with a token for a domain, that domain's alone."""
    ask_directory(tx, request, "user")
    where, filters = [*expiring(request), *names.asked_for(request, users.c.id)], ("domain_id", "enabled", "name")
    return listed(tx, request, users, lambda row: view(request, row), filters, *where, gone=False, **of_own_domain(request))


@api.op("GET", "/users/{user_id}", policy=GET, target=target, reply="user", errors=(404,))
def show(tx: Tx, request: Request, user_id: str) -> dict:
    """Show a user, with the ids by which identity providers know them."""
    return whole(tx, request, find_user(tx, user_id))


@api.op("PATCH", "/users/{user_id}", policy=UPDATE, target=target, wrap="user", errors=(404, 409))
async def update(request: Request, user_id: str, body: dict[str, t.Any]) -> dict:
    """Change a user.

    A new password, or disabling them, ends the tokens they have. What the real service has no column for is told twice, as there."""
    something(body, "user")
    same_id(body, user_id)
    fields, extra = taken(body, UserUpdate, "user")
    _check_options(fields.options)
    rules, hashed = request.runtime.config.security_compliance, UNSET
    if fields.password is not UNSET:
        password_rules.check_strength(fields.password, rules)
        hashed = await _hash(request, fields.password)
    return await request.write(lambda tx: _changed(tx, request, _change(tx, user_id, fields, extra, hashed, rules)))


@api.op("DELETE", "/users/{user_id}", policy=DELETE, target=target, status=204, errors=(404,))
def delete(tx: Tx, request: Request, user_id: str) -> None:
    """Delete a user with their assignments, credentials and trusts."""
    row = find_user(tx, user_id)
    check_writable(row)
    tx.delete(users, id=row.id)
    epoch.bump(tx)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_user(tx: Tx, id: str) -> Row:
    row = find(tx, users, id, "user")
    if row.gone:
        raise missing("user", id)
    return row


def ask_directory(tx: Tx, request: Request, kind: t.Literal["user", "group"]) -> None:
    """Have a list of users or groups be of what the directory says now, where the request names one domain. A list of all
    domains is of what their directories said last."""
    domain_id = request.context.domain_id or asked(request, "domain_id")
    state(request.runtime).directories.ask_all(tx, kind, domain_id, asked(request, "name"))


def whole(tx: Tx, request: Request, row: Row) -> dict:
    federated = names.of_user(tx, row.id)
    return view(request, row) | ({"federated": federated} if federated else {})


def view(request: Request, row: Row) -> dict:
    has = row._mapping
    enabled = has["enabled"] and not password_rules.idle(row, request.runtime.config.security_compliance)
    expires = iso(has["password_expires_at"], zone="")
    body = shown(request, "users", row, "name", "domain_id", "options", enabled=enabled, password_expires_at=expires)
    for name in ("default_project_id", "description"):
        if has[name] is not None:
            body[name] = has[name]
    return body


COMPARED = {"eq": operator.eq, "neq": operator.ne, "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


def expiring(request: Request) -> list[sa.ColumnElement[bool]]:
    """What a query asks of when passwords expire, as in `password_expires_at=lt:2026-01-31T12:00:00Z`. Raises BadRequest."""
    where = []
    for key, value in request.query:
        if key == "password_expires_at":
            found = re.fullmatch(r"(?:([a-z]*):)?(.*)", value, re.DOTALL)
            name, text = found.groups() if found else (None, value)
            if name is not None and name not in COMPARED:
                raise BadRequest(
                    f"The given operator {name} is not valid. It must be one of the following: 'eq', 'neq', 'lt', 'lte', 'gt', or 'gte'."
                )
            where.append(COMPARED[name or "eq"](users.c.password_expires_at, moment_told(text)))
    return where


def _changed(tx: Tx, request: Request, row: Row) -> dict:
    told = {} if row.description is None else {"description": row.description}
    return whole(tx, request, row) | {"extra": row.extra | told}


def new_password(tx: Tx, user: Row, hashed: str | None, options: dict, rules: SecurityCompliance, *, own: bool) -> dict[str, t.Any]:
    """The values by which a user's row gets another password; the one before is kept for as long as the rules ask.
    own: whether the user chose it."""
    if user.password_hash is not None and rules.unique_last_password_count > 1:
        tx.insert(old_passwords, user_id=user.id, password_hash=user.password_hash)
    newest = sa.select(old_passwords.c.id).where(old_passwords.c.user_id == user.id).order_by(old_passwords.c.created_at.desc())
    kept = [row.id for row in tx.all(newest.limit(max(0, rules.unique_last_password_count - 1)))]
    tx.execute(old_passwords.delete().where(old_passwords.c.user_id == user.id, old_passwords.c.id.not_in(kept)))
    ends = password_rules.expiry(options, rules, own=own) if hashed else None
    return {"password_hash": hashed, "password_expires_at": ends, "password_chosen_at": clock.now() if own else None}


def note_failure(tx: Tx, user_id: str, rules: SecurityCompliance) -> None:
    """Count a wrong password, where it counts. What is past a lockout is the first again."""
    user = tx.get(users, id=user_id)
    if user is None or not password_rules.lockable(user, rules) or password_rules.locked(user, rules):
        return
    before = user.failed_auth_count if user.failed_auth_count < rules.lockout_failure_attempts else 0
    tx.update(users, user_id, failed_auth_count=before + 1, failed_auth_at=clock.now())


def unnoted(user: Row) -> bool:
    """Whether a login by password says something new about a user."""
    return bool(user.failed_auth_count) or user.last_active_on != clock.now().date()


def note_login(tx: Tx, user_id: str) -> None:
    tx.update(users, user_id, failed_auth_count=0, failed_auth_at=None, last_active_on=clock.now().date())


async def _hash(request: Request, password: str | None) -> str | None:
    return None if password is None else await state(request.runtime).passwords.hash(password)


def _check_options(options: Options | UnsetType) -> None:
    rules = UNSET if options is UNSET else options.multi_factor_auth_rules
    for strings in [] if rules is UNSET or rules is None else [[repr(rule) for rule in rules], *rules]:
        if len(set(strings)) < len(strings):
            raise BadRequest(
                "Invalid input for field/attribute user.options.multi_factor_auth_rules: must be a list of lists comprised of strings. "
                "Sub-lists may not be duplicated. Strings in sub-lists may not be duplicated."
            )


def _insert(tx: Tx, fields: UserCreate, extra: dict, domain_id: str, hashed: str | None, rules: SecurityCompliance) -> Row:
    find_domain(tx, domain_id)
    check_new(tx, domain_id)
    _check_default_project(tx, fields.default_project_id)
    options = given(fields.options)
    expires = password_rules.expiry(options, rules, own=False) if hashed else None
    row = tx.insert(
        users, id=ids.new_hex(), name=fields.name, domain_id=domain_id, default_project_id=fields.default_project_id,
        description=fields.description, enabled=fields.enabled, password_hash=hashed, valid_from=clock.now(),
        password_expires_at=expires, options=options, extra=extra,
    )  # fmt: skip
    names.set_all(tx, row.id, fields.federated)
    return row


def _change(tx: Tx, user_id: str, fields: UserUpdate, extra: dict, hashed: str | None | UnsetType, rules: SecurityCompliance) -> Row:
    row = find_user(tx, user_id)
    check_writable(row)
    if fields.domain_id is not UNSET and fields.domain_id != row.domain_id:
        raise BadRequest("Cannot change Domain ID")
    values = given(fields, "password", "domain_id", "options", "federated")
    if values.get("default_project_id"):
        _check_default_project(tx, values["default_project_id"])
    if "name" in values and not row.shadow:
        once(tx, users, values["name"], row.domain_id, users.c.shadow.is_(False), but=row.id)
    if fields.federated:
        names.set_all(tx, row.id, fields.federated)
    if fields.options is not UNSET:
        options = row.options | given(fields.options)
        values["options"] = {name: value for name, value in options.items() if value is not None}
    if hashed is not UNSET:
        values |= new_password(tx, row, hashed, values.get("options", row.options), rules, own=False)
    if values.get("enabled"):
        values |= {"failed_auth_count": 0, "failed_auth_at": None, "last_active_on": clock.now().date()}
    if hashed is not UNSET or (row.enabled and values.get("enabled") is False):
        values["valid_from"] = clock.now()
    tx.update(users, user_id, **values, extra=row.extra | extra)
    epoch.bump(tx)
    return find_user(tx, user_id)


def _check_default_project(tx: Tx, id: str | None) -> None:
    if id and tx.scalar(sa.select(projects.c.id).where(projects.c.id == id, projects.c.is_domain)):
        raise BadRequest(f"User's default project ID cannot be a domain ID: {id}")
