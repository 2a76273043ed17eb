"""The status of volumes comes from their rows"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("volumes", "previous_status")


def downgrade() -> None:
    op.add_column("volumes", sa.Column("previous_status", sa.String(length=40), nullable=True))
