"""Who would be asking: the caller that a new token of somebody's would stand for, for whoever explains policy to an operator."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.auth.context import Context
from ..kernel.db import Row, Tx
from ..kernel.errors import Unauthorized
from . import times, tree
from .fernet import Claims, Where
from .tokens.caller import context_of
from .tokens.resolve import resolve
from .users import users


class Scope(t.NamedTuple):
    """What the token is for, by ids or names; nothing, unless one of `project`, `domain` and `system` is."""

    project: str | None = None
    project_domain: str = tree.DEFAULT_DOMAIN
    domain: str | None = None
    system: bool = False


def asking(tx: Tx, user: str, user_domain: str, scope: Scope) -> Context:
    """The caller that a user (by id, or by name in a domain) is with a token for a scope. Raises LookupError, in words for
    the operator, for what is not there and where they could have no such token."""
    row = _named(tx, users, user, user_domain, shadow=False)
    where = _where(tx, scope)
    claims = Claims(methods=["password"], user_id=row.id, scope=where, issued=times.micros(clock.now()), expires=0, audit=[""])
    try:
        return context_of(tx, resolve(tx, claims), None)
    except Unauthorized:
        raise LookupError(
            f"{row.name} can have no such token: the user, their domain, or what the token is to be for is disabled, or they have no "
            "role there."
        ) from None


def _where(tx: Tx, scope: Scope) -> Where:
    if scope.project is not None:
        return "p", _named(tx, tree.projects, scope.project, scope.project_domain).id
    if scope.domain is not None:
        return "d", _domain(tx, scope.domain).id
    return ("s", "all") if scope.system else ("u", "")


def _named(tx: Tx, table: sa.Table, named: str, domain: str, **more: bool) -> Row:
    found = tx.get(table, id=named) or tx.get(table, name=named, domain_id=_domain(tx, domain).id, **more)
    if found is None:
        raise LookupError(f"There is no {table.name.removeprefix('identity_').removesuffix('s')} {named} in the domain {domain}.")
    return found


def _domain(tx: Tx, named: str) -> Row:
    found = tx.get(tree.projects, id=named, is_domain=True) or tree.domain_named(tx, named)
    if found is None:
        raise LookupError(f"There is no domain {named}.")
    return found
