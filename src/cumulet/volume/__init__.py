"""Volumes: block storage that outlives servers. Cinder's API, version 3, microversions 3.0 to 3.71.

Other services use what is exported here; the functions that take a transaction are called inside theirs.
"""

from ..kernel.http import Api, KeyedDialect

api = Api(
    "volume", prefix="/volume", base="/v3/{project_id}", also=("/v3",), low="3.0", high="3.71",
    dialect=KeyedDialect("volume", "computeFault", request_id="x-compute-request-id"),
)  # fmt: skip

ADMIN = "rule:admin_api"
MEMBER = "rule:xena_system_admin_or_project_member"
READER = "rule:xena_system_admin_or_project_reader"

api.rule("admin_api", "is_admin:True or (role:admin and is_admin_project:True)", "Default rule for most Admin APIs.")
api.rule("admin_or_owner", "is_admin:True or (role:admin and is_admin_project:True) or project_id:%(project_id)s")
api.rule("xena_system_admin_or_project_member", "(role:admin) or (role:member and project_id:%(project_id)s)")
api.rule("xena_system_admin_or_project_reader", "(role:admin) or (role:reader and project_id:%(project_id)s)")

ANYBODY = api.rule("volume:authenticated", "@", "Whoever has a token.")

from .find import find  # noqa: E402
from .hosts import host_event  # noqa: E402
from .uses import attach, begin_detaching, connect, create, delete, detach, reserve, roll_detaching, state  # noqa: E402
from .workflows.extend import on_extended  # noqa: E402

__all__ = [
    "api", "attach", "begin_detaching", "connect", "create", "delete", "detach", "find", "host_event", "on_extended", "reserve", "roll_detaching", "state",
]  # fmt: skip
