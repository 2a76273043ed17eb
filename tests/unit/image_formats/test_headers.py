"""What each format's header must not say; where there is a doubt, QEMU is asked what it takes it for."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from format_files import MIB, PARTITION, inspect, make, partitioned, patched, qemu_img, stream, vmdk

from cumulet.image.formats import Inspected, check

FEATURES, AUTOCLEAR, HEADER_LENGTH, COMPRESSION = 72, 88, 100, 104


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (20, struct.pack(">I", 8), "damaged"),
        (20, struct.pack(">I", 22), "damaged"),
        (32, struct.pack(">I", 1), "encrypted inside"),
        (32, struct.pack(">I", 2), "encrypted inside"),
        (36, struct.pack(">I", 0), "damaged"),
        (36, struct.pack(">I", 2**31), "damaged"),
        (36, struct.pack(">I", 1 << 20), "cut short"),
        (40, struct.pack(">Q", 0x30001), "damaged"),
        (40, struct.pack(">Q", 1 << 62), "cut short"),
        (48, struct.pack(">Q", 1), "damaged"),
        (56, struct.pack(">I", 0), "damaged"),
        (56, struct.pack(">I", 2**31), "damaged"),
        (60, struct.pack(">I", 2**31), "damaged"),
        (64, struct.pack(">Q", 8), "damaged"),
        (FEATURES, struct.pack(">Q", 1 << 1), "corrupt"),
        (FEATURES, struct.pack(">Q", 1 << 3), "compression type"),
        (COMPRESSION, b"\1", "compression type"),
        (AUTOCLEAR, struct.pack(">Q", 1 << 1), "external data file"),
        (96, struct.pack(">I", 7), "damaged"),
        (HEADER_LENGTH, struct.pack(">I", 96), "damaged"),
        (HEADER_LENGTH, struct.pack(">I", 1 << 17), "damaged"),
        (HEADER_LENGTH, struct.pack(">I", 109), "damaged"),
        (112, struct.pack(">II", 0x44415441, 4) + b"data", "external data file"),
        (112, struct.pack(">II", 0xE2792ACA, 5) + b"qcow2", "backing file"),
        (112, struct.pack(">II", 0x0537BE77, 16), "where its keys are"),
        (112, struct.pack(">II", 0x23852875, 16), "damaged"),
        (112, struct.pack(">II", 0x12345678, 2**32 - 1), "damaged"),
        (112, bytes(8) + struct.pack(">II", 0x44415441, 4), None),
        (112, struct.pack(">II", 0x12345678, 4) + b"four----" + struct.pack(">II", 0x44415441, 4), "external data file"),
        (112, struct.pack(">II", 0x12345678, 0) * 5000, "damaged"),
    ],
)
def test_what_a_qcow2_header_must_not_say(tmp_path: Path, at: int, data: bytes, reason: str | None) -> None:
    unsafe = inspect(patched(make(tmp_path, "qcow2").read_bytes(), at, data)).unsafe
    assert reason in (unsafe or "") if reason else unsafe is None, unsafe


def test_an_extension_where_the_short_header_ends(tmp_path: Path) -> None:
    """Version 3 has headers of 104 bytes too, and version 2 of 72."""
    name = struct.pack(">II", 0x44415441, 4) + b"data"
    content = make(tmp_path, "qcow2").read_bytes()
    assert "external data file" in (inspect(patched(patched(content, HEADER_LENGTH, struct.pack(">I", 104)), 104, name)).unsafe or "")
    assert "external data file" in (inspect(patched(patched(content, 4, struct.pack(">I", 2)), 72, name)).unsafe or "")


def test_a_size_that_is_claimed_is_never_shown(tmp_path: Path) -> None:
    """Not even where something else is wrong with the image."""
    for at, data in ((24, struct.pack(">Q", 2**64 - 512)), (24, struct.pack(">Q", (64 << 40) + 512))):
        content = patched(make(tmp_path, "qcow2").read_bytes(), at, data)
        for each in (content, patched(content, PARTITION, partitioned()[PARTITION:512])):
            found = inspect(each)
            assert found.unsafe and found.virtual_size == 0


def test_a_qcow2_has_the_sectors_that_qemu_counts(tmp_path: Path) -> None:
    content = patched(make(tmp_path, "qcow2").read_bytes(), 24, struct.pack(">Q", 24 * MIB - 1))
    assert inspect(content) == Inspected("qcow2", 24 * MIB - 512)


def described(content: bytes, text: Callable[[bytes], bytes], sectors: int = 20) -> bytes:
    """A VMDK with another descriptor, of which the header says that it has so many sectors."""
    descriptor = text(content[512 : 512 + 20 * 512].rstrip(b"\0")).ljust(20 * 512, b"\0")
    return patched(patched(content, 512, descriptor), 36, struct.pack("<Q", sectors))


@pytest.mark.parametrize(
    "line", [b'# parentFileNameHint="/etc/passwd"', b'ddb.parentFileNameHint = "/etc/passwd"', b'ddb.x = "parentFileNameHint=_/etc/passwd"']
)
def test_a_vmdk_names_no_parent_anywhere(tmp_path: Path, line: bytes) -> None:
    """QEMU looks for the word, not for a line of its own."""
    content = described(vmdk(tmp_path), lambda text: text + b"\n" + line + b"\n")
    assert "as its parent" in (inspect(content).unsafe or "")
    (tmp_path / "evil").write_bytes(content)
    if b"ddb.x" not in line:
        assert json.loads(qemu_img("info", "--output=json", "-f", "vmdk", str(tmp_path / "evil")))["backing-filename"]


def test_a_vmdk_descriptor_ends_where_the_header_says(tmp_path: Path) -> None:
    """QEMU reads on."""
    longer = lambda text: text.ljust(600, b"#") + b"\n"
    assert "beyond its end" in (inspect(described(vmdk(tmp_path), longer, sectors=1)).unsafe or "")
    parent = lambda text: longer(text) + b'parentFileNameHint="/etc/passwd"\n'
    assert "as its parent" in (inspect(described(vmdk(tmp_path), parent, sectors=1)).unsafe or "")
    assert inspect(described(vmdk(tmp_path), longer, sectors=2)).unsafe is None


@pytest.mark.parametrize("line", [b"CID=zz", b"parentCID=", b"parentCID=zz"])
def test_a_vmdk_has_its_ids(tmp_path: Path, line: bytes) -> None:
    name = line.split(b"=")[0]
    change = lambda text: re.sub(rb"\n" + name + rb"=\w+", lambda _: b"\n" + line, text)
    assert inspect(described(vmdk(tmp_path), change)).unsafe


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (4, struct.pack("<I", 4), "damaged"),
        (20, bytes(8), "damaged"),
        (20, struct.pack("<Q", 1 << 40), "damaged"),
        (44, bytes(4), "damaged"),
        (44, struct.pack("<I", 513), "damaged"),
        (77, struct.pack("<H", 2), "damaged"),
        (12, struct.pack("<Q", 1 << 36), "cut short"),
        (12, struct.pack("<Q", 1 << 60), "claims a size"),
        (56, struct.pack("<Q", 1 << 40), "cut short"),
        (48, struct.pack("<Q", 1 << 40), "cut short"),
        (64, struct.pack("<Q", 1 << 40), "cut short"),
    ],
)
def test_what_a_vmdk_header_must_not_say(tmp_path: Path, at: int, data: bytes, reason: str) -> None:
    content = make(tmp_path, "vmdk").read_bytes()
    assert reason in (inspect(patched(content, at, data)).unsafe or "")


def test_a_vmdk_footer_is_where_qemu_looks_for_it(tmp_path: Path) -> None:
    """Counted from the last whole sector: a file that does not end with one has its footer elsewhere."""
    bigger = stream(tmp_path, lambda footer: patched(footer, 12, struct.pack("<Q", 1 << 30)))
    honest = stream(tmp_path)[-1536:]
    assert "do not end with a sector" in (inspect(bigger + bytes(100) + honest).unsafe or "")


def summed(content: bytes, at: int = 0, length: int = 512, checksum: int = 64) -> bytes:
    """With the checksum of a VHD's footer or header made right."""
    content = patched(content, at + checksum, bytes(4))
    return patched(content, at + checksum, struct.pack(">I", ~sum(content[at : at + length]) & 0xFFFFFFFF))


