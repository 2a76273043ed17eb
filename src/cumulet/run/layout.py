"""Where everything of a cloud is, under its data directory.

clouds.yaml openrc cumulet.toml    what people read (0600)
version                            the layout's version
control/                           the control plane's own: database, token keys (its user, 0700)
images/                            the image store (the control plane's user; the agent reads it)
volumes/                           the file driver's volumes (root)
agent/                             the agent's own: servers, the network's description, metadata (root)
metadata/                          what guests are told of themselves (root; the metadata server reads it)
run/                               sockets, the lock, which processes there are
log/                               one file a process
"""

from __future__ import annotations

import hashlib
import os
import pwd
from pathlib import Path

from ..kernel import files
from . import StartError

VERSION = 1
SOCKET_MAX = 107
"""Bytes that the kernel has for the path of a socket (unix(7))."""


class LayoutError(StartError):
    """The data directory cannot be used; the text says why and what to do."""


class Layout:
    """The paths of one cloud."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.clouds, self.openrc, self.settings = self.root / "clouds.yaml", self.root / "openrc", self.root / "cumulet.toml"
        self.version = self.root / "version"
        self.control, self.images, self.volumes = self.root / "control", self.root / "images", self.root / "volumes"
        self.agent, self.run, self.log = self.root / "agent", self.root / "run", self.root / "log"
        self.metadata = self.root / "metadata"
        self.agent_socket = self.run / "agent.sock"
        self.lock, self.state, self.spec = self.run / "lock", self.run / "up.json", self.run / "supervisor.json"
        self.seed, self.metrics = self.control / "seed.json", self.control / "metrics"

    @property
    def tag(self) -> str:
        """Four hex digits that tell this cloud's bridges, taps and namespaces from other clouds'."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:4]

    def servers(self, host: str) -> Path:
        """Where the hypervisor driver of a host keeps its servers."""
        return self.agent / host / "compute" / "servers"

    def prepare(self, user: str) -> None:
        """Make the directories, each with its owner. Raises LayoutError for a newer version's directory."""
        self.check()
        control = uid_of(user)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o755)
        for path, owner, mode in (
            (self.control, control, 0o700), (self.images, control, 0o750), (self.volumes, os.getuid(), 0o711),
            (self.agent, os.getuid(), 0o711), (self.run, os.getuid(), 0o755), (self.log, os.getuid(), 0o750),
            (self.metadata, os.getuid(), 0o755),
        ):  # fmt: skip
            path.mkdir(exist_ok=True)
            path.chmod(mode)
            if os.getuid() == 0:
                os.chown(path, owner, pwd.getpwuid(owner).pw_gid)
        if not self.version.exists():
            files.write(self.version, f"{VERSION}\n".encode(), 0o644)  # whole: another command may be reading it

    def check(self) -> None:
        """Raises LayoutError for a directory that this version, or this user, cannot use."""
        existing = _existing(self.root)
        if not existing.is_dir():
            raise LayoutError(f"{existing} is not a directory: name another one with --data.")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise LayoutError(f"{existing} cannot be written by this user: run as root, or name another directory with --data.")
        if len(os.fsencode(self.agent_socket)) > SOCKET_MAX:
            raise LayoutError(f"The path {self.root} is too long for the sockets in it: name a shorter one with --data.")
        found = self.version.read_text().strip() if self.version.exists() else str(VERSION)
        if not found.isdigit():
            raise LayoutError(
                f"{self.version} does not hold a number: put a backup of {self.root} back, or name another directory with --data."
            )
        if int(found) > VERSION:
            raise LayoutError(
                f"{self.root} was made by a newer Cumulet (layout {found}, this one knows {VERSION}): "
                "upgrade Cumulet, or name another directory with --data."
            )


def default_data() -> Path:
    """/var/lib/cumulet for root, else a directory of the user's own (XDG base directories)."""
    if os.getuid() == 0:
        return Path("/var/lib/cumulet")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "cumulet"


def uid_of(user: str) -> int:
    """The user that the control plane runs as: the named one, where root starts it, else whoever starts it."""
    if os.getuid() != 0:
        return os.getuid()
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise LayoutError(f"There is no user {user}: make it with `useradd --system {user}`, or set `user` in cumulet.toml.") from None


def write_private(path: Path, text: str, owner: int | None = None) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        if owner is not None and os.getuid() == 0:
            os.fchown(file.fileno(), owner, -1)
        os.fsync(file.fileno())
    fresh.replace(path)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
