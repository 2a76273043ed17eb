"""What a probe is: a generator that asks for pieces of an image and ends with what it found.

A probe yields (offset, length) in bytes and is sent that piece, shorter where the image ends earlier. Pieces
must be asked for in ascending order, without overlap: the image streams by once. An offset below zero counts
from the end of the image, must reach exactly to its end, and comes last. None as the result is "not mine".
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Found:
    """A probe knew its format. `virtual_size` None means that the disk is the file itself. `unsafe` says why the image
    must not be used. `least` is how many bytes the file has to have for what its header says of it, and
    `whole_sectors` whether it must end with a sector, for what reads its end looks for it there."""

    format: str
    virtual_size: int | None = None
    unsafe: str | None = None
    partitions: str | None = None
    least: int = 0
    whole_sectors: bool = False


Probe = Generator[tuple[int, int], bytes, Found | None]

TAIL = 1536
"""How far from the end a probe may ask for bytes: the three last sectors of a VMDK stream."""


def rounded_up(size: int, unit: int) -> int:
    """The smallest multiple of `unit` that is not below `size`."""
    return -(-size // unit) * unit
