"""Images that lie, made of honest ones: fields of headers set to what nobody expects, formats put into one another, files cut
short and lengthened. Checksums are made right again, for a liar would."""

from __future__ import annotations

import random
import struct
import subprocess
import typing as t
from pathlib import Path

MIB = 1 << 20
SMALL = "1M"
FURTHEST = 4 * MIB
"""Where in a file the last byte is that any header needs: a VHDX has its tables before."""

MADE_BY_QEMU = [
    ("qcow2", "compat=0.10"), ("qcow2", "compat=1.1"), ("qcow2", "extended_l2=on"), ("qcow2", "compression_type=zstd"),
    ("qcow2", "cluster_size=512"), ("qcow2", "backing_file=/etc/hostname,backing_fmt=raw"), ("qcow2", "data_file=data"),
    ("vmdk", "subformat=monolithicSparse"), ("vmdk", "subformat=streamOptimized"), ("vmdk", "subformat=monolithicFlat"),
    ("vdi", ""), ("vdi", "static=on"), ("vpc", ""), ("vpc", "subformat=fixed"), ("vpc", "force_size=on"), ("vhdx", ""),
    ("parallels", ""), ("qed", ""), ("qcow", ""),
]  # fmt: skip

Field = tuple[int, str]
"""Offset and struct format of a number in a header. Offsets below zero count from the end."""

QCOW2 = [(4, ">I"), (8, ">Q"), (16, ">I"), (20, ">I"), (24, ">Q"), (32, ">I"), (36, ">I"), (40, ">Q"), (48, ">Q"), (56, ">I"),
         (60, ">I"), (64, ">Q"), (72, ">Q"), (80, ">Q"), (88, ">Q"), (96, ">I"), (100, ">I"), (104, ">B"), (104, ">I"), (108, ">I"),
         (112, ">I"), (116, ">I")]  # fmt: skip
VMDK = [(4, "<I"), (8, "<I"), (12, "<Q"), (20, "<Q"), (28, "<Q"), (36, "<Q"), (44, "<I"), (48, "<Q"), (56, "<Q"), (64, "<Q"), (77, "<H")]
VDI = [(0x44, "<I"), (0x48, "<I"), (0x4C, "<I"), (0x154, "<I"), (0x158, "<I"), (0x168, "<I"), (0x170, "<Q"), (0x178, "<I"),
       (0x17C, "<I"), (0x180, "<I"), (0x184, "<I"), (0x1A8, "<I"), (0x1B8, "<I")]  # fmt: skip
VHD_FOOTER = [(8, ">I"), (12, ">I"), (16, ">Q"), (28, ">I"), (40, ">Q"), (48, ">Q"), (56, ">H"), (58, ">B"), (59, ">B"), (60, ">I")]
VHD = [*VHD_FOOTER, *((512 + at, form) for at, form in [(8, ">Q"), (16, ">Q"), (24, ">I"), (28, ">I"), (32, ">I"), (40, ">I"), (64, ">I"),
                                                        (576, ">I")])]  # fmt: skip
FIXED_VHD = [(at - 512, form) for at, form in VHD_FOOTER]
_HEADERS = [(start + at, form) for start in (64 << 10, 128 << 10)
            for at, form in [(8, "<Q"), (48, "<I"), (64, "<H"), (66, "<H"), (68, "<I"), (72, "<Q")]]  # fmt: skip
_REGIONS = [((192 << 10) + at, form) for at, form in [(8, "<I"), (32, "<Q"), (40, "<I"), (44, "<I"), (64, "<Q"), (72, "<I"), (76, "<I")]]
_ITEMS = [((3 << 20) + at, form) for at, form in
          [(10, "<H"), *((32 + 32 * i + at, "<I") for i in range(5) for at in (0, 16, 20, 24)),
           *((65536 + at, form) for at, form in [(0, "<I"), (4, "<I"), (8, "<Q"), (32, "<I"), (36, "<I")])]]  # fmt: skip
VHDX = [*_HEADERS, *_REGIONS, *_ITEMS]
PLOOP = [(16, "<I"), (20, "<I"), (28, "<I"), (32, "<I"), (36, "<Q"), (44, "<I"), (48, "<I"), (56, "<Q")]
FIELDS = {"qcow2": QCOW2, "vmdk": VMDK, "vdi": VDI, "vpc": VHD, "fixed": FIXED_VHD, "vhdx": VHDX, "parallels": PLOOP,
          "disk": [(446 + 16 * i + at, "<B") for i in range(4) for at in (0, 4)], "qed": [(4, "<I"), (48, "<Q")],
          "qcow": [(4, ">I"), (8, ">Q"), (24, ">Q")]}  # fmt: skip

