"""Key pairs: a user's public keys, put into servers at their first boot. They belong to users, not to projects."""

from __future__ import annotations

import base64
import binascii
import hashlib
import typing as t

import msgspec
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ..kernel.db import Row, Tx, table
from ..kernel.http import BadRequest, Body, NotFound, Query, Request, View, paged, since
from ..kernel.http.wire import UNSET, Page, UnsetType
from . import api
from .quota_limits import quota_limits, refuse_over

# -- table ---------------------------------------------------------------------------------------------------------

keypairs = table(
    "keypairs",
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("type", sa.String(10), nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(255), nullable=False),
    unique={("user_id", "name"): "Key pair '{name}' already exists."},
)

# -- wire ----------------------------------------------------------------------------------------------------------

Name = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class KeypairCreate(Body):
    name: Name
    public_key: t.Annotated[str, msgspec.Meta(min_length=1, max_length=65535)] | UnsetType = UNSET
    type: t.Annotated[t.Literal["ssh", "x509"], since("2.2")] = "ssh"
    user_id: t.Annotated[str | UnsetType, since("2.10")] = UNSET


class Keypair(View):
    name: str
    public_key: str
    fingerprint: str
    type: t.Annotated[str, since("2.2")]
    user_id: str | UnsetType = UNSET
    private_key: str | UnsetType = UNSET
    deleted: bool | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    deleted_at: str | None | UnsetType = UNSET
    updated_at: str | None | UnsetType = UNSET
    id: int | UnsetType = UNSET


class KeypairQuery(Query):
    user_id: str | None = None
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None
    marker: str | None = None


# -- policy --------------------------------------------------------------------------------------------------------

OWN = "user_id:%(user_id)s"
CREATE = api.rule("os_compute_api:os-keypairs:create", f"(rule:context_is_admin) or {OWN}", "Create or import a key pair.")
SHOW = api.rule("os_compute_api:os-keypairs:show", f"(role:admin) or {OWN}", "Show a key pair.")
INDEX = api.rule("os_compute_api:os-keypairs:index", f"(rule:context_is_admin) or {OWN}", "List key pairs.")
DELETE = api.rule("os_compute_api:os-keypairs:delete", f"(rule:context_is_admin) or {OWN}", "Delete a key pair.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/os-keypairs", policy=CREATE, wrap="keypair", status={"0.0": 200, "2.2": 201}, errors=(400, 403, 409))
def create(tx: Tx, request: Request, body: KeypairCreate) -> Keypair:
    """Import a public key or, before 2.92, have a pair made."""
    user = body.user_id or str(request.context.user_id)
    request.enforce(CREATE, {"user_id": user})
    _check_quota(tx, request, user)
    private = UNSET
    public = body.public_key
    if public is UNSET:
        if request.version >= (2, 92):
            raise BadRequest("Invalid input for field/attribute keypair. 'public_key' is a required property")
        private, public = _generate()
    row = tx.insert(keypairs, user_id=user, name=body.name, type=body.type, public_key=public, fingerprint=_fingerprint(public, body.type))
    return _view(row, private_key=private, user_id=row.user_id)


@api.op("GET", "/os-keypairs/{name}", policy=SHOW, wrap="keypair", errors=(404,))
def show(tx: Tx, request: Request, name: str, query: KeypairQuery) -> Keypair:
    """Show a key pair."""
    row = _find(tx, request, name, query, SHOW)
    return _view(row, user_id=row.user_id, deleted=False, created_at=row.created_at.isoformat(), deleted_at=None,
                 updated_at=None, id=int(row.id[:8], 16))  # fmt: skip


@api.op("GET", "/os-keypairs", policy=INDEX, reply="keypairs")
def index(tx: Tx, request: Request, query: KeypairQuery) -> Page:
    """List a user's key pairs."""
    user = _user(request, query, INDEX)
    statement = sa.select(keypairs).where(keypairs.c.user_id == user)
    if request.version < (2, 35):
        rows, marker = tx.all(statement.order_by(keypairs.c.name)), None
    else:
        rows, marker = paged(tx, statement, keypairs, order=[("name", "asc")], limit=query.limit, marker=_marker(tx, user, query))
    return Page([{"keypair": _view(row)} for row in rows], marker and rows[-1].name)


@api.op("DELETE", "/os-keypairs/{name}", policy=DELETE, status={"0.0": 202, "2.2": 204}, errors=(404,))
def delete(tx: Tx, request: Request, name: str, query: KeypairQuery) -> None:
    """Delete a key pair. Servers keep what they were given."""
    tx.delete(keypairs, id=_find(tx, request, name, query, DELETE).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _user(request: Request, query: KeypairQuery, rule: str) -> str:
    """Whose key pairs are meant: from 2.10 on an administrator may name somebody else."""
    if query.user_id is None or request.version < (2, 10):
        return str(request.context.user_id)
    request.enforce(rule, {"user_id": query.user_id})
    return query.user_id


def _find(tx: Tx, request: Request, name: str, query: KeypairQuery, rule: str) -> Row:
    user = _user(request, query, rule)
    row = tx.get(keypairs, user_id=user, name=name)
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {user}")
    return row


def _marker(tx: Tx, user: str, query: KeypairQuery) -> str | None:
    if query.marker is None:
        return None
    row = tx.get(keypairs, user_id=user, name=query.marker)
    if row is None:
        raise BadRequest(f"marker [{query.marker}] not found")
    return row.id


def _check_quota(tx: Tx, request: Request, user: str) -> None:
    used = tx.scalar(sa.select(sa.func.count()).where(keypairs.c.user_id == user)) or 0
    limits = quota_limits(tx, request.context.project_id or "", user)
    refuse_over(limits, {"key_pairs": used}, {"key_pairs": 1})


def _view(row: Row, **more: t.Any) -> Keypair:
    return Keypair(name=row.name, public_key=row.public_key, fingerprint=row.fingerprint, type=row.type, **more)


def _generate() -> tuple[str, str]:
    """A private key in PEM and its public key as OpenSSH writes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode() + " Generated-by-Nova"


def _fingerprint(public_key: str, kind: str) -> str:
    """MD5 of the key for ssh, SHA-1 of the certificate for x509, in hex pairs."""
    try:
        if kind == "x509":
            digest = x509.load_pem_x509_certificate(public_key.encode()).fingerprint(hashes.SHA1()).hex()
        else:
            digest = hashlib.md5(base64.b64decode(public_key.split()[1], validate=True)).hexdigest()
    except (ValueError, IndexError, binascii.Error) as error:
        raise BadRequest(f"Keypair data is invalid: failed to generate fingerprint: {error}") from None
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
