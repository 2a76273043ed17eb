"""Image's policy rules, with the service's default checks, and the target they are checked against."""

from __future__ import annotations

from ..kernel.auth.context import SCOPES
from ..kernel.db import Row
from ..kernel.http import NotFound, Request
from . import api

_OWN = "rule:context_is_admin or (role:member and project_id:%(project_id)s)"
_VISIBLE = (
    "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s "
    "or 'public':%(visibility)s or 'shared':%(visibility)s))"
)

api.rule("context_is_admin", "role:admin", "Who is an administrator.")
ANYONE = api.rule("default", "", "Fetch schemas, and what the service tells of itself.", scopes=SCOPES)

ADD = api.rule(
    "add_image", "rule:context_is_admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)", "Create an image."
)
GET_ALL = api.rule("get_images", "rule:context_is_admin or (role:reader and project_id:%(project_id)s)", "List images.")
GET = api.rule("get_image", _VISIBLE, "Show an image.")
MODIFY = api.rule("modify_image", _OWN, "Change an image.")
DELETE = api.rule("delete_image", _OWN, "Delete an image.")
PUBLICIZE = api.rule("publicize_image", "rule:context_is_admin", "Make an image public.")
COMMUNITIZE = api.rule("communitize_image", _OWN, "Make an image visible to whoever knows its id.")
UPLOAD = api.rule("upload_image", _OWN, "Upload an image's data.")
DOWNLOAD = api.rule("download_image", _VISIBLE.replace("role:reader", "role:member"), "Download an image's data.")
DEACTIVATE = api.rule("deactivate", _OWN, "Stop an image's data from being downloaded.")
REACTIVATE = api.rule("reactivate", _OWN, "Allow an image's data to be downloaded again.")
COPY = api.rule("copy_image", "rule:context_is_admin", "Copy an image to other stores.")
TASKS = api.rule("tasks_api_access", "rule:context_is_admin", "See and make tasks.")
ADD_MEMBER = api.rule("add_member", _OWN, "Share an image with a project.")
DELETE_MEMBER = api.rule("delete_member", _OWN, "Stop sharing an image with a project.")
GET_MEMBER = api.rule(
    "get_member", "rule:context_is_admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)", "Show a member."
)
GET_MEMBERS = api.rule(
    "get_members", "rule:context_is_admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)", "List members."
)
MODIFY_MEMBER = api.rule(
    "modify_member", "rule:context_is_admin or (role:member and project_id:%(member_id)s)", "Accept or reject a shared image."
)

SERVICE = api.rule("service_api", "role:service or role:admin", "Who calls for another service.")
STORES_DETAIL = api.rule("stores_info_detail", "rule:context_is_admin or rule:service_api", "See how the stores are set.")
GET_LOCATION = api.rule(
    "get_image_location", "rule:context_is_admin or (role:reader and project_id:%(project_id)s)", "See where an image's data is."
)
SET_LOCATION = api.rule("set_image_location", _OWN, "Say where an image's data is, by changing the image.")
ADD_LOCATION = api.rule(
    "add_image_location",
    "rule:service_api or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
    "Say where an image's data is, once.",
)
FETCH_LOCATION = api.rule("fetch_image_location", "rule:service_api", "List where an image's data is.")
DELETE_LOCATION = api.rule("delete_image_location", "rule:context_is_admin", "Remove one copy of an image's data.")


def facts(request: Request, owner: str | None, visibility: str) -> dict:
    """An image as policy sees it. Its finder has seen to it that the caller's project may know of it."""
    member = request.context.project_id if visibility == "shared" else None
    return {"project_id": owner, "owner": owner, "visibility": visibility, "member_id": member}


def against(request: Request, row: Row) -> dict:
    """What policy is asked about, where it is whether the caller may do something to an image. Raises NotFound where they may not
    even look at it."""
    target = facts(request, row.owner, row.visibility)
    if not request.allows(GET, target):
        raise NotFound("The resource could not be found.")
    return target