@pytest.mark.parametrize("creator", [b"qemu", b"vpc ", b"win ", b"tap\0", b"CTXS", b"xxxx"])
@pytest.mark.parametrize("geometry", [struct.pack(">HBB", 100, 4, 17), struct.pack(">HBB", 65535, 16, 255)])
def test_the_size_of_a_vhd_is_the_one_that_qemu_takes(tmp_path: Path, creator: bytes, geometry: bytes) -> None:
    """A footer has two, and who wrote it decides."""
    content = summed(patched(patched(make(tmp_path, "vpc").read_bytes(), 28, creator), 56, geometry))
    (tmp_path / "vhd").write_bytes(content)
    size = json.loads(qemu_img("info", "--output=json", "-f", "vpc", str(tmp_path / "vhd")))["virtual-size"]
    assert inspect(content) == Inspected("vhd", size)


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (60, struct.pack(">I", 2), "damaged"),
        (48, struct.pack(">Q", 1 << 42), "damaged"),
        (16, bytes(8), "cut short"),
        (512, b"x", "damaged"),
        (512 + 16, struct.pack(">Q", 1 << 40), "cut short"),
        (512 + 28, struct.pack(">I", 1), "damaged"),
        (512 + 28, struct.pack(">I", 2**31), "damaged"),
        (512 + 32, struct.pack(">I", 3 << 20), "damaged"),
        (512 + 40, b"x", "as its parent"),
        (512 + 64, "/etc/passwd".encode("utf-16-be"), "as its parent"),
        (512 + 576, b"W2ru", "as its parent"),
    ],
)
def test_what_a_vhd_header_must_not_say(tmp_path: Path, at: int, data: bytes, reason: str) -> None:
    content = patched(patched(make(tmp_path, "vpc").read_bytes(), 28, b"win "), at, data)
    assert reason in (inspect(summed(summed(content), 512, 1024, 36)).unsafe or "")


