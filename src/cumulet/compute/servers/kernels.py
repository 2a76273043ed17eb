"""Servers that boot a kernel which is an image of its own: the properties `kernel_id` and `ramdisk_id` of their image."""

from __future__ import annotations

import typing as t

from ... import image as images
from ...kernel.db import Tx
from ...kernel.http import BadRequest, Request

PROPERTIES = {"kernel": "kernel_id", "ramdisk": "ramdisk_id"}
NONE = "nokernel"
"""A kernel_id that says that the disk is booted after all."""


def boot_images(properties: dict[str, t.Any]) -> dict[str, str]:
    """The images that a server's image names, by `kernel` and `ramdisk`."""
    if properties.get("kernel_id") == NONE:
        return {}
    return {what: str(properties[name]) for what, name in PROPERTIES.items() if properties.get(name)}


def check_kernel(tx: Tx, request: Request, image: images.ImageFacts, memory_mib: int) -> None:
    """Raise BadRequest where an image names a kernel or ramdisk that the caller may not use, or that the memory does not hold."""
    for what, id in boot_images(image.properties).items():
        found = images.find(tx, request, id)
        if found.status != "active":
            raise BadRequest(f"Image {image.id} cannot be booted: its {what}, image {id}, is not active.")
        if (found.size or 0) > memory_mib << 20:
            raise BadRequest(f"Image {image.id} cannot be booted: its {what}, image {id}, is larger than a memory of {memory_mib} MiB.")
