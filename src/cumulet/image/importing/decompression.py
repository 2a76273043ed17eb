"""Decompressing what is imported: gzip, and zip archives of one file; as a stream, and not without end.

Sources: RFC 1952 (gzip), PKWARE's APPNOTE (zip); both are read by the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import os
import typing as t
import zipfile
import zlib
from pathlib import Path

MAGIC = {b"\x1f\x8b\x08": "gzip", b"PK\x03\x04": "zip"}
PIECE = 1 << 20
"""Bytes that are read at once; no more than these of an archive's list of files, either."""
RATIO, SMALL = 500, 64 << 20
"""More bytes than `SMALL` that are more than this many times the compressed ones are a bomb: empty disks can be compressed a
thousand times, those with a system on them ten or twenty times."""


class CannotDecompress(Exception):
    """The file cannot be decompressed; the text says why."""


def compression(path: Path) -> str | None:
    """How a file is compressed, told by its first bytes."""
    with path.open("rb") as file:
        head = file.read(4)
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


async def decompressed(path: Path, kind: str, most: int) -> t.AsyncIterator[bytes]:
    """What is in a compressed file. Raises CannotDecompress for a damaged one, one that has several files or none, and one that
    has more than `most` bytes in it, or far more than is honest."""
    most = min(most, max(SMALL, RATIO * path.stat().st_size))
    size = 0
    with contextlib.ExitStack() as stack:
        read = await asyncio.to_thread(_told, stack.enter_context, _gzip(path) if kind == "gzip" else _zip(path))
        while piece := await asyncio.to_thread(_told, read, PIECE):
            size += len(piece)
            if size > most:
                raise CannotDecompress(
                    f"it has more than {most} bytes in it, which its {path.stat().st_size} compressed ones do not warrant"
                )
            yield piece


Given = t.TypeVar("Given")
Taken = t.TypeVar("Taken")


def _told(do: t.Callable[[Taken], Given], what: Taken) -> Given:
    try:
        return do(what)
    except (EOFError, OSError, ValueError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise CannotDecompress(f"it is damaged, or compressed in a way that is not known: {error}") from None


@contextlib.contextmanager
def _gzip(path: Path) -> t.Iterator[t.Callable[[int], bytes]]:
    with gzip.open(path, "rb") as file:
        yield file.read


@contextlib.contextmanager
def _zip(path: Path) -> t.Iterator[t.Callable[[int], bytes]]:
    with _Frugal(path) as raw, zipfile.ZipFile(raw) as archive:
        members = archive.infolist()
        if len(members) != 1 or members[0].is_dir():
            raise CannotDecompress(f"the archive has {len(members)} files; it must be one")
        with archive.open(members[0]) as file:
            yield file.read


class _Frugal(io.FileIO):
    """A file of which nobody reads much at once, as the list of an archive's files could make them."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > PIECE:
            raise CannotDecompress("its list of files is too long")
        return super().read(wanted) or b""
