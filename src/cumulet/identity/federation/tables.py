"""The tables of federation: identity providers with the names they go by, their protocols, and the users they vouch for."""

from __future__ import annotations

import sqlalchemy as sa

from ...kernel.db import table

identity_providers = table(
    "identity_providers",
    sa.Column("domain_id", sa.String(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("authorization_ttl", sa.Integer),
)
"""`domain_id`: where the users are that it vouches for. `authorization_ttl`: for how many minutes they stay in the groups
that it said they are in."""

remote_ids = table(
    "identity_remote_ids",
    sa.Column("remote_id", sa.String(255), primary_key=True),
    sa.Column("provider_id", sa.String(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False, index=True),
    id=False,
)

protocols = table(
    "identity_protocols",
    sa.Column("provider_id", sa.String(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("mapping_id", sa.String(64), nullable=False),
    sa.Column("remote_id_attribute", sa.String(64)),
    id=False,
)
"""`remote_id_attribute`: the attribute that says which of its remote ids a provider speaks as. A mapping may be deleted
while a protocol names it, and made again."""

federated_names = table(
    "identity_federated_names",
    sa.Column("provider_id", sa.String(64), nullable=False),
    sa.Column("protocol_id", sa.String(64), nullable=False),
    sa.Column("unique_id", sa.String(255), nullable=False),
    sa.Column("user_id", sa.String(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.ForeignKeyConstraint(
        ["provider_id", "protocol_id"], ["identity_protocols.provider_id", "identity_protocols.id"], ondelete="CASCADE"
    ),
    unique={
        ("provider_id", "protocol_id", "unique_id"): "Conflict occurred attempting to store federated_user - Duplicate entry with "
        "unique ID {unique_id} at identity provider {provider_id}."
    },
)
"""By what unique id a provider knows a user."""
