"""What every volume driver does, whatever it keeps volumes on."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from cumulet.image.drivers.cache import ImageCache
from cumulet.image.formats import Inspector
from cumulet.kernel import ids
from cumulet.volume.drivers.base import Source, VolumeDriver, VolumeDriverError
from cumulet.volume.drivers.file import FileDriver
from cumulet.volume.drivers.simulated import SimulatedDriver

EMPTY = Source()


def make_driver(kind: str, root: Path) -> VolumeDriver:
    """A driver as a restarted process makes it: the same root finds the same volumes again."""
    driver = FileDriver(root, ImageCache(root / "images")) if kind == "file" else SimulatedDriver(state=root.with_suffix(".json"))
    asyncio.run(driver.open())
    return driver


@pytest.fixture(params=["file", "simulated"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def driver(kind: str, tmp_path: Path) -> VolumeDriver:
    return make_driver(kind, tmp_path / "back-end")


class TestVolumeDriver:
    def test_a_volume_is_listed_until_deleted(self, driver: VolumeDriver) -> None:
        volume = ids.new()
        asyncio.run(driver.create(volume, 1, EMPTY))
        assert asyncio.run(driver.list()) == {"volumes": [volume], "snapshots": []}
        asyncio.run(driver.delete(volume))
        assert asyncio.run(driver.list()) == {"volumes": [], "snapshots": []}

    def test_every_call_can_be_repeated(self, driver: VolumeDriver, tmp_path: Path) -> None:
        volume, snapshot, image = ids.new(), ids.new(), tmp_path / "image"
        calls = [
            lambda: driver.create(volume, 1, EMPTY),
            lambda: driver.snapshot(snapshot, volume),
            lambda: driver.extend(volume, 2),
            lambda: driver.revert(volume, snapshot),
            lambda: driver.copy_to_image(volume, str(image), "qcow2"),
            lambda: driver.delete_snapshot(snapshot),
            lambda: driver.delete(volume),
        ]
        for call in calls:
            asyncio.run(call())
            once = asyncio.run(driver.list())
            asyncio.run(call())
            assert asyncio.run(driver.list()) == once
        assert once == {"volumes": [], "snapshots": []}

    def test_volumes_survive_a_restart(self, driver: VolumeDriver, kind: str, tmp_path: Path) -> None:
        volume, snapshot = ids.new(), ids.new()
        asyncio.run(driver.create(volume, 3, EMPTY))
        asyncio.run(driver.snapshot(snapshot, volume))
        again = make_driver(kind, tmp_path / "back-end")
        assert asyncio.run(again.list()) == {"volumes": [volume], "snapshots": [snapshot]}
        with pytest.raises(VolumeDriverError, match="3 GiB and cannot shrink to 2 GiB"):
            asyncio.run(again.extend(volume, 2))

    def test_a_volume_never_shrinks(self, driver: VolumeDriver) -> None:
        volume = ids.new()
        asyncio.run(driver.create(volume, 2, EMPTY))
        asyncio.run(driver.extend(volume, 2))
        with pytest.raises(VolumeDriverError, match="2 GiB and cannot shrink to 1 GiB"):
            asyncio.run(driver.extend(volume, 1))

    @pytest.mark.parametrize("what", ["volume_id", "snapshot_id"])
    def test_a_source_must_fit(self, driver: VolumeDriver, what: str) -> None:
        source = ids.new()
        asyncio.run(driver.create(source, 2, EMPTY))
        asyncio.run(driver.snapshot(source, source))
        with pytest.raises(VolumeDriverError, match="needs 2 GiB, the volume has 1 GiB"):
            asyncio.run(driver.create(ids.new(), 1, Source(**{what: source})))
        asyncio.run(driver.create(ids.new(), 2, Source(**{what: source})))
        assert len(asyncio.run(driver.list())["volumes"]) == 2

    def test_a_volume_has_one_source(self, driver: VolumeDriver) -> None:
        with pytest.raises(VolumeDriverError, match="one thing"):
            asyncio.run(driver.create(ids.new(), 1, Source(volume_id=ids.new(), snapshot_id=ids.new())))

    def test_what_is_not_there_is_named(self, driver: VolumeDriver, tmp_path: Path) -> None:
        volume, missing = ids.new(), ids.new()
        asyncio.run(driver.create(volume, 1, EMPTY))
        calls = [
            driver.create(ids.new(), 1, Source(volume_id=missing)),
            driver.create(ids.new(), 1, Source(snapshot_id=missing)),
            driver.extend(missing, 2),
            driver.snapshot(ids.new(), missing),
            driver.revert(volume, missing),
            driver.revert(missing, ids.new()),
            driver.copy_to_image(missing, str(tmp_path / "image"), "raw"),
            driver.connection(missing, "host"),
        ]
        for call in calls:
            with pytest.raises(VolumeDriverError, match=missing):
                asyncio.run(call)
        assert asyncio.run(driver.list()) == {"volumes": [volume], "snapshots": []}

    @pytest.mark.parametrize("id", ["../../etc/passwd", "", "a/b", "x" * 36])
    def test_only_uuids_are_ids(self, driver: VolumeDriver, id: str) -> None:
        for call in (driver.create(id, 1, EMPTY), driver.delete(id), driver.snapshot(id, ids.new())):
            with pytest.raises(VolumeDriverError, match="not a UUID"):
                asyncio.run(call)

    @pytest.mark.parametrize("format", ["raw", "qcow2", "vmdk", "vdi", "vhd", "vpc"])
    def test_an_image_has_the_format_asked_for(self, driver: VolumeDriver, tmp_path: Path, format: str) -> None:
        volume, image = ids.new(), tmp_path / "image"
        asyncio.run(driver.create(volume, 1, EMPTY))
        asyncio.run(driver.copy_to_image(volume, str(image), format))
        if format == "raw":
            assert image.stat().st_size % 512 == 0
            return
        inspector = Inspector()
        inspector.feed(image.read_bytes())
        found = inspector.finish()
        assert (found.format, found.unsafe) == (format.replace("vpc", "vhd"), None)
        assert found.virtual_size >= 1 << 30
        subprocess.run(["qemu-img", "info", str(image)], check=True, capture_output=True)

    def test_an_unknown_image_format_is_named(self, driver: VolumeDriver, tmp_path: Path) -> None:
        volume = ids.new()
        asyncio.run(driver.create(volume, 1, EMPTY))
        with pytest.raises(VolumeDriverError, match="'floppy' is not one of raw, qcow2"):
            asyncio.run(driver.copy_to_image(volume, str(tmp_path / "image"), "floppy"))
        assert not (tmp_path / "image").exists()

    def test_capacity_is_of_something_real(self, driver: VolumeDriver) -> None:
        capacity = asyncio.run(driver.capacity())
        assert 0 < capacity.free_gib <= capacity.total_gib
        assert capacity.protocol
