"""The rows of users and groups that a directory keeps: what the directory said of them last.

Their ids are made of domain, kind and the directory's own id, as the real service makes them, so that the same entry has the
same id for ever. What has left the directory keeps its row, as `gone`, with its assignments: it may come back, and what a mistaken
filter hides is not lost. In a transaction only; nothing here asks a directory.
"""

from __future__ import annotations

import hashlib
import typing as t

import sqlalchemy as sa

from ..kernel import clock
from ..kernel.db import Row, Tx
from . import epoch
from .drivers.base import GroupEntry, UserEntry
from .groups import groups
from .memberships import memberships
from .users import users

Kind = t.Literal["user", "group"]
TABLES: dict[Kind, sa.Table] = {"user": users, "group": groups}
AT_ONCE = 500
"""Ids in one statement."""


class Seen(t.NamedTuple):
    """What a directory said. Users and groups are named by the directory's own ids."""

    domain_id: str
    users: t.Sequence[UserEntry] = ()
    groups: t.Sequence[GroupEntry] = ()
    groups_of: t.Mapping[str, t.Collection[str]] = {}
    """Of users: all the groups that they are in."""
    members: t.Mapping[str, t.Collection[str]] = {}
    """Of groups: all the users that they have."""
    absent: t.Collection[tuple[Kind, str]] = ()
    """What was asked for and is not there."""
    whole: Kind | None = None
    """The kind of which this is all that there is."""


class Changes(t.NamedTuple):
    """What rows differ in from what was seen."""

    new: list[tuple[sa.Table, dict[str, t.Any]]]
    changed: list[tuple[sa.Table, str, dict[str, t.Any]]]
    joined: set[tuple[str, str]]
    left: set[tuple[str, str]]
    """Memberships: (group, user)."""

    @property
    def any(self) -> bool:
        return any(self)


def public_id(domain_id: str, kind: Kind, id: str) -> str:
    """The id by which a directory's user or group is known here."""
    return hashlib.sha256(f"{domain_id}{kind}{id}".encode()).hexdigest()


def changes(tx: Tx, seen: Seen) -> Changes:
    """What has to change for rows to say what a directory said."""
    found = Changes([], [], set(), set())
    _compare(tx, seen, "user", {public_id(seen.domain_id, "user", one.id): (one.id, _user(one)) for one in seen.users}, found)
    _compare(tx, seen, "group", {public_id(seen.domain_id, "group", one.id): (one.id, _group(one)) for one in seen.groups}, found)
    _compare_memberships(tx, seen, found)
    return found


def apply(tx: Tx, found: Changes) -> None:
    """Make them. What was worked out from tokens is worked out again, unless all is new."""
    for table, id, values in found.changed:
        if "name" in values:
            tx.update(table, id, name=id)  # two may have changed names with each other
    for table, id, values in found.changed:
        tx.update(table, id, **values)
        if values.get("gone"):
            tx.delete(memberships, **{"user_id" if table is users else "group_id": id})
    for table in TABLES.values():
        tx.insert_many(table, [values for of, values in found.new if of is table])
    for group_id, user_id in found.left:
        tx.delete(memberships, group_id=group_id, user_id=user_id)
    tx.insert_many(memberships, [{"group_id": group_id, "user_id": user_id} for group_id, user_id in found.joined])
    if found.changed or found.joined or found.left:
        epoch.bump(tx)


def own(tx: Tx, domain_id: str) -> int:
    """How many users and groups a domain has that are no directory's."""
    counts = (sa.select(sa.func.count()).where(table.c.domain_id == domain_id, table.c.local_id.is_(None)) for table in TABLES.values())
    return sum(tx.scalar(count) for count in counts)


def hide(tx: Tx, domain_id: str) -> None:
    """Take all that a domain's directory said for gone: the domain has another driver now."""
    for kind in TABLES:
        apply(tx, changes(tx, Seen(domain_id, whole=kind)))


# -- helpers -------------------------------------------------------------------------------------------------------


