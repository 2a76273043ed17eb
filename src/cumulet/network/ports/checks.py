"""What must hold of a port's attributes together, and their form in the table."""

from __future__ import annotations

import typing as t

from ...kernel.auth.context import Context
from ...kernel.db import Tx
from ...kernel.http import BadRequest, Conflict
from .. import ipam
from ..bodies import Json
from ..security_groups import default_security_group, find_security_group
from .addresses import ROUTER_OWNERS
from .servers import OWNER
from .wire import AddressPair, DhcpOption

PAIRS_MOST = 10
TRUSTED = {"advsvc", "service"}
"""The roles of the cloud's other services."""


def prepare(given: Json, mac: str, options: list[dict]) -> None:
    """Bring a request's attributes into the form of their columns; `mac` and `options` are the port's present ones."""
    given.pop("qos_policy_id", None)
    for name, nothing in (("host", ""), ("profile", {}), ("allowed_address_pairs", []), ("extra_dhcp_opts", [])):
        if name in given:
            given[name] = given[name] or nothing
    if "mac_address" in given:
        given["mac_address"] = mac = given["mac_address"].lower()
    if "allowed_address_pairs" in given:
        given["allowed_address_pairs"] = _pairs(given["allowed_address_pairs"], mac)
    if "extra_dhcp_opts" in given:
        given["extra_dhcp_opts"] = _options(options, given["extra_dhcp_opts"])


def device(context: Context, port: t.Mapping[str, t.Any], before: t.Mapping[str, t.Any]) -> None:
    """Raise Conflict where a client makes a port a server's or a router's by hand. Whose port it is, gets what is theirs:
    a server's metadata, a way into the networks of a router."""
    if context.is_admin or context.roles & TRUSTED or not port["device_id"] or port["device_owner"] not in (OWNER, *ROUTER_OWNERS):
        return
    if any(port[name] != before[name] for name in ("device_owner", "device_id")):
        raise Conflict(
            f"The following device_id {port['device_id']} is not owned by your tenant or matches another tenants router. Ports whose "
            f"device_owner is {port['device_owner']} are given to their devices by the operations of these.",
            kind="DeviceIDNotOwnedByTenant",
        )  # fmt: skip


def groups_for_new(tx: Tx, context: Context, project_id: str, asked: list[str] | None, secured: bool) -> list[str]:
    """The security groups of a new port: those asked for, by default the project's default group if it is `secured`."""
    if asked is not None:
        return known_groups(tx, context, asked)
    return [default_security_group(tx, project_id).id] if secured else []


def known_groups(tx: Tx, context: Context, asked: list[str]) -> list[str]:
    """The groups' ids, each once. Raises NotFound for one that the caller cannot see."""
    return [find_security_group(tx, context, id).id for id in dict.fromkeys(asked)]


def security(port: t.Mapping[str, t.Any], groups: list[str], *, disabling: bool) -> None:
    """Raise unless port security, groups and address pairs go together. disabling: whether security was on before."""
    if port["port_security_enabled"]:
        return
    if groups and disabling:
        raise Conflict(
            "Port has security group associated. Cannot disable port security or IP address until security group is "
            "removed.", kind="PortSecurityPortHasSecurityGroup",
        )  # fmt: skip
    if groups:
        raise BadRequest(
            "Port security must be enabled and port must have an IP address in order to use security groups.",
            kind="PortSecurityAndIPRequiredForSecurityGroups",
        )
    if port["allowed_address_pairs"]:
        raise Conflict(
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            kind="AddressPairAndPortSecurityRequired",
        )


def _pairs(pairs: list[AddressPair], mac: str) -> list[dict[str, str]]:
    if len(pairs) > PAIRS_MOST:
        raise BadRequest(f"The number of allowed address pair exceeds the maximum {PAIRS_MOST}.", kind="AllowedAddressPairExhausted")
    made = []
    for pair in pairs:
        if not pair.ip_address:
            raise BadRequest("AllowedAddressPair must contain ip_address", kind="AllowedAddressPairsMissingIP")
        made.append({"ip_address": _pair_address(pair.ip_address), "mac_address": (pair.mac_address or mac).lower()})
    for i, one in enumerate(made):
        if one in made[:i]:
            raise BadRequest(
                f"Request contains duplicate address pair: mac_address {one['mac_address']} ip_address "
                f"{one['ip_address']}.", kind="DuplicateAddressPairInRequest",
            )  # fmt: skip
    return made


def _pair_address(text: str) -> str:
    try:
        return str(ipam.network(text) if "/" in text else ipam.address(text))
    except ipam.Problem as problem:
        raise BadRequest(f"Invalid input for allowed_address_pairs. Reason: {problem.message}.", kind="HTTPBadRequest") from None


def _options(present: list[dict], changes: list[DhcpOption]) -> list[dict[str, t.Any]]:
    """DHCP options with changes made to them; one changed to null goes."""
    found = {(one["opt_name"], one["ip_version"]): one["opt_value"] for one in present}
    for one in changes:
        found[one.opt_name, one.ip_version] = one.opt_value
    return [{"opt_name": name, "opt_value": value, "ip_version": version} for (name, version), value in found.items() if value is not None]
