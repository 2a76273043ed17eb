"""What the inspector says of real images, of images made to deceive it, and of garbage."""

from __future__ import annotations

import itertools
import json
import re
import struct
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from format_files import BOOT_SIGNATURE, MIB, PARTITION, inspect, iso, make, partitioned, patched, qemu_img, stream, vmdk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cumulet.image.formats import Inspected, Inspector, UnsafeImage, check

MADE_BY_QEMU = [
    ("raw", "", "raw"),
    ("qcow2", "compat=0.10", "qcow2"),
    ("qcow2", "compat=1.1", "qcow2"),
    ("qcow2", "extended_l2=on", "qcow2"),
    ("qcow2", "compression_type=zstd", "qcow2"),
    ("vmdk", "", "vmdk"),
    ("vmdk", "subformat=streamOptimized", "vmdk"),
    ("vdi", "", "vdi"),
    ("vdi", "static=on", "vdi"),
    ("vpc", "", "vhd"),
    ("vpc", "subformat=fixed", "vhd"),
    ("vhdx", "", "vhdx"),
    ("vhdx", "subformat=fixed", "vhdx"),
]


@pytest.mark.parametrize(("format", "options", "name"), MADE_BY_QEMU)
def test_what_qemu_makes_is_recognised_with_its_size(tmp_path: Path, format: str, options: str, name: str) -> None:
    image = make(tmp_path, format, options)
    size = json.loads(qemu_img("info", "--output=json", "-f", format, str(image)))["virtual-size"]
    assert inspect(image.read_bytes()) == Inspected(name, size)


def test_an_encrypted_disk_is_a_raw_disk_with_its_header() -> None:
    """Made by hand: qemu-img takes seconds to make one, and gives up at times on a busy machine."""
    assert inspect(b"LUKS\xba\xbe\x00\x01".ljust(26 * MIB, b"\0")) == Inspected("luks", 26 * MIB)


def test_a_cd(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "file").write_text("hello")
    image = tmp_path / "image"
    subprocess.run(["genisoimage", "-quiet", "-o", str(image), str(tmp_path / "content")], check=True)
    assert inspect(image.read_bytes()) == Inspected("iso", image.stat().st_size)


def test_a_disk_says_what_its_partition_table_is() -> None:
    assert inspect(partitioned()) == Inspected("raw", MIB, partitions="mbr")
    assert inspect(partitioned(0xEE)) == Inspected("raw", MIB, partitions="gpt")
    hybrid = patched(partitioned(), 32768, iso()[32768:])
    assert inspect(hybrid) == Inspected("iso", MIB, partitions="mbr")


def test_a_file_system_is_no_partition_table() -> None:
    fat = patched(patched(partitioned(), 0x10, b"\x02"), 0x15, b"\xf8")
    assert inspect(fat) == Inspected("raw", MIB)
    assert inspect(patched(bytes(MIB), BOOT_SIGNATURE, b"\x55\xaa")) == Inspected("raw", MIB)


@pytest.mark.parametrize("content", [b"", b"\0", b"text", b"QFI", bytes(MIB)])
def test_anything_else_is_raw(content: bytes) -> None:
    assert inspect(content) == Inspected("raw", len(content))


BACKED = "backing_file=/etc/passwd,backing_fmt=raw"


@pytest.mark.parametrize(
    ("format", "options", "name", "reason"),
    [
        ("qcow2", BACKED, "qcow2", "backing file"),
        ("qcow2", "compat=0.10," + BACKED, "qcow2", "backing file"),
        ("qcow2", "data_file=data", "qcow2", "external data file"),
        ("qcow", "", "qcow", "version 1"),
        ("qed", "", "qed", "cannot be used"),
        ("vmdk", "subformat=monolithicFlat", "vmdk", "data are in other files"),
        ("vmdk", "subformat=twoGbMaxExtentSparse", "vmdk", "data are in other files"),
        ("vmdk", "backing_file=base.vmdk,backing_fmt=vmdk", "vmdk", "as its parent"),
    ],
)
def test_an_image_that_needs_another_file_is_unsafe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, options: str, name: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    qemu_img("create", "-q", "-f", "vmdk", "base.vmdk", "24M")
    found = inspect(make(tmp_path, format, options).read_bytes())
    assert (found.format, reason in (found.unsafe or "")) == (name, True)
    with pytest.raises(UnsafeImage, match=reason):
        check(name, found)


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (4, struct.pack(">I", 4), "version 4"),
        (72, struct.pack(">Q", 1 << 5), "unknown qcow2 features"),
        (72, struct.pack(">Q", 1 << 63), "unknown qcow2 features"),
        (24, struct.pack(">Q", 2**64 - 512), "claims a size"),
    ],
)
def test_a_qcow2_header_beyond_the_known_is_unsafe(tmp_path: Path, at: int, data: bytes, reason: str) -> None:
    content = patched(make(tmp_path, "qcow2").read_bytes(), at, data)
    assert reason in (inspect(content).unsafe or "")


