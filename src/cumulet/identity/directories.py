"""Directories: what is known here of the users and groups that they keep, and how fresh that is.

A directory's users and groups have rows here like all others, so that assignments, trusts, credentials and tokens stand on
them. The rows are brought up to date before a transaction relies on them: it says what it is about to rely on, by an `ask_...`
of this module; where what is known of that is older than FRESH, the transaction is taken back, the directory is asked outside
of any, and the transaction is run anew.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures as cf
import time
import typing as t

import msgspec

from ..kernel.db import Await, Database, Row, Tx
from ..kernel.errors import Unauthorized
from ..kernel.log import get_logger
from . import domain_drivers, mirror
from .drivers.base import Directory, DirectoryError
from .drivers.ldap_options import LdapOptions
from .fernet import Repository
from .mirror import Kind, Seen

log = get_logger("directories")
FRESH = 1.0
"""Seconds for which what a directory said is relied on."""
AWAY = 2.0
"""Seconds for which a directory that could not be asked is not asked again."""
KEPT = 600.0
"""Seconds after which a directory that nobody asks is let go of."""
KEEP_MOST = 50_000
"""Things asked for of which it is remembered when."""

Key = tuple[str, ...]
"""The domain, and what was asked for."""
Question = t.Callable[[Directory], Seen]
Result = t.TypeVar("Result")
AS_KNOWN = "as known"
"""The end of the key of what could not be asked for, and is relied on as it was known last."""


class _Open:
    """A directory as its options were when it was opened, and the threads in which it is asked."""

    def __init__(self, options: dict[str, t.Any]):
        try:
            from .drivers.ldap import LdapDirectory  # loads libldap, which a cloud without directories does not need
        except ModuleNotFoundError as error:
            raise DirectoryError(f"there is no Python package for it here ({error}): pip install 'cumulet[ldap]'") from None
        checked = _checked(options)
        self.options, self.used = options, time.monotonic()
        self.directory: Directory = LdapDirectory(checked)
        self.threads = cf.ThreadPoolExecutor(checked.pool_size, "directory")

    def close(self) -> None:
        self.threads.shutdown(wait=False)
        self.directory.close()


class Directories:
    """The directories of all domains, as one process knows them."""

    def __init__(self, db: Database, keys: Repository):
        self._db, self._keys = db, keys
        self._open: dict[str, _Open] = {}
        self._away: dict[str, float] = {}
        self._asked: collections.OrderedDict[Key, float] = collections.OrderedDict()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._named: dict[tuple[str, str], str | None] = {}

    # -- in a transaction --------------------------------------------------------------------------------------------

    def ask_user(self, row: Row | None, *, strict: bool = False) -> None:
        """Rely on a user and on the groups that they are in. Raises Await. strict: to let them in, which nobody is while their
        directory cannot be asked; otherwise what was known last is relied on then."""
        if row is not None and row.local_id is not None:
            self._ask((row.domain_id, "user", row.local_id), lambda at: _user(at, row.domain_id, row.local_id), strict)

    def ask_group(self, row: Row | None) -> None:
        """Rely on a group, apart from its users. Raises Await."""
        if row is not None and row.local_id is not None:
            self._ask((row.domain_id, "group", row.local_id), lambda at: _group(at, row.domain_id, row.local_id))

    def ask_members(self, rows: t.Iterable[Row]) -> None:
        """Rely on which users some groups have. Raises Await."""
        theirs = [row for row in rows if row.local_id is not None]
        self._ask_each([((row.domain_id, "members", row.local_id), _members_of(row)) for row in theirs])

    def ask_all(self, tx: Tx, kind: Kind, domain_id: str | None, name: str | None) -> None:
        """Rely on which users, or groups, a domain has, all or those of a name. Raises Await. For no domain, nobody is asked."""
        if domain_id is not None and domain_drivers.driver_of(tx, domain_id) != "sql":
            key = (domain_id, f"all {kind}s") if name is None else (domain_id, f"{kind}s named", name)
            self._ask(key, lambda at: _all(at, domain_id, kind, name))

    def user_named(self, domain_id: str, name: str) -> str | None:
        """The id of the user whom a directory knows by a name. Raises Await; nobody is known while the directory cannot be
        asked, nor by a name that several have."""

        def named(at: Directory) -> Seen:
            seen = _all(at, domain_id, "user", name)
            if len(seen.users) > 1:
                log.warning("several users of a directory have one name: none is let in by it", domain=domain_id, name=name)
            self._named[domain_id, name] = mirror.public_id(domain_id, "user", seen.users[0].id) if len(seen.users) == 1 else None
            return seen

        self._ask((domain_id, "login", name), named, strict=True)
        return self._named.get((domain_id, name))

    def _ask(self, key: Key, ask: Question, strict: bool = False) -> None:
        self._ask_each([(key, ask)], strict)

    def _ask_each(self, questions: list[tuple[Key, Question]], strict: bool = False) -> None:
        stale = [(key, ask) for key, ask in questions if not self._is_fresh(key) and (strict or not self._is_fresh((*key, AS_KNOWN)))]

        async def one(key: Key, ask: Question) -> None:
            try:
                await self._once(key, ask)
            except DirectoryError:
                if strict:
                    raise _away() from None
                self._remember((*key, AS_KNOWN))

        async def wait() -> None:
            await asyncio.gather(*(one(key, ask) for key, ask in stale))

        if stale:
            raise Await(wait)

    def _is_fresh(self, key: Key) -> bool:
        return self._asked.get(key, -FRESH) + FRESH > time.monotonic()

    def _remember(self, key: Key) -> None:
        self._asked[key] = time.monotonic()
        self._asked.move_to_end(key)
        while len(self._asked) > KEEP_MOST:
            forgotten, _ = self._asked.popitem(last=False)
            self._named.pop((forgotten[0], forgotten[-1]), None)

    # -- outside of any ----------------------------------------------------------------------------------------------

    async def right(self, domain_id: str, id: str | None, password: str) -> bool:
        """Whether a password is that of a user, by the directory's id; for None, nobody's. Raises Unauthorized where the directory
        cannot be asked."""
        try:
            return bool(await self._call(domain_id, lambda at: at.right(id, password)))
        except DirectoryError:
            raise _away() from None

    async def _once(self, key: Key, ask: Question) -> None:
        """Whoever needs what is being asked for waits for that."""
        if key not in self._running:
            self._running[key] = asyncio.create_task(self._refresh(key, ask))
            self._running[key].add_done_callback(lambda _: self._running.pop(key))
        await asyncio.shield(self._running[key])

    async def _refresh(self, key: Key, ask: Question) -> None:
        seen = await self._call(key[0], ask)
        if seen is not None and (await self._db.read(lambda tx: mirror.changes(tx, seen))).any:
            await self._db.write(lambda tx: mirror.apply(tx, mirror.changes(tx, seen)))
        self._remember(key)

    async def _call(self, domain_id: str, ask: t.Callable[[Directory], Result]) -> Result | None:
        """What a domain's directory says; None where it has none. Raises DirectoryError, at once where it has just been away."""
        if self._away.get(domain_id, 0.0) > time.monotonic():
            raise DirectoryError("it could not be asked a moment ago")
        try:
            opened = await self._opened(domain_id)
            return opened and await asyncio.get_running_loop().run_in_executor(opened.threads, ask, opened.directory)
        except DirectoryError as error:
            if error.away:
                self._away[domain_id] = time.monotonic() + AWAY
            log.warning("a directory cannot be asked", domain=domain_id, why=str(error))
            raise

    async def _opened(self, domain_id: str) -> _Open | None:
        """A domain's directory, opened anew where its options have changed."""
        options = await self._db.read(lambda tx: domain_drivers.directory_options(tx, self._keys, domain_id))
        now, held = time.monotonic(), self._open.get(domain_id)
        unused = [id for id, one in self._open.items() if one.used + KEPT < now and id != domain_id]
        if held is not None and held.options != options:
            unused.append(domain_id)
        for id in unused:
            self._open.pop(id).close()
        if options is None:
            return None
        if domain_id not in self._open:
            self._open[domain_id] = _Open(options)
        self._open[domain_id].used = now
        return self._open[domain_id]


