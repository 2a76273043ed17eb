"""EC2 credentials: the access and secret keys with which a user signs EC2 and S3 requests for a project."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel import ids
from ..kernel.db import Row, Tx
from ..kernel.errors import Unauthorized
from ..kernel.http import OpenBody, Page, Request
from . import api, users
from .credentials import blob_of, credentials, ec2_id, find_credential, insert
from .delegation import refuse_for_credentials
from .tree import find_project

# -- wire ----------------------------------------------------------------------------------------------------------


class Ec2Create(OpenBody):
    tenant_id: t.Any = None
    """What is no id of a project is not found, as any other that there is none of."""


# -- policy --------------------------------------------------------------------------------------------------------

OWN = "user_id:%(target.credential.user_id)s"
READ = "(rule:admin_required) or (role:reader and system_scope:all) or "
WRITE = f"(rule:admin_required) or (role:member and {OWN})"
GET = api.rule("identity:ec2_get_credential", READ + OWN, "Show an EC2 credential.")
LIST = api.rule("identity:ec2_list_credentials", READ + "rule:owner", "List a user's EC2 credentials.")
CREATE = api.rule("identity:ec2_create_credential", WRITE, "Create an EC2 credential.")
DELETE = api.rule("identity:ec2_delete_credential", WRITE, "Delete an EC2 credential.")

# -- operations ----------------------------------------------------------------------------------------------------

ALL = "/users/{user_id}/credentials/OS-EC2"
ONE = ALL + "/{credential_id}"


def _of_path(tx: Tx, request: Request, user_id: str) -> dict:
    return {"user_id": user_id, "target.credential.user_id": user_id}


def _owner(tx: Tx, request: Request, user_id: str, credential_id: str) -> dict:
    row = find_credential(tx, ec2_id(credential_id))
    return {"target.credential.user_id": row.user_id}


@api.op("POST", ALL, policy=CREATE, target=_of_path, reply="credential", status=201, errors=(404,))
def create(tx: Tx, request: Request, user_id: str, body: Ec2Create) -> dict:
    """Make a pair of keys for a project."""
    users.find_user(tx, user_id)
    project = find_project(tx, str(body.tenant_id))
    refuse_for_credentials(request)
    keys = {"access": ids.new_hex(), "secret": ids.new_hex(), "trust_id": None}
    blob = msgspec.json.encode(keys).decode()
    return _view(request, insert(tx, request.runtime, ec2_id(str(keys["access"])), user_id, project.id, "ec2", blob, {}))


@api.op("GET", ALL, policy=LIST, target=_of_path, reply="credentials", errors=(404,))
def index(tx: Tx, request: Request, user_id: str) -> Page:
    """List a user's pairs of keys."""
    refuse_for_credentials(request)
    users.find_user(tx, user_id)
    rows = tx.rows(credentials, user_id=user_id, type="ec2", order=credentials.c.created_at)
    return Page([_view(request, row) for row in rows])


@api.op("GET", ONE, policy=GET, target=_owner, reply="credential", errors=(404,))
def show(tx: Tx, request: Request, user_id: str, credential_id: str) -> dict:
    """Show a pair of keys, by its access key."""
    return _view(request, _find(tx, request, user_id, credential_id))


@api.op("DELETE", ONE, policy=DELETE, target=_owner, status=204, errors=(404,))
def delete(tx: Tx, request: Request, user_id: str, credential_id: str) -> None:
    """Delete a pair of keys, by its access key."""
    tx.delete(credentials, id=_find(tx, request, user_id, credential_id).id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, user_id: str, access: str) -> Row:
    users.find_user(tx, user_id)
    row = find_credential(tx, ec2_id(access))
    if row.type != "ec2":
        raise Unauthorized("EC2 access key not found.")
    refuse_for_credentials(request)
    return row


def _view(request: Request, row: Row) -> dict:
    keys = msgspec.json.decode(blob_of(request.runtime, row))
    return {
        "user_id": row.user_id, "tenant_id": row.project_id, "access": keys.get("access"), "secret": keys.get("secret"),
        "trust_id": keys.get("trust_id"),
        "links": {"self": f"{request.base}/v3/users/{row.user_id}/credentials/OS-EC2/{keys.get('access')}"},
    }  # fmt: skip
