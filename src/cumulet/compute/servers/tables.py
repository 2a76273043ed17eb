"""The rows of a server: itself, its disks, its cards, and what was done to it."""

from __future__ import annotations

import sqlalchemy as sa

from ...kernel.db import Once, table

servers = table(
    "servers",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255)),
    sa.Column("hostname", sa.String(255), nullable=False),
    sa.Column("vm_state", sa.String(20), nullable=False, index=True),
    sa.Column("task_state", sa.String(40)),
    sa.Column("power_state", sa.Integer, nullable=False, default=0),
    sa.Column("fault", sa.JSON),
    sa.Column("progress", sa.Integer, nullable=False, default=0),
    sa.Column("host", sa.String(255), index=True),
    sa.Column("availability_zone", sa.String(255)),
    sa.Column("flavor", sa.JSON, nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("memory_mib", sa.Integer, nullable=False),
    sa.Column("image_id", sa.String(64)),
    sa.Column("image_properties", sa.JSON, nullable=False),
    sa.Column("root_epoch", sa.Integer, nullable=False, default=0),
    sa.Column("key_name", sa.String(255)),
    sa.Column("public_key", sa.Text),
    sa.Column("user_data", sa.Text),
    sa.Column("config_drive", sa.Boolean, nullable=False, default=False),
    sa.Column("access_ipv4", sa.String(64)),
    sa.Column("access_ipv6", sa.String(64)),
    sa.Column("disk_config", sa.String(10), nullable=False),
    sa.Column("locked_by", sa.String(64)),
    sa.Column("locked_reason", sa.String(255)),
    sa.Column("launched_at", sa.DateTime),
    sa.Column("reservation_id", sa.String(64), nullable=False),
    sa.Column("launch_index", sa.Integer, nullable=False, default=0),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("scheduler_hints", sa.JSON, nullable=False),
    sa.Column("trusted_certificates", sa.JSON),
    sa.Column("admin_password", sa.Text),
    sa.Column("resize", sa.JSON),
    sa.Column("rescue", sa.JSON),
    sa.Column("shelved_image_id", sa.String(64)),
)
"""`flavor` is the flavor as it was (`id`, `name`, `vcpus`, `ram`, `disk`, `ephemeral`, `swap`, `extra_specs`). `resize` holds
what a resize under way goes back to (`flavor`, `host`), `rescue` the image of a rescue. `admin_password` is what a
guest posted to the metadata service, encrypted for its key pair. `locked_by` is `owner` or `admin`."""

block_devices = table(
    "server_block_devices",
    sa.Column("server_id", sa.String(64), sa.ForeignKey("servers.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("source_type", sa.String(20), nullable=False),
    sa.Column("destination_type", sa.String(20), nullable=False),
    sa.Column("boot_index", sa.Integer),
    sa.Column("device_name", sa.String(64)),
    sa.Column("size_gib", sa.Integer, nullable=False, default=0),
    sa.Column("image_id", sa.String(64)),
    sa.Column("volume_id", sa.String(64), index=True),
    sa.Column("attachment_id", sa.String(64)),
    sa.Column("connection", sa.JSON),
    sa.Column("disk_bus", sa.String(20)),
    sa.Column("device_type", sa.String(20)),
    sa.Column("tag", sa.String(60)),
    sa.Column("delete_on_termination", sa.Boolean, nullable=False, default=False),
    once=(
        Once(("server_id", "volume_id"), "Volume {volume_id} is already attached to server {server_id}."),
        Once(("server_id",), "Server {server_id} has a disk to boot from already.", {"boot_index": 0}),
    ),
)
"""A disk: `destination_type` is `local` (lives with the server) or `volume`. `connection` is how its host reaches a volume."""

nics = table(
    "server_nics",
    sa.Column("server_id", sa.String(64), sa.ForeignKey("servers.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("port_id", sa.String(64), nullable=False, index=True),
    sa.Column("tag", sa.String(60)),
    sa.Column("ours", sa.Boolean, nullable=False),
    once=(Once(("server_id", "port_id"), "Port {port_id} is already attached to server {server_id}."),),
)
"""A card. `ours`: the port was made for the server and goes with it."""

actions = table(
    "server_actions",
    sa.Column("server_id", sa.String(64), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("events", sa.JSON, nullable=False),
)
"""What was asked of a server; `events` are the steps of the work that it began."""

console_tokens = table(
    "console_tokens",
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("server_id", sa.String(64), sa.ForeignKey("servers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("expires_at", sa.DateTime, nullable=False),
)
"""Permission to open a console once; `digest` is the token's SHA-256, the token itself is with its owner alone."""
