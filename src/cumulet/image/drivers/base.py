"""What a host is told of an image, and what QEMU calls the formats."""

from __future__ import annotations

import re

import msgspec

QEMU_NAMES = {name: name for name in ("raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx")} | {
    "vhd": "vpc", "ploop": "parallels", "iso": "raw", "gpt": "raw", "ami": "raw", "ari": "raw", "aki": "raw",
}  # fmt: skip
"""The image API's disk formats, those that content has and those that are only declared -> what qemu-img calls them."""
LIKE_DISKS = {"raw", "qcow2"}
"""Formats that disks can stand on."""

SAFE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
LEAST_SECONDS, MOST_SECONDS = 120.0, 5400.0
SLOWEST = 4 << 20
"""Bytes a second at which a host is given time for an image, beside LEAST_SECONDS."""
GRACE = 30.0
"""Seconds that whoever waits for somebody with a deadline has beyond that, so as to hear the reason."""


class ImageDriverError(Exception):
    """The host cannot get at the image; the text says why."""


class BlockImage(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a block image in Ceph. `cluster` is the cluster's id (fsid)."""

    cluster: str
    pool: str
    name: str
    snapshot: str


class ImageSource(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An image's data as a host finds it: the file at `path` where this host has that, else a file of its image cache, which may be
    a clone of `block` where this host gets at that cluster.

    A host opens the data as what its content is, whatever the image was declared; where it is to be taken `as_is`, as a kernel's,
    the content is not looked at. `size` in bytes and `hash_value`, hexadecimal, of the algorithm that hashlib has under the name
    `hash_algo`, say what the data is; they are None where the image service does not know.
    `claimed`: only the image's owner says so, and nobody here has seen the data.
    """

    id: str
    as_is: bool = False
    size: int | None = None
    hash_algo: str = "sha512"
    hash_value: str | None = None
    claimed: bool = False
    path: str | None = None
    block: BlockImage | None = None

    @property
    def key(self) -> str:
        """What the cache keeps the data under: its digest, so that what is the same is kept once; else the image's id. Whoever claims
        another image's digest is not given its data."""
        key = f"image-{self.id}" if self.claimed else self.hash_value or f"image-{self.id}"
        if not SAFE.fullmatch(key):
            raise ImageDriverError(f"image {self.id!r}: {key!r} cannot be the name of a file")
        return key

    @property
    def seconds(self) -> float:
        """How long bringing it to a host, and into a form that disks can stand on, may take."""
        return min(MOST_SECONDS, LEAST_SECONDS + (self.size or 0) / SLOWEST)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a host gets an image's data that has not its file, and the ticket that has it given."""

    url: str
    ticket: str


class CachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a host's cache. Sizes in bytes, times in seconds since 1970. `hits` counts the disks made of it."""

    key: str
    size: int
    hits: int
    last_accessed: float
    last_modified: float


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed from a cache: how many files, and the bytes of disk that they took."""

    files: int = 0
    bytes: int = 0
