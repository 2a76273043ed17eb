"""A flavor's extra specs: what its servers need of their hosts, beyond size."""

from __future__ import annotations

import re
import typing as t

import msgspec

from ..kernel.db import Tx
from ..kernel.http import BadRequest, Body, NotFound, Request
from ..placement.standard import CLASSES, TRAITS
from . import ADMIN, PROJECT_READER, api
from .flavors import SPECS as INDEX
from .flavors import find_flavor, flavors
from .wire import PRINTABLE

# -- wire ----------------------------------------------------------------------------------------------------------

Key = t.Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]+$")]
Specs = dict[Key, t.Annotated[str, msgspec.Meta(max_length=255, pattern=PRINTABLE)] | int | float]


class SpecsCreate(Body):
    extra_specs: Specs


# -- policy --------------------------------------------------------------------------------------------------------

SHOW = api.rule("os_compute_api:os-flavor-extra-specs:show", PROJECT_READER, "Show an extra spec.")
CREATE = api.rule("os_compute_api:os-flavor-extra-specs:create", ADMIN, "Set extra specs.")
UPDATE = api.rule("os_compute_api:os-flavor-extra-specs:update", ADMIN, "Set an extra spec.")
DELETE = api.rule("os_compute_api:os-flavor-extra-specs:delete", ADMIN, "Delete an extra spec.")
BASE = "/flavors/{id}/os-extra_specs"

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", BASE, policy=INDEX, reply="extra_specs", errors=(404,))
def index(tx: Tx, request: Request, id: str) -> dict:
    """List a flavor's extra specs."""
    return find_flavor(tx, request, id).extra_specs


@api.op("POST", BASE, policy=CREATE, errors=(400, 404))
def create(tx: Tx, request: Request, id: str, body: SpecsCreate) -> dict:
    """Set extra specs, beside those that are there."""
    _set(tx, request, id, body.extra_specs)
    return {"extra_specs": body.extra_specs}


@api.op("GET", BASE + "/{key}", policy=SHOW, errors=(404,))
def show(tx: Tx, request: Request, id: str, key: str) -> dict:
    """Show an extra spec."""
    return {key: _find(find_flavor(tx, request, id).extra_specs, id, key)}


@api.op("PUT", BASE + "/{key}", policy=UPDATE, errors=(400, 404))
def update(tx: Tx, request: Request, id: str, key: str, body: Specs) -> dict:
    """Set one extra spec."""
    if len(body) != 1 or key not in body:
        raise BadRequest(f"Request body and URI mismatch: the body must be the one extra spec {key}")
    _set(tx, request, id, body)
    return dict(body)


@api.op("DELETE", BASE + "/{key}", policy=DELETE, errors=(404,))
def delete(tx: Tx, request: Request, id: str, key: str) -> None:
    """Delete an extra spec."""
    row = find_flavor(tx, request, id)
    _find(row.extra_specs, id, key)
    tx.update(flavors, row.id, extra_specs={name: value for name, value in row.extra_specs.items() if name != key})


# -- validation ----------------------------------------------------------------------------------------------------

