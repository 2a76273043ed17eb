"""Limits, OAuth and compliance"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
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
    op.create_table(
        "identity_oauth_access_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("authorizing_user_id", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("role_ids", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorizing_user_id"],
            ["identity_users.id"],
            name=op.f("fk_identity_oauth_access_tokens_authorizing_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["identity_oauth_consumers.id"], name=op.f("fk_identity_oauth_access_tokens_consumer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["identity_projects.id"], name=op.f("fk_identity_oauth_access_tokens_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_oauth_access_tokens")),
    )
    with op.batch_alter_table("identity_oauth_access_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_oauth_access_tokens_authorizing_user_id"), ["authorizing_user_id"], unique=False)

    op.create_table(
        "identity_oauth_request_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.String(length=8), nullable=True),
        sa.Column("role_ids", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["identity_oauth_consumers.id"], name=op.f("fk_identity_oauth_request_tokens_consumer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["identity_projects.id"], name=op.f("fk_identity_oauth_request_tokens_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_users.id"], name=op.f("fk_identity_oauth_request_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_oauth_request_tokens")),
    )
    with op.batch_alter_table("identity_oauth_request_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_oauth_request_tokens_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "identity_old_passwords",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["identity_users.id"], name=op.f("fk_identity_old_passwords_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_old_passwords")),
    )
    with op.batch_alter_table("identity_old_passwords", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_old_passwords_user_id"), ["user_id"], unique=False)

    with op.batch_alter_table("identity_users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("password_expires_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("password_chosen_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("failed_auth_count", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("failed_auth_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("last_active_on", sa.Date(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("identity_users", schema=None) as batch_op:
        batch_op.drop_column("last_active_on")
        batch_op.drop_column("failed_auth_at")
        batch_op.drop_column("failed_auth_count")
        batch_op.drop_column("password_chosen_at")
        batch_op.drop_column("password_expires_at")

    with op.batch_alter_table("identity_old_passwords", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_old_passwords_user_id"))

    op.drop_table("identity_old_passwords")
    with op.batch_alter_table("identity_oauth_request_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_oauth_request_tokens_expires_at"))

    op.drop_table("identity_oauth_request_tokens")
    with op.batch_alter_table("identity_oauth_access_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_oauth_access_tokens_authorizing_user_id"))

    op.drop_table("identity_oauth_access_tokens")
    op.drop_table("identity_limits")
    op.drop_table("identity_registered_limits")
