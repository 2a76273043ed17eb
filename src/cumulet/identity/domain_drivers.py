"""Which driver a domain's users and groups are by: the database, or a directory with the options of the domain's configuration."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from ..kernel.errors import Forbidden
from .drivers.base import CAPABILITIES
from .drivers.ldap_options import SECRET
from .fernet import Repository

domain_options = table(
    "identity_domain_options",
    sa.Column("domain_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("group", sa.String(64), primary_key=True),
    sa.Column("option", sa.String(64), primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
    id=False,
)
"""`value` of a sensitive option is a text: its JSON, sealed as credentials are."""

_DIRECTORIES = [name for name, can in CAPABILITIES.items() if can.directory]


def driver_of(tx: Tx, domain_id: str) -> str:
    """The name of a domain's driver."""
    row = tx.get(domain_options, domain_id=domain_id, group="identity", option="driver")
    return row.value if row is not None and row.value in _DIRECTORIES else "sql"


def directory_options(tx: Tx, keys: Repository, domain_id: str) -> dict[str, t.Any] | None:
    """The options of a domain's directory, its secret open; None for a domain that has none."""
    if driver_of(tx, domain_id) == "sql":
        return None
    options = {row.option: row.value for row in tx.rows(domain_options, domain_id=domain_id, group="ldap")}
    if SECRET in options:
        options[SECRET] = msgspec.json.decode(keys.open(options[SECRET]))
    return options


def check_new(tx: Tx, domain_id: str) -> None:
    """Raise Forbidden where users and groups of a domain are not made here."""
    if not CAPABILITIES[driver_of(tx, domain_id)].writable:
        raise read_only()


def check_writable(row: Row) -> None:
    """Raise Forbidden where a user or a group is not changed here."""
    if not CAPABILITIES["sql" if row.local_id is None else "ldap"].writable:
        raise read_only()


def check_same(group: Row, user: Row) -> None:
    """Raise Forbidden where a user and a group are of different directories, or the one of the database."""
    if (group.local_id, user.local_id) != (None, None) and (None in (group.local_id, user.local_id) or group.domain_id != user.domain_id):
        raise Forbidden(
            "Group membership across backend boundaries is not allowed. "
            f"Group in question is {group.id}, user is {user.id}."
        )  # fmt: skip


def read_only() -> Forbidden:
    return Forbidden("LDAP does not support write operations")