_MASK = r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"
_ONE = r"([a-zA-Z0-9_-]{1,64})?"
_BOOL, _INT, _NATURAL, _POSITIVE, _TEXT = "bool", r"[+-]?\d+", r"\d+", r"0*[1-9]\d*", r".*"
_KNOWN: dict[str, str] = {
    r"accel:device_profile": _TEXT, r"aggregate_instance_extra_specs:.+": _TEXT, r"capabilities:.+": _TEXT,
    r"hw:(cpu_realtime|hide_hypervisor_id|locked_memory|boot_menu|vif_multiqueue_enabled|mem_encryption|pmu|virtio_packed_ring"
    r"|ephemeral_encryption)": _BOOL,
    r"hw:cpu_realtime_mask": _MASK, r"hw:cpu_policy": "dedicated|shared|mixed",
    r"hw:cpu_thread_policy": "prefer|isolate|require", r"hw:emulator_threads_policy": "isolate|share",
    r"hw:cpu_dedicated_mask": _MASK, r"hw:mem_page_size": r"large|small|any|\d+([kKMGT]i?)?(b|bit|B)?",
    r"hw:numa_nodes": _POSITIVE, r"hw:numa_cpus\.\d+": _MASK, r"hw:numa_mem\.\d+": _POSITIVE,
    r"hw:pci_numa_affinity_policy": "required|preferred|legacy|socket", r"hw:cpu_(max_)?(sockets|cores|threads)": _POSITIVE,
    r"hw:mem_encryption_model": "amd-sev|amd-sev-es|amd-sev-snp", r"hw:pmem": r"([a-zA-Z0-9_]+(,)?)+",
    r"hw:serial_port_count": _NATURAL, r"hw:tpm_model": "tpm-tis|tpm-crb", r"hw:tpm_version": r"1\.2|2\.0",
    r"hw:tpm_secret_security": "user|host|deployment", r"hw:watchdog_action": "none|pause|poweroff|reset|disabled",
    r"hw:viommu_model": "intel|smmuv3|virtio|auto", r"hw:sound_model": "sb16|es1370|pcspk|ac97|ich6|ich9|usb|virtio",
    r"hw:usb_model": "qemu-xhci|nec-xhci|none", r"hw:redirected_usb_ports": r"[0-9]|1[0-5]",
    r"hw:ephemeral_encryption_format": "luks|luksv2|plain", r"hw_rng:allowed": _BOOL, r"hw_rng:rate_(bytes|period)": _NATURAL,
    r"hw_video:ram_max_mb": _NATURAL, r"hide_hypervisor_id": _BOOL, r"group_policy": "isolate|none",
    r"os:secure_boot": "disabled|required", r"pci_passthrough:alias": r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*",
    r"quota:cpu_(shares|period)": _NATURAL, r"quota:cpu_quota": _INT, r"quota:(cpu|memory|disk_io|vif)_(limit|shares_share)": _NATURAL,
    r"quota:(cpu|memory|disk_io|vif)_reservation": _INT, r"quota:(cpu|memory|disk_io|vif)_shares_level": "custom|high|normal|low",
    r"quota:disk_(read|write|total)_(bytes|iops)_sec": _NATURAL, r"quota:vif_(inbound|outbound)_(average|peak|burst)": _NATURAL,
    rf"resources{_ONE}:(CUSTOM_[A-Z0-9_]+|{'|'.join(CLASSES)})": _INT,
    rf"trait{_ONE}:(CUSTOM_[A-Z0-9_]+|{'|'.join(sorted(TRAITS))})": "required|forbidden", r"vmware:(hw_version|storage_policy)": _TEXT,
}  # fmt: skip
"""Pattern of a name -> pattern of its value. A name of another form in one of these namespaces is a mistake; in other
namespaces operators keep what they like."""
_PATTERNS = [(re.compile(name), value) for name, value in _KNOWN.items()]
_NAMESPACE = re.compile(
    rf"accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|resources{_ONE}|trait{_ONE}|vmware"
)
_TRUTHS = "(?i:1|t|true|on|y|yes|0|f|false|off|n|no)"


def _validate(name: str, value: str) -> None:
    """Raise BadRequest for a name that is not known in its namespace, or a value that is none of its."""
    for pattern, wanted in _PATTERNS:
        if pattern.fullmatch(name):
            if not re.fullmatch(_TRUTHS if wanted is _BOOL else wanted, value, re.DOTALL):
                form = "a boolean" if wanted is _BOOL else f"of the form {wanted}"
                raise BadRequest(f"Validation failed; '{value}' is not a valid value of extra spec '{name}': it must be {form}.")
            return
    if ":" in name and _NAMESPACE.fullmatch(name.partition(":")[0]):
        raise BadRequest(f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec.")


# -- helpers -------------------------------------------------------------------------------------------------------


def _set(tx: Tx, request: Request, id: str, specs: Specs) -> None:
    wanted = {name: str(value) for name, value in specs.items()}
    for name, value in wanted.items():
        if len(value) > 255:
            raise BadRequest(f"Invalid input for extra spec {name}: its value is over 255 characters long.")
        if request.version >= (2, 86):
            _validate(name, value)
    row = find_flavor(tx, request, id)
    tx.update(flavors, row.id, extra_specs={**row.extra_specs, **wanted})


def _find(specs: dict[str, str], id: str, key: str) -> str:
    if key not in specs:
        raise NotFound(f"Flavor {id} has no extra specs with key {key}.")
    return specs[key]
