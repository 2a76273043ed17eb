"""Where image data is"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    made = op.create_table(
        "image_locations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("image_id", sa.String(length=64), nullable=True),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_image_locations_image_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_locations")),
    )
    with op.batch_alter_table("image_locations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_image_locations_image_id"), ["image_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_image_locations_key"), ["key"], unique=False)

    images = sa.table("images", *(sa.column(name) for name in ("id", "created_at", "updated_at", "status")))
    there = sa.select(
        images.c.id, images.c.created_at, images.c.updated_at, images.c.id, sa.literal("file"), images.c.id, sa.literal("active"),
        sa.literal(0), sa.literal({}, sa.JSON),
    ).where(images.c.status.in_(("active", "deactivated")))  # fmt: skip
    columns = ["id", "created_at", "updated_at", "image_id", "store", "key", "status", "position", "metadata"]
    op.execute(sa.insert(made).from_select(columns, there))
    op.execute(sa.update(images).where(images.c.status == "saving").values(status="queued"))
    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.drop_column("upload_seen")


def downgrade() -> None:
    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.add_column(sa.Column("upload_seen", sa.DateTime(), nullable=True))
    with op.batch_alter_table("image_locations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_image_locations_key"))
        batch_op.drop_index(batch_op.f("ix_image_locations_image_id"))

    op.drop_table("image_locations")
