"""The config drive: a small ISO 9660 image with the label by which cloud images look for it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import tempfile
from pathlib import Path, PurePosixPath

from cumulet.compute.drivers.base import DriverError
from cumulet.kernel.files import settle
from cumulet.kernel.process import CommandFailed, run

LABEL = "config-2"


async def write(path: Path, files: dict[str, str]) -> None:
    """Write an image with `files` (path -> base64 of the content) to `path`, in one step.

    Raises DriverError for a path that leads out of the drive, or content that is not base64.
    """
    part = path.with_name(path.name + ".part")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".config-") as tree:
        for name, content in files.items():
            _put(Path(tree), name, content)
        options = ("-quiet", "-input-charset", "utf-8", "-joliet", "-rational-rock", "-V", LABEL)
        try:
            await run("genisoimage", *options, "-o", str(part), tree)
        except CommandFailed as error:
            raise DriverError(f"the config drive could not be written: {error}") from None
    part.chmod(0o600)
    await asyncio.to_thread(settle, part, path)


def _put(tree: Path, name: str, content: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise DriverError(f"config drive: {name!r} is not a path inside the drive")
    file = tree.joinpath(*parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.write_bytes(base64.b64decode(content, validate=True))
    except binascii.Error:
        raise DriverError(f"config drive: the content of {name} is not base64") from None
