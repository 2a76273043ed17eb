"""The streaming inspector: feeds an image once through every probe, holding only what a probe asked for."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import disk, iso, luks, microsoft, ploop, qemu, vdi, vhdx, vmdk
from .probe import SECTOR, TAIL, Found, Probe

PROBES: dict[str, Callable[[], Probe]] = {
    "qcow2": qemu.qcow,
    "qed": qemu.qed,
    "vmdk": vmdk.probe,
    "vdi": vdi.probe,
    "vhd": microsoft.probe,
    "vhdx": vhdx.probe,
    "ploop": ploop.probe,
    "luks": luks.probe,
    "iso": iso.probe,
    "raw": disk.probe,
}

TOGETHER = ({"iso", "raw"}, {"vhd", "raw"}, {"luks", "raw"})
"""Formats that one honest file can have at once: a CD that boots as a disk, a fixed VHD (a disk with a footer),
an encrypted disk whose random salt happens to end in the boot signature."""

TO_A_HOST_RAW = {"iso", "luks"}

MAX_SIZE = 64 << 40
"""Bytes of the largest disk: what VHDX, of all formats, can hold."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an image is. `format` has the image API's names (vhd, not vpc); the sizes are bytes.

    `unsafe` says why nobody should use it; `partitions` is "gpt" or "mbr" for a disk that begins with such a table.
    """

    format: str
    virtual_size: int
    unsafe: str | None = None
    partitions: str | None = None

    @property
    def read_as(self) -> str:
        """The format in which a hypervisor reads it: its own, and raw for what is a raw disk to that."""
        return "raw" if self.format in TO_A_HOST_RAW else self.format


class Inspector:
    """Takes an image's bytes in chunks of any size, then says what it is. Never raises on any content.

    Holds less than 256 KiB, whatever it is fed.
    """

    def __init__(self) -> None:
        self._size = 0
        self._tail = b""
        self._readers = [_Reader(name, probe()) for name, probe in PROBES.items()]

    def feed(self, chunk: bytes) -> None:
        for reader in self._readers:
            if reader.waits_for_stream:
                reader.feed(self._size, chunk)
        self._size += len(chunk)
        self._tail = bytes(chunk[-TAIL:]) if len(chunk) >= TAIL else (self._tail + chunk)[-TAIL:]

    @classmethod
    def of(cls, path: Path) -> Inspected:
        """The verdict on a file, of which no more is read than what probes ask for. Raises OSError."""
        inspector = cls()
        with path.open("rb") as file:
            inspector._size = os.fstat(file.fileno()).st_size
            for reader in inspector._readers:
                reader.take(file.fileno(), inspector._size)
            inspector._tail = os.pread(file.fileno(), TAIL, max(0, inspector._size - TAIL))
        return inspector.finish()

    def finish(self) -> Inspected:
        """The verdict on everything that was fed."""
        found = [found for reader in self._readers if (found := reader.finish(self._tail)) is not None]
        if not found:
            return Inspected("raw", self._size)
        names = {each.format for each in found}
        partitions = next((each.partitions for each in found if each.partitions), None)
        first = found[0]
        size = self._size if first.virtual_size is None else first.virtual_size
        unsafe = first.unsafe or self._length_fault(first)
        if size > MAX_SIZE:
            unsafe, size = f"its {first.format} header claims a size of {size} bytes, and disks have {MAX_SIZE} at most", 0
        if len(names) > 1 and names not in TOGETHER:
            unsafe = f"Multiple formats detected: {', '.join(each.partitions or each.format for each in found)}"
        return Inspected(first.format, size, unsafe, partitions)

    def _length_fault(self, found: Found) -> str | None:
        if self._size < found.least:
            return f"it is cut short: its {found.format} header needs {found.least} bytes, and it has {self._size}"
        if found.whole_sectors and self._size % SECTOR:
            return f"it is cut short: its {self._size} bytes do not end with a sector"
        return None


class _Reader:
    """One probe and the piece it waits for."""

    def __init__(self, name: str, probe: Probe):
        self._name, self._probe = name, probe
        self._piece = bytearray()
        self._cursor = 0
        self._found: Found | None = None
        self._wish: tuple[int, int] | None = None
        self._step(None)

    @property
    def waits_for_stream(self) -> bool:
        return self._wish is not None and self._wish[0] >= 0

    def feed(self, position: int, chunk: bytes) -> None:
        """Take from a chunk, which begins `position` bytes into the image, whatever the probe asks for."""
        while self._wish is not None and self._wish[0] >= 0:
            offset, length = self._wish
            at = offset + len(self._piece) - position
            if at >= len(chunk):
                return
            self._piece += chunk[at : at + length - len(self._piece)]
            if len(self._piece) < length:
                return
            self._deliver(bytes(self._piece))

    def take(self, fd: int, size: int) -> None:
        """Take what the probe asks for from a file of `size` bytes."""
        while self._wish is not None and self._wish[0] >= 0:
            offset, length = self._wish
            self._deliver(os.pread(fd, length, offset) if offset < size else b"")

    def finish(self, tail: bytes) -> Found | None:
        """The stream has ended: hand out what there is of each wish until the probe decides."""
        while self._wish is not None:
            from_end = -self._wish[0]
            self._deliver(tail[-from_end:] if from_end > 0 else bytes(self._piece))
        return self._found

    def _deliver(self, piece: bytes) -> None:
        assert self._wish is not None
        self._cursor = max(self._cursor, sum(self._wish))
        self._piece.clear()
        self._step(piece)

    def _step(self, piece: bytes | None) -> None:
        try:
            self._wish = next(self._probe) if piece is None else self._probe.send(piece)
            while 0 <= self._wish[0] < self._cursor:
                # Whether such a piece is still at hand would hang on how the chunks were cut: it never is.
                self._wish = self._probe.send(b"")
        except StopIteration as stop:
            self._wish, self._found = None, stop.value
        except struct.error:
            self._wish, self._found = None, Found(self._name, 0, f"its {self._name} header is cut short")
