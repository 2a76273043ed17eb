"""The volume API itself: where it is mounted, its microversions, and the policy rules that others build on."""

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
