"""The network API itself: where it is mounted, how its faults read, and the policy rules that others build on."""

from __future__ import annotations

from ..kernel.http import Api, NetworkDialect

api = Api(
    "network",
    prefix="/network",
    base="/v2.0",
    dialect=NetworkDialect(),
    forbidden="rule:{rule} is disallowed by policy",
)

ADMIN = "rule:admin_only"
MEMBER = "(rule:admin_only) or (role:member and project_id:%(project_id)s)"
READER = "(rule:admin_only) or (role:reader and project_id:%(project_id)s)"
NET_OWNER_MEMBER = "(rule:admin_only) or (role:member and rule:network_owner)"
"""Whoever owns the network may do it to a port or subnet on it, whosever that is."""
NET_OWNER_READER = "(rule:admin_only) or (role:reader and rule:network_owner)"

api.rule("context_is_admin", "role:admin", "Decides what makes an administrator.")
api.rule("service_api", "role:service", "Default rule for the other services of the cloud.")
api.rule("owner", "tenant_id:%(tenant_id)s", "The resource's own project.")
api.rule("admin_or_owner", "rule:context_is_admin or rule:owner", "The resource's own project, and administrators.")
api.rule("context_is_advsvc", "role:advsvc", "Advanced services, which see every project's networks.")
api.rule("network_owner", "project_id:%(network:project_id)s", "The project that owns the network.")
api.rule("admin_or_network_owner", "rule:context_is_admin or rule:network_owner")
api.rule("admin_only", "rule:context_is_admin", "Default rule for administrative operations.")
api.rule("regular_user", "", "Anybody with a token.")
api.rule("shared", "True:%(shared)s", "The network is shared by all projects.")
api.rule("external", "True:%(router:external)s", "The network is external.")
api.rule("default", "rule:admin_or_owner", "Where no rule of a more exact name exists.")
