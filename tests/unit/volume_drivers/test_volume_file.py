"""The file driver: what is on the disk, before, after and in the middle of its calls."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cumulet.image.drivers.base import ImageSource
from cumulet.image.drivers.cache import ImageCache
from cumulet.kernel import ids
from cumulet.volume.drivers.base import Source, VolumeDriverError
from cumulet.volume.drivers.file import FileDriver
from unit.image_store.small_disk import small_disk

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def driver(tmp_path: Path) -> FileDriver:
    driver = FileDriver(tmp_path / "root", ImageCache(tmp_path / "images"))
    asyncio.run(driver.open())
    return driver


def path(driver: FileDriver, volume: str) -> Path:
    return Path(asyncio.run(driver.connection(volume, "host"))["path"])


def pattern(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + b"\x01" * (size % 251)


def write(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as out:
        out.seek(at)
        out.write(data)


def read(file: Path, at: int, length: int) -> bytes:
    with file.open("rb") as content:
        content.seek(at)
        return content.read(length)


def test_a_volume_is_sparse_and_private(driver: FileDriver) -> None:
    volume = ids.new()
    asyncio.run(driver.create(volume, 5, Source()))
    found = path(driver, volume).stat()
    assert (found.st_size, found.st_mode & 0o777) == (5 * GIB, 0o600)
    assert found.st_blocks * 512 < MIB


def test_a_volume_that_a_guest_has_open_can_be_copied(driver: FileDriver, tmp_path: Path) -> None:
    volume, snapshot = ids.new(), ids.new()
    asyncio.run(driver.create(volume, 1, Source()))
    file = path(driver, volume)
    write(file, 0, b"a guest's data")
    lock = f":{file.stat().st_ino} "
    with subprocess.Popen(["qemu-io", "-f", "raw", str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guest:
        while lock not in Path("/proc/locks").read_text():
            assert guest.poll() is None
        asyncio.run(driver.snapshot(snapshot, volume))
        asyncio.run(driver.copy_to_image(volume, str(tmp_path / "image"), "raw"))
    assert read(tmp_path / "image", 0, 14) == b"a guest's data"
    assert read(tmp_path / "root" / "snapshots" / f"{snapshot}.raw", 0, 14) == b"a guest's data"


def test_copies_hold_the_data_and_stay_sparse(driver: FileDriver) -> None:
    volume, snapshot, copy, clone = (ids.new() for _ in range(4))
    asyncio.run(driver.create(volume, 1, Source()))
    write(path(driver, volume), 700 * MIB, pattern(MIB))
    asyncio.run(driver.snapshot(snapshot, volume))
    write(path(driver, volume), 700 * MIB, b"later")
    asyncio.run(driver.create(copy, 2, Source(snapshot_id=snapshot)))
    asyncio.run(driver.create(clone, 1, Source(volume_id=volume)))
    assert read(path(driver, copy), 700 * MIB, MIB) == pattern(MIB)
    assert read(path(driver, clone), 700 * MIB, 5) == b"later"
    assert path(driver, copy).stat().st_size == 2 * GIB
    for each in (copy, clone):
        found = path(driver, each).stat()
        assert found.st_blocks * 512 < 4 * MIB
        assert found.st_mode & 0o777 == 0o600


def test_revert_brings_the_data_back_and_keeps_the_size(driver: FileDriver) -> None:
    volume, snapshot = ids.new(), ids.new()
    asyncio.run(driver.create(volume, 1, Source()))
    write(path(driver, volume), 0, b"before")
    asyncio.run(driver.snapshot(snapshot, volume))
    asyncio.run(driver.extend(volume, 2))
    write(path(driver, volume), 0, b"after!")
    asyncio.run(driver.revert(volume, snapshot))
    assert read(path(driver, volume), 0, 6) == b"before"
    assert path(driver, volume).stat().st_size == 2 * GIB


@pytest.mark.parametrize("format", ["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"])
def test_a_volume_from_an_image_and_back(driver: FileDriver, tmp_path: Path, format: str) -> None:
    raw, image, volume = tmp_path / "raw", tmp_path / "image", ids.new()
    raw.write_bytes(pattern(3 * MIB))
    qemu = {"vhd": "vpc"}.get(format, format)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", qemu, str(raw), str(image)], check=True)
    asyncio.run(driver.create(volume, 1, Source(image=ImageSource(id="i", path=str(image)))))
    assert read(path(driver, volume), 0, 3 * MIB) == pattern(3 * MIB)
    found = path(driver, volume).stat()
    assert (found.st_size, found.st_mode & 0o777) == (GIB, 0o600)
    assert found.st_blocks * 512 < 8 * MIB
    asyncio.run(driver.copy_to_image(volume, str(tmp_path / "back"), format))
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600
    subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", qemu, str(path(driver, volume)), str(tmp_path / "back")], check=True)
    assert sorted(os.listdir(tmp_path)) == ["back", "image", "raw", "root"]


def test_an_image_larger_than_the_volume_is_refused(driver: FileDriver, tmp_path: Path) -> None:
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "3G"], check=True)
    with pytest.raises(VolumeDriverError, match="needs 3 GiB, the volume has 2 GiB"):
        asyncio.run(driver.create(ids.new(), 2, Source(image=ImageSource(id="i", path=str(image)))))
    assert_nothing_left(driver, tmp_path)


def test_an_image_that_is_no_disk_is_refused(driver: FileDriver, tmp_path: Path) -> None:
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qed", str(image), "1M"], check=True)
    with pytest.raises(VolumeDriverError, match="image i failed safety checks: QED images cannot be used"):
        asyncio.run(driver.create(ids.new(), 1, Source(image=ImageSource(id="i", path=str(image)))))
    assert_nothing_left(driver, tmp_path)


def assert_nothing_left(driver: FileDriver, tmp_path: Path) -> None:
    assert asyncio.run(driver.list()) == {"volumes": [], "snapshots": []}
    assert os.listdir(tmp_path / "root" / "incoming") == []


def test_a_create_that_is_repeated_keeps_the_data(driver: FileDriver) -> None:
    volume = ids.new()
    asyncio.run(driver.create(volume, 1, Source()))
    write(path(driver, volume), 0, b"a guest's data")
    asyncio.run(driver.create(volume, 1, Source()))
    assert read(path(driver, volume), 0, 14) == b"a guest's data"


def test_a_create_that_comes_too_late_keeps_what_is_there(driver: FileDriver, tmp_path: Path) -> None:
    source, volume = ids.new(), ids.new()
    asyncio.run(driver.create(source, 1, Source()))
    write(path(driver, source), 0, pattern(64 * MIB))

    async def late() -> None:
        creating = asyncio.create_task(driver.create(volume, 1, Source(volume_id=source)))
        while not os.listdir(tmp_path / "root" / "incoming"):
            await asyncio.sleep(0)
        (tmp_path / "root" / "volumes" / f"{volume}.raw").write_bytes(b"a guest's data")
        await creating

    asyncio.run(late())
    assert path(driver, volume).read_bytes() == b"a guest's data"
    assert os.listdir(tmp_path / "root" / "incoming") == []


def test_two_creates_at_once_make_one_volume(driver: FileDriver, tmp_path: Path) -> None:
    volume = ids.new()

    async def both() -> None:
        await asyncio.gather(driver.create(volume, 1, Source()), driver.create(volume, 1, Source()))

    asyncio.run(both())
    assert asyncio.run(driver.list())["volumes"] == [volume]
    assert os.listdir(tmp_path / "root" / "incoming") == []


def test_a_cancelled_create_leaves_nothing(driver: FileDriver, tmp_path: Path) -> None:
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "1G"], check=True)

    async def cancel() -> None:
        creating = asyncio.create_task(driver.create(ids.new(), 1, Source(image=ImageSource(id="i", path=str(image)))))
        while not os.listdir(tmp_path / "root" / "incoming"):
            await asyncio.sleep(0)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating

    asyncio.run(cancel())
    assert_nothing_left(driver, tmp_path)


CREATE = """
import asyncio, sys
from pathlib import Path
from cumulet.image.drivers.cache import ImageCache
from cumulet.volume.drivers.base import Source
from cumulet.volume.drivers.file import FileDriver
driver = FileDriver(Path(sys.argv[1]), ImageCache(Path(sys.argv[1])))
asyncio.run(driver.create(sys.argv[2], 1, Source(volume_id=sys.argv[3])))
"""


def test_a_killed_create_is_finished_by_repeating_it(driver: FileDriver, tmp_path: Path) -> None:
    volume, source = ids.new(), ids.new()
    asyncio.run(driver.create(source, 1, Source()))
    write(path(driver, source), 0, pattern(64 * MIB))
    incoming = tmp_path / "root" / "incoming"
    killed = subprocess.Popen([sys.executable, "-c", CREATE, str(tmp_path / "root"), volume, source])
    while not os.listdir(incoming) and killed.poll() is None:
        pass
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert asyncio.run(driver.list())["volumes"] == [source]
    asyncio.run(driver.open())
    assert os.listdir(incoming) == []
    asyncio.run(driver.create(volume, 1, Source(volume_id=source)))
    assert read(path(driver, volume), 0, 64 * MIB) == pattern(64 * MIB)


@pytest.mark.parametrize("format", ["qcow2", "vmdk"])
def test_an_image_that_names_another_file_is_refused(driver: FileDriver, tmp_path: Path, format: str) -> None:
    image, secret = tmp_path / "image", tmp_path / "secret"
    subprocess.run(["qemu-img", "create", "-q", "-f", format, str(secret), "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", format, "-b", str(secret), "-F", format, str(image)], check=True)
    with pytest.raises(VolumeDriverError, match=r"it has a backing file|names another file as its parent"):
        asyncio.run(driver.create(ids.new(), 1, Source(image=ImageSource(id="i", path=str(image)))))


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_a_full_disk_is_named_with_what_is_free(tmp_path: Path, format: str) -> None:
    raw, image = tmp_path / "raw", tmp_path / "image"
    raw.write_bytes(os.urandom(16 * MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, str(raw), str(image)], check=True)
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        driver = FileDriver(disk / "root", ImageCache(disk / "images"))
        asyncio.run(driver.open())
        with pytest.raises(VolumeDriverError, match=rf"no space left in {disk}/root: 0\.0\d GiB free"):
            asyncio.run(driver.create(ids.new(), 1, Source(image=ImageSource(id="i", path=str(image)))))
        assert os.listdir(disk / "root" / "incoming") == []
        assert asyncio.run(driver.capacity()).free_gib > 7 / 1024


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VolumeDriverError, match=str(tmp_path / "file")):
        asyncio.run(FileDriver(tmp_path / "file" / "root", ImageCache(tmp_path / "images")).open())
