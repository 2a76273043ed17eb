"""Whether an image may be kept under the disk format that its owner declared."""

from __future__ import annotations

from .inspector import Inspected

ANYTHING = {"ami", "aki", "ari"}
"""Kernel, ramdisk and root file system of an Amazon image: any bytes, and so perhaps those of a disk format, which a
hypervisor will know it by."""

LOOKS_LIKE = {"raw": {"raw", "iso", "luks"}, "ploop": {"raw"}}
"""What each declared format may look like, where that is not just itself. CDs and encrypted disks are raw disks to
a hypervisor."""


class UnsafeImage(Exception):
    """The image must not be used; the text says why, to its owner."""


def check(declared_disk_format: str, inspected: Inspected) -> None:
    """Raise UnsafeImage where the content is dangerous or is not what was declared."""
    if inspected.unsafe is not None:
        raise UnsafeImage(f"The image cannot be used: {inspected.unsafe}.")
    if declared_disk_format in ANYTHING:
        return
    if declared_disk_format == "gpt":
        fits = inspected.partitions is not None and inspected.format in ("raw", "iso")
    else:
        fits = inspected.format in LOOKS_LIKE.get(declared_disk_format, {declared_disk_format})
    if not fits:
        raise UnsafeImage(
            f"disk_format is {declared_disk_format}, but the content is {inspected.format}: "
            f"declare what it is, or upload an image that is {declared_disk_format}."
        )
