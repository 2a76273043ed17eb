"""The QEMU driver on real guests: the suite of every driver, and what is QEMU's own."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from compute_conformance import Conformance, booted, machine, power_of, until
from compute_namespace import own_network
from compute_world import CONTROL, UIDS, QemuWorld, acting_as, images_of, qemu_world, tap_name

from cumulet.compute.drivers import qcow2
from cumulet.compute.drivers.base import DriverError, Nic, Power, RootDisk, Throttle
from cumulet.compute.drivers.qemu import QemuDriver, console
from cumulet.compute.drivers.qemu.qmp import connect_unix
from cumulet.image.drivers.base import ImageSource
from cumulet.kernel.process import run

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="taps, control groups and changing the user need root"),
]


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
async def world() -> AsyncIterator[QemuWorld]:
    with qemu_world() as made:
        yield made
        await made.clear()


class TestQemu(Conformance):
    """The suite that every driver passes."""


async def test_a_guest_outlives_the_process_that_made_it(world: QemuWorld) -> None:
    spec = machine(world)
    program = (
        "import asyncio, sys, os, signal, msgspec\n"
        "from pathlib import Path\n"
        "from cumulet.compute.drivers.base import Machine\n"
        "from cumulet.compute.drivers.qemu import QemuDriver\n"
        "from cumulet.image.drivers.cache import ImageCache\n"
        "async def hear(id, power): pass\n"
        "async def main():\n"
        "    images = ImageCache(Path(sys.argv[1]) / 'images')\n"
        "    images.open()\n"
        "    driver = QemuDriver(Path(sys.argv[1]), 'host-1', str, 'nobody', range(2100000000, 2100000100), images, 'tcg')\n"
        "    await driver.open(hear)\n"
        "    await driver.start(msgspec.json.decode(sys.argv[2], type=Machine))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    arguments = [sys.executable, "-c", program, str(world.path / "host"), msgspec.json.encode(spec).decode()]
    done = await asyncio.to_thread(subprocess.run, arguments, timeout=60)
    assert done.returncode == -signal.SIGKILL
    driver = await world.driver()
    assert await power_of(driver, spec.id) == Power.RUNNING
    await booted(driver, spec.id)
    await driver.stop(spec.id, 10)
    await driver.destroy(spec.id)
    assert world.leftovers(spec.id) == []


async def test_a_guest_that_died_while_nobody_watched_has_crashed(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    await world.close()
    await world.crash(spec.id)
    driver = await world.driver()
    assert await power_of(driver, spec.id) == Power.CRASHED
    await driver.start(spec)
    assert await power_of(driver, spec.id) == Power.RUNNING


async def test_leftovers_of_a_crash_are_cleared_or_built_on(world: QemuWorld) -> None:
    servers, spec = world.path / "host/servers", machine(world)
    (servers / "11111111-1111-4111-8111-111111111111").mkdir(parents=True)
    half = servers / spec.id
    half.mkdir()
    for name in ("machine.json.part", "root.0.qcow2.part", "memory.part", "qmp.sock"):
        (half / name).write_bytes(b"half")
    (half / "machine.json").write_bytes(b"")
    driver = await world.driver()
    assert [(found.id, found.power) for found in await driver.list()] == [(spec.id, Power.CRASHED)]
    with pytest.raises(DriverError, match="destroy the server, or put the file back"):
        await driver.start(spec)
    await driver.destroy(spec.id)
    await driver.start(spec)
    await booted(driver, spec.id)


async def test_qemu_has_no_rights_and_its_files_no_other_readers(world: QemuWorld) -> None:
    driver, specs = await world.driver(), [machine(world, volumes=(world.volume(),), config_drive={"a": "Yg=="}) for _ in range(2)]
    for spec in specs:
        await driver.start(spec)
    pids = [world.processes()[spec.id].pid for spec in specs]
    users = [_only_user(pid) for pid in pids]
    assert users[0] != users[1] and {*users} <= {*UIDS}
    for pid in pids:
        status = _status(pid)
        assert int(status["CapEff"], 16) == 0 and status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
        assert [line.partition(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")[:-1]] == [b"PATH"]
    kept = [path for name in ("host/**/*", "volume-*") for path in world.path.glob(name) if not path.is_dir()]
    assert {"machine.json", "root.0.qcow2", "config.iso", "image-image-1.raw", "qmp.sock", "vnc.sock"} <= {path.name for path in kept}
    assert [path for path in world.path.glob("host/**/*") if path.stat().st_uid in users] == []
    for user, other in zip(users, reversed(pids), strict=True):
        assert _reached_as(user, kept) == []
        with acting_as(user, user), pytest.raises(PermissionError):
            os.kill(other, signal.SIGKILL)


async def test_the_control_plane_reaches_consoles_and_nothing_else(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    entry = pwd.getpwnam(CONTROL)
    kept = sorted(path for path in (world.path / "host/servers" / spec.id).iterdir() if not path.is_dir())
    assert [path.name for path in _reached_as(entry.pw_uid, kept, entry.pw_gid)] == ["serial.sock", "vnc.sock"]


async def test_each_server_keeps_a_user_id_until_it_is_destroyed(world: QemuWorld) -> None:
    await world.driver()
    driver, first, second = (
        QemuDriver(world.path / "host", "host-1", tap_name, CONTROL, UIDS[:1], images_of(world.path / "host"), "tcg"),
        machine(world),
        machine(world),
    )
    await driver.open(world._hear)
    for call in (driver.start(first), driver.reboot(first, hard=True)):
        await call
        assert _only_user(world.processes()[first.id].pid) == UIDS[0]
    with pytest.raises(DriverError, match="guest_uids"):
        await driver.start(second)
    await driver.destroy(first.id)
    await driver.start(second)
    assert _only_user(world.processes()[second.id].pid) == UIDS[0]
    await driver.close()


def _status(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def _only_user(pid: int) -> int:
    """The one user id of a process, of which its group has the number too."""
    status = _status(pid)
    [number] = {*status["Uid"].split(), *status["Gid"].split()}
    assert {*status["Groups"].split()} <= {number, str(os.stat("/dev/kvm").st_gid) if os.path.exists("/dev/kvm") else number}
    return int(number)


def _reached_as(uid: int, paths: list[Path], gid: int | None = None) -> list[Path]:
    """Those of the files and sockets that a user can open, or connect to."""
    reached = []
    with acting_as(uid, uid if gid is None else gid):
        for path in paths:
            with suppress(PermissionError), socket.socket(socket.AF_UNIX) as client:
                connect_unix(client, path) if path.is_socket() else path.open("rb").close()
                reached.append(path)
    return reached


async def test_the_serial_console_is_a_conversation(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    await booted(driver, spec.id)
    with socket.socket(socket.AF_UNIX) as serial:
        connect_unix(serial, Path(await driver.console_path(spec.id, "serial")))
        serial.settimeout(10)
        serial.sendall(b"x")
        assert await asyncio.to_thread(serial.recv, 1) == b"x"
    with socket.socket(socket.AF_UNIX) as screen:
        connect_unix(screen, Path(await driver.console_path(spec.id, "vnc")))
        screen.settimeout(10)
        assert (await asyncio.to_thread(screen.recv, 4)) == b"RFB "


async def test_the_console_log_stays_within_bounds(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    await booted(driver, spec.id)
    path = world.path / f"host/servers/{spec.id}/console.log"
    with path.open("ab") as file:
        file.write(b"x" * 3 * console.KEPT_BYTES + b"\nlast line\n")
    console.trim(path)
    assert path.stat().st_size == console.KEPT_BYTES
    await driver.reboot(spec, hard=False)
    await booted(driver, spec.id, 2)
    assert (await driver.console_log(spec.id, 2)).startswith("last line\n")


async def test_disk_limits_reach_qemu(world: QemuWorld) -> None:
    driver, volume = await world.driver(), world.volume()
    limited = msgspec.structs.replace(volume, throttle=Throttle(read_iops=7, write_bytes=4096))
    spec = machine(world, volumes=(limited,))
    await driver.start(spec)
    assert await _limits(driver, spec.id) == [(7, 4096)]
    await driver.update(msgspec.structs.replace(spec, volumes=(volume,)))
    assert await _limits(driver, spec.id) == []


async def _limits(driver: QemuDriver, id: str) -> list[tuple[int, int]]:
    found = await driver._servers.guests[id].qmp.execute("query-block")
    inserted = [item["inserted"] for item in found if "inserted" in item]
    return [(one["iops_rd"], one["bps_wr"]) for one in inserted if one["iops_rd"] or one["bps_wr"]]


async def test_processor_limits_reach_the_kernel(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world, cpu_quota=0.5)
    await driver.start(spec)
    assert "50000" in _quota(world, spec.id)
    await driver.update(msgspec.structs.replace(spec, cpu_quota=None))
    assert "50000" not in _quota(world, spec.id)


def _quota(world: QemuWorld, id: str) -> str:
    groups = [Path(path) for path in world.leftovers(id) if path.startswith("/sys/fs/cgroup")]
    files = [group / name for group in groups for name in ("cpu.max", "cpu.cfs_quota_us")]
    return " ".join(path.read_text() for path in files if path.exists())


async def test_an_image_may_go_once_a_server_uses_it(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    await driver.stop(spec.id, 0)
    world.image().unlink()
    world.images.evict()
    await driver.start(spec)
    await booted(driver, spec.id)
    await driver.destroy(spec.id)
    world.images.evict()
    assert list((world.path / "host/images").iterdir()) == []


@pytest.mark.parametrize("format", ["qcow2", "vmdk", "vdi", "vhd", "vhdx"])
async def test_images_of_other_formats_boot(world: QemuWorld, format: str) -> None:
    path = world.path / f"image.{format}"
    await run("qemu-img", "convert", "-O", {"vhd": "vpc"}.get(format, format), str(world.image()), str(path))
    root = RootDisk(id="root", size_gib=1, image="other", source=ImageSource(id="other", path=str(path)))
    driver, spec = await world.driver(), machine(world, roots=(root,))
    await driver.start(spec)
    await booted(driver, spec.id)


async def test_an_image_that_names_another_file_is_refused(world: QemuWorld) -> None:
    path = world.path / "evil.qcow2"
    path.write_bytes(qcow2.empty(1 << 20, "/etc/passwd", "raw"))
    root = RootDisk(id="root", size_gib=1, image="evil", source=ImageSource(id="evil", path=str(path)))
    driver = await world.driver()
    with pytest.raises(DriverError, match="it has a backing file"):
        await driver.start(machine(world, roots=(root,)))


async def test_an_image_larger_than_its_disk_is_refused(world: QemuWorld) -> None:
    path = world.path / "large.qcow2"
    path.write_bytes(qcow2.empty(2 << 30))
    root = RootDisk(id="root", size_gib=1, image="large", source=ImageSource(id="large", path=str(path)))
    driver = await world.driver()
    with pytest.raises(DriverError, match="more than the 1 GiB"):
        await driver.start(machine(world, roots=(root,)))


async def test_a_new_epoch_makes_the_disk_anew(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    await booted(driver, spec.id)
    await driver.stop(spec.id, 0)
    await driver.start(msgspec.structs.replace(spec, roots=(msgspec.structs.replace(spec.roots[0], epoch=1),)))
    await booted(driver, spec.id, 1)
    assert [path.name for path in (world.path / f"host/servers/{spec.id}").glob("*.qcow2")] == ["root.1.qcow2"]


async def test_a_root_disk_grows_at_the_next_start(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    await booted(driver, spec.id)
    await driver.stop(spec.id, 0)
    await driver.start(msgspec.structs.replace(spec, roots=(msgspec.structs.replace(spec.roots[0], size_gib=3),)))
    await booted(driver, spec.id, 2)
    assert qcow2.read(world.path / f"host/servers/{spec.id}/root.0.qcow2").size == 3 << 30


async def test_a_missing_tap_is_named(world: QemuWorld) -> None:
    driver, port = await world.driver(), "99999999-9999-4999-8999-999999999999"
    with pytest.raises(DriverError, match=tap_name(port)):
        await driver.start(machine(world, nics=(Nic(port_id=port, mac="fa:16:3e:00:00:02"),)))


@pytest.mark.parametrize("kind", ["q35", "pc"])
@pytest.mark.parametrize("bus", ["virtio", "scsi", "ide"])
async def test_disk_buses_and_machine_types(world: QemuWorld, kind: str, bus: str) -> None:
    root = msgspec.structs.replace(machine(world).roots[0], bus=bus)
    spec = machine(world, roots=(root,), nics=(world.nic(),), properties={"hw_machine_type": kind})
    driver = await world.driver()
    await driver.start(msgspec.structs.replace(spec, config_drive={"a": "Yg=="}, cdrom_image_path=None))
    await booted(driver, spec.id)


async def test_a_guest_that_holds_on_to_a_volume_is_named(world: QemuWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cumulet.compute.drivers.qemu.hotplug.UNPLUG_SECONDS", 1)
    driver, spec = await world.driver(), machine(world, volumes=(world.volume(),))
    await driver.start(spec)
    await driver.pause(spec.id)
    with pytest.raises(DriverError, match="did not let go"):
        await driver.update(msgspec.structs.replace(spec, volumes=()))
    await driver.unpause(spec.id)
    await driver.update(msgspec.structs.replace(spec, volumes=()))
    assert (await driver.statistics(spec.id)).disks.keys() == {"root"}


async def test_destroy_does_not_wait_for_a_button(world: QemuWorld) -> None:
    """Delete wins over a stop that waits for a guest which does not listen."""
    driver, spec = await world.driver(), machine(world)
    path = world.path / "deaf"
    path.write_bytes(b"\xfa\xf4".ljust(510, b"\0") + b"\x55\xaa")
    root = RootDisk(id="root", size_gib=1, image="deaf", source=ImageSource(id="deaf", path=str(path)))
    await driver.start(msgspec.structs.replace(spec, roots=(root,)))
    stopping = asyncio.create_task(driver.stop(spec.id, 600))
    await until(lambda: _stopping(driver, spec.id))
    await asyncio.wait_for(driver.destroy(spec.id), 10)
    await asyncio.gather(stopping, return_exceptions=True)
    assert world.leftovers(spec.id) == []


async def _stopping(driver: QemuDriver, id: str) -> bool:
    return await power_of(driver, id) == Power.STOPPED


async def test_the_config_drive_has_its_files_and_label(world: QemuWorld) -> None:
    content = base64.b64encode("ünïcode\n".encode()).decode()
    driver, spec = await world.driver(), machine(world, config_drive={"openstack/latest/meta_data.json": content})
    await driver.start(spec)
    image = world.path / f"host/servers/{spec.id}/config.iso"
    assert image.read_bytes()[32808:32840].rstrip() == b"config-2"
    said = await run("isoinfo", "-R", "-i", str(image), "-x", "/openstack/latest/meta_data.json")
    assert said == "ünïcode\n"
    for name in ("../up", "/etc/passwd", ""):
        with pytest.raises(DriverError, match="not a path inside"):
            await driver.start(machine(world, config_drive={name: content}))


async def test_the_probe_says_why_guests_are_emulated_and_asks_once(world: QemuWorld) -> None:
    for seconds in (10, 1):
        driver = QemuDriver(world.path / "host", "host-1", tap_name, CONTROL, UIDS, images_of(world.path / "host"))
        async with asyncio.timeout(seconds):
            await driver.open(world._hear)
        await driver.close()
        kept = json.loads((world.path / "host/accelerator.json").read_bytes())
        assert (kept["name"] == "kvm") == (driver.accelerator_reason == "")
        assert kept["reason"] == driver.accelerator_reason


async def test_a_running_guest_sees_a_volume_grow(world: QemuWorld) -> None:
    volume = world.volume()
    driver, spec = await world.driver(), machine(world, volumes=(volume,))
    await driver.start(spec)
    path = Path(volume.connection["path"])
    os.truncate(path, 3 << 20)
    for _ in range(2):
        await driver.resize_disk(spec.id, volume.id, 3 << 20)
    blocks = await driver._servers.guests[spec.id].qmp.execute("query-block")
    assert 3 << 20 in [item["inserted"]["image"]["virtual-size"] for item in blocks if "inserted" in item]
    assert path.stat().st_size == 3 << 20


async def test_a_suspended_guest_wakes_on_the_hardware_it_went_to_sleep_on(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    await booted(driver, spec.id)
    await driver.suspend(spec.id)
    larger = msgspec.structs.replace(spec, memory_mib=96, vcpus=2, volumes=(world.volume(),), generation=2)
    await driver.update(larger)
    await driver.start(larger)
    assert (await driver.statistics(spec.id)).memory_mib == 64
    assert len((await driver.statistics(spec.id)).disks) == 2
    await driver.reboot(larger, hard=True)
    assert (await driver.statistics(spec.id)).memory_mib == 96


async def test_a_qemu_that_does_not_answer_is_ended(world: QemuWorld) -> None:
    driver, spec = await world.driver(), machine(world)
    await driver.start(spec)
    os.kill(world.processes()[spec.id].pid, signal.SIGSTOP)
    async with asyncio.timeout(20):
        await driver.stop(spec.id, 1)
    assert world.processes() == {}
    assert await power_of(driver, spec.id) == Power.STOPPED
    assert world.heard == []
