"""JSON schemas of images and members, as clients fetch them to know what they may send."""

from __future__ import annotations

from ..kernel.http import Request
from . import api
from .policy import ANYONE
from .shapes import IMAGE, MEMBER, listed


@api.op("GET", "/schemas/image", policy=ANYONE)
async def image(request: Request) -> dict:
    """The schema of an image."""
    return IMAGE


@api.op("GET", "/schemas/images", policy=ANYONE)
async def images(request: Request) -> dict:
    """The schema of a list of images."""
    return listed("images", IMAGE, paged=True)


@api.op("GET", "/schemas/member", policy=ANYONE)
async def member(request: Request) -> dict:
    """The schema of a member."""
    return MEMBER


@api.op("GET", "/schemas/members", policy=ANYONE)
async def members(request: Request) -> dict:
    """The schema of a list of members."""
    return listed("members", MEMBER)
