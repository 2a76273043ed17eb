"""What a probe is: a generator that asks for pieces of an image and ends with what it found.

A probe yields (offset, length) in bytes and is sent that piece, shorter where the image ends earlier. Pieces
must be asked for in ascending order, without overlap: the image streams by once. An offset below zero counts
from the end of the image, must reach exactly to its end, and comes last. None as the result is "not mine".
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """A probe knew its format. `virtual_size` None means that the disk is the file itself without its first
    `preamble` bytes. `unsafe` says why the image must not be used."""

    format: str
    virtual_size: int | None = None
    unsafe: str | None = None
    preamble: int = 0
    partitions: str | None = None


Probe = Generator[tuple[int, int], bytes, Found | None]

TAIL = 1536
"""How far from the end a probe may ask for bytes: the three last sectors of a VMDK stream."""
