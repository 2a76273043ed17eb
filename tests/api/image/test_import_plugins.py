"""What is done to images on their way in: decompressed, converted, given properties; and what is refused there."""

from __future__ import annotations

import gzip
import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from image_imports import DIRECT, ask, left, make, stage, tasks

from cumulet.image.importing import decompression

RAW = (b"\0" * 510 + b"\x55\xaa") + bytes(range(256)) * 4096


@pytest.fixture
def convert(database_url: str, tmp_path):
    """A cloud that decompresses and converts, to raw unless its settings say otherwise."""
    made = []

    def start(**more):
        made.append(make(database_url, tmp_path, image_import={"plugins": ["image_conversion", "image_decompression"], **more}))
        return made[0], made[0].caller("/image/v2")

    yield start
    for cloud in made:
        cloud.close()


def imported(cloud, me, data: bytes, disk_format: str = "raw", **values) -> dict:
    """An image after its import, with the message of the task."""
    image = me.post("/images", {"disk_format": disk_format, "container_format": "bare"} | values).json()["id"]
    assert stage(me, image, data).status_code == 204
    assert ask(me, image, DIRECT).status_code == 202
    cloud.settle()
    shown = me.get(f"/images/{image}").json()
    there = [image for image in me.get("/images").json()["images"] if image["status"] == "active"]
    assert left(cloud) == {"staging": 0, "file": len(there)}
    return shown | {"message": tasks(me, image)[0]["message"]}


def disk(tmp_path: Path, kind: str, *options: str) -> bytes:
    """RAW as another format of disk."""
    source, target = tmp_path / "made.raw", tmp_path / f"made.{kind}"
    source.write_bytes(RAW)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, *options, source, target], check=True)
    return target.read_bytes()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


# -- conversion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "declared"), [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vpc", "vhd"), ("vhdx", "vhdx")])
def test_disks_are_converted(convert, tmp_path, kind, declared):
    cloud, me = convert()
    shown = imported(cloud, me, disk(tmp_path, kind), declared)
    assert (shown["status"], shown["disk_format"], shown["container_format"]) == ("active", "raw", "bare"), shown
    data = me.get(f"/images/{shown['id']}/file").content
    assert data[: len(RAW)] == RAW and shown["size"] == shown["virtual_size"] == len(data)


def test_to_qcow2(convert):
    cloud, me = convert(output_format="qcow2")
    shown = imported(cloud, me, RAW)
    assert (shown["status"], shown["disk_format"], shown["virtual_size"]) == ("active", "qcow2", -(-len(RAW) // 512) * 512)
    assert me.get(f"/images/{shown['id']}/file").content.startswith(b"QFI\xfb")


def test_what_is_no_disk_stays_what_it_is(convert):
    cloud, me = convert(output_format="qcow2")
    iso = bytes(0x8000) + b"\x01CD001\x01" + bytes(4096)
    assert imported(cloud, me, iso, "iso")["disk_format"] == "iso"
    assert imported(cloud, me, gzip.compress(b"kernel" * 100), "aki", container_format="aki")["size"] < 100


def test_a_lie_is_refused_before_anything_opens_it(convert, tmp_path):
    cloud, me = convert()
    for data, declared in ((disk(tmp_path, "vdi"), "qcow2"), (RAW, "qcow2"), (disk(tmp_path, "qcow2"), "raw")):
        shown = imported(cloud, me, data, declared)
        assert shown["status"] == "queued" and shown["disk_format"] == declared and "The image was refused" in shown["message"]


def test_a_disk_in_a_disk_is_refused(convert, tmp_path):
    inner = disk(tmp_path, "qcow2")
    (tmp_path / "inner").write_bytes(inner)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vdi", tmp_path / "inner", tmp_path / "outer"], check=True)
    cloud, me = convert()
    shown = imported(cloud, me, (tmp_path / "outer").read_bytes(), "vdi")
    assert shown["status"] == "queued" and "does not match stream data qcow2" in shown["message"]


def test_a_disk_that_is_too_large_is_refused(convert, tmp_path):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "huge", "2T"], check=True)
    cloud, me = convert()
    shown = imported(cloud, me, (tmp_path / "huge").read_bytes(), "qcow2")
    assert shown["status"] == "queued" and "limit is 1099511627776" in shown["message"]


