"""Processes that outlive the one that started them, taken hold of so that what is ended is surely the right one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal


class Process:
    """A running process, held by a descriptor that stays its own even when its number is used again."""

    def __init__(self, pid: int):
        """Raises ProcessLookupError where there is none."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    async def ended(self, timeout: float | None = None) -> bool:
        """Wait until the process has ended, or `timeout` seconds; returns whether it has."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        copy = os.dup(self._fd)
        loop.add_reader(copy, over.set)
        try:
            async with asyncio.timeout(timeout):
                await over.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(copy)
            os.close(copy)
        # A child of ours stays a zombie until it is waited for.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 with WNOHANG it does not wait
        return True

    def alive(self) -> bool:
        """Whether any of it is left."""
        return not select.select([self._fd], [], [], 0)[0]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)

    async def kill(self) -> None:
        """End the process at once; it is gone when this returns."""
        self.send(signal.SIGKILL)
        await self.ended()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            os.close(self._fd)
