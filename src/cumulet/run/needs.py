"""What a host must have before a cloud is started on it, each with the command that brings it."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

from ..kernel.config import Config
from . import StartError

GUESTS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "genisoimage": "genisoimage"}
CONVERSION = {"qemu-img": "qemu-utils", "prlimit": "util-linux"}
NETWORKS = {"dnsmasq": "dnsmasq-base", "nft": "nftables", "ip": "iproute2", "nsenter": "util-linux", "radvd": "radvd"}
"""Programs that the drivers run -> the Debian packages that have them."""
ROOM_MIB = 64
"""Less free space than this, and not even the database can be written."""
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


class Finding(t.NamedTuple):
    """Something wrong, and what to run against it. A cloud works all the same with what is not `grave`."""

    sentence: str
    command: str
    grave: bool = True


def missing(config: Config) -> t.Iterator[Finding]:
    """What of it is not there."""
    existing = next(path for path in (config.root, *config.root.parents) if path.exists())
    if (free := shutil.disk_usage(existing).free >> 20) < ROOM_MIB:
        yield Finding(f"The disk is full: {existing} has {free} MiB free, a cloud needs {ROOM_MIB} MiB to start.", f"df -h {existing}")
    if config.simulated:
        yield from _recipes(config)
    real = [flag for flag, simulated in _drivers(config).items() if not simulated]
    if real and os.getuid() != 0:
        yield Finding(
            f"Real guests and networks ({', '.join(real)}) need root; a user of no privilege can have every API "
            "with --hypervisor simulated --network simulated.",
            "sudo cumulet up",
        )
        return
    wanted = (GUESTS if config.hypervisor == "qemu" else {}) | (NETWORKS if config.network == "linux" else {})
    if "image_conversion" in config.image_import.plugins:
        wanted |= CONVERSION
    absent = {program: package for program, package in wanted.items() if shutil.which(program) is None}
    if absent:
        yield Finding(
            f"These programs are not installed: {', '.join(absent)}.", f"apt-get install {' '.join(sorted(set(absent.values())))}"
        )
    if config.network == "linux":
        yield from _kernel()


def _recipes(config: Config) -> t.Iterator[Finding]:
    from . import recipes

    try:
        recipes.read(config)
    except StartError as error:
        yield Finding(str(error), f"editor {config.root / 'cumulet.toml'}")


def _drivers(config: Config) -> dict[str, bool]:
    return {
        f"--hypervisor {config.hypervisor}": config.hypervisor == "simulated",
        f"--network {config.network}": config.network == "simulated",
    }


def _kernel() -> t.Iterator[Finding]:
    if not Path("/dev/net/tun").exists():
        yield Finding("There is no /dev/net/tun, by which guests get their network cards.", "modprobe tun")
    if not BRIDGE_FILTER.exists() and shutil.which("modprobe") is None:
        yield Finding("Security groups need the kernel's br_netfilter, and modprobe is not there to load it.", "apt-get install kmod")
