"""Which accelerator this host's guests run on: KVM only where a guest was seen to run on it.

That /dev/kvm is there and opens proves little: in some virtual machines a guest on it never gets to its
first instruction.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path

import msgspec

from cumulet.compute.drivers.files import write_whole
from cumulet.compute.drivers.qemu.accounts import Account
from cumulet.compute.drivers.qemu.command import QEMU

PROBE_SECONDS = 3

# mov dx, 0xf4; mov al, 0x10; out dx, al; hlt; jmp to hlt
BOOT_SECTOR = bytes.fromhex("baf400b010eef4ebfd").ljust(510, b"\0") + b"\x55\xaa"
PROBE_STATUS = 0x10 << 1 | 1
"""isa-debug-exit ends QEMU with twice the value written, plus one."""


class Accelerator(msgspec.Struct, frozen=True):
    """`name` is kvm or tcg; `reason` says why not kvm; `key` is what the finding holds for."""

    name: str
    reason: str
    key: list[str]


async def choose(root: Path, wanted: str, account: Account, version: str) -> Accelerator:
    """`wanted` itself, or for `auto` what a probe guest shows (a finding kept in accelerator.json)."""
    if wanted != "auto":
        return Accelerator(wanted, f"{wanted} was asked for", [])
    key = [os.uname().release, version, _kvm_identity(), str(account.uid)]
    kept = root / "accelerator.json"
    try:
        found = msgspec.json.decode(kept.read_bytes(), type=Accelerator)
        if found.key == key:
            return found
    except (OSError, msgspec.DecodeError):
        pass
    reason = await asyncio.to_thread(_why_not_kvm, account)
    found = Accelerator("tcg" if reason else "kvm", reason, key)
    write_whole(kept, msgspec.json.encode(found))
    return found


def _kvm_identity() -> str:
    """Changes with each boot and each change of the device's owner or mode."""
    try:
        stat = os.stat("/dev/kvm")
    except FileNotFoundError:
        return "none"
    return f"{stat.st_rdev} {stat.st_ino} {stat.st_uid}:{stat.st_gid} {stat.st_mode:o} {stat.st_ctime_ns}"


def _why_not_kvm(account: Account) -> str:
    """Boot a guest of one sector on KVM; returns "" if it ran, else a sentence for the operator."""
    if not os.path.exists("/dev/kvm"):
        return "guests are emulated by TCG: this host has no /dev/kvm (virtualization is off, or not offered to it)"
    with tempfile.TemporaryFile() as disk:
        disk.write(BOOT_SECTOR.ljust(1 << 20, b"\0"))
        disk.flush()
        argv = [
            QEMU,
            "-nodefaults",
            "-no-user-config",
            "-machine",
            "pc",
            "-accel",
            "kvm",
            "-m",
            "32",
            "-display",
            "none",
        ]
        argv += [
            "-add-fd",
            f"fd={disk.fileno()},set=1",
            "-blockdev",
            "raw,node-name=disk,file.driver=file,file.filename=/dev/fdset/1",
        ]
        argv += ["-device", "ide-hd,drive=disk", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=PROBE_SECONDS,
                pass_fds=[disk.fileno()],
                **account.process(),
            )
        except subprocess.TimeoutExpired:
            return f"guests are emulated by TCG: a probe guest hung on /dev/kvm and was ended after {PROBE_SECONDS} s"
    if done.returncode == PROBE_STATUS:
        return ""
    said = done.stderr.decode(errors="replace").strip()[-500:]
    return f"guests are emulated by TCG: a probe guest could not run on /dev/kvm: {said or done.returncode}"