def test_a_vhd_whose_checksum_is_wrong_is_unsafe(tmp_path: Path) -> None:
    content = make(tmp_path, "vpc").read_bytes()
    for at in (64, 512 + 36):
        assert "damaged" in (inspect(patched(content, at, b"\x5a")).unsafe or "")


def test_a_fixed_vhd_has_what_its_footer_says(tmp_path: Path) -> None:
    content = make(tmp_path, "vpc", "subformat=fixed", "1M").read_bytes()
    assert "cut short" in (inspect(content[512:]).unsafe or "")
    assert "do not end with a sector" in (inspect(b"x" + content).unsafe or "")


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (0x44, bytes(4), "damaged"),
        (0x154, struct.pack("<I", 513), "damaged"),
        (0x154, bytes(4), "damaged"),
        (0x154, struct.pack("<I", 1 << 30), "cut short"),
        (0x158, struct.pack("<I", 1), "damaged"),
        (0x168, struct.pack("<I", 4096), "damaged"),
        (0x178, struct.pack("<I", 1 << 21), "damaged"),
        (0x170, struct.pack("<Q", 1 << 50), "claims a size"),
        (0x180, struct.pack("<I", 0x3FFFFFFF), "damaged"),
        (0x1A8, b"x", "differencing"),
    ],
)
def test_what_a_vdi_header_must_not_say(tmp_path: Path, at: int, data: bytes, reason: str) -> None:
    assert reason in (inspect(patched(make(tmp_path, "vdi").read_bytes(), at, data)).unsafe or "")


def test_a_vdi_of_an_odd_size_has_whole_sectors(tmp_path: Path) -> None:
    content = patched(make(tmp_path, "vdi").read_bytes(), 0x170, struct.pack("<Q", 24 * MIB - 1))
    assert inspect(content) == Inspected("vdi", 24 * MIB)


def test_virtuozzo_disks(tmp_path: Path) -> None:
    content = make(tmp_path, "parallels").read_bytes()
    size = json.loads(qemu_img("info", "--output=json", "-f", "parallels", str(tmp_path / "image")))["virtual-size"]
    assert inspect(content) == Inspected("ploop", size)
    check("ploop", inspect(content))
    for at, data, reason in [
        (16, struct.pack("<I", 3), "damaged"), (28, bytes(4), "damaged"), (32, bytes(4), "damaged"), (56, b"\1", "extension"),
        (36, struct.pack("<Q", 1 << 60), "claims a size"),
    ]:  # fmt: skip
        assert reason in (inspect(patched(content, at, data)).unsafe or ""), (at, data)
    assert "cut short" in (inspect(content[:64]).unsafe or "")


def test_a_vhdx_with_changes_in_its_log_is_unsafe(tmp_path: Path) -> None:
    """They would be made to its tables when it is opened."""
    content = make(tmp_path, "vhdx").read_bytes()
    for at in (64 << 10, 128 << 10):
        content = whole_header(patched(content, at + 48, b"log"), at)
    assert "not closed properly" in (inspect(content).unsafe or "")


def whole_header(content: bytes, at: int) -> bytes:
    """With the CRC-32C of a VHDX header made right."""
    block, crc = patched(content[at : at + 4096], 4, bytes(4)), 0xFFFFFFFF
    for bit in (byte >> shift & 1 for byte in block for shift in range(8)):
        crc = crc >> 1 ^ (0x82F63B78 if (crc ^ bit) & 1 else 0)
    return patched(content, at + 4, struct.pack("<I", crc ^ 0xFFFFFFFF))


def test_a_vhdx_says_what_it_says_once(tmp_path: Path) -> None:
    content = make(tmp_path, "vhdx").read_bytes()
    region, metadata = 192 << 10, content.index(b"metadata\0\0")
    for changed, reason in [
        (patched(content, 64 << 10, bytes(65536)), None),
        (patched(content, 64 << 10, bytes(131072)), "headers are damaged"),
        (patched(content, region + 16, content[region + 48 : region + 80]), "region table"),
        (patched(content, metadata + 32, content[metadata + 64 : metadata + 96]), "metadata are damaged"),
        (patched(content, metadata + 10, struct.pack("<H", 4)), "metadata are damaged"),
    ]:
        assert reason in (inspect(changed).unsafe or "") if reason else inspect(changed).unsafe is None, reason
