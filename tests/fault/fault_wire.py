"""A wire to a server that can be cut, or go dead, after so many bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t
from urllib.parse import urlsplit

Trouble = t.Literal["cut", "dead"]


class Wire:
    """`url` leads to a server, as long as nothing is wrong. `connections` is how many there were."""

    def __init__(self, to: str):
        there = urlsplit(to)
        self._to = (str(there.hostname), int(there.port or 80))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._lock = threading.Lock()
        self._trouble: Trouble | None = None
        self._left, self.connections = 0, 0
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def go_wrong(self, trouble: Trouble, after: int) -> None:
        """Once so many bytes more have passed in either direction, nothing passes any more."""
        with self._lock:
            self._trouble, self._left = trouble, after

    def mend(self) -> None:
        """New connections are as they should be; those that there were are gone."""
        with self._lock:
            self._trouble = None
        self._cut()

    def close(self) -> None:
        self._listening.close()
        self._cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                self.connections += 1
                there = socket.create_connection(self._to)
                self._ends += [here, there]
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._passes(len(data)):
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _passes(self, size: int) -> bool:
        with self._lock:
            self._left -= size
            if self._trouble is None or self._left > 0:
                return True
            if self._trouble == "cut":
                self._cut()
            return False

    def _cut(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()
