"""Federated users"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = "uq_identity_users_domain_id_name"
INDEX = f"{NAME}_among_shadow"
USERS = sa.table("identity_users", sa.column("shadow", sa.Boolean))
AMONG = USERS.c.shadow.is_(False)


def upgrade() -> None:
    op.create_table(
        "identity_expiring_memberships",
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("verified_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["identity_groups.id"], name=op.f("fk_identity_expiring_memberships_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["identity_providers.id"], name=op.f("fk_identity_expiring_memberships_provider_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_users.id"], name=op.f("fk_identity_expiring_memberships_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "group_id", "provider_id", name=op.f("pk_identity_expiring_memberships")),
    )
    with op.batch_alter_table("identity_expiring_memberships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_expiring_memberships_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_identity_expiring_memberships_provider_id"), ["provider_id"], unique=False)

    op.create_table(
        "identity_federated_names",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("protocol_id", sa.String(length=64), nullable=False),
        sa.Column("unique_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id", "protocol_id"],
            ["identity_protocols.provider_id", "identity_protocols.id"],
            name=op.f("fk_identity_federated_names_provider_id_protocol_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["identity_users.id"], name=op.f("fk_identity_federated_names_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_federated_names")),
        sa.UniqueConstraint(
            "provider_id", "protocol_id", "unique_id", name="uq_identity_federated_names_provider_id_protocol_id_unique_id"
        ),
    )
    with op.batch_alter_table("identity_federated_names", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_federated_names_user_id"), ["user_id"], unique=False)

    op.create_table(
        "identity_spent",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_spent")),
    )
    with op.batch_alter_table("identity_spent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_spent_expires_at"), ["expires_at"], unique=False)

    with op.batch_alter_table("identity_users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shadow", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.drop_constraint(batch_op.f(NAME), type_="unique")
    op.create_index(INDEX, "identity_users", ["domain_id", "name"], unique=True, sqlite_where=AMONG, postgresql_where=AMONG)


def downgrade() -> None:
    op.drop_table("identity_spent")
    op.execute(USERS.delete().where(USERS.c.shadow))
    op.drop_index(INDEX, "identity_users")
    with op.batch_alter_table("identity_users", schema=None) as batch_op:
        batch_op.create_unique_constraint(batch_op.f(NAME), ["domain_id", "name"])
        batch_op.drop_column("shadow")

    with op.batch_alter_table("identity_federated_names", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_federated_names_user_id"))

    op.drop_table("identity_federated_names")
    with op.batch_alter_table("identity_expiring_memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_expiring_memberships_provider_id"))
        batch_op.drop_index(batch_op.f("ix_identity_expiring_memberships_group_id"))

    op.drop_table("identity_expiring_memberships")
