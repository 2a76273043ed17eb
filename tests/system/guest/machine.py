"""One guest booted by QEMU without an accelerator: its console, its QMP socket, its SSH.

Its only network is QEMU's own user-mode one, which is cut off from the machine (`restrict=on`) but for SSH on loopback.
"""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")
PROLOGUE = "set -eu -o pipefail; PATH=$PATH:/sbin:/usr/sbin; "
"""What tempest puts before every command."""


def eventually(what: str, look: Callable[[], Found | None], seconds: float = 60) -> Found:
    """Look until there is something to see; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return found


def config_drive(path: Path, metadata: dict[str, Any], user_data: str = "") -> Path:
    """An iso9660 config drive as OpenStack makes it."""
    tree = path.with_suffix(".tree") / "openstack/latest"
    tree.mkdir(parents=True)
    (tree / "meta_data.json").write_text(json.dumps(metadata))
    (tree / "network_data.json").write_text(json.dumps({"links": [], "networks": [], "services": []}))
    if user_data:
        (tree / "user_data").write_text(user_data)
    source = str(path.with_suffix(".tree"))
    subprocess.run(["genisoimage", "-quiet", "-o", path, "-V", "config-2", "-J", "-r", source], check=True)
    return path


class Machine:
    """A running guest. `disk` is its overlay on the image and outlives it; `key` is the private key that SSH offers."""

    def __init__(self, directory: Path, disk: Path, key: Path, *more: str, net: str = "", cpus: int = 1) -> None:
        self.directory, self.key = directory, key
        directory.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = directory / "console.log"
        serial = f"socket,id=serial,path={directory}/serial,server=on,wait=off,logfile={self.log}"
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-machine", "pc", "-display", "none"),
                *("-m", "128", "-smp", str(cpus), "-chardev", serial, "-serial", "chardev:serial"),
                *("-qmp", f"unix:{directory}/qmp,server=on,wait=off"),
                *("-drive", f"file={disk},if=virtio,format=qcow2"),
                *("-netdev", f"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22{net}"),
                *("-device", "virtio-net-pci,netdev=net0", "-device", "virtio-rng-pci", *more),
            ]
        )

    def console(self) -> str:
        """All that the guest has written to its serial port."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait until the console shows `text`."""
        eventually(f"{text!r} on the console", lambda: text in self.console(), seconds)

    def ssh(self, command: str, *options: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as user guest."""
        fixed = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        fixed += [
            "-o",
            "ConnectTimeout=20",
            "-o",
            "IdentitiesOnly=yes",
            "-i",
            str(key or self.key),
            "-p",
            str(self.port),
        ]
        argv = ["ssh", *options, *fixed, "guest@127.0.0.1", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)

    def run(self, command: str) -> str:
        """Run a command as tempest does and return what it printed; AssertionError if it failed."""
        done = self.ssh(PROLOGUE + command)
        assert done.returncode == 0, f"{command}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout.strip()

    def root(self, command: str) -> str:
        """Run a command as root and return what it printed."""
        return self.run(f"sudo sh -c {shlex.quote(command)}")

    def qmp(self, command: str, **arguments: Any) -> Any:
        """One QMP command on a connection of its own."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.directory / "qmp"))
            stream = connection.makefile("rw")
            stream.readline()
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                stream.flush()
                while "event" in (answer := json.loads(stream.readline())):
                    pass
                assert "return" in answer, answer
            return answer["return"]

    def kill(self) -> None:
        """Cut the power."""
        self.process.kill()
        self.process.wait()
