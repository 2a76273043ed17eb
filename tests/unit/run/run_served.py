"""A server of the test's process, in a thread and on a port of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import typing as t

import uvicorn
import uvloop

from cumulet.run.connection import Connection


class Served:
    """An application that is served as clouds are."""

    def __init__(self, **more: t.Any):
        config = uvicorn.Config(self.app, interface="asgi3", loop="none", lifespan="off", log_config=None, http=Connection, **more)
        self.server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def app(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.server.should_exit = True
        self._thread.join()
        self._socket.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=30)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.server.serve([self._socket]))
