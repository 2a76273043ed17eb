"""Whether an image may be kept under the disk format that its owner declared."""

from __future__ import annotations

from .inspector import TO_A_HOST_RAW, Inspected

ANYTHING = {"ami", "aki", "ari"}
"""Kernel, ramdisk and root file system of an Amazon image: any bytes, and so perhaps those of a disk format, which a
hypervisor will know it by."""

LOOKS_LIKE = {"raw": {"raw"} | TO_A_HOST_RAW}
"""What each declared format may look like, where that is not just itself."""

PACKED = {"ova", "docker", "compressed"}
"""Containers in which the disk is packed: what it is shows once it is taken out, and nobody boots it before."""


class UnsafeImage(Exception):
    """The image must not be used; the text says why, to its owner."""


def check(disk_format: str, inspected: Inspected, container_format: str = "bare") -> None:
    """Raise UnsafeImage where the content is dangerous or is not what was declared."""
    if inspected.unsafe is not None:
        raise UnsafeImage(f"Image failed safety checks: {inspected.unsafe}")
    if disk_format in ANYTHING:
        return
    if container_format in PACKED:
        fits = inspected.format == "raw"
    elif disk_format == "gpt":
        fits = inspected.partitions is not None and inspected.format in ("raw", "iso")
    else:
        fits = inspected.format in LOOKS_LIKE.get(disk_format, {disk_format})
    if not fits:
        raise UnsafeImage(
            f"Image disk_format {disk_format} does not match stream data {inspected.format}: declare what it is, or upload an "
            f"image that is {disk_format}"
        )
