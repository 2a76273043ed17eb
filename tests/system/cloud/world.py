"""What the tests see of a cloud from outside: its command line, its APIs, its guests by SSH, and the host that it is on."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import openstack

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


class Cloud:
    """A cloud in a directory; `flags` are those of `up`."""

    def __init__(self, data: Path, *flags: str):
        self.data, self.flags = data, flags

    def command(self, *words: str, timeout: float = 120, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run `cumulet WORDS --data DIR`."""
        argv = [sys.executable, "-m", "cumulet", *words, "--data", str(self.data)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **more)

    def good(self, *words: str) -> str:
        """Run a command that must succeed; what it printed."""
        done = self.command(*words)
        assert done.returncode == 0, done.stdout + done.stderr + self.tails()
        return done.stdout

    def up(self, *more: str) -> str:
        return self.good("up", "--detach", *self.flags, *more)

    def down(self, *more: str) -> str:
        return self.good("down", *more)

    def purge(self) -> None:
        """Take the cloud away, whatever state it is in."""
        if (self.data / "run").exists():
            self.down("--purge", "--yes")

    def pids(self) -> dict[str, int]:
        """The processes that the cloud says it has."""
        state = json.loads((self.data / "run/up.json").read_text())
        return {"supervisor": state["supervisor"]} | {name: child["pid"] for name, child in state["children"].items()}

    def control(self) -> list[int]:
        """The control plane's processes: the one that the others were forked from, and those. None while it is started again."""
        first = self.pids()["control"]
        with contextlib.suppress(FileNotFoundError):
            return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
        return []

    def guests(self) -> dict[str, int]:
        """Server id -> process id of the guests that run."""
        found = ((pid, Path(os.readlink(f"/proc/{pid}/cwd"))) for pid in processes("qemu-system"))
        return {cwd.parent.name: pid for pid, cwd in found if cwd.is_relative_to(self.data) and cwd.match("compute/servers/*/process")}

    def connect(self, name: str = "cumulet-demo") -> openstack.connection.Connection:
        """The released SDK as one of the cloud's users. It tries again where a connection broke."""
        config = openstack.config.OpenStackConfig(config_files=[str(self.data / "clouds.yaml")])
        return openstack.connection.Connection(config=config.get_one(name, connect_retries=20, connect_retry_delay=0.5))

    def logged(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted((self.data / "log").glob("*.log")))

    def tails(self) -> str:
        return "".join(
            f"\n--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in (self.data / "log").glob("*.log")
        )


def eventually(what: str, look: Callable[[], T], seconds: float = 60, every: float = 0.3) -> T:
    """Look again and again until there is something to see, and return that."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}; last seen: {seen!r}"
        time.sleep(every)
    return seen


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet waited for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def kill(*pids: int) -> None:
    """End processes without a chance to do anything about it; they are gone when this returns."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually("killed processes gone", lambda: not any(alive(pid) for pid in pids), 10, 0.02)


def processes(word: str) -> list[int]:
    """Processes of this network namespace, and those inside it, whose command line has a word."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
    return found


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """A network namespace for this thread and all that it starts; nothing in it reaches anything outside."""
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(outside, CLONE_NEWNET)
        os.close(outside)


def host(data: Path) -> dict[str, list[str]]:
    """What a cloud could leave behind on its host: links, namespaces, filter rules, processes, control groups."""
    tag = f"c{tag_of(data)}"
    links = [re.split(r"[@:]", line.split(": ")[1])[0] for line in output("ip", "-o", "link")]
    groups = {path.name for depth in ("", "*/") for path in Path("/sys/fs/cgroup").glob(f"{depth}cumulet-*/*")} & names_in(data)
    return {
        "links": sorted(links), "namespaces": sorted(name.name for name in Path("/run/netns").glob(f"{tag}*")),
        "rules": [re.sub(r"counter packets \d+ bytes \d+|# handle \d+", "", line).strip() for line in output("nft", "list", "ruleset")],
        "processes": sorted(" ".join(words(pid))[:120] for pid in processes(str(data)) if re.search("qemu|dnsmasq|radvd", words(pid)[0])),
        "control groups": sorted(groups),
    }  # fmt: skip


def names_in(data: Path) -> set[str]:
    return {path.name for path in data.glob("agent/*/compute/servers/*")}


def tag_of(data: Path) -> str:
    from cumulet.run.layout import Layout

    return Layout(data).tag


def words(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return [""]


def output(*argv: str) -> list[str]:
    return [line for line in subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines() if line.strip()]


def unique(word: str) -> str:
    return f"{word}-{secrets.token_hex(3)}"
