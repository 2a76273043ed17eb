"""Ceasing to be root: what faces the network starts as root only to load its code, which may lie where nobody else reads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38


def drop(user: str) -> None:
    """Become `user` for good, with no groups but its own and no way back. Nothing where this process is not root.
    Whatever is imported after this must be readable by that user."""
    if os.getuid() != 0:
        return
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def give(directory: Path, user: str) -> None:
    """Make everything in a directory the user's. Nothing where this process is not root."""
    if os.getuid() != 0:
        return
    account = pwd.getpwnam(user)
    for path in (directory, *directory.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # another process's, for a moment
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def may_read(path: Path, user: str) -> bool:
    """Whether a user, with no groups but its own, may read a file. Where this process is not root, it stays who it is: it may."""
    if os.getuid() != 0:
        return True
    account, before = pwd.getpwnam(user), (os.getgroups(), os.getegid(), os.geteuid())
    os.setgroups([])
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        return os.access(path, os.R_OK, effective_ids=True)
    finally:
        os.seteuid(before[2])
        os.setegid(before[1])
        os.setgroups(before[0])
