"""The guest image as its users meet it: built, booted, logged in to, used as tempest uses it, switched off."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import BUILD
from .machine import Machine, config_drive, eventually

UUID = "7c1f6d3e-9a40-4e0c-8a55-2f1f0e6b9d11"
SCRIPT = "#!/bin/sh\necho once >> /root/marker\necho USER-DATA-one\n"


def metadata(keys: dict[str, Path], **more: str) -> dict[str, object]:
    text = "".join(key.with_suffix(".pub").read_text() for key in keys.values())
    return {"uuid": UUID, "hostname": "box.example", "public_keys": {'an "odd" {name}': text}, "keys": [], **more}


@pytest.fixture(scope="module")
def disk(overlay: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return overlay(tmp_path_factory.mktemp("disk") / "root.qcow2")


@pytest.fixture(scope="module")
def drive(keys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return config_drive(tmp_path_factory.mktemp("drive") / "config.iso", metadata(keys), SCRIPT)


@pytest.fixture(scope="module")
def machine(disk: Path, drive: Path, keys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("first") / "machine"
    config = f"file={drive},if=virtio,format=raw,readonly=on"
    guest = Machine(directory, disk, keys["ed25519"], "-drive", config)
    guest.wait_for("guest: ready")
    yield guest
    guest.kill()


def test_small_and_reproducible(image: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.qcow2"
    subprocess.run([sys.executable, BUILD, again], check=True)
    assert image.stat().st_size < 20_000_000
    assert image.read_bytes() == again.read_bytes()


def test_missing_tools_are_named_with_their_packages(tmp_path: Path) -> None:
    argv = [sys.executable, str(BUILD), str(tmp_path / "x.qcow2")]
    done = subprocess.run(argv, env={**os.environ, "PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "qemu-img" in done.stderr and "apt-get install" in done.stderr and "qemu-utils" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_ssh_with_a_key(machine: Machine, keys: dict[str, Path], kind: str) -> None:
    done = machine.ssh("sudo -n id -u", key=keys[kind])
    assert done.stdout == "0\n", done.stderr


def test_ssh_by_password_is_refused(machine: Machine) -> None:
    done = machine.ssh("true", "-o", "PubkeyAuthentication=no", "-o", "BatchMode=yes")
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_name_and_user_data(machine: Machine) -> None:
    assert machine.run("hostname") == "box.example"
    assert machine.root("cat /root/marker") == "once"
    assert "\nUSER-DATA-one\n" in machine.console()
    assert "Linux version" in machine.console()


def test_root_fills_the_disk(machine: Machine) -> None:
    eventually("a root file system of 1 GiB", lambda: int(machine.run("df -m / | awk 'END { print $2 }'")) > 900)


COMMANDS = {
    "ip -o link | awk '/eth0/ {print $2}'": "eth0:",
    "ip addr show eth0 | awk '/ether/ {print $2}'": "52:54:00:12:34:56",
    "ip -4 -o addr | awk '/eth0/ {print $4}'": "10.0.2.15/24",
    "ping -c1 -w5 -s56 10.0.2.2": "1 packets received",
    "ping6 -c1 -w5 -s56 ::1": "1 packets received",
    "sudo ping -I lo -c1 -w5 127.0.0.1": "1 packets received",
    "blkid -L config-2 -o device": "/dev/vdb",
    "sudo blkid": 'LABEL="config-2"',
    "grep -c -E [vs]d.$ /proc/partitions": "2",
    "lsblk --nodeps --noheadings --output NAME": "vda",
    "lsblk -o NAME,SIZE,MOUNTPOINT": "vda1",
    "sudo lsblk --fs --ascii": "guest-root",
    "curl -V": "curl",
    "cut -f1 -d. /proc/uptime": "",
    "nproc": "1",
    "grep -c ^processor /proc/cpuinfo": "1",
    "which sha256sum md5sum tar wget sync nc.traditional mkfs.ext4 mke2fs": "/usr/bin/mke2fs",
    "sudo -E env | grep ^USER=": "USER=root",
    "sudo -u guest id -un": "guest",
    "sudo -i pwd": "/root",
    "ip -6 addr show dev eth0": "inet6 fec0::5054:ff:fe12:3456/64",
    "sudo A=b sh -c 'echo $A $HOME'": "b /root",
    "cat ~guest/.ssh/authorized_keys": "ssh-ed25519 ",
    "cat /var/run/udhcpc.eth0.pid": "",
    "sudo /bin/kill -USR1 $(cat /var/run/udhcpc.eth0.pid)": "",
    "sudo sh -c 'echo $0'": "sh",
    "[[ ab == a* ]] && echo $BASH_VERSION": "5.",
}


@pytest.mark.parametrize(("command", "expected"), COMMANDS.items())
def test_commands_that_tempest_uses(machine: Machine, command: str, expected: str) -> None:
    assert expected in machine.run(command)


def test_shell_knows_pipefail(machine: Machine) -> None:
    assert machine.ssh("set -eu -o pipefail; false | true").returncode == 1


def test_lsblk_has_its_type_column_where_tempest_looks(machine: Machine) -> None:
    head, *rows = machine.run("lsblk -lb --nodeps").splitlines()
    assert head.split() == ["NAME", "MAJ:MIN", "RM", "SIZE", "RO", "TYPE", "MOUNTPOINTS"]
    at = head.index("TYPE")
    assert [(row.split()[0], row[at : at + 4]) for row in rows] == [("vda", "disk"), ("vdb", "disk")]
    assert rows[0].split()[3] == str(1 << 30)


@pytest.mark.parametrize(("flag", "port"), [("", 8081), ("-u", 8082)])
def test_lasting_server_by_nc(machine: Machine, flag: str, port: int) -> None:
    machine.run(f"sudo nc {flag} -p {port} -lk -e echo foolish &")
    ask = f"echo bar | nc -w 1 {flag} 127.0.0.1 {port} || true"
    for _ in range(3):
        eventually("an answer", lambda: machine.run(ask) == "foolish", 10)


def test_config_drive_can_be_mounted(machine: Machine) -> None:
    machine.run("sudo mount $(blkid -L config-2 -o device) /mnt")
    seen = json.loads(machine.run("sudo cat /mnt/openstack/latest/meta_data.json"))
    machine.run("sudo umount /mnt")
    assert seen["uuid"] == UUID


def test_console_takes_a_line_and_a_login(machine: Machine) -> None:
    machine.run('sudo sh -c "echo \\"to the console\\" >/dev/console"')
    machine.wait_for("to the console")
    with socket.socket(socket.AF_UNIX) as serial:
        serial.connect(str(machine.directory / "serial"))
        serial.sendall(b"\n")
        machine.wait_for("login:")
        serial.sendall(b"guest\n")
        machine.wait_for("Password:")
        serial.sendall(b"cumulet\n")
        eventually("a prompt", lambda: "guest@box:~$" in machine.console())
        serial.sendall(b"exit\n")


@contextlib.contextmanager
def plugged(machine: Machine, volume: Path) -> Iterator[None]:
    """A raw disk of 64 MiB in the running guest, as /dev/vdc; unplugged at the end."""
    with volume.open("wb") as file:
        file.truncate(64 << 20)
    machine.qmp("blockdev-add", **{"driver": "file", "node-name": "plug", "filename": str(volume)})
    machine.qmp("device_add", driver="virtio-blk-pci", drive="plug", id="plug", serial="0123456789")
    eventually("vdc", lambda: machine.ssh("ls /dev/vdc").returncode == 0, 20)
    yield
    machine.qmp("device_del", id="plug")
    eventually("no vdc", lambda: machine.ssh("ls /dev/vdc").returncode != 0, 20)
    eventually("the node free", lambda: _freed(machine), 20)


@pytest.mark.parametrize("kind", ["ext4", "ext3", "ext2", "vfat"])
def test_disk_plugged_in(machine: Machine, tmp_path: Path, kind: str) -> None:
    with plugged(machine, tmp_path / "volume.raw"):
        assert machine.run("cat /sys/block/vdc/serial") == "0123456789"
        machine.run(f"sudo mkfs -t {kind} /dev/vdc && sudo mount /dev/vdc /mnt")
        machine.root("echo proof > /mnt/proof && sync && umount /mnt")
        machine.root(f"mount -t {kind} /dev/vdc /mnt && cat /mnt/proof && umount /mnt")


def test_config_drive_on_vfat(machine: Machine, overlay: Callable[[Path], Path], keys: dict[str, Path], tmp_path: Path) -> None:
    volume = tmp_path / "volume.raw"
    with plugged(machine, volume):
        machine.root("mkfs.vfat -n CONFIG-2 /dev/vdc && mkdir -p /media/vfat && mount /dev/vdc /media/vfat")
        machine.root("mount /dev/vdb /mnt && cp -r /mnt/openstack /media/vfat && umount /mnt /media/vfat")
    config = ("-drive", f"file={volume},if=virtio,format=raw,readonly=on")
    other = Machine(tmp_path / "other", overlay(tmp_path / "root.qcow2"), keys["ed25519"], *config)
    try:
        other.wait_for("guest: ready")
        assert "by config drive" in other.console()
        assert other.run("sudo mount $(blkid -L config-2 -o device) /mnt && ls /mnt") == "openstack"
    finally:
        other.kill()


def _freed(machine: Machine) -> bool:
    try:
        machine.qmp("blockdev-del", **{"node-name": "plug"})
    except AssertionError:
        return False
    return True


def test_card_plugged_in(machine: Machine) -> None:
    machine.qmp("netdev_add", type="user", id="net1", restrict=True, net="10.9.0.0/24")
    machine.qmp("device_add", driver="virtio-net-pci", netdev="net1", id="nic1", mac="52:54:00:99:00:01")
    eventually("eth1", lambda: "52:54:00:99:00:01" in machine.run("ip a"), 20)
    machine.run("sudo ip addr add 10.9.0.7/24 dev eth1; sudo ip link set eth1 up")
    assert machine.run("ping -c1 -w5 10.9.0.2")
    lease = "interface=eth1 ip=10.9.0.8 mask=24 mtu=1400 dns='192.0.2.53 192.0.2.54' search=example.org serverid=x"
    routes = "router=10.9.0.99 staticroutes='192.0.2.0/24 10.9.0.2 198.51.100.0/24 0.0.0.0'"
    for event in ("bound", "renew"):
        machine.run(f"sudo {lease} {routes} /etc/udhcpc/default.script {event}")
        state = machine.run("ip addr show eth1; ip route; cat /etc/resolv.conf")
        assert "inet 10.9.0.8/24" in state and "10.9.0.7" not in state
        assert "mtu 1400" in state and "10.9.0.99" not in state
        assert "192.0.2.0/24 via 10.9.0.2 dev eth1" in state and "198.51.100.0/24 dev eth1" in state
        assert "search example.org\nnameserver 192.0.2.53\nnameserver 192.0.2.54" in state


def test_power_button_then_a_second_boot_with_two_processors(
    machine: Machine, disk: Path, drive: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    machine.qmp("system_powerdown")
    assert machine.process.wait(timeout=20) == 0
    config = ("-drive", f"file={drive},if=none,id=cd,format=raw,readonly=on", "-device", "ide-cd,drive=cd")
    again = Machine(tmp_path / "again", disk, keys["rsa"], *config, cpus=2)
    try:
        again.wait_for("guest: ready")
        assert "by config drive" in again.console()
        assert again.run("nproc") == "2"
        assert again.root("cat /root/marker") == "once"
    finally:
        again.kill()


SERVICE = """
import json, pathlib, sys
request = sys.stdin.readline().split()[1]
while sys.stdin.readline().strip():
    pass
