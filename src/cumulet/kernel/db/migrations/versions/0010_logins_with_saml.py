"""Logins with SAML"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity_saml_logins",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=True),
        sa.Column("issuer", sa.String(length=1024), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_saml_logins")),
    )
    with op.batch_alter_table("identity_saml_logins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_saml_logins_expires_at"), ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("identity_saml_logins")
