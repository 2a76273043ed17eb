"""The files of a host's cache of image data: which there are, how they were used, and what of them stays.

`KEY.raw` and `KEY.qcow2` are disks, `KEY.bytes` data of which it does not matter what it is, `KEY.rbd` tells of a disk that is elsewhere
(`clones`); they are whole from the moment they have their names. `KEY.*part` are on their way; `KEY.*.note` tell how a file was used,
and may be lost.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ...kernel.config_images import ImageClones
from ...kernel.files import remove_abandoned
from ...kernel.log import get_logger
from .base import CachedFile, ImageDriverError, ImageSource, Removed
from .clones import MAPPED, RECORD, Clones

FRESH = 900.0
"""Seconds for which a file that was used is not pruned: a server may be about to be made of it."""
DAY, GIB = 86400, 1 << 30
RAW, QCOW2, BYTES = ".raw", ".qcow2", ".bytes"
KEPT = {RAW, QCOW2, BYTES, RECORD}

log = get_logger("agent")


class _Note(msgspec.Struct):
    """When a file was last used, in seconds since 1970, and how many disks were made of it."""

    used: float
    hits: int = 0


class Shelf:
    """`users` names the files that disks of this host stand on. Files that none does go when they have not been used for `days`, or
    to keep all below `most_gib`; 0 is no limit."""

    def __init__(self, directory: Path, users: Callable[[], set[str]] = set, *, most_gib: float = 0, days: float = 0,
                 clones: Clones | None = None):  # fmt: skip
        self._directory, self._users, self._most, self._days = directory, users, most_gib * GIB, days
        self._clones = clones or Clones(directory, ImageClones(), directory, "")
        self._held: Counter[str] = Counter()

    def open(self) -> None:
        """Make the directory, which only this user gets into, and remove what was cut off on its way."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        self._clones.open()
        self.clean()

    def files(self) -> list[CachedFile]:
        """All that is in the cache."""
        found = []
        for path in self._whole():
            facts, note = path.stat(), self._note(path)
            size = self._clones.size(path.stem) if path.suffix == RECORD else facts.st_size
            found.append(CachedFile(key=path.stem, size=size, hits=note.hits, last_accessed=note.used,
                                    last_modified=facts.st_mtime))  # fmt: skip
        return found

    def prune(self) -> Removed:
        """Remove what was not used for too long, and the longest unused while the cache is too large: nothing that a disk stands on
        or that was used a moment ago."""
        left, removed = sum(map(_disk, self._whole())), Removed()
        for path in self._unused():
            if self._age(path) > self._days * DAY > 0 or left > self._most > 0:
                left -= _disk(path)
                removed = self._remove(path, removed)
        return removed

    def evict(self, keys: set[str] | None = None) -> Removed:
        """Remove the files of these keys, or all; those stay that a disk stands on."""
        users, removed = self._in_use(), Removed()
        for path in self._whole():
            if (keys is None or path.stem in keys) and path.name not in users and not self._held[path.stem]:
                removed = self._remove(path, removed)
        return removed

    def clean(self) -> Removed:
        """Remove what was cut off on its way here, and notes of files that are gone."""
        removed = Removed()
        self._clones.tidy()
        for part in self._directory.glob("*.part"):
            took = _disk(part)
            if remove_abandoned(part):
                removed = Removed(files=removed.files + 1, bytes=removed.bytes + took)
        for note in self._directory.glob("*.note"):
            if not note.with_suffix("").exists():
                note.unlink(missing_ok=True)
        return removed

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _find(self, source: ImageSource) -> Path | None:
        """The file of the cache that will do for a source. A raw disk is the image's data as it came."""
        paths = (self._file(source, suffix) for suffix in (RAW, BYTES if source.as_is else QCOW2))
        found = next((path for path in paths if path.exists()), None)
        return found or (None if source.as_is else self._clones.find(source.key))

    def _file(self, source: ImageSource, suffix: str) -> Path:
        return self._directory / f"{source.key}{suffix}"

    def _make_room(self, source: ImageSource) -> None:
        """Raises ImageDriverError where there is no room for an image even without what nothing stands on."""
        needed, free = source.size or 0, lambda: shutil.disk_usage(self._directory).free
        for path in self._unused():
            if free() > needed:
                break
            self._remove(path, Removed())
        if free() <= needed:
            raise ImageDriverError(
                f"image {source.id} has {needed} bytes, and there is room for {free()} in {self._directory}: "
                "remove servers that this host does not need, or enlarge its disk"
            )

    def _whole(self) -> list[Path]:
        return [path for path in self._directory.iterdir() if path.suffix in KEPT]

    def _in_use(self) -> set[str]:
        """Names of those that disks stand on; on what of a clone they do is not the record that is kept here."""
        return {name.replace(MAPPED, RECORD) for name in self._users()}

    def _unused(self) -> Iterator[Path]:
        """What may be removed, the longest unused first."""
        users = self._in_use()
        for path in sorted(self._whole(), key=self._age, reverse=True):
            if path.name not in users and not self._held[path.stem] and self._age(path) >= FRESH:
                yield path

    def _age(self, path: Path) -> float:
        """Seconds since it was last used."""
        return time.time() - self._note(path).used

    def _note(self, path: Path) -> _Note:
        try:
            return msgspec.json.decode(_note_path(path).read_bytes(), type=_Note)
        except (OSError, msgspec.MsgspecError):
            return _Note(used=path.stat().st_ctime)

    def _used(self, path: Path, hits: int) -> None:
        note = _Note(used=time.time(), hits=self._note(path).hits + hits)
        _note_path(path).write_bytes(msgspec.json.encode(note))

    def _remove(self, path: Path, removed: Removed) -> Removed:
        """Together with what was removed before."""
        took = _disk(path)
        if path.suffix == RECORD:
            self._clones.let_go(path.stem)
        path.unlink(missing_ok=True)
        _note_path(path).unlink(missing_ok=True)
        log.info("an image left the cache", key=path.stem, bytes=took)
        return Removed(files=removed.files + 1, bytes=removed.bytes + took)


def _disk(path: Path) -> int:
    """Bytes of disk that only this name of a file takes: one that a store has too takes none here."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return 0
    return facts.st_blocks * 512 if facts.st_nlink == 1 else 0


def _note_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.note")
