"""A user's whole way on real guests and networks, from nothing to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .journey import Journey, left_over
from .world import Cloud, eventually, host


@pytest.fixture(scope="module")
def journey(real: Cloud) -> Iterator[Journey]:
    """What all tests here walk on; whoever comes last takes it away and looks what is left."""
    before = host(real.data)
    made = Journey(real)
    made.prepare()
    yield made
    made.end()
    assert left_over(made) == {}
    eventually("a clean host", lambda: host(real.data) == before, 20)


@pytest.fixture(scope="module")
def server(journey: Journey):
    return journey.boot("a", metadata={"role": "first"}, has_config_drive=True)


@pytest.fixture(scope="module")
def address(journey: Journey, server) -> str:
    """A floating IP at which the server answers."""
    ip = journey.floating(server)
    journey.ssh(ip, "true")
    return ip


def test_a_server_is_reached_by_its_key_and_knows_its_name(journey, server, address):
    assert journey.ssh(address, "hostname").startswith(server.name)
    shown = journey.me.compute.get_server(server.id)
    assert address in [entry["addr"] for entry in shown.addresses[journey.name]]
    assert shown.power_state == 1


def test_what_a_guest_is_told_by_metadata_service_and_config_drive(journey, server, address):
    service = json.loads(journey.ssh(address, "wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json"))
    journey.ssh(address, "mkdir -p /tmp/c && mount -o ro LABEL=config-2 /tmp/c || mount -o ro $(blkid -L config-2) /tmp/c")
    drive = json.loads(journey.ssh(address, "cat /tmp/c/openstack/latest/meta_data.json; umount /tmp/c"))
    for told in (service, drive):
        assert told["uuid"] == server.id
        assert told["meta"] == {"role": "first"}
        assert list(told["public_keys"]) == [journey.name]
    assert journey.ssh(address, "wget -q -O - http://169.254.169.254/latest/meta-data/local-ipv4").startswith("10.77.0.")
    assert journey.ssh(address, "cat /root/marker") == journey.name


def test_the_console_log_has_what_the_guest_wrote(journey, server, address):
    def written() -> bool:
        return f"USER-DATA-{journey.name}" in (journey.me.compute.get_server_console_output(server)["output"] or "")

    eventually("user-data's line on the console", written, 30)
    assert len(journey.me.compute.get_server_console_output(server, length=3)["output"].splitlines()) <= 3


def test_a_security_group_that_no_longer_permits_blocks(journey, address):
    rules = [r for r in journey.me.network.security_group_rules(security_group_id=journey.group.id) if r.port_range_min == 22]
    journey.me.network.delete_security_group_rule(rules[0])
    eventually("SSH blocked", lambda: journey.ssh_once(address, "true").returncode == 255, 20)
    journey.me.network.create_security_group_rule(
        security_group_id=journey.group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=22, port_range_max=22
    )
    journey.ssh(address, "true", 30)


def test_a_volume_keeps_its_data_from_attachment_to_attachment(journey, server, address):
    def disks() -> set[str]:
        return set(journey.ssh(address, "ls /sys/block").split())

    volume, before = journey.volume(), disks()
    journey.attach(server, volume)
    (disk,) = eventually("a new disk", lambda: disks() - before, 30)
    journey.ssh(
        address, f"mke2fs /dev/{disk} >/dev/null 2>&1 && mount -t ext2 /dev/{disk} /mnt && echo kept > /mnt/proof && umount /mnt && sync"
    )
    journey.detach(server, volume)
    eventually("no such disk", lambda: disks() == before, 30)
    journey.attach(server, volume)
    (disk,) = eventually("a disk again", lambda: disks() - before, 30)
    assert journey.ssh(address, f"mount -t ext2 /dev/{disk} /mnt && cat /mnt/proof && umount /mnt") == "kept"
    journey.detach(server, volume)


def test_a_server_stops_and_starts_with_its_disk(journey, server, address):
    journey.ssh(address, "echo kept > /root/proof && sync")
    journey.me.compute.stop_server(server)
    journey.settled(server, "SHUTOFF")
    assert journey.cloud.guests() == {}
    journey.me.compute.start_server(server)
    journey.settled(server)
    assert journey.ssh(address, "cat /root/proof") == "kept"


def test_every_process_but_the_agent_is_without_privilege(journey, server, address):
    owner = {name: (f"/proc/{pid}") for name, pid in journey.cloud.pids().items()} | {"guest": f"/proc/{journey.cloud.guests()[server.id]}"}
    uids = {name: _uid(path) for name, path in owner.items()}
    assert uids["agent"] == 0
    assert uids["control"] != 0
    assert uids["guest"] != 0


def test_secrets_are_in_no_log_no_command_line_and_no_file_that_others_read(journey, server, address):
    cloud = journey.cloud
    clouds = (cloud.data / "clouds.yaml").read_text()
    secrets = [line.split(": ")[1] for line in clouds.splitlines() if "password:" in line] + [journey.me.auth_token]
    readable = [path for path in cloud.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o004]
    for secret in secrets:
        assert secret not in cloud.logged()
        assert not [path for path in readable if path.stat().st_size < 1 << 20 and secret.encode() in path.read_bytes()]
        assert not [pid for pid in cloud.pids().values() if secret.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]
    for name in ("clouds.yaml", "openrc", "cumulet.toml"):
        assert (cloud.data / name).stat().st_mode & 0o777 == 0o600


def _uid(process: str) -> int:
    with open(f"{process}/status") as file:
        return int(next(line for line in file if line.startswith("Uid:")).split()[2])
