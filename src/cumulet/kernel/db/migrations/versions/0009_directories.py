"""Users and groups of directories"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("identity_users", "identity_groups"):
        op.add_column(table, sa.Column("local_id", sa.String(length=255), nullable=True))
        op.add_column(table, sa.Column("gone", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    for table in ("identity_users", "identity_groups"):
        op.drop_column(table, "gone")
        op.drop_column(table, "local_id")
