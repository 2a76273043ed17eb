"""The rows of block storage."""

from __future__ import annotations

import sqlalchemy as sa

from ..kernel.db import Once, table

volumes = table(
    "volumes",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255)),
    sa.Column("description", sa.String(255)),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("growing_to", sa.Integer),
    sa.Column("status", sa.String(40), nullable=False, index=True),
    sa.Column("migration_status", sa.String(40)),
    sa.Column("fault", sa.Text),
    sa.Column("host", sa.String(255), index=True),
    sa.Column("availability_zone", sa.String(255), nullable=False, default="nova"),
    sa.Column("type_id", sa.String(64), index=True),
    sa.Column("snapshot_id", sa.String(64)),
    sa.Column("source_volid", sa.String(64)),
    sa.Column("image_id", sa.String(64)),
    sa.Column("bootable", sa.Boolean, nullable=False, default=False),
    sa.Column("multiattach", sa.Boolean, nullable=False, default=False),
    sa.Column("group_id", sa.String(64)),
    sa.Column("consistencygroup_id", sa.String(64)),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("admin_metadata", sa.JSON, nullable=False),
    sa.Column("image_metadata", sa.JSON, nullable=False),
)
"""`host` is the compute host whose agent keeps the data; `size` is in GiB, and so is `growing_to`, where it is being
extended."""

snapshots = table(
    "volume_snapshots",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("volume_id", sa.String(64), sa.ForeignKey("volumes.id"), nullable=False, index=True),
    sa.Column("name", sa.String(255)),
    sa.Column("description", sa.String(255)),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("progress", sa.String(10), nullable=False, default="0%"),
    sa.Column("fault", sa.Text),
    sa.Column("group_snapshot_id", sa.String(64)),
    sa.Column("metadata", sa.JSON, nullable=False),
)

attachments = table(
    "volume_attachments",
    sa.Column("volume_id", sa.String(64), sa.ForeignKey("volumes.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("instance_id", sa.String(64), index=True),
    sa.Column("by_compute", sa.Boolean, nullable=False, default=False),
    sa.Column("attached_host", sa.String(255)),
    sa.Column("mountpoint", sa.String(255)),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("attach_mode", sa.String(4), nullable=False, default="rw"),
    sa.Column("connector", sa.JSON),
    sa.Column("connection", sa.JSON, nullable=False),
    sa.Column("attached_at", sa.DateTime),
    once=(Once(("volume_id", "instance_id"), "Volume {volume_id} is already attached to server {instance_id}.", {"by_compute": True}),),
)
"""A use of a volume: `reserved`, `attaching`, `attached` or `detaching`. Where compute made it (`by_compute`), only
compute ends it: the volume is in a guest."""

types = table(
    "volume_types",
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255)),
    sa.Column("is_public", sa.Boolean, nullable=False, default=True),
    sa.Column("extra_specs", sa.JSON, nullable=False),
    sa.Column("qos_specs_id", sa.String(64)),
    sa.Column("encryption", sa.JSON),
    unique={("name",): "Volume Type {name} already exists."},
)

type_access = table(
    "volume_type_access",
    sa.Column("type_id", sa.String(64), sa.ForeignKey("volume_types.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=False),
    unique={("type_id", "project_id"): "Volume type access for {type_id} / {project_id} combination already exists."},
)

backends = table(
    "volume_backends",
    sa.Column("host", sa.String(255), nullable=False, unique=True),
    sa.Column("capacity", sa.JSON, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("disabled_reason", sa.String(255)),
    sa.Column("last_seen", sa.DateTime, nullable=False),
)
"""A host that keeps volumes; `capacity` is what its driver last said of itself."""

quotas = table(
    "volume_quotas",
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("resource", sa.String(300), nullable=False),
    sa.Column("hard_limit", sa.Integer, nullable=False),
    unique={("project_id", "resource"): "There is a limit for {resource} already."},
)

backups = table(
    "volume_backups",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("volume_id", sa.String(64), nullable=False, index=True),
    sa.Column("snapshot_id", sa.String(64)),
    sa.Column("parent_id", sa.String(64)),
    sa.Column("restored_to", sa.String(64)),
    sa.Column("name", sa.String(255)),
    sa.Column("description", sa.String(255)),
    sa.Column("container", sa.String(255)),
    sa.Column("availability_zone", sa.String(255)),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("fault", sa.Text),
    sa.Column("data_timestamp", sa.DateTime),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("origin", sa.JSON, nullable=False),
    sa.Column("file_id", sa.String(64), nullable=False, index=True),
)
"""`volume_id` may be gone, so `origin` holds what a volume made of the backup has from it; `parent_id` is the backup that this
one was asked to build on; `restored_to` is the volume that it is being restored to; an imported backup shares the file
(`file_id`) of the one that it was exported from."""

transfers = table(
    "volume_transfers",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("volume_id", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(255)),
    sa.Column("salt", sa.String(32), nullable=False),
    sa.Column("key_hash", sa.String(128), nullable=False),
    sa.Column("destination_project_id", sa.String(64)),
    sa.Column("accepted", sa.Boolean, nullable=False, default=False),
    sa.Column("no_snapshots", sa.Boolean, nullable=False, default=False),
)
"""An offer of a volume to another project; who has the key accepts it."""

messages = table(
    "volume_messages",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("request_id", sa.String(64)),
    sa.Column("resource_type", sa.String(36), nullable=False),
    sa.Column("resource_id", sa.String(64), nullable=False),
    sa.Column("event_id", sa.String(36), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("level", sa.String(10), nullable=False, default="ERROR"),
)

quota_classes = table(
    "volume_quota_classes",
    sa.Column("resource", sa.String(300), nullable=False),
    sa.Column("hard_limit", sa.Integer, nullable=False),
    unique={("resource",): "There is a default limit for {resource} already."},
)
"""What an administrator set instead of the defaults."""

default_types = table(
    "volume_default_types",
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("type_id", sa.String(64), sa.ForeignKey("volume_types.id", ondelete="CASCADE"), nullable=False),
    unique={("project_id",): "There is a default type for {project_id} already."},
)
"""The type of volumes of a project that names none."""

qos_specs = table(
    "volume_qos_specs",
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("consumer", sa.String(20), nullable=False),
    sa.Column("specs", sa.JSON, nullable=False),
    unique={("name",): "Qos Specs {name} already exists."},
)

group_types = table(
    "volume_group_types",
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255)),
    sa.Column("is_public", sa.Boolean, nullable=False, default=True),
    sa.Column("group_specs", sa.JSON, nullable=False),
    unique={("name",): "Group Type {name} already exists."},
)

groups = table(
    "volume_groups",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255)),
    sa.Column("description", sa.String(255)),
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("availability_zone", sa.String(255)),
    sa.Column("group_type_id", sa.String(64), nullable=False),
    sa.Column("volume_types", sa.JSON, nullable=False),
    sa.Column("group_snapshot_id", sa.String(64)),
    sa.Column("source_group_id", sa.String(64)),
)
"""Volumes that are snapshot together; which, their rows say."""

group_snapshots = table(
    "volume_group_snapshots",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("user_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255)),
    sa.Column("description", sa.String(255)),
    sa.Column("status", sa.String(40), nullable=False),
    sa.Column("group_id", sa.String(64), nullable=False, index=True),
    sa.Column("group_type_id", sa.String(64), nullable=False),
)

unmanaged = table(
    "volume_unmanaged",
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("volume_id", sa.String(64)),
)
"""A `volume` or `snapshot` whose data a host keeps though this service let go of it; the id is what the host calls it."""