LINES = [b'parentFileNameHint="/etc/hostname"', b'# parentFileNameHint="/etc/hostname"', b'ddb.parentFileNameHint = "/etc/hostname"',
         b'RW 2048 FLAT "/etc/hostname" 0', b'RW 2048 SPARSE "other.vmdk"', b'RW 8 VMFS "/etc/hostname"', b'createType="monolithicFlat"',
         b'createType="vmfs"', b"parentCID=12345678", b"CID=zz", b"\0", b"version=1", b'\xa0createType="vmfsSparse"', b"#" * 700,
         b"RW 99 ZERO"]  # fmt: skip
EXTENSIONS = [0, 0xE2792ACA, 0x44415441, 0x6803F857, 0x23852875, 0x0537BE77, 0x12345678]

POLYGLOT = {
    "iso": [(32768, b"\1CD001\1")], "udf": [(32768, b"\0BEA01\1"), (34816, b"\0NSR02\1")],
    "mbr": [(446, bytes([0x80, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 255, 7, 0, 0])), (510, b"\x55\xaa")],
    "gpt": [(446, bytes([0, 0, 2, 0, 0xEE, 0, 0, 0, 1, 0, 0, 0, 255, 7, 0, 0])), (510, b"\x55\xaa"), (512, b"EFI PART")],
}  # fmt: skip


class Base(t.NamedTuple):
    """An honest image, or one that is known to be none."""

    kind: str
    content: bytes