# -- questions -----------------------------------------------------------------------------------------------------


def _user(at: Directory, domain_id: str, id: str) -> Seen:
    user = at.user(id)
    if user is None:
        return Seen(domain_id, absent=[("user", id)])
    groups = at.groups_of(user)
    return Seen(domain_id, [user], groups, groups_of={user.id: [group.id for group in groups]})


def _group(at: Directory, domain_id: str, id: str) -> Seen:
    group = at.group(id)
    return Seen(domain_id, absent=[("group", id)]) if group is None else Seen(domain_id, groups=[group])


def _members_of(row: Row) -> Question:
    def members(at: Directory) -> Seen:
        group = at.group(row.local_id)
        if group is None:
            return Seen(row.domain_id, absent=[("group", row.local_id)])
        users = at.members(group)
        return Seen(row.domain_id, users, [group], members={group.id: [user.id for user in users]})

    return members


def _all(at: Directory, domain_id: str, kind: Kind, name: str | None) -> Seen:
    whole = kind if name is None else None
    return Seen(domain_id, users=at.users(name), whole=whole) if kind == "user" else Seen(domain_id, groups=at.groups(name), whole=whole)


# -- helpers -------------------------------------------------------------------------------------------------------


def _checked(options: dict[str, t.Any]) -> LdapOptions:
    try:
        return msgspec.convert({name: value for name, value in options.items() if value is not None}, LdapOptions, strict=False)
    except msgspec.ValidationError as error:
        raise DirectoryError(f"the options of the group ldap: {error}") from None


def _away() -> Unauthorized:
    """What whoever is not let in is told: a password is not what is wrong, and another one would not help."""
    return Unauthorized(
        "The directory that has this user cannot be asked now, so that nobody of it is let in. Users of other domains are not affected. "
        "Try again in a few seconds; if it stays so, tell the operator of your cloud, whose log says why.",
        headers={"Retry-After": str(int(AWAY))},
    )
