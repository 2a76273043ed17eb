"""Access rules: the only requests that an application credential may make, where it has any. They belong to users, who
may use one for several credentials.

A rule's path is as the API references have it (`/v2.1/servers/{server_id}/ips`). In it, `*` and a name in braces stand
for one segment or a part of one, `**` for anything.
"""

from __future__ import annotations

import re
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import MANY, Row, Tx, table
from ..kernel.errors import Forbidden
from ..kernel.http import OpenBody, Page, Request
from . import api, users
from .delegation import refuse_for_application_credentials
from .entities import missing, shown
from .listing import listed

# -- tables --------------------------------------------------------------------------------------------------------

access_rules = table(
    "identity_access_rules",
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("path", sa.String(225), nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
)

access_rule_uses = table(
    "identity_access_rule_uses",
    sa.Column("credential_id", sa.String(64), sa.ForeignKey("identity_application_credentials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("rule_id", sa.String(64), sa.ForeignKey("identity_access_rules.id", ondelete="CASCADE"), primary_key=True),
    id=False,
)

# -- wire ----------------------------------------------------------------------------------------------------------


class AccessRule(OpenBody):
    """A rule in the body of a new application credential: a new one, or one that is there, by its id."""

    id: t.Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    service: t.Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9-]+$")] | None = None
    path: t.Annotated[str, msgspec.Meta(max_length=225, pattern=r"^/")] | None = None
    method: t.Literal["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] | None = None


# -- policy --------------------------------------------------------------------------------------------------------

READ = "(role:reader and system_scope:all) or user_id:%(target.user.id)s"
GET = api.rule("identity:get_access_rule", READ, "Show an access rule.")
LIST = api.rule("identity:list_access_rules", READ, "List a user's access rules.")
DELETE = api.rule(
    "identity:delete_access_rule",
    "(role:admin and system_scope:all) or user_id:%(target.user.id)s",
    "Delete an access rule.",
)

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/users/{user_id}/access_rules", policy=LIST, target=users.target, reply="access_rules", errors=(404,))
def index(tx: Tx, request: Request, user_id: str) -> Page:
    """List a user's access rules."""
    refuse_for_application_credentials(request)
    filters = ("service", "path", "method")
    return listed(tx, request, access_rules, lambda row: view(request, row), filters, user_id=user_id)


@api.op("GET", "/users/{user_id}/access_rules/{access_rule_id}", policy=GET, target=users.target, reply="access_rule",
        errors=(404,))  # fmt: skip
def show(tx: Tx, request: Request, user_id: str, access_rule_id: str) -> dict:
    """Show an access rule."""
    refuse_for_application_credentials(request)
    return view(request, _find(tx, user_id, access_rule_id))


@api.op("DELETE", "/users/{user_id}/access_rules/{access_rule_id}", policy=DELETE, target=users.target, status=204,
        errors=(404,))  # fmt: skip
def delete(tx: Tx, request: Request, user_id: str, access_rule_id: str) -> None:
    """Delete an access rule that no application credential uses."""
    refuse_for_application_credentials(request)
    row = _find(tx, user_id, access_rule_id)
    if tx.scalar(sa.select(access_rule_uses.c.rule_id).where(access_rule_uses.c.rule_id == row.id).limit(1)):
        raise Forbidden("May not delete access rule in use")
    tx.delete(access_rules, id=row.id)


# -- what a rule allows --------------------------------------------------------------------------------------------

CATALOG_TYPES = {"volume": ("block-storage", "volumev3")}
"""What the catalog calls a service, where that is not its own name."""
_PARTS = re.compile(r"(\*\*|\*|\{[^}]*\})")


def allow(rules: list[dict], service: str, method: str, path: str) -> bool:
    """Whether one of the rules allows a request, whose path is what follows the service's own address. Any token may be
    checked, whatever its rules."""
    if (service, method, path) == ("identity", "GET", "/v3/auth/tokens"):
        return True
    types = CATALOG_TYPES.get(service, (service,))
    return any(rule["service"] in types and rule["method"] == method and _covers(rule["path"], path) for rule in rules)


def _covers(pattern: str, path: str) -> bool:
    """Whether a path is as a pattern has it. The positions that the pattern's parts can reach are followed all at once:
    no pattern of a user's makes this take long, as it could a regular expression."""
    reached = {0}
    for part in filter(None, _PARTS.split(pattern)):
        if part == "**":
            reached = set(range(min(reached), len(path) + 1))
        elif _PARTS.fullmatch(part):
            first = {_end(path, at): at for at in sorted(reached, reverse=True)}
            reached = {to for end, at in first.items() for to in range(at + 1, end + 1)}
        else:
            reached = {at + len(part) for at in reached if path.startswith(part, at)}
        if not reached:
            return False
    return len(path) in reached


def _end(path: str, at: int) -> int:
    """Where the segment ends that a position is in."""
    found = path.find("/", at)
    return len(path) if found < 0 else found


# -- helpers -------------------------------------------------------------------------------------------------------


_USED = (
    sa.select(access_rule_uses.c.credential_id, access_rules)
    .join(access_rules, access_rules.c.id == access_rule_uses.c.rule_id)
    .where(access_rule_uses.c.credential_id.in_(MANY))
    .order_by(access_rules.c.created_at)
)


def of_credentials(tx: Tx, ids: list[str]) -> dict[str, list[dict]]:
    """The rules of some application credentials, as these show them."""
    found: dict[str, list[dict]] = {id: [] for id in ids}
    for row in tx.many(_USED, ids):
        found[row.credential_id].append({"id": row.id, "service": row.service, "path": row.path, "method": row.method})
    return found


def view(request: Request, row: Row) -> dict:
    return shown(request, "access_rules", row, "service", "path", "method")


def _find(tx: Tx, user_id: str, id: str) -> Row:
    row = tx.get(access_rules, id=id, user_id=user_id)
    if row is None:
        raise missing("Access Rule", id)
    return row
