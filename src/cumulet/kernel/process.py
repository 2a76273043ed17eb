"""Running host commands, without a shell, and taking back what was half done."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial

from .parent import end_with_parent


class CommandFailed(Exception):
    """A host command ended with a status other than zero, or is missing; the text is what it said."""

    def __init__(self, argv: tuple[str, ...], status: int | None, said: str):
        super().__init__(f"{argv[0]} failed ({'not installed' if status is None else status}): {said.strip()[-2000:]}")
        self.argv, self.status, self.said = argv, status, said


async def run(*argv: str, input: bytes | str | None = None, ok: tuple[int, ...] = (0,), timeout: float = 60) -> str:
    """Run a command and return what it printed on standard output.

    Raises CommandFailed when it ends with a status not in `ok`, is not installed, or takes longer than
    `timeout` seconds (it is killed then). Cancelling the caller kills the command too, and so does the end of this
    process, however it comes: whoever takes the work up again finds nobody else at it.
    """
    if shutil.which(argv[0]) is None:
        raise CommandFailed(argv, None, f"{argv[0]}: command not found")
    data = input.encode() if isinstance(input, str) else input
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE if data is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=partial(end_with_parent, os.getpid()),
    )
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate(data)
    except TimeoutError:
        raise CommandFailed(argv, None, f"not finished after {timeout} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode not in ok:
        raise CommandFailed(argv, process.returncode, err.decode(errors="replace") or out.decode(errors="replace"))
    return out.decode(errors="replace")


class Undo:
    """A stack of what to take back should a driver call fail half-way.

    async with Undo() as undo:
        await make_directory(); undo.add(remove_directory)
        await start_process()
    """

    def __init__(self) -> None:
        self._steps: list[Callable[[], Awaitable[None]]] = []

    def add(self, step: Callable[[], Awaitable[None]]) -> None:
        self._steps.append(step)

    async def __aenter__(self) -> Undo:
        return self

    async def __aexit__(self, kind, error, trace) -> None:
        if kind is None:
            return
        for step in reversed(self._steps):
            with contextlib.suppress(Exception):
                await step()
