"""Users and groups are found by name among many, and users by when their tokens ended"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_identity_users_name", "identity_users", ["name"])
    op.create_index("ix_identity_users_domain_id_name", "identity_users", ["domain_id", "name"])
    op.create_index("ix_identity_users_valid_from", "identity_users", ["valid_from"])
    op.create_index("ix_identity_groups_name", "identity_groups", ["name"])
