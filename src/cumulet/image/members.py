"""Sharing an image with other projects, and their saying yes or no."""

from __future__ import annotations

import typing as t

import msgspec

from ..kernel import clock
from ..kernel.db import Row, Tx
from ..kernel.errors import ApiError
from ..kernel.http import BadRequest, Conflict, Forbidden, NotFound, OpenBody, Request, View
from . import api, policy
from .attributes import limited
from .images import NOT_FOUND, members, visible
from .shapes import MEMBER_STATUSES


class MemberCreate(OpenBody):
    member: t.Annotated[str, msgspec.Meta(max_length=64)]

    @classmethod
    def refuse(cls, data: t.Any) -> None:
        if not isinstance(data, dict):
            raise BadRequest('Expected a member in the form: {"member": "image_id"}')
        if "member" not in data:
            raise BadRequest("Member to be added not specified")
        if not data["member"]:
            raise BadRequest("Member can't be empty")


class MemberUpdate(OpenBody):
    status: t.Literal["accepted", "rejected", "pending"]

    @classmethod
    def refuse(cls, data: t.Any) -> None:
        if not isinstance(data, dict):
            raise BadRequest('Expected a status in the form: {"status": "status"}')
        if "status" not in data:
            raise BadRequest("Status not specified")
        if data["status"] not in MEMBER_STATUSES:
            raise BadRequest('Incorrect request: Status must be "pending", "accepted" or "rejected".')


class Member(View):
    member_id: str
    image_id: str
    status: str
    created_at: str
    updated_at: str
    schema: str = "/v2/schemas/member"


class Members(View):
    members: list[Member]
    schema: str = "/v2/schemas/members"


def _target(tx: Tx, request: Request, id: str) -> dict:
    return policy.against(request, visible(tx, request, id, NOT_FOUND))


def _listed(tx: Tx, request: Request, id: str) -> dict:
    _shared(tx, request, id, "Not allowed to list members for image {id}: Only shared images have members.")
    return _target(tx, request, id)


def _found(wording: str, refused: type[ApiError] = Forbidden) -> t.Callable[..., dict]:
    """What policy is asked about a member, which has to be there. Where the image has none, `refused` is raised, in these words."""

    def target(tx: Tx, request: Request, id: str, member_id: str) -> dict:
        _shared(tx, request, id, wording, refused)
        return _target(tx, request, id) | {"member_id": _find(tx, request, id, member_id).member_id}

    return target


@api.op("POST", "/images/{id}/members", policy=policy.ADD_MEMBER, target=_target, errors=(403, 404, 409, 413))
def create(tx: Tx, request: Request, id: str, body: MemberCreate) -> Member:
    """Share an image with a project."""
    row = _shared(tx, request, id, "Not allowed to create members for image {id}.")
    if tx.get(members, image_id=id, member_id=body.member):
        raise Conflict(f"Member {body.member} is duplicated for image {id}")
    told = f"Image member limit exceeded for image {id}: {{}}:"
    limited("members for this image", len(tx.rows(members, image_id=id)) + 1, told=told)
    return _view(tx.insert(members, image_id=row.id, member_id=body.member, status="pending"))


@api.op("GET", "/images/{id}/members", policy=policy.GET_MEMBERS, target=_listed, errors=(403, 404))
def index(tx: Tx, request: Request, id: str) -> Members:
    """List the projects that an image is shared with; they see themselves alone."""
    row = visible(tx, request, id)
    rows = tx.rows(members, image_id=id, order=members.c.created_at)
    mine = request.context.is_admin or row.owner == request.context.project_id
    return Members(members=[_view(m) for m in rows if mine or m.member_id == request.context.project_id])


@api.op("GET", "/images/{id}/members/{member_id}", policy=policy.GET_MEMBER, errors=(404,),
        target=_found("Only shared images have members.", NotFound))  # fmt: skip
def show(tx: Tx, request: Request, id: str, member_id: str) -> Member:
    """Show a project that an image is shared with."""
    return _view(_find(tx, request, id, member_id))


@api.op("PUT", "/images/{id}/members/{member_id}", policy=policy.MODIFY_MEMBER, errors=(403, 404),
        target=_found("Not allowed to update members for image {id}."))  # fmt: skip
def update(tx: Tx, request: Request, id: str, member_id: str, body: MemberUpdate) -> Member:
    """Accept or reject an image that was shared with one's project."""
    row = _find(tx, request, id, member_id)
    tx.update(members, row.id, status=body.status)
    return _view(_find(tx, request, id, member_id))


@api.op("DELETE", "/images/{id}/members/{member_id}", policy=policy.DELETE_MEMBER, status=204, errors=(403, 404),
        target=_found("Not allowed to delete members for image {id}."))  # fmt: skip
def delete(tx: Tx, request: Request, id: str, member_id: str) -> None:
    """Stop sharing an image with a project."""
    tx.delete(members, id=_find(tx, request, id, member_id).id)


def _shared(tx: Tx, request: Request, id: str, wording: str, refused: type[ApiError] = Forbidden) -> Row:
    """The image, which has to be one that can have members."""
    row = visible(tx, request, id, NOT_FOUND)
    if row.visibility != "shared":
        raise refused(wording.format(id=id))
    return row


def _find(tx: Tx, request: Request, id: str, member_id: str) -> Row:
    """A member, where the caller may know of it: the image's project knows all, others themselves. Raises NotFound."""
    row = visible(tx, request, id)
    found = tx.get(members, image_id=id, member_id=member_id)
    me = request.context
    if found is None or not (me.is_admin or row.owner == me.project_id or member_id == me.project_id):
        raise NotFound(f"{member_id} not found in the member list of the image {id}.")
    return found


def _view(row: Row) -> Member:
    return Member(member_id=row.member_id, image_id=row.image_id, status=row.status, created_at=clock.iso(row.created_at) or "",
                  updated_at=clock.iso(row.updated_at or row.created_at) or "")  # fmt: skip