class Liar:
    """Makes images, the same for the same seed."""

    def __init__(self, directory: Path, seed: int):
        self.random = random.Random(seed)
        self.bases = [*_by_qemu(directory), *_by_hand()]
        self._weights = [0.2 if base.kind == "vhdx" else 1 for base in self.bases]
        stream = next(base.content for base in self.bases if b"streamOptimized" in base.content)
        self.bases.append(Base("vmdk", _with_footer(stream)))
        self._weights.append(1)

    def image(self) -> bytes:
        """The next one."""
        base = self.random.choices(self.bases, self._weights)[0]
        content = bytearray(base.content)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3, 5))):
            self.random.choices((self._fields, self._noise, self._text, self._splice, self._cut), (10, 2, 3, 2, 1))[0](base.kind, content)
        if self.random.random() < 0.9:
            _mend(base.kind, content)
        return bytes(content)

    def chunks(self, content: bytes) -> t.Iterator[bytes]:
        """The same in pieces of any length."""
        at, most = 0, self.random.choice((700, 5000, 70_000, 2 * MIB))
        most = max(most, len(content) // 20)
        while at < len(content):
            length = self.random.randint(1, most)
            yield content[at : at + length]
            at += length

    def _fields(self, kind: str, content: bytearray) -> None:
        for at, form in self.random.sample(FIELDS.get(kind, [(0, "<I")]), self.random.choice((1, 1, 1, 2)) if kind in FIELDS else 1):
            size = struct.calcsize(form)
            place = at if at >= 0 else len(content) + at
            if place < 0 or place + size > len(content):
                continue
            (now,) = struct.unpack_from(form, content, place)
            struct.pack_into(form, content, place, self._number(now, len(content)) % (1 << 8 * size))

    def _number(self, now: int, length: int) -> int:
        bit = 1 << self.random.randrange(64)
        small = self.random.choice((0, 1, 2, 3, 4, 5, 8, 9, 16, 20, 21, 22, 72, 104, 105, 112, 120, 512, 1024, 2047, 65535, 65536))
        near = self.random.choice((now + 1, now - 1, now * 2, now // 2, now ^ bit, now + 512, now + 511, now + MIB, now * 1000))
        whole = self.random.choice(
            (length, length - 512, length // 512, length * 8, 2**32 - 1, 2**63, 2**64 - 1, 2**64 - 512, bit, bit - 1)
        )
        return self.random.choice((small, near, near, whole, self.random.getrandbits(64)))

    def _noise(self, kind: str, content: bytearray) -> None:
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randrange(min(len(content), self.random.choice((64, 512, 4096, len(content)))) or 1)
            content[at : at + 1] = self.random.randbytes(1)

    def _text(self, kind: str, content: bytearray) -> None:
        """A line in a descriptor, an extension in a header; for others a string somewhere."""
        if kind == "qcow2":
            start = self.random.choice((72, 104, 112, 112, 112, int.from_bytes(content[100:104]) % 4096))
            length = self.random.choice((0, 4, 8, 16, 24, 48, 65536, 2**32 - 1, self.random.getrandbits(12)))
            content[start : start + 16] = struct.pack(">II", self.random.choice(EXTENSIONS), length) + b"filename"
            return
        at = content.find(b"\n", self.random.choice((512, 600, 700))) + 1 if kind == "vmdk" else self.random.randrange(len(content) or 1)
        line = self.random.choice(LINES) + b"\n"
        end = min(len(content), 512 + self.random.choice((512, 10240, 65536)))
        content[at:end] = (line + content[at:end])[: max(0, end - at)]

    def _splice(self, kind: str, content: bytearray) -> None:
        """The marks of another format at their places, or another image's head or tail in place of this one's."""
        other = self.random.choice(self.bases).content
        length = min(self.random.choice((4, 64, 512, 4096, 65536)), len(other), len(content))
        match self.random.randrange(4):
            case 0:
                content[:length] = other[:length]
            case 1:
                content[len(content) - length :] = other[len(other) - length :]
            case 2:
                at = self.random.randrange(len(content) - length + 1)
                content[at : at + length] = other[:length]
            case 3:
                for at, mark in POLYGLOT[self.random.choice([*POLYGLOT])]:
                    content.extend(bytes(max(0, at + len(mark) - len(content))))
                    content[at : at + len(mark)] = mark

    def _cut(self, kind: str, content: bytearray) -> None:
        edge = self.random.choice((0, 4, 8, 72, 104, 112, 512, 513, 1024, 1536, 4096, 32774, 65536, len(content) - 1, len(content) - 512))
        if self.random.random() < 0.6:
            del content[max(0, edge) :]
        else:
            content.extend(bytes(self.random.choice((1, 511, 512, 1536, 100_000))))


def _by_qemu(directory: Path) -> t.Iterator[Base]:
    for number, (kind, options) in enumerate(MADE_BY_QEMU):
        path = directory / f"base-{number}"
        command = ["qemu-img", "create", "-q", "-u", "-f", kind, *(["-o", options] if options else []), str(path), SMALL]
        subprocess.run(command, check=True, cwd=directory)
        yield Base("fixed" if options == "subformat=fixed" else kind, path.read_bytes()[:FURTHEST])


def _by_hand() -> t.Iterator[Base]:
    yield Base("raw", bytes(MIB))
    yield Base("raw", b"LUKS\xba\xbe\x00\x01".ljust(40_000, b"\0"))
    yield Base("raw", b"#!/bin/sh\n" * 400)
    for name, marks in POLYGLOT.items():
        content = bytearray(100_000)
        for at, mark in marks:
            content[at : at + len(mark)] = mark
        yield Base("disk" if name in ("mbr", "gpt") else "raw", bytes(content))


def _with_footer(stream: bytes) -> bytes:
    """A VMDK stream whose grain directory is told by a footer, as VMware's own tools write it."""
    return stream[:56] + b"\xff" * 8 + stream[64:] + struct.pack("<QII496x", 1, 0, 3) + stream[:512] + bytes(512)


def _mend(kind: str, content: bytearray) -> None:
    """Make the checksums right that the format has."""
    if kind == "vpc" and len(content) >= 1536:
        _add_up(content, 0, 512, 64)
        _add_up(content, 512, 1024, 36)
    if kind == "fixed" and len(content) >= 512:
        _add_up(content, len(content) - 512, 512, 64)
    if kind == "vhdx" and len(content) >= 256 << 10:
        for at, length in ((64 << 10, 4096), (128 << 10, 4096), (192 << 10, 64 << 10)):
            block = content[at : at + length]
            block[4:8] = bytes(4)
            struct.pack_into("<I", content, at + 4, crc32c(block))


def _add_up(content: bytearray, at: int, length: int, checksum: int) -> None:
    struct.pack_into(">I", content, at + checksum, 0)
    struct.pack_into(">I", content, at + checksum, ~sum(content[at : at + length]) & 0xFFFFFFFF)


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(block: bytes | bytearray) -> int:
    """The checksum that VHDX has."""
    crc = 0xFFFFFFFF
    for byte in block:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
