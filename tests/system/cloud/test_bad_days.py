"""What `up` and its companions say on a bad day: always why, and what to do."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from .conftest import SIMULATED
from .world import Cloud, alive, eventually, kill


def refused(cloud: Cloud, *flags: str, **more) -> str:
    """What `up` says when it does not start the cloud; nothing of it runs on. It does not wait for what cannot come."""
    done = cloud.command("up", "--detach", *cloud.flags, *flags, **more)
    assert done.returncode == 1, done.stdout
    assert "was not ready within" not in done.stderr
    assert cloud.command("status").returncode == 3
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_that_is_taken(cloud):
    with socket.create_server(("127.0.0.1", 5000)):
        said = refused(cloud)
    assert "127.0.0.1:5000: Address already in use" in said
    assert "--listen HOST:PORT" in said


def test_a_port_that_is_none(cloud):
    assert "a port is a number from 1 to 65535" in refused(cloud, "--listen", "127.0.0.1:70000")


def test_a_directory_of_a_newer_version(cloud):
    (cloud.data / "version").write_text("99\n")
    said = refused(cloud)
    assert "was made by a newer Cumulet (layout 99, this one knows 1)" in said
    assert "upgrade Cumulet" in said


def test_a_database_of_a_newer_version(cloud):
    cloud.up()
    cloud.down()
    import sqlite3

    with sqlite3.connect(cloud.data / "control/cumulet.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    said = refused(cloud)
    assert "The control process ended (status 1)" in said
    assert "The database has revision 9999, made by a newer Cumulet" in said


def test_two_starts_of_one_directory(cloud):
    argv = [sys.executable, "-m", "cumulet", "up", "--detach", "--data", str(cloud.data), *cloud.flags]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = ["".join(process.communicate(timeout=60)) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 1]), said
    assert codes == [0, 0] or any("Another cumulet command is at work" in text for text in said), said
    assert cloud.command("status").returncode == 0


def test_a_second_start_does_nothing(cloud):
    cloud.up()
    before = cloud.pids()
    assert f"The cloud in {cloud.data} is up." in cloud.up()
    assert cloud.pids() == before


def test_other_settings_than_those_that_run(cloud):
    cloud.up()
    done = cloud.command("up", "--detach", "--listen", "127.0.0.1:5001")
    assert done.returncode == 1
    assert "runs with another --listen: run `cumulet down" in done.stderr
    assert cloud.command("status").returncode == 0


def test_a_directory_that_cannot_be_written(cloud, readable):
    done = as_nobody(cloud, "up", "--detach", *SIMULATED)
    assert done.returncode == 1
    assert f"{cloud.data} cannot be written by this user" in done.stderr


def test_a_data_directory_that_is_a_file(cloud, tmp_path):
    (tmp_path / "file").touch()
    done = Cloud(tmp_path / "file").command("up", "--detach", *SIMULATED)
    assert done.returncode == 1
    assert "Not a directory: name another directory with --data" in done.stderr


def test_a_path_that_is_too_long_for_sockets(tmp_path):
    done = Cloud(tmp_path / ("long" * 25)).command("up", "--detach", *SIMULATED)
    assert done.returncode == 1
    assert "too long for the sockets in it: name a shorter one with --data" in done.stderr


def test_without_privilege_real_guests_are_refused_and_simulated_ones_run(cloud, readable):
    cloud.data.chmod(0o777)
    done = as_nobody(cloud, "up", "--detach")
    assert done.returncode == 1
    assert "need root" in done.stderr
    assert "--hypervisor simulated --network simulated" in done.stderr
    done = as_nobody(cloud, "up", "--detach", *SIMULATED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in cloud.pids().values()} == {NOBODY}
    me = cloud.connect()
    assert me.compute.find_flavor("m1.tiny")
    assert as_nobody(cloud, "down").returncode == 0


def test_a_full_disk(cloud):
    script = 'mount -t tmpfs -o size=64k tmpfs "$1" && shift && exec "$@"'
    argv = [sys.executable, "-m", "cumulet", "up", "--detach", *SIMULATED, "--data", str(cloud.data)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(cloud.data), *argv], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "The disk is full" in done.stderr


def test_programs_that_are_missing_are_named_before_anything_starts(cloud):
    absent = [shutil.which(program) or "" for program in ("qemu-system-x86_64", "dnsmasq", "radvd")]
    script = 'for program in "$1" "$2" "$3"; do mount --bind /dev/null "$program"; done; shift 3; exec "$@"'
    argv = [sys.executable, "-m", "cumulet", "up", "--detach", "--data", str(cloud.data)]
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *absent, *argv], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "not installed: qemu-system-x86_64, dnsmasq, radvd" in done.stderr
    assert "apt-get install dnsmasq-base qemu-system-x86 radvd" in done.stderr
    assert not (cloud.data / "run").exists()


def test_a_process_that_ends_at_once_is_told_of_at_once(cloud):
    cloud.data.joinpath("policy.yaml").write_text("- not a mapping\n")
    said = refused(cloud)
    assert "The control process ended" in said
    assert "must map rule names to rules" in said


def test_a_clouds_yaml_that_cannot_be_read(cloud):
    (cloud.data / "clouds.yaml").write_text("clouds: [\n")
    assert "clouds.yaml cannot be read" in refused(cloud)


def test_a_setting_that_is_none(cloud):
    (cloud.data / "cumulet.toml").write_text('hypervisor = "vmware"\n')
    done = cloud.command("up", "--detach")
    assert done.returncode == 1
    assert "cumulet.toml" in done.stderr
    assert "hypervisor" in done.stderr


def test_children_end_with_a_supervisor_that_is_killed_and_up_recovers(cloud):
    cloud.up()
    before = cloud.pids()
    kill(before["supervisor"])
    eventually("children gone", lambda: not any(alive(pid) for pid in before.values()), 5, 0.02)
    assert cloud.command("status").returncode == 3
    cloud.up()
    assert set(cloud.pids().values()).isdisjoint(before.values())
    assert cloud.connect().compute.find_flavor("m1.tiny")


@pytest.mark.parametrize("name", ["control", "agent"])
def test_a_child_that_is_killed_is_started_again(cloud, name):
    cloud.up()
    before = cloud.pids()[name]
    kill(before)
    eventually("started again", lambda: (cloud.pids()[name] or before) != before, 5, 0.05)
    eventually("in order", lambda: cloud.command("status").returncode == 0, 20)
    assert f"{name} " in (said := cloud.good("status"))
    assert "started again 1 times, the last time (signal 9)" in said
    assert "a process ended and is started again" in cloud.good("logs", "supervisor")


@pytest.mark.parametrize("which", [0, 1, -1], ids=["first", "worker", "api"])
def test_the_processes_of_the_control_plane_live_and_die_together(cloud, which):
    cloud.up("--hosts", "1")
    before = cloud.control()
    assert len(before) == 2 + min(4, len(os.sched_getaffinity(0)))
    kill(before[which])
    eventually("all gone", lambda: not any(alive(pid) for pid in before), 15, 0.02)
    eventually("started again", lambda: len(cloud.control()) == len(before), 10)
    eventually("in order", lambda: cloud.command("status").returncode == 0, 20)
    assert cloud.connect().compute.find_flavor("m1.tiny")


def test_one_process_that_answers_is_enough_and_all_count_together(cloud):
    (cloud.data / "cumulet.toml").write_text("api_processes = 3\n")
    cloud.up()
    assert len(cloud.control()) == 5
    for answered in (8, 16):
        for _ in range(8):
            get(cloud, "/healthz")
        assert f'cumulet_request_seconds_count{{operation="root.health",service="root",status="200"}} {answered}.0' in get(
            cloud, "/metrics"
        )


def get(cloud: Cloud, path: str) -> str:
    """What a path at the top of the port answers, on a connection of its own."""
    with urllib.request.urlopen(cloud.connect().auth["auth_url"].partition("/identity")[0] + path) as answer:
        return answer.read().decode()


def test_the_foreground_ends_with_its_terminal(cloud):
    argv = [sys.executable, "-m", "cumulet", "up", "--data", str(cloud.data), *cloud.flags]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        front = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually("up", lambda: cloud.command("status").returncode == 0, 30)
        pids = cloud.pids()
        front.send_signal(number)
        front.wait(30)
        eventually("all gone", lambda pids=pids: not any(alive(pid) for pid in pids.values()), 20)


def test_logs_do_not_grow_without_bound(cloud, monkeypatch):
    cloud.up()
    log = cloud.data / "log/control.log"
    with log.open("ab") as file:
        file.truncate(17 << 20)
    kill(cloud.pids()["agent"])  # the supervisor looks whenever something happens
    eventually("a log begun anew", lambda: log.stat().st_size < 1 << 20, 10)
    assert (cloud.data / "log/control.log.1").stat().st_size >= 17 << 20  # and what was logged since
    assert "control process is up" not in cloud.good("logs", "control")


def test_doctor_names_what_is_wrong_and_what_to_run(cloud):
    done = cloud.command("doctor")
    assert done.returncode == 1
    assert f"No cloud runs in {cloud.data}.\n    cumulet up --data {cloud.data} --detach" in done.stdout
    cloud.up()
    assert cloud.good("doctor") == "Nothing is wrong.\n"
    (cloud.data / "clouds.yaml").chmod(0o644)
    assert f"chmod 600 {cloud.data}/clouds.yaml" in cloud.good("doctor")
    processes = cloud.control()
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    done = cloud.command("doctor")
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode == 1
    assert "The APIs do not answer" in done.stdout
    assert "cumulet logs control" in done.stdout


NOBODY = 65534


@pytest.fixture
def readable() -> None:
    """Leaves a test out where the interpreter is in a directory that only root may enter."""
    try:
        subprocess.run([sys.executable, "-c", ""], user=NOBODY, group=NOBODY, extra_groups=[], check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip(f"{sys.executable} cannot be run by other users than root")


def as_nobody(cloud: Cloud, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return cloud.command(*words, user=NOBODY, group=NOBODY, extra_groups=[], env=environment)