EXTENT = re.compile(rb"\nRW [^\n]*\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'RW 1 SPARSE "/etc/passwd"', "another file"),
        (b'RW 1 SPARSE "..\\x"', "another file"),
        (b'rw 1 flat "image"', "another file"),
        (b'RW 1 SPARSE "image"\nRW 1 SPARSE "b"', "2 extents"),
        (b'RW 1 SPARSE "a"\nRW 1 FLAT "/b" 0', "not understood"),
        (b"#", "0 extents"),
        (b'RW 1 SPARSE "a"\nsomething else', "not understood"),
        (b'RW 1 SPARSE "a"\ncreateType="custom"', "only monolithicSparse"),
        (b'RW 1 SPARSE "a"\nparentFileNameHint="/etc/passwd"', "as its parent"),
        (b'RW 1 SPARSE "a"\nPARENTCID = 12345678', "as its parent"),
    ],
)
def test_every_line_of_a_vmdk_descriptor_counts(tmp_path: Path, line: bytes, reason: str) -> None:
    content = vmdk(tmp_path)
    descriptor = EXTENT.sub(lambda _: b"\n" + line + b"\n", content[512 : 512 + 20 * 512].rstrip(b"\0"))
    found = inspect(patched(content, 512, descriptor.ljust(20 * 512, b"\0")))
    assert reason in (found.unsafe or ""), found


@pytest.mark.parametrize(
    ("at", "data"),
    [(12, bytes(8)), (28, struct.pack("<Q", 2)), (28, bytes(8)), (36, bytes(8)), (36, b"\xff" * 8)],
)
def test_a_vmdk_without_its_descriptor_in_place_is_unsafe(tmp_path: Path, at: int, data: bytes) -> None:
    assert "descriptor is missing" in (inspect(patched(vmdk(tmp_path), at, data)).unsafe or "")


def test_a_vmdk_stream_with_a_footer(tmp_path: Path) -> None:
    assert inspect(stream(tmp_path)) == Inspected("vmdk", 24 * MIB)
    assert "footer is missing" in (inspect(stream(tmp_path)[:-512]).unsafe or "")
    bigger = stream(tmp_path, lambda footer: patched(footer, 12, struct.pack("<Q", 1 << 40)))
    assert "contradicts" in (inspect(bigger).unsafe or "")
    endless = stream(tmp_path, lambda footer: patched(footer, 56, b"\xff" * 8))
    assert "contradicts" in (inspect(endless).unsafe or "")


@pytest.mark.parametrize("text", [b"# Disk DescriptorFile\n", b"\n \n# x\r\nversion=1\r\n", b"version=3\n"])
def test_a_vmdk_descriptor_alone_is_unsafe(text: bytes) -> None:
    assert "other files" in (inspect(text + b'createType="monolithicFlat"\nRW 1 FLAT "/etc/passwd" 0\n').unsafe or "")


def test_differencing_disks_are_unsafe(tmp_path: Path) -> None:
    vhd = patched(make(tmp_path, "vpc").read_bytes(), 60, struct.pack(">I", 4))
    vdi = patched(make(tmp_path, "vdi").read_bytes(), 0x4C, struct.pack("<I", 4))
    content = make(tmp_path, "vhdx").read_bytes()
    page83 = bytes.fromhex("ab12cabee6b22345 93efc309e000c746")
    assert page83 in content
    locator = bytes.fromhex("2d5fd3a80bb34d45 abf7d3d84834ab0c")
    for each in (vhd, vdi, content.replace(page83, locator)):
        assert "differencing" in (inspect(each).unsafe or "")