directory = pathlib.Path(sys.argv[1])
body = json.loads((directory / "pages").read_text()).get(request, "")
status = "200 OK" if body else "404 Not Found"
seen = directory / request.replace("/", "-")
if not seen.exists():
    seen.touch()
    status, body = "503 Service Unavailable", ""
print(f"HTTP/1.0 {status}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}", end="")
"""
"""A metadata service for one connection on standard input; it fails the first time that a page is asked for."""


def test_metadata_service(overlay: Callable[[Path], Path], keys: dict[str, Path], tmp_path: Path) -> None:
    pages = {"/openstack/latest/meta_data.json": json.dumps(metadata(keys)), "/openstack/latest/user_data": SCRIPT}
    address = "/latest/meta-data/local-ipv4"
    (tmp_path / "pages").write_text(json.dumps(pages | {address: "169.254.0.15"}))
    (tmp_path / "service").write_text(SERVICE)
    net = f",net=169.254.0.0/16,guestfwd=tcp:169.254.169.254:80-cmd:{sys.executable} {tmp_path}/service {tmp_path}"
    guest = Machine(tmp_path / "machine", overlay(tmp_path / "root.qcow2"), keys["ecdsa"], net=net)
    try:
        guest.wait_for("guest: ready")
        assert "by metadata service" in guest.console()
        assert guest.root("cat /root/marker") == "once"
        assert guest.ssh(f"curl http://169.254.169.254{address}").returncode == 22
        for get in ("curl -s", "wget -q -O -"):
            assert guest.run(f"{get} http://169.254.169.254{address}") == "169.254.0.15"
        assert guest.ssh("curl http://169.254.169.254/absent").returncode == 22
    finally:
        guest.kill()
