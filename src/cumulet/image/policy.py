"""Image's policy rules, with the service's default checks, and the target they are checked against."""

from __future__ import annotations

from ..kernel.db import Row
from ..kernel.http import Request
from . import api

_OWN = "role:admin or (role:member and project_id:%(project_id)s)"
_VISIBLE = (
    'role:admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s or "community":%(visibility)s '
    'or "public":%(visibility)s or "shared":%(visibility)s))'
)

ADD = api.rule("add_image", "role:admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)", "Create an image.")
GET_ALL = api.rule("get_images", "role:admin or (role:reader and project_id:%(project_id)s)", "List images.")
GET = api.rule("get_image", _VISIBLE, "Show an image.")
MODIFY = api.rule("modify_image", _OWN, "Change an image.")
DELETE = api.rule("delete_image", _OWN, "Delete an image.")
PUBLICIZE = api.rule("publicize_image", "role:admin", "Make an image public.")
COMMUNITIZE = api.rule("communitize_image", _OWN, "Make an image visible to whoever knows its id.")
UPLOAD = api.rule("upload_image", _OWN, "Upload an image's data.")
DOWNLOAD = api.rule("download_image", _VISIBLE.replace("role:reader", "role:member"), "Download an image's data.")
DEACTIVATE = api.rule("deactivate", _OWN, "Stop an image's data from being downloaded.")
REACTIVATE = api.rule("reactivate", _OWN, "Allow an image's data to be downloaded again.")
COPY = api.rule("copy_image", "role:admin", "Copy an image to other stores.")
TASKS = api.rule("tasks_api_access", "role:admin", "See and make tasks.")
ADD_MEMBER = api.rule("add_member", _OWN, "Share an image with a project.")
DELETE_MEMBER = api.rule("delete_member", _OWN, "Stop sharing an image with a project.")
GET_MEMBER = api.rule(
    "get_member", "role:admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)", "Show a member."
)
GET_MEMBERS = api.rule(
    "get_members", "role:admin or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)", "List members."
)
MODIFY_MEMBER = api.rule("modify_member", "role:admin or (role:member and project_id:%(member_id)s)", "Accept or reject a shared image.")

SERVICE = api.rule("service_api", "role:service or role:admin", "Who calls for another service.")
STORES_DETAIL = api.rule("stores_info_detail", "role:admin or rule:service_api", "See how the stores are set.")
GET_LOCATION = api.rule("get_image_location", "role:admin or (role:reader and project_id:%(project_id)s)", "See where an image's data is.")
SET_LOCATION = api.rule("set_image_location", _OWN, "Say where an image's data is, by changing the image.")
FETCH_LOCATION = api.rule("fetch_image_location", "rule:service_api", "List where an image's data is.")
DELETE_LOCATION = api.rule("delete_image_location", "role:admin", "Remove one copy of an image's data.")


def against(request: Request, row: Row) -> dict:
    """An image as policy sees it. Its finder has seen to it that the caller may know of it."""
    member = request.context.project_id if row.visibility == "shared" else None
    return {"project_id": row.owner, "owner": row.owner, "visibility": row.visibility, "member_id": member}
