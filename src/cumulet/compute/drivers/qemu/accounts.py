"""Whom the processes of guests run as: a number of its own for each server, which is nobody else's on the host.

A guest that breaks out of its QEMU has the rights of that number: to no file at all, for none belongs to it, and to no
other guest's process.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import typing as t
import zlib
from itertools import chain
from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import DriverError

PLACE = "process"
"""The directory, in a server's own, that its process stands in. Its group is the server's number, which is kept by that."""


class Account(msgspec.Struct, frozen=True):
    """A user and its groups, by number."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @classmethod
    def of(cls, name: str) -> Account:
        """A user that the host knows. Raises DriverError."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise DriverError(f"there is no user {name} to reach the guests' consoles") from None
        return cls(entry.pw_uid, entry.pw_gid)

    @classmethod
    def of_guest(cls, number: int) -> Account:
        """The user of that number; the group of /dev/kvm is added where it is one made for it."""
        groups = set[int]()
        with contextlib.suppress(FileNotFoundError):
            groups.add(os.stat("/dev/kvm").st_gid)
        return cls(number, number, tuple(groups - {0}))

    def process(self) -> dict[str, t.Any]:
        """The arguments by which subprocess starts a process as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": self.groups}


class Accounts:
    """The numbers of one driver's servers, out of `numbers`."""

    def __init__(self, servers: Path, numbers: range):
        self._servers, self._numbers = servers, numbers

    def give(self, directory: Path) -> Account:
        """The account of a server, the same one each time. Raises DriverError where no number is left."""
        place = directory / PLACE
        place.mkdir(exist_ok=True, mode=0o700)
        number = place.stat().st_gid
        if number not in self._numbers:
            number = self._free(directory.name)
            os.chown(place, -1, number)
        return Account.of_guest(number)

    def _free(self, id: str) -> int:
        """Looked for from a place that depends on the id: other clouds on this host have the same range."""
        first, last = self._numbers[0], self._numbers[-1]
        taken = given(self._servers)
        start = zlib.crc32(id.encode()) % len(self._numbers)
        for number in chain(self._numbers[start:], self._numbers[:start]):
            if number not in taken:
                return number
        raise DriverError(f"server {id}: each of the user ids {first}-{last} is another server's; `guest_uids` can have more")


def given(servers: Path) -> dict[int, str]:
    """Number -> the id of the server under `servers` that has it."""
    found: dict[int, str] = {}
    for place in servers.glob(f"*/{PLACE}"):
        with contextlib.suppress(FileNotFoundError):
            found[place.stat().st_gid] = place.parent.name
    return found
