"""Placement: what there is of each resource, where, and who has it. The placement API, microversions 1.0 to 1.39."""

from ..kernel.http import Api, PlacementDialect
from .claims import NoCapacity, claim, ensure_provider, forget_provider, move, providers, release, usage
from .model import Inventory, Provider

__all__ = [
    "Inventory", "NoCapacity", "Provider", "api", "claim", "ensure_provider", "forget_provider", "move", "providers",
    "release", "usage",
]  # fmt: skip

api = Api("placement", prefix="/placement", low="1.0", high="1.39", dialect=PlacementDialect(),
          forbidden="{rule} forbidden by policy")  # fmt: skip

ADMIN_OR_SERVICE = "rule:admin_or_service_api"
SERVICE = "rule:service_api"
READER = "rule:admin_or_project_reader_or_service_api"

api.rule("admin_api", "role:admin", "Default rule for administrators.")
api.rule("service_api", "role:service", "Default rule for services.")
api.rule("admin_or_service_api", "rule:admin_api or rule:service_api")
api.rule("project_reader_api", "role:reader and project_id:%(project_id)s", "Default rule for readers of a project.")
api.rule("admin_or_project_reader_or_service_api", "rule:admin_api or rule:project_reader_api or rule:service_api")
