"""`doctor`: what is wrong with this machine or this cloud, a sentence and a command each."""

from __future__ import annotations

import json
import os
import shutil
import typing as t
from pathlib import Path

import click

from ..kernel.config import Config
from ..run.layout import Layout, LayoutError
from .cloud import answers, running

PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "dnsmasq": "dnsmasq-base", "nft": "nftables", "ip": "iproute2",
    "genisoimage": "genisoimage", "radvd": "radvd",
}  # fmt: skip
ROOM_GIB = 2


class Finding(t.NamedTuple):
    """Something wrong, and what to run against it."""

    sentence: str
    command: str


def doctor(config: Config) -> int:
    """Print what was found; 0 where there is nothing."""
    layout = Layout(config.root)
    findings = [*_machine(config, layout), *_cloud(config, layout)]
    for finding in findings:
        click.echo(f"{finding.sentence}\n    {finding.command}")
    if not findings:
        click.echo("Nothing is wrong.")
    return 1 if findings else 0


def _machine(config: Config, layout: Layout) -> t.Iterator[Finding]:
    if config.hypervisor == "qemu":
        if os.getuid() != 0:
            yield Finding("Running guests needs root.", "sudo cumulet doctor")
        missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
        if missing:
            yield Finding(f"Programs are missing: {', '.join(missing)}.", f"apt-get install {' '.join(missing)}")
        yield from _acceleration(layout)
        yield from _bridges()
    existing = next(p for p in (layout.root, *layout.root.parents) if p.exists())
    if (free := shutil.disk_usage(existing).free / 2**30) < ROOM_GIB:
        yield Finding(f"{existing} has {free:.1f} GiB free: images, disks and the database need room.", f"df -h {existing}")


def _acceleration(layout: Layout) -> t.Iterator[Finding]:
    """What the agent's probe guest found, once there was one."""
    for kept in layout.agent.glob("*/compute/accelerator.json"):
        found = json.loads(kept.read_text())
        if found.get("accelerator") == "tcg" and Path("/dev/kvm").exists():
            yield Finding(f"Guests run without hardware acceleration, slowly: {found.get('reason', 'a probe guest did not boot on KVM')}.",
                          f"rm {kept} && cumulet down && cumulet up --detach   # probe again after mending it")  # fmt: skip


def _bridges() -> t.Iterator[Finding]:
    if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        yield Finding("Security groups need the kernel's br_netfilter, which is not loaded.", "modprobe br_netfilter")


def _cloud(config: Config, layout: Layout) -> t.Iterator[Finding]:
    try:
        layout.check()
    except LayoutError as error:
        yield Finding(str(error), "cumulet up --data DIR")
        return
    state = running(layout)
    if state is None:
        yield Finding(f"No cloud runs in {layout.root}.", f"cumulet up --data {layout.root} --detach")
        return
    for name, pid in state["children"].items():
        if pid is None:
            yield Finding(f"The {name} process ends again and again.", f"cumulet logs {name} --data {layout.root}")
    if not answers(config):
        yield Finding(f"The APIs do not answer at {config.url}.", f"cumulet logs control --data {layout.root}")
    elif not answers(config, "/readyz"):
        yield Finding("No host has reported yet.", f"cumulet logs agent --data {layout.root}")
