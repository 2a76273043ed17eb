"""Federation"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity_mappings",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("schema_version", sa.String(length=5), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_mappings")),
    )
    op.create_table(
        "identity_service_providers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("auth_url", sa.String(length=225), nullable=False),
        sa.Column("sp_url", sa.String(length=225), nullable=False),
        sa.Column("relay_state_prefix", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_service_providers")),
    )
    op.create_table(
        "identity_providers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("authorization_ttl", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["identity_projects.id"], name=op.f("fk_identity_providers_domain_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_providers")),
    )
    with op.batch_alter_table("identity_providers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_providers_domain_id"), ["domain_id"], unique=False)

    op.create_table(
        "identity_protocols",
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("mapping_id", sa.String(length=64), nullable=False),
        sa.Column("remote_id_attribute", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["identity_providers.id"], name=op.f("fk_identity_protocols_provider_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider_id", "id", name=op.f("pk_identity_protocols")),
    )
    op.create_table(
        "identity_remote_ids",
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("remote_id", sa.String(length=255), nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["identity_providers.id"], name=op.f("fk_identity_remote_ids_provider_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("remote_id", name=op.f("pk_identity_remote_ids")),
    )
    with op.batch_alter_table("identity_remote_ids", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_remote_ids_provider_id"), ["provider_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("identity_remote_ids", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_remote_ids_provider_id"))

    op.drop_table("identity_remote_ids")
    op.drop_table("identity_protocols")
    with op.batch_alter_table("identity_providers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_providers_domain_id"))

    op.drop_table("identity_providers")
    op.drop_table("identity_service_providers")
    op.drop_table("identity_mappings")
