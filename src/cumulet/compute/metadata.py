"""What a guest is told of itself: the files of the OpenStack and EC2 trees, for the config drive and the metadata service.

Formats: the OpenStack metadata service's documentation (versions 2012-08-10 to 2025-04-04), and EC2's instance metadata.
"""

from __future__ import annotations

import base64
import hashlib
import typing as t

import msgspec
import sqlalchemy as sa

from .. import network
from ..kernel.db import Row, Tx
from .ec2 import OPENSTACK_VERSIONS, ec2_id
from .keypairs import keypairs
from .servers.kernels import boot_images
from .servers.tables import block_devices, nics


def files(tx: Tx, row: Row) -> dict[str, bytes]:
    """Every file of both trees, by its path; `latest` of each is what the newest version has."""
    tree: dict[str, bytes] = {}
    openstack = _openstack(tx, row)
    for version in (*OPENSTACK_VERSIONS, "latest"):
        tree |= {f"openstack/{version}/{name}": content for name, content in openstack.items()}
    ec2 = msgspec.json.encode(ec2_values(tx, row))
    for version in ("2009-04-04", "latest"):
        tree[f"ec2/{version}/meta-data.json"] = ec2
        if row.user_data:
            tree[f"ec2/{version}/user-data"] = base64.b64decode(row.user_data)
    return tree


def ec2_values(tx: Tx, row: Row) -> dict[str, t.Any]:
    """The EC2 tree as nested values; a text is a file, a mapping a directory."""
    cards = network.interfaces(tx, [row.id]).get(row.id, [])
    fixed = [ip for card in cards for ip in card.addresses if ip.version == 4]
    floating = [address for ip in fixed for address in ip.floating]
    values: dict[str, t.Any] = {
        "ami-id": ec2_id("ami", row.image_id or ""), "ami-launch-index": str(row.launch_index), "ami-manifest-path": "",
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"}, "hostname": row.hostname, "instance-action": "none",
        "instance-id": ec2_id("i", row.id), "instance-type": row.flavor["name"], "local-hostname": row.hostname,
        "local-ipv4": fixed[0].address if fixed else "", "placement": {"availability-zone": row.availability_zone or "nova"},
        "public-hostname": row.hostname, "public-ipv4": floating[0] if floating else "", "reservation-id": row.reservation_id,
        "security-groups": "\n".join(dict.fromkeys(name for card in cards for name in card.security_groups)),
    }  # fmt: skip
    for what, prefix in (("kernel", "aki"), ("ramdisk", "ari")):
        if id := boot_images(row.image_properties).get(what):
            values[f"{what}-id"] = ec2_id(prefix, id)
    if row.key_name:
        values["public-keys"] = {"0": {"_name": row.key_name, "openssh-key": (row.public_key or "") + "\n"}}
    return values


def _openstack(tx: Tx, row: Row) -> dict[str, bytes]:
    content = {
        "meta_data.json": msgspec.json.encode(_meta_data(tx, row)),
        "network_data.json": msgspec.json.encode(network.network_data(tx, row.id)),
        "vendor_data.json": b"{}",
        "vendor_data2.json": b"{}",
        "password": (row.admin_password or "").encode(),
    }
    if row.user_data:
        content["user_data"] = base64.b64decode(row.user_data)
    return content


def _meta_data(tx: Tx, row: Row) -> dict[str, t.Any]:
    data: dict[str, t.Any] = {
        "uuid": row.id, "name": row.name, "hostname": row.hostname, "launch_index": row.launch_index,
        "availability_zone": row.availability_zone or "nova", "project_id": row.project_id,
        "random_seed": base64.b64encode(hashlib.sha512(f"{row.id}{row.reservation_id}".encode()).digest()).decode(),
        "devices": _devices(tx, row), "dedicated_cpus": [],
    }  # fmt: skip
    if row.metadata:
        data["meta"] = row.metadata
    if row.key_name and row.public_key:
        key = tx.get(keypairs, user_id=row.user_id, name=row.key_name)
        data["public_keys"] = {row.key_name: row.public_key}
        data["keys"] = [{"name": row.key_name, "type": key.type if key else "ssh", "data": row.public_key}]
    return data


def _devices(tx: Tx, row: Row) -> list[dict]:
    """Disks and cards that were given a tag."""
    cards = {card.port_id: card for card in network.interfaces(tx, [row.id]).get(row.id, [])}
    tagged = tx.all(sa.select(nics).where(nics.c.server_id == row.id, nics.c.tag.is_not(None)))
    found = [{"type": "nic", "bus": "pci", "mac": cards[n.port_id].mac, "tags": [n.tag]} for n in tagged if n.port_id in cards]
    disks = tx.all(sa.select(block_devices).where(block_devices.c.server_id == row.id, block_devices.c.tag.is_not(None)))
    return found + [{"type": "disk", "bus": "pci", "serial": (d.volume_id or d.id)[:20], "tags": [d.tag]} for d in disks]
