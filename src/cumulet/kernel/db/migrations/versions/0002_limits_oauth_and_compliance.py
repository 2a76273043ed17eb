"""Limits, OAuth and compliance"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity_registered_limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=True),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column("default_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["region_id"], ["identity_regions.id"], name=op.f("fk_identity_registered_limits_region_id")),
        sa.ForeignKeyConstraint(["service_id"], ["identity_services.id"], name=op.f("fk_identity_registered_limits_service_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_registered_limits")),
    )
    op.create_table(
        "identity_limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("registered_limit_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("domain_id", sa.String(length=64), nullable=True),
        sa.Column("resource_limit", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["identity_projects.id"], name=op.f("fk_identity_limits_domain_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["identity_projects.id"], name=op.f("fk_identity_limits_project_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["registered_limit_id"], ["identity_registered_limits.id"], name=op.f("fk_identity_limits_registered_limit_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_limits")),
        sa.UniqueConstraint("registered_limit_id", "domain_id", name="uq_identity_limits_registered_limit_id_domain_id"),
        sa.UniqueConstraint("registered_limit_id", "project_id", name="uq_identity_limits_registered_limit_id_project_id"),
    )


def downgrade() -> None:
    op.drop_table("identity_limits")
    op.drop_table("identity_registered_limits")
