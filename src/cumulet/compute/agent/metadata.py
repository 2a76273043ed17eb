"""The metadata of a host's guests: kept on disk by the agent, served by a process of its own that is not root.

Guests talk to that process; all that it has is sockets that the agent opened for it inside the networks' namespaces,
and files: `servers/ID.json` is a server's tree (path -> base64), `networks/ID.json` says whose an address is.
"""

from __future__ import annotations

import array
import contextlib
import os
import pwd
import socket
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import msgspec

Tree = dict[str, str]
"""Path of a file -> base64 of its content."""


class MetadataStore:
    """The files. `user` is who serves them; everybody else is kept out."""

    def __init__(self, root: Path, user: str):
        self._servers, self._networks = root / "servers", root / "networks"
        self._group = pwd.getpwnam(user).pw_gid if os.getuid() == 0 else os.getgid()
        for path in (self._servers, self._networks):
            path.mkdir(exist_ok=True)
            os.chown(path, -1, self._group)
            path.chmod(0o750)

    def put(self, id: str, tree: Tree) -> None:
        """What a server is told from now on."""
        self._write(self._servers / f"{id}.json", tree)

    def remove(self, id: str) -> None:
        (self._servers / f"{id}.json").unlink(missing_ok=True)

    def addresses(self, networks: dict[str, dict[str, str]]) -> None:
        """Whose each address of each network is: network id -> address -> server id. Networks not named are forgotten."""
        for id, owners in networks.items():
            self._write(self._networks / f"{id}.json", owners)
        for path in self._networks.glob("*.json"):
            if path.stem not in networks:
                path.unlink(missing_ok=True)

    def _write(self, path: Path, value: t.Any) -> None:
        data = msgspec.json.encode(value)
        if path.exists() and path.read_bytes() == data:
            return
        fresh = path.with_suffix(".new")
        fresh.write_bytes(data)
        os.chown(fresh, -1, self._group)
        fresh.chmod(0o640)
        fresh.replace(path)


class MetadataServer:
    """The serving process, started when there is a first socket to serve; restarted with all sockets should it end.

    `on_password(server id, password)` is called, in a thread of its own, when a guest posts its (encrypted) password.
    """

    def __init__(self, root: Path, user: str, on_password: t.Callable[[str, str], None]):
        self._root, self._user, self._on_password = root, user, on_password
        self._sockets: dict[str, socket.socket] = {}
        self._process: subprocess.Popen | None = None
        self._line: socket.socket | None = None

    def serve(self, network_id: str, listening: socket.socket) -> None:
        """Serve a network's metadata on a listening socket."""
        self.gone(network_id)
        self._sockets[network_id] = listening
        self.check()
        self._send(network_id)

    def gone(self, network_id: str) -> None:
        """A network that is no more."""
        if (old := self._sockets.pop(network_id, None)) is not None:
            old.close()
            if self._line:
                self._tell(f"-{network_id}".encode())

    def check(self) -> None:
        """Start the process, or start it again where it ended."""
        if not self._sockets or (self._process and self._process.poll() is None):
            return
        again = self._process is not None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, "-m", "cumulet.compute.agent.metadata_server", str(self._root), str(theirs.fileno()), self._user]
        self._process = subprocess.Popen(argv, pass_fds=(theirs.fileno(),))
        theirs.close()
        self._line = ours
        threading.Thread(target=self._hear, args=(ours,), daemon=True).start()
        if again:
            for network_id in self._sockets:
                self._send(network_id)

    def close(self) -> None:
        if self._line:
            self._line.close()
        if self._process:
            self._process.terminate()
            self._process.wait(5)

    def _hear(self, line: socket.socket) -> None:
        """What guests post, until the process or the line ends: a server's id, a space, the password."""
        with contextlib.suppress(OSError):
            while said := line.recv(4096):
                id, _, password = said.decode(errors="replace").partition(" ")
                self._on_password(id, password)

    def _send(self, network_id: str) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self._sockets[network_id].fileno()]))
        self._tell(f"+{network_id}".encode(), [rights])

    def _tell(self, text: bytes, ancillary: t.Any = ()) -> None:
        assert self._line is not None
        try:
            self._line.sendmsg([text], ancillary)
        except OSError:
            return  # the process ended; `check` will give its successor every socket