def _user(entry: UserEntry) -> dict[str, t.Any]:
    project = entry.default_project_id if entry.default_project_id and len(entry.default_project_id) <= 64 else None
    return {"name": entry.name, "enabled": entry.enabled, "description": entry.description, "default_project_id": project,
            "extra": entry.extra, "gone": False}  # fmt: skip


def _group(entry: GroupEntry) -> dict[str, t.Any]:
    return {"name": entry.name, "description": entry.description, "extra": entry.extra, "gone": False}


def _compare(tx: Tx, seen: Seen, kind: Kind, wanted: dict[str, tuple[str, dict[str, t.Any]]], found: Changes) -> None:
    table = TABLES[kind]
    asked = {public_id(seen.domain_id, kind, id) for of, id in seen.absent if of == kind}
    rows = _of_domain(tx, table, seen.domain_id) if seen.whole == kind else _by_id(tx, table, wanted.keys() | asked)
    names = _names(tx, table, seen.domain_id, wanted, rows)
    for id, (local_id, values) in wanted.items():
        values["name"] = names[id]
        if id not in rows:
            found.new.append((table, {"id": id, "domain_id": seen.domain_id, "local_id": local_id} | _OF_NEW[kind]() | values))
        elif differing := {name: value for name, value in values.items() if getattr(rows[id], name) != value}:
            disabled = {"valid_from": clock.now()} if differing.get("enabled") is False else {}
            found.changed.append((table, id, differing | disabled))
    gone = [row for id, row in rows.items() if id not in wanted and not row.gone]
    found.changed.extend((table, row.id, {"gone": True, "name": row.id}) for row in gone)


_OF_NEW: dict[Kind, t.Callable[[], dict[str, t.Any]]] = {"user": lambda: {"valid_from": clock.now(), "options": {}}, "group": dict}


def _names(tx: Tx, table: sa.Table, domain_id: str, wanted: dict[str, tuple[str, dict]], rows: dict[str, Row]) -> dict[str, str]:
    """The names under which entries are shown. A directory may have a name twice, a domain may not: the second is told apart
    by the beginning of its id."""
    taken: set[str] = set()
    for some in _portions({values["name"] for _, values in wanted.values()}):
        holders = tx.all(sa.select(table.c.id, table.c.name).where(table.c.domain_id == domain_id, table.c.name.in_(some)))
        taken |= {row.name for row in holders if row.id not in wanted}
    found: dict[str, str] = {}
    holds = lambda id: id in rows and rows[id].name == wanted[id][1]["name"]
    for id in sorted(wanted, key=lambda id: (not holds(id), id)):
        name = wanted[id][1]["name"]
        found[id] = f"{name[:240]} #{id[:8]}" if name in taken else name
        taken.add(name)
    return found


def _compare_memberships(tx: Tx, seen: Seen, found: Changes) -> None:
    user, group = (lambda id: public_id(seen.domain_id, "user", id)), (lambda id: public_id(seen.domain_id, "group", id))
    wanted = {(group(one), user(id)) for id, many in seen.groups_of.items() for one in many}
    wanted |= {(group(id), user(one)) for id, many in seen.members.items() for one in many}
    m = memberships.c
    held: set[tuple[str, str]] = set()
    for column, ids in ((m.user_id, list(map(user, seen.groups_of))), (m.group_id, list(map(group, seen.members)))):
        for some in _portions(ids):
            held |= {(row.group_id, row.user_id) for row in tx.all(sa.select(memberships).where(column.in_(some)))}
    found.joined.update(wanted - held)
    found.left.update(held - wanted)


def _of_domain(tx: Tx, table: sa.Table, domain_id: str) -> dict[str, Row]:
    return {row.id: row for row in tx.all(sa.select(table).where(table.c.domain_id == domain_id, table.c.local_id.is_not(None)))}


def _by_id(tx: Tx, table: sa.Table, ids: t.Collection[str]) -> dict[str, Row]:
    return {row.id: row for some in _portions(ids) for row in tx.all(sa.select(table).where(table.c.id.in_(some)))}


def _portions(ids: t.Collection[str]) -> t.Iterator[list[str]]:
    listed = list(ids)
    return (listed[start : start + AT_ONCE] for start in range(0, len(listed), AT_ONCE))
