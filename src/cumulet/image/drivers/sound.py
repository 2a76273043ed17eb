"""What an image's file is, and refusing one that lies or names other files: a guest would read them off its host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from ...kernel.process import CommandFailed, run
from ..formats import Inspector
from .base import QEMU_NAMES, ImageDriverError, ImageSource

INSPECT_BYTES, INSPECT_SECONDS = 1 << 30, 30
"""What qemu-img may use up while it reads the headers of a file that a user uploaded."""


async def inspect(source: ImageSource, path: Path) -> str:
    """What the file is by its content, as qemu-img calls it, and is to be opened as; QEMU is never left to find out. Raises
    ImageDriverError where the file is not sound, or refers to another; OSError."""
    found = await asyncio.to_thread(Inspector.of, path)
    if found.unsafe is not None:
        raise ImageDriverError(f"image {source.id} failed safety checks: {found.unsafe}")
    format = QEMU_NAMES[found.read_as]
    if format != "raw":
        await _ask_qemu(source, path, format)
    return format


async def _ask_qemu(source: ImageSource, path: Path, format: str) -> None:
    limits = (f"--as={INSPECT_BYTES}", f"--cpu={INSPECT_SECONDS}")
    try:
        info = msgspec.json.decode(await run("prlimit", *limits, "qemu-img", "info", "--output=json", "-f", format, str(path)))
    except CommandFailed as error:
        raise ImageDriverError(f"image {source.id} is not a sound {format} file: {error}") from None
    details = info.get("format-specific", {}).get("data", {})
    others = [info.get("backing-filename"), details.get("data-file")]
    others += [extent.get("filename") for extent in details.get("extents", [])]
    for other in others:
        if other and other != str(path):
            raise ImageDriverError(f"image {source.id} refers to another file ({other}), which is not allowed")
