"""Credentials: secrets of users that other protocols check (EC2 keys, TOTP seeds, certificates). Encrypted at rest."""

from __future__ import annotations

import hashlib
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest, Conflict
from ..kernel.http import Body, OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from ..kernel.runtime import Runtime
from . import SCOPES, api, epoch
from .attributes import Text, expecting, taken
from .delegation import is_delegated, refuse_for_credentials
from .entities import missing, shown
from .listing import listed
from .state import state
from .tree import find_project
from .users import find_user

# -- table ---------------------------------------------------------------------------------------------------------

credentials = table(
    "identity_credentials",
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
    sa.Column("type", sa.String(255), nullable=False),
    sa.Column("sealed_blob", sa.Text, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
)

# -- wire ----------------------------------------------------------------------------------------------------------

Type = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Reference = t.Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class CredentialCreate(OpenBody):
    blob: Text
    type: Type
    user_id: Reference
    project_id: Reference | None | UnsetType = UNSET


class CredentialUpdate(Body):
    """What a credential is for, and whose it is, stays."""

    blob: Text


# -- policy --------------------------------------------------------------------------------------------------------

OWN = "user_id:%(target.credential.user_id)s"
READ = f"(rule:admin_required) or (role:reader and system_scope:all) or {OWN}"
WRITE = f"(rule:admin_required) or {OWN}"
GET = api.rule("identity:get_credential", READ, "Show a credential.", scopes=SCOPES)
LIST = api.rule("identity:list_credentials", READ, "List credentials.", scopes=SCOPES)
CREATE = api.rule("identity:create_credential", WRITE, "Create a credential.", scopes=SCOPES)
UPDATE = api.rule("identity:update_credential", WRITE, "Update a credential.", scopes=SCOPES)
DELETE = api.rule("identity:delete_credential", WRITE, "Delete a credential.", scopes=SCOPES)

# -- operations ----------------------------------------------------------------------------------------------------


def of_self(tx: Tx, request: Request, **_: str) -> dict:
    """What a caller may do with their own; the handler checks whose it is."""
    return {"target.credential.user_id": request.context.user_id}


def _target(tx: Tx, request: Request, credential_id: str) -> dict:
    row = tx.get(credentials, id=credential_id)
    return {} if row is None else {"target.credential.user_id": row.user_id}


@api.op("POST", "/credentials", policy=CREATE, target=of_self, wrap="credential", status=201, errors=(409,))
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create a credential. An EC2 one's id is made of its access key, so that the key finds it."""
    fields, extra = taken(body, CredentialCreate, "credential")
    request.enforce(CREATE, {"target.credential.user_id": fields.user_id})
    refuse_for_credentials(request)
    if fields.type == "ec2" and fields.project_id is UNSET:
        raise BadRequest("Invalid input for field/attribute credential: 'project_id' is a required property")
    id = ec2_id(_ec2_blob(fields.blob)["access"]) if fields.type.lower() == "ec2" else ids.new_hex()
    row = insert(tx, request.runtime, id, fields.user_id, fields.project_id or None, fields.type, fields.blob, extra)
    return view(request, row)


@api.op("GET", "/credentials", policy=LIST, target=of_self, reply="credentials")
def index(tx: Tx, request: Request) -> Page:
    """List the credentials that the caller may see."""
    if is_delegated(request):
        return Page([])
    own: dict[str, t.Any] = {} if request.allows(LIST, {}) else {"user_id": request.context.user_id}
    return listed(tx, request, credentials, lambda row: view(request, row), ("user_id", "type"), **own)


@api.op("GET", "/credentials/{credential_id}", policy=GET, target=_target, reply="credential", errors=(404,))
def show(tx: Tx, request: Request, credential_id: str) -> dict:
    """Show a credential."""
    row = _permitted(tx, request, credential_id)
    return view(request, row)


@api.op("PATCH", "/credentials/{credential_id}", policy=UPDATE, target=_target, wrap="credential", errors=(404,))
def update(tx: Tx, request: Request, credential_id: str, body: CredentialUpdate) -> dict:
    """Change what a credential says."""
    row = _permitted(tx, request, credential_id)
    if row.type.lower() == "ec2":
        _check_made_with(_ec2_blob(blob_of(request.runtime, row)), _ec2_blob(body.blob))
    tx.update(credentials, row.id, sealed_blob=seal(tx, request.runtime, body.blob.encode()))
    return view(request, find_credential(tx, credential_id))


@api.op("DELETE", "/credentials/{credential_id}", policy=DELETE, target=_target, status=204, errors=(404,))
def delete(tx: Tx, request: Request, credential_id: str) -> None:
    """Delete a credential."""
    row = _permitted(tx, request, credential_id)
    tx.delete(credentials, id=row.id)


# -- helpers -------------------------------------------------------------------------------------------------------


def find_credential(tx: Tx, id: str) -> Row:
    row = tx.get(credentials, id=id)
    if row is None:
        raise missing("credential", id)
    return row


def ec2_id(access: str) -> str:
    """The id of the credential with an EC2 access key."""
    return hashlib.sha256(access.encode()).hexdigest()


def insert(tx: Tx, runtime: Runtime, id: str, user_id: str, project_id: str | None, type: str, blob: str, extra: dict) -> Row:
    _check_references(tx, user_id, project_id)
    if tx.get(credentials, id=id) is not None:
        raise Conflict(f"Conflict occurred attempting to store credential - Duplicate entry found with ID {id}.")
    sealed = seal(tx, runtime, blob.encode())
    return tx.insert(credentials, id=id, user_id=user_id, project_id=project_id, type=type, sealed_blob=sealed, extra=extra)


def seal(tx: Tx, runtime: Runtime, data: bytes) -> str:
    """Seal what is to be written in this transaction. The epoch is looked at for a rotation of the keys, which changes it:
    whoever has the old key by then cannot commit after all has been sealed anew."""
    epoch.current(tx)
    return state(runtime).credential_keys.seal(data)


def blob_of(runtime: Runtime, row: Row) -> str:
    return state(runtime).credential_keys.open(row.sealed_blob).decode()


def view(request: Request, row: Row) -> dict:
    return shown(request, "credentials", row, "user_id", "project_id", "type", blob=blob_of(request.runtime, row))


def _permitted(tx: Tx, request: Request, id: str) -> Row:
    row = find_credential(tx, id)
    refuse_for_credentials(request)
    return row


def _ec2_blob(blob: str) -> dict:
    try:
        parts = msgspec.json.decode(blob, type=dict)
    except (msgspec.MsgspecError, RecursionError):
        raise BadRequest("Invalid blob in credential") from None
    if not parts:
        raise expecting("blob", "credential")
    if not isinstance(parts.get("access"), str):
        raise expecting("access", "credential")
    return parts


def _check_made_with(old: dict, new: dict) -> None:
    for name in ("trust_id", "app_cred_id", "access_token_id", "access_id"):
        if old.get(name) != new.get(name):
            raise BadRequest(f"{name} can not be updated for credential")


def _check_references(tx: Tx, user_id: str, project_id: str | None) -> None:
    find_user(tx, user_id)
    if project_id is not None:
        find_project(tx, project_id)
