"""Endpoint associations and domain config"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity_domain_options",
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("group", sa.String(length=64), nullable=False),
        sa.Column("option", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["identity_projects.id"], name=op.f("fk_identity_domain_options_domain_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("domain_id", "group", "option", name=op.f("pk_identity_domain_options")),
    )
    op.create_table(
        "identity_project_endpoint_groups",
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("endpoint_group_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_group_id"],
            ["identity_endpoint_groups.id"],
            name=op.f("fk_identity_project_endpoint_groups_endpoint_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["identity_projects.id"], name=op.f("fk_identity_project_endpoint_groups_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_group_id", "project_id", name=op.f("pk_identity_project_endpoint_groups")),
    )
    with op.batch_alter_table("identity_project_endpoint_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_project_endpoint_groups_project_id"), ["project_id"], unique=False)

    op.create_table(
        "identity_policy_associations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("policy_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=True),
        sa.Column("service_id", sa.String(length=64), nullable=True),
        sa.Column("region_id", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["identity_endpoints.id"], name=op.f("fk_identity_policy_associations_endpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["identity_policies.id"], name=op.f("fk_identity_policy_associations_policy_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["region_id"], ["identity_regions.id"], name=op.f("fk_identity_policy_associations_region_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["identity_services.id"], name=op.f("fk_identity_policy_associations_service_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_policy_associations")),
    )
    with op.batch_alter_table("identity_policy_associations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_policy_associations_policy_id"), ["policy_id"], unique=False)

    op.create_table(
        "identity_project_endpoints",
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["identity_endpoints.id"], name=op.f("fk_identity_project_endpoints_endpoint_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["identity_projects.id"], name=op.f("fk_identity_project_endpoints_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name=op.f("pk_identity_project_endpoints")),
    )
    with op.batch_alter_table("identity_project_endpoints", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_project_endpoints_endpoint_id"), ["endpoint_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("identity_project_endpoints", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_project_endpoints_endpoint_id"))

    op.drop_table("identity_project_endpoints")
    with op.batch_alter_table("identity_policy_associations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_policy_associations_policy_id"))

    op.drop_table("identity_policy_associations")
    with op.batch_alter_table("identity_project_endpoint_groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_project_endpoint_groups_project_id"))

    op.drop_table("identity_project_endpoint_groups")
    op.drop_table("identity_domain_options")
