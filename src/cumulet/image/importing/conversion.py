"""Making another disk format of an image, by qemu-img: told what the input is, never asked, and held within limits."""

from __future__ import annotations

from pathlib import Path

from ...kernel.process import CommandFailed, run
from ..formats import Inspected

QEMU = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "luks": "raw"}
"""Formats as the inspector has them -> as QEMU calls them. What is not here, a CD above all, stays what it is."""
DECLARED = {"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "gpt"}
"""What an image may be declared to be that is a disk to convert."""
SECONDS, MEMORY = 4 * 3600, 1 << 30
"""What a conversion may take: seconds, and as many of a processor; bytes of address space."""
ENVIRONMENT = "MALLOC_ARENA_MAX=1"
"""The C library else sets 64 MiB of address space aside for each thread, of which there are the more the busier the disk."""


class CannotConvert(Exception):
    """The image cannot be converted; the text says why."""


def wanted(declared: str, inspected: Inspected, output: str) -> bool:
    """Whether an image of this kind is to be converted."""
    return declared in DECLARED and inspected.format in QEMU and inspected.format != output and {declared, output} != {"gpt", "raw"}


async def convert(source: Path, inspected: Inspected, target: Path, output: str, most: int) -> None:
    """Write the disk in a file, whose format was inspected, into another one of `most` bytes at most. Raises CannotConvert."""
    if inspected.virtual_size > most:
        raise CannotConvert(f"its disk has {inspected.virtual_size} bytes, and the limit is {most}")
    limits = (f"--as={MEMORY}", f"--cpu={SECONDS}", f"--fsize={most}", "--core=0")
    files = (str(source.absolute()), str(target.absolute()))
    command = ("env", ENVIRONMENT, "qemu-img", "convert", "-f", QEMU[inspected.format], "-O", output, *files)
    try:
        await run("prlimit", *limits, *command, timeout=SECONDS)
    except CommandFailed as error:
        raise CannotConvert(f"it could not be converted from {inspected.format} to {output}: {error.said.strip()[-500:]}") from None
