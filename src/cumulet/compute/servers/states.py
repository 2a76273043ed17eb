"""The states of a server: what it is, what is being done to it, and the status that clients see."""

from __future__ import annotations

import enum


class Vm(enum.StrEnum):
    BUILDING = "building"
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class Task(enum.StrEnum):
    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    SPAWNING = "spawning"
    DELETING = "deleting"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    REBUILDING = "rebuilding"
    RESIZE_PREP = "resize_prep"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    RESIZE_CONFIRMING = "resize_confirming"
    SNAPSHOT = "image_snapshot"
    BACKUP = "image_backup"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    SHELVING = "shelving"
    OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"


NOSTATE, RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = 0, 1, 3, 4, 6, 7
"""Power states, as the compute API reference numbers them."""

_RESIZING = {Task.RESIZE_PREP: "RESIZE", Task.RESIZE_FINISH: "RESIZE", Task.REBUILDING: "REBUILD"}
_STATUS: dict[str, tuple[str, dict[str, str]]] = {
    Vm.BUILDING: ("BUILD", {}),
    Vm.ACTIVE: ("ACTIVE", {**_RESIZING, Task.REBOOTING: "REBOOT", Task.REBOOTING_HARD: "HARD_REBOOT"}),
    Vm.PAUSED: ("PAUSED", {Task.REBOOTING_HARD: "HARD_REBOOT", Task.REBUILDING: "REBUILD"}),
    Vm.SUSPENDED: ("SUSPENDED", {Task.REBOOTING_HARD: "HARD_REBOOT", Task.REBUILDING: "REBUILD"}),
    Vm.STOPPED: ("SHUTOFF", {**_RESIZING, Task.REBOOTING_HARD: "HARD_REBOOT"}),
    Vm.RESCUED: ("RESCUE", {}),
    Vm.RESIZED: ("VERIFY_RESIZE", {Task.RESIZE_REVERTING: "REVERT_RESIZE"}),
    Vm.ERROR: ("ERROR", {Task.REBUILDING: "REBUILD", Task.REBOOTING_HARD: "HARD_REBOOT"}),
    Vm.SHELVED: ("SHELVED", {}),
    Vm.SHELVED_OFFLOADED: ("SHELVED_OFFLOADED", {}),
}


def status(vm_state: str, task_state: str | None) -> str:
    """The `status` of a server, by what it is and what is being done to it."""
    plain, busy = _STATUS[vm_state]
    return busy.get(task_state or "", plain)


def vm_states(wanted: str) -> list[str]:
    """The states that may show as this status; none for a status that there is not."""
    return [vm for vm, (plain, busy) in _STATUS.items() if wanted == plain or wanted in busy.values()]
