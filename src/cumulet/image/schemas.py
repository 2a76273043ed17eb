"""JSON schemas of images and members, as clients fetch them to know what they may send."""

from __future__ import annotations

import typing as t

from ..kernel.http import Request
from . import api
from .attributes import CONTAINER_FORMATS, DISK_FORMATS, READ_ONLY, VISIBILITIES
from .policy import GET_ALL


def _text(limit: int = 255, **more: t.Any) -> dict:
    return {"type": ["null", "string"], "maxLength": limit, **more}


def _image() -> dict:
    number = {"type": ["null", "integer"]}
    properties: dict[str, dict] = {
        "id": {"type": "string", "description": "An identifier for the image"}, "name": _text(), "owner": _text(),
        "status": {"type": "string", "enum": ["queued", "saving", "active", "killed", "deleted", "uploading", "importing",
                                              "pending_delete", "deactivated"]},
        "visibility": {"type": "string", "enum": list(VISIBILITIES)}, "protected": {"type": "boolean"}, "os_hidden": {"type": "boolean"},
        "checksum": _text(32), "os_hash_algo": _text(64), "os_hash_value": _text(128), "size": number, "virtual_size": number,
        "container_format": {"type": ["null", "string"], "enum": [None, *CONTAINER_FORMATS]},
        "disk_format": {"type": ["null", "string"], "enum": [None, *DISK_FORMATS]},
        "created_at": {"type": "string"}, "updated_at": {"type": "string"}, "min_ram": {"type": "integer"}, "min_disk": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
        "self": {"type": "string"}, "file": {"type": "string"}, "schema": {"type": "string"},
    }  # fmt: skip
    for name in READ_ONLY & properties.keys():
        properties[name]["readOnly"] = True
    return {
        "name": "image", "properties": properties, "additionalProperties": {"type": "string"},
        "links": [{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"}],
    }  # fmt: skip


def _member() -> dict:
    names = ("created_at", "image_id", "member_id", "schema", "status", "updated_at")
    properties: dict[str, dict] = {name: {"type": "string"} for name in names}
    properties["status"]["enum"] = ["pending", "accepted", "rejected"]
    return {"name": "member", "properties": properties}


def _many(name: str, one: dict) -> dict:
    properties = {name: {"type": "array", "items": one}, "schema": {"type": "string"}}
    if name == "images":
        properties |= {"first": {"type": "string"}, "next": {"type": "string"}}
    return {"name": name, "properties": properties, "links": [{"rel": "describedby", "href": "{schema}"}]}


@api.op("GET", "/schemas/image", policy=GET_ALL)
async def image(request: Request) -> dict:
    """The schema of an image."""
    return _image()


@api.op("GET", "/schemas/images", policy=GET_ALL)
async def images(request: Request) -> dict:
    """The schema of a list of images."""
    return _many("images", _image())


@api.op("GET", "/schemas/member", policy=GET_ALL)
async def member(request: Request) -> dict:
    """The schema of a member."""
    return _member()


@api.op("GET", "/schemas/members", policy=GET_ALL)
async def members(request: Request) -> dict:
    """The schema of a list of members."""
    return _many("members", _member())
