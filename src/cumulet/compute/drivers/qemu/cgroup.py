"""Limits on a guest's processor time and on its QEMU's memory, by control groups of version 1 or 2.

Best effort: a host whose control groups are not ours to write runs its guests without these limits.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path

from cumulet.compute.drivers.base import Machine

MOUNT = Path("/sys/fs/cgroup")
PERIOD = 100_000
"""Microseconds over which a processor quota is counted; the kernel's default."""

DEFAULT_SHARES = 1024
OVERHEAD_MIB = 512
"""What a QEMU may use beside its guest's memory; more than that is a fault, and ends it."""

log = logging.getLogger(__name__)


class Cgroups:
    """The control groups of one driver's guests, in a group named after its directory."""

    def __init__(self, root: Path):
        self._name = "cumulet-" + hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
        self._unified = (MOUNT / "cgroup.controllers").exists()
        self._warned = False

    def apply(self, machine: Machine, pid: int) -> None:
        """Put a guest's process under the limits of its machine."""
        try:
            for group, settings in self._wanted(machine):
                group.mkdir(parents=True, exist_ok=True)
                for file, value in settings.items():
                    (group / file).write_text(value)
                (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            if not self._warned:
                log.warning("guests run without processor and memory limits: %s", error)
            self._warned = True

    def remove(self, id: str) -> None:
        """Remove the groups of a guest whose process is gone, and the driver's own once it is empty."""
        for group in self._groups(id):
            with contextlib.suppress(OSError):
                group.rmdir()
            with contextlib.suppress(OSError):
                group.parent.rmdir()

    def _groups(self, id: str) -> list[Path]:
        if self._unified:
            return [MOUNT / self._name / id]
        return [MOUNT / controller / self._name / id for controller in ("cpu", "memory")]

    def _wanted(self, machine: Machine) -> list[tuple[Path, dict[str, str]]]:
        groups = self._groups(machine.id)
        limit = str((machine.memory_mib + machine.memory_mib // 4 + OVERHEAD_MIB) << 20)
        shares = machine.cpu_shares or DEFAULT_SHARES
        quota = round(machine.cpu_quota * PERIOD) if machine.cpu_quota else None
        if self._unified:
            self._delegate()
            # The weight that systemd and runc give the same shares: 2..262144 onto 1..10000.
            weight = 1 + (max(2, min(shares, 262144)) - 2) * 9999 // 262142
            limits = {"cpu.max": f"{quota or 'max'} {PERIOD}", "cpu.weight": str(weight), "memory.max": limit}
            return [(groups[0], limits)]
        cpu = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(quota or -1), "cpu.shares": str(shares)}
        return [(groups[0], cpu), (groups[1], {"memory.limit_in_bytes": limit})]

    def _delegate(self) -> None:
        for parent in (MOUNT, MOUNT / self._name):
            parent.mkdir(exist_ok=True)
            (parent / "cgroup.subtree_control").write_text("+cpu +memory")
