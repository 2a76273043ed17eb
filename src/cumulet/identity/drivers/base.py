"""The interface to a directory: users and groups that somebody else keeps, and whose passwords it checks.

Everything here waits on the network: it is called in threads, and never with a transaction open. A domain that has no
directory keeps its users and groups in the database, which needs no driver: they are rows like all others.
"""

from __future__ import annotations

import typing as t


class Capabilities(t.NamedTuple):
    """What a kind of driver can do. `writable`: users and groups are made, changed and deleted through the API."""

    writable: bool
    directory: bool


CAPABILITIES = {"sql": Capabilities(writable=True, directory=False), "ldap": Capabilities(writable=False, directory=True)}
"""By the name that a domain's configuration has for it. Any other name is taken for `sql`, as one that nobody set is."""


class DirectoryError(Exception):
    """The directory could not be asked; the text says why, to the operator. It has no secret in it. away: whether it is of no use to
    ask it anything for a while."""

    def __init__(self, why: str, *, away: bool = True):
        super().__init__(why)
        self.away = away


class UserEntry(t.NamedTuple):
    """A user as the directory has it. `id` is the directory's own; `at` is where the entry is, for the driver alone."""

    id: str
    name: str
    at: str
    enabled: bool
    description: str | None
    default_project_id: str | None
    extra: dict[str, str]


class GroupEntry(t.NamedTuple):
    """A group as the directory has it."""

    id: str
    name: str
    at: str
    description: str
    extra: dict[str, str]


class Directory(t.Protocol):
    """Each call raises DirectoryError where the directory cannot be asked, within seconds."""

    def users(self, name: str | None = None) -> list[UserEntry]:
        """All users, or those of a name, as the directory compares names."""
        ...

    def user(self, id: str) -> UserEntry | None: ...

    def groups(self, name: str | None = None) -> list[GroupEntry]:
        """All groups, or those of a name."""
        ...

    def group(self, id: str) -> GroupEntry | None: ...

    def groups_of(self, user: UserEntry) -> list[GroupEntry]: ...

    def members(self, group: GroupEntry) -> list[UserEntry]:
        """The users of a group that are there; what else it names is left out."""
        ...

    def right(self, id: str | None, password: str) -> bool:
        """Whether a password is a user's. For None, and for an id that nobody has, it is not; finding that out takes as long."""
        ...

    def close(self) -> None: ...
