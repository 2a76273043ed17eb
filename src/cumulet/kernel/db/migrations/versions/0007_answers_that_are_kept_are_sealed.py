"""Answers that are kept are sealed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Those that were kept so far may hold secrets in plain text; they would have been thrown away within a day.
    op.execute(sa.table("idempotency_keys").delete())
    op.drop_column("idempotency_keys", "headers")
    op.alter_column("idempotency_keys", "body", new_column_name="sealed")


def downgrade() -> None:
    op.execute(sa.table("idempotency_keys").delete())
    op.alter_column("idempotency_keys", "sealed", new_column_name="body")
    op.add_column("idempotency_keys", sa.Column("headers", sa.JSON(), nullable=False, server_default="{}"))