def test_a_file_is_told_without_reading_all_of_it(corpus: list[tuple[bytes, Inspected]], tmp_path: Path) -> None:
    for content, whole in corpus:
        (tmp_path / "file").write_bytes(content)
        assert Inspector.of(tmp_path / "file") == whole


@pytest.mark.parametrize(("format", "name"), [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vpc", "vhd"), ("raw", "raw")])
def test_what_a_host_reads_a_file_as(tmp_path: Path, format: str, name: str) -> None:
    assert Inspector.of(make(tmp_path, format)).read_as == name
    (tmp_path / "cd").write_bytes(iso())
    assert Inspector.of(tmp_path / "cd").read_as == "raw"


@pytest.mark.parametrize("container", ["ova", "docker", "compressed"])
def test_what_is_packed_is_not_looked_into_but_is_nothing_else(tmp_path: Path, container: str) -> None:
    check("vmdk", inspect(b"PK\3\4" + bytes(1000)), container)
    with pytest.raises(UnsafeImage, match="does not match"):
        check("vmdk", inspect(vmdk(tmp_path)), container)
    with pytest.raises(UnsafeImage, match="safety checks"):
        check("qcow2", inspect(make(tmp_path, "qcow2", BACKED).read_bytes()), container)


def test_a_damaged_vhdx_is_unsafe(tmp_path: Path) -> None:
    content = make(tmp_path, "vhdx").read_bytes()
    for damaged in (content[:100_000], content[: 3 * MIB], content.replace(b"metadata", b"metadatb")):
        found = inspect(damaged)
        assert found.format == "vhdx"
        assert "damaged" in (found.unsafe or "") or "cut short" in (found.unsafe or "")


@pytest.mark.parametrize("magic", [b"QFI\xfb", b"QED\0", b"KDMV", b"vhdxfile", b"conectix"])
def test_a_header_that_is_cut_short_is_unsafe(magic: bytes) -> None:
    found = inspect(magic)
    assert found.format != "raw"
    assert found.unsafe


@pytest.mark.parametrize("other", ["qcow2", "vmdk", "vdi", "vpc", "vhdx", "qed"])
def test_a_file_of_two_formats_is_unsafe(tmp_path: Path, other: str) -> None:
    header = make(tmp_path, other).read_bytes()[:16384]
    both = inspect(header + iso()[len(header) :])
    assert "Multiple formats" in (both.unsafe or "")
    for declared in ("iso", "raw", both.format):
        with pytest.raises(UnsafeImage, match="Multiple formats"):
            check(declared, both)
    assert "Multiple formats" in (inspect(header + b"conectix".ljust(512, b"\0")).unsafe or "") or other == "vpc"


def test_a_partition_table_in_another_format_is_unsafe(tmp_path: Path) -> None:
    content = patched(make(tmp_path, "qcow2").read_bytes(), PARTITION, partitioned()[PARTITION:512])
    assert "qcow2, mbr" in (inspect(content).unsafe or "")


SAMPLES = {
    "raw": Inspected("raw", MIB),
    "disk": Inspected("raw", MIB, partitions="gpt"),
    "iso": Inspected("iso", MIB),
    "hybrid": Inspected("iso", MIB, partitions="mbr"),
    "fixed vhd": Inspected("vhd", MIB, partitions="mbr"),
    "luks": Inspected("luks", MIB),
    "qcow2": Inspected("qcow2", MIB),
    "vmdk": Inspected("vmdk", MIB),
}
ACCEPTED = {
    "raw": {"raw", "disk", "iso", "hybrid", "luks"},
    "gpt": {"disk", "hybrid"},
    "iso": {"iso", "hybrid"},
    "qcow2": {"qcow2"},
    "vmdk": {"vmdk"},
    "vhd": {"fixed vhd"},
    "vhdx": set(),
    "vdi": set(),
    "ploop": set(),
    "ami": set(SAMPLES),
    "aki": set(SAMPLES),
    "ari": set(SAMPLES),
}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("declared", ACCEPTED)
def test_content_must_be_what_was_declared(declared: str, sample: str) -> None:
    if sample in ACCEPTED[declared]:
        check(declared, SAMPLES[sample])
    else:
        with pytest.raises(UnsafeImage, match=f"disk_format {declared} does not match stream data"):
            check(declared, SAMPLES[sample])


@pytest.mark.parametrize("declared", ACCEPTED)
def test_what_reaches_for_other_files_is_refused_whatever_it_was_declared(declared: str) -> None:
    """A hypervisor knows a qcow2 by its first bytes, whatever its owner called it."""
    with pytest.raises(UnsafeImage, match="backing file"):
        check(declared, Inspected("qcow2", MIB, "it has a backing file; convert it to one file that stands alone"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, Inspected]]:
    """Images of each kind, and what one look at the whole of them gives."""
    contents = [make(tmp_path_factory.mktemp("a"), format, o).read_bytes() for format, o, _ in MADE_BY_QEMU]
    contents += [partitioned(), iso(), stream(tmp_path_factory.mktemp("b")), b"version=1\n"]
    contents = [content[: 6 * MIB] for content in contents]
    return [(content, inspect(content, len(content))) for content in contents]


@settings(deadline=None)
@given(data=st.data())
def test_chunk_boundaries_never_change_the_verdict(corpus: list[tuple[bytes, Inspected]], data: st.DataObject) -> None:
    content, whole = data.draw(st.sampled_from(corpus))
    cuts = data.draw(st.lists(st.integers(0, len(content)) | st.integers(0, min(len(content), 1024)), max_size=30))
    inspector = Inspector()
    edges = [0, *sorted(cuts), len(content)]
    for start, end in itertools.pairwise(edges):
        inspector.feed(content[start:end])
    assert inspector.finish() == whole


def test_a_vhdx_that_points_backwards_gets_the_same_verdict_however_it_is_cut(tmp_path: Path) -> None:
    content = make(tmp_path, "vhdx").read_bytes()
    metadata = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
    at = content.index(metadata, 192 << 10)
    size = content.index(bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8"))
    table_before_itself = patched(content, at + 16, struct.pack("<Q", 4096))
    item_in_its_table = patched(content, size + 16, struct.pack("<I", 64))
    for each in (table_before_itself, item_in_its_table):
        found = inspect(each, len(each))
        assert (found.format, found.unsafe is None) == ("vhdx", False)
        for chunk in (4096, 65536, 100_000, MIB):
            assert inspect(each, chunk) == found


def test_single_bytes_make_no_difference() -> None:
    for content in (iso()[:40000], partitioned()[:2000], b"# Disk DescriptorFile\n", b"QFI\xfb" + bytes(100)):
        assert inspect(content, 1) == inspect(content, len(content))


MAGICS = [b"QFI\xfb", b"KDMV", b"COWD", b"conectix", b"vhdxfile", b"QED\0", b"LUKS\xba\xbe", b"version=", b""]


@settings(deadline=None)
@given(magic=st.sampled_from(MAGICS), garbage=st.binary(max_size=2000), cut=st.integers(1, 2000))
@example(magic=b"KDMV", garbage=b"\xff" * 1996, cut=7)
def test_garbage_never_raises(magic: bytes, garbage: bytes, cut: int) -> None:
    found = inspect(magic + garbage, cut)
    assert 0 <= found.virtual_size < 2**63
    assert found == inspect(magic + garbage, 4096)


@settings(deadline=None)
@given(noise=st.lists(st.tuples(st.integers(0, 4 * MIB), st.binary(min_size=1, max_size=64)), max_size=8), data=st.data())
def test_damaged_images_never_raise(corpus: list[tuple[bytes, Inspected]], noise: list[tuple[int, bytes]], data: st.DataObject) -> None:
    content, _ = data.draw(st.sampled_from(corpus))
    for at, bytes_ in noise:
        content = patched(content, at % (len(content) + 1), bytes_)
    assert 0 <= inspect(content, 1 << 20).virtual_size < 2**63


def test_memory_stays_bounded(corpus: list[tuple[bytes, Inspected]]) -> None:
    greedy = patched(b"KDMV".ljust(MIB, b"#"), 12, struct.pack("<QQQQ", 1, 0, 1, 128))
    for content in [content for content, _ in corpus] + [greedy]:
        inspector = Inspector()
        tracemalloc.start()
        for at in range(0, len(content), 4096):
            inspector.feed(content[at : at + 4096])
        for _ in range(1000):
            inspector.feed(content[:4096])
        inspector.finish()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 256 << 10
