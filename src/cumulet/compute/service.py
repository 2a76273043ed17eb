"""The compute API itself: where it is mounted, its microversions, and the policy rules that others build on."""

from ..kernel.http import Api, KeyedDialect

api = Api(
    "compute",
    prefix="/compute",
    base="/v2.1",
    also=("/v2.1/{project_id}",),
    low="2.1",
    high="2.104",
    dialect=KeyedDialect("compute", "computeFault", "X-OpenStack-Nova-API-Version", "x-compute-request-id"),
)

ADMIN = "rule:context_is_admin"
PROJECT_MEMBER = "rule:project_member_or_admin"
PROJECT_READER = "rule:project_reader_or_admin"
ANY = "@"

api.rule("context_is_admin", "role:admin", "Decides what makes an administrator.")
api.rule("admin_api", "is_admin:True or role:admin", "Default rule for most administrative operations.")
api.rule("project_manager_or_admin", "(role:manager and project_id:%(project_id)s) or rule:context_is_admin")
api.rule("project_member_or_admin", "(role:member and project_id:%(project_id)s) or rule:context_is_admin")
api.rule("project_reader_or_admin", "(role:reader and project_id:%(project_id)s) or rule:context_is_admin")
