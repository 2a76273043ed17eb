"""The parts of the compute drivers that need no guest: qcow2 headers, places on buses, differences, logs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import DriverError, Machine, Nic, RootDisk, VolumeDisk
from cumulet.compute.drivers.qemu import console, hotplug
from cumulet.compute.drivers.qemu.devices import device_id
from cumulet.compute.drivers.qemu.disks import layers
from cumulet.compute.drivers.qemu.record import Record

IDS = [f"{n}0000000-0000-4000-8000-000000000000" for n in range(1, 6)]
MACHINE = Machine(id=IDS[0], name="guest-1", generation=1, vcpus=1, memory_mib=64)


def volume(id: str, **more: object) -> VolumeDisk:
    return VolumeDisk(id=id, connection={"driver": "file", "path": f"/{id}", "format": "raw"}, **more)


@pytest.mark.parametrize("size", [0, 512, 1 << 20, (1 << 29) + 512, 10 << 40])
def test_qemu_finds_empty_disks_sound(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk"
    path.write_bytes(qcow2.empty(size))
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", path]))
    assert (info["format"], info["virtual-size"], "backing-filename" in info) == ("qcow2", size, False)
    subprocess.run(["qemu-img", "check", "-q", path], check=True)
    assert qcow2.read(path) == qcow2.Header(size, None, None)


def test_what_a_disk_stands_on_is_found(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(bytes(1 << 20))
    (tmp_path / "middle").write_bytes(qcow2.empty(1 << 20, "base", "raw"))
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "middle", "-F", "qcow2", "top"]
    subprocess.run(argv, cwd=tmp_path, check=True)
    found = layers(tmp_path / "top", "qcow2")
    assert [(layer.path.name, layer.format) for layer in found] == [
        ("top", "qcow2"),
        ("middle", "qcow2"),
        ("base", "raw"),
    ]


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"x" * 4096])
def test_other_files_are_no_qcow2(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)
    with pytest.raises(ValueError, match="is not a qcow2 file"):
        qcow2.read(tmp_path / "disk")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_no_two_devices_share_a_place_and_none_moves(steps: list[tuple[bool, int]]) -> None:
    record, held = Record(machine=MACHINE), {}
    for plug, number in steps:
        device = f"disk-{number}"
        if plug:
            assert record.place("pci", device, 5, 14) == held.setdefault(device, record.places[f"pci/{device}"])
        else:
            record.release(device)
            held.pop(device, None)
        assert len(set(held.values())) == len(held)


def test_a_full_bus_says_so() -> None:
    record = Record(machine=MACHINE)
    record.place("pci", "disk-1", 5, 5)
    with pytest.raises(DriverError, match="no room for another device, its pci bus has 1 places"):
        record.place("pci", "disk-2", 5, 5)


def test_differences_go_by_what_is_plugged() -> None:
    root = RootDisk(id="root", size_gib=1)
    now = msgspec.structs.replace(MACHINE, roots=(root,), volumes=(volume(IDS[1]), volume(IDS[2])))
    nic = Nic(port_id=IDS[4], mac="fa:16:3e:00:00:01")
    wanted = msgspec.structs.replace(now, volumes=(volume(IDS[2]), volume(IDS[3])), nics=(nic,))
    one, two, three = (device_id("disk", id) for id in IDS[1:4])
    card = device_id("nic", IDS[4])
    present = {"config", "scsi", "balloon", device_id("disk", "root"), one, two}
    assert hotplug.differing(now, wanted, present) == ({one}, [volume(IDS[3])], [nic])
    cut_off = present - {one} | {three}
    assert hotplug.differing(now, wanted, cut_off) == ({one}, [], [nic])
    assert hotplug.differing(wanted, wanted, present - {one} | {three, card}) == (set(), [], [])
    changed = msgspec.structs.replace(now, volumes=(volume(IDS[1], read_only=True), volume(IDS[2])))
    assert hotplug.differing(now, changed, present) == ({one}, [volume(IDS[1], read_only=True)], [])


@given(st.lists(st.text("ab\n", max_size=30), max_size=20), st.integers(0, 30))
def test_the_tail_of_a_log(tmp_path_factory: pytest.TempPathFactory, parts: list[str], lines: int) -> None:
    path, text = tmp_path_factory.mktemp("log") / "console.log", "".join(parts)
    path.write_text(text)
    assert console.tail(path, None) == text
    wanted = text.splitlines(keepends=True)
    assert console.tail(path, lines) == "".join(wanted[max(0, len(wanted) - lines) :])


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert console.tail(tmp_path / "console.log", 5) == ""
    console.trim(tmp_path / "console.log")
