"""Where everything of a cloud is, under its data directory.

    clouds.yaml openrc cumulet.toml    what people read (0600)
    version                            the layout's version
    control/                           the control plane's own: database, token keys (its user, 0700)
    images/                            the image store (the control plane's user; the agent reads it)
    volumes/                           the file driver's volumes (root)
    agent/                             the agent's own: servers, the network's description, metadata (root)
    run/                               sockets, pid and lock files
    log/                               one file a process
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from pathlib import Path

VERSION = 1


class LayoutError(Exception):
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
        self.lock, self.state = self.run / "lock", self.run / "up.json"
        self.seed = self.control / "seed.json"

    @property
    def tag(self) -> str:
        """Four hex digits that tell this cloud's bridges, taps and namespaces from other clouds'."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:4]

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
        write_private(self.version, f"{VERSION}\n")

    def check(self) -> None:
        if self.version.exists() and int(self.version.read_text() or 0) > VERSION:
            raise LayoutError(
                f"{self.root} was made by a newer Cumulet (layout {self.version.read_text().strip()}, this one knows {VERSION}): "
                "upgrade Cumulet, or name another directory with --data."
            )
        if not os.access(_existing(self.root), os.W_OK):
            raise LayoutError(f"{self.root} cannot be written by this user: run as root, or name another directory with --data.")


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
        os.fsync(file.fileno())
    if owner is not None and os.getuid() == 0:
        shutil.chown(fresh, owner)
    fresh.replace(path)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
