"""A user's own password: changing it, which takes the old one and no token, within the rules; and the ones they had before."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import clock
from ..kernel.config import SecurityCompliance
from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest, Unauthorized
from ..kernel.http import OpenBody, Request
from . import api, epoch, password_rules
from .domain_drivers import read_only
from .state import state
from .users import Password, new_password, note_failure, note_login, old_passwords, users

# -- wire ----------------------------------------------------------------------------------------------------------


class PasswordChange(OpenBody):
    original_password: Password
    password: t.Annotated[Password, msgspec.Meta(min_length=1)]


# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/users/{user_id}/password", policy=None, wrap="user", status=204, errors=(401, 403))
async def change_password(request: Request, user_id: str, body: PasswordChange) -> None:
    """Change one's own password, knowing the old one; no token is asked for.

    The old one may have expired. The change ends the tokens one has.
    """
    db, passwords = request.runtime.db, state(request.runtime).passwords
    rules = request.runtime.config.security_compliance
    row = await db.read(lambda tx: tx.get(users, id=user_id))
    if row is not None and row.local_id is not None:
        await _refuse(request, row, body.original_password)
    may_try = row is not None and not password_rules.locked(row, rules)
    right = await passwords.check(body.original_password, row.password_hash if row and may_try else None)
    if may_try and not right:
        await db.write(lambda tx: note_failure(tx, user_id, rules))
    if row is None or not right or not row.enabled or password_rules.idle(row, rules):
        raise _denied()
    password_rules.check_strength(body.password, rules)
    password_rules.check_may_change(row, rules)
    for held in await db.read(lambda tx: _lately(tx, row, rules)):
        if await passwords.check(body.password, held):
            raise BadRequest(
                "The new password cannot be identical to a previous password. The total number which includes the new password "
                f"must be unique is {rules.unique_last_password_count}."
            )
    hashed = await passwords.hash(body.password)
    await request.write(lambda tx: _replace(tx, row, hashed, rules))


# -- helpers -------------------------------------------------------------------------------------------------------


async def _refuse(request: Request, row: Row, password: str) -> t.NoReturn:
    """A directory's user changes their password there. Raises Unauthorized where they do not know it, Forbidden where they do."""
    if row.gone or not row.enabled or not await state(request.runtime).directories.right(row.domain_id, row.local_id, password):
        raise _denied()
    raise read_only()


def _denied() -> Unauthorized:
    return Unauthorized("The request you have made requires authentication.")


def _lately(tx: Tx, user: Row, rules: SecurityCompliance) -> list[str]:
    """The hashes of the passwords that the new one must not be, the one in use among them."""
    most = rules.unique_last_password_count
    before = sa.select(old_passwords.c.password_hash).where(old_passwords.c.user_id == user.id).order_by(old_passwords.c.created_at.desc())
    return [user.password_hash, *(row.password_hash for row in tx.all(before.limit(most - 1)))] if most else []


def _replace(tx: Tx, row: Row, hashed: str, rules: SecurityCompliance) -> None:
    """Unless another change came first, for then the old password was no longer the one checked, or failures that lock it."""
    user = tx.get(users, id=row.id)
    if user is None or user.password_hash != row.password_hash or password_rules.locked(user, rules):
        raise _denied()
    tx.update(users, row.id, **new_password(tx, user, hashed, user.options, rules, own=True), valid_from=clock.now())
    note_login(tx, row.id)
    epoch.bump(tx)