def test_a_disk_that_is_damaged_inside_is_refused_in_words(convert, tmp_path):
    data = bytearray(disk(tmp_path, "qcow2"))
    table = int.from_bytes(data[40:48], "big")
    data[table : table + 8] = (1 << 63 | 1 << 9).to_bytes(8, "big")  # where its first table of clusters is: at no cluster's beginning
    cloud, me = convert()
    shown = imported(cloud, me, bytes(data), "qcow2")
    assert shown["status"] == "queued" and "could not be converted from qcow2 to raw" in shown["message"]


# -- decompression -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [gzip.compress(RAW), gzip.compress(RAW[:999]) + gzip.compress(RAW[999:]), zipped(disk=RAW)])
def test_what_is_compressed_is_decompressed(convert, data):
    cloud, me = convert()
    shown = imported(cloud, me, data)
    assert shown["status"] == "active" and me.get(f"/images/{shown['id']}/file").content == RAW


def test_decompressed_and_then_converted(convert, tmp_path):
    cloud, me = convert()
    shown = imported(cloud, me, gzip.compress(disk(tmp_path, "qcow2")), "qcow2")
    assert shown["disk_format"] == "raw" and me.get(f"/images/{shown['id']}/file").content[: len(RAW)] == RAW


def test_an_image_that_is_to_be_compressed_stays_so(convert):
    cloud, me = convert()
    assert imported(cloud, me, gzip.compress(RAW), container_format="compressed")["size"] < len(RAW)


@pytest.mark.parametrize(("data", "words"), [
    (zipped(a=b"1", b=b"2"), "the archive has 2 files"), (b"PK\x03\x04" + zipped(), "the archive has 0 files"), (gzip.compress(RAW)[:-20], "damaged"),
    (b"\x1f\x8b\x08" + bytes(100), "damaged"), (b"PK\x03\x04" + bytes(100), "damaged"), (zipped(**{f"{n:0200}": b"" for n in range(5000)}), "too long"),
    (zipped(disk=RAW)[:40] + zipped(disk=RAW)[60:], "damaged"),
])  # fmt: skip
def test_archives_that_are_refused(convert, data, words):
    cloud, me = convert()
    shown = imported(cloud, me, data)
    assert shown["status"] == "queued" and words in shown["message"], shown["message"]


@pytest.mark.parametrize("bomb", [gzip.compress(bytes(4 << 20)), zipped(disk=bytes(4 << 20))])
def test_bombs_are_refused(convert, bomb, monkeypatch):
    monkeypatch.setattr(decompression, "SMALL", 1 << 20)
    cloud, me = convert()
    shown = imported(cloud, me, bomb)
    assert shown["status"] == "queued" and "do not warrant" in shown["message"]


# -- properties ----------------------------------------------------------------------------------------------------


def test_properties_are_given_to_whoever_is_no_administrator(database_url, tmp_path):
    cloud = make(
        database_url, tmp_path, image_import={"plugins": ["inject_image_metadata"], "inject": {"hw_rng_model": "virtio", "os": "y"}}
    )
    me, admin = cloud.caller("/image/v2"), cloud.caller("/image/v2", "admin", project="admin")
    shown = imported(cloud, me, RAW, os="x", mine="z")
    assert (shown["hw_rng_model"], shown["os"], shown["mine"]) == ("virtio", "y", "z")
    me.delete(f"/images/{shown['id']}")
    assert "hw_rng_model" not in imported(cloud, admin, RAW)
    cloud.close()
