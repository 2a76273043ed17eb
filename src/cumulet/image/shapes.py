"""What images and members look like, as JSON schemas: clients fetch them, and what clients send is checked against them."""

from __future__ import annotations

import typing as t

from ..kernel.http import BadRequest
from ..kernel.json_schema import Json, worst

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
VISIBILITIES = ("community", "public", "private", "shared")
STATUSES = ("queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated")
MEMBER_STATUSES = ("pending", "accepted", "rejected")
UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
TOLD = 1000
"""The most characters of what is said of something wrong: it may have any number of names."""


def check(value: t.Any, schema: Json) -> None:
    """Raise BadRequest for what does not match a schema."""
    if wrong := worst(value, schema):
        where = f" (instance{''.join(f'[{step!r}]' for step in wrong.at)})" if wrong.at else ""
        raise BadRequest(f"Provided object does not match schema '{schema['name']}': {wrong.message[:TOLD]}{where}")


def _nullable(kind: str, description: str, **more: t.Any) -> Json:
    return {"type": ["null", kind], "description": description, **more}


def _told(description: str, **more: t.Any) -> Json:
    return {"type": "string", "description": description, **more}


_READ_ONLY = {"readOnly": True}
_LOCATION: Json = {
    "type": "object", "required": ["url", "metadata"],
    "properties": {
        "url": {"type": "string", "maxLength": 255},
        "metadata": {"type": "object"},
        "validation_data": {
            "type": "object", "description": "What the image's hashes are to be", "writeOnly": True, "additionalProperties": False,
            "required": ["os_hash_algo", "os_hash_value"],
            "properties": {
                "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                "os_hash_algo": {"type": "string", "maxLength": 64},
                "os_hash_value": {"type": "string", "maxLength": 128},
            },
        },
    },
}  # fmt: skip

IMAGE: Json = {
    "name": "image",
    "properties": {
        "id": _told("What the image is known by", pattern=UUID),
        "name": _nullable("string", "What people call it", maxLength=255),
        "status": _told("How far it has come", enum=list(STATUSES), readOnly=True),
        "visibility": _told("Who sees it", enum=list(VISIBILITIES)),
        "protected": {"type": "boolean", "description": "Whether it is kept from being deleted"},
        "os_hidden": {"type": "boolean", "description": "Whether lists leave it out, unless they are asked for it"},
        "checksum": _nullable("string", "MD5 of its data", maxLength=32, **_READ_ONLY),
        "os_hash_algo": _nullable("string", "What os_hash_value is made by", maxLength=64, **_READ_ONLY),
        "os_hash_value": _nullable("string", "The hash of its data", maxLength=128, **_READ_ONLY),
        "owner": _nullable("string", "The project that it belongs to", maxLength=255),
        "size": _nullable("integer", "Bytes of its data", **_READ_ONLY),
        "virtual_size": _nullable("integer", "Bytes of the disk that its data is of", **_READ_ONLY),
        "container_format": _nullable("string", "What the disk is wrapped in", enum=[None, *CONTAINER_FORMATS]),
        "disk_format": _nullable("string", "The format of the disk", enum=[None, *DISK_FORMATS]),
        "created_at": _told("When it was made", **_READ_ONLY),
        "updated_at": _told("When it was changed last", **_READ_ONLY),
        "tags": {"type": "array", "description": "Words that it is found by", "items": {"type": "string", "maxLength": 255}},
        "direct_url": _told("Where its data is", **_READ_ONLY),
        "min_ram": {"type": "integer", "description": "MiB of memory that a server of it needs"},
        "min_disk": {"type": "integer", "description": "GiB of disk that a server of it needs"},
        "self": _told("The path of the image", **_READ_ONLY),
        "file": _told("The path of its data", **_READ_ONLY),
        "stores": _told("The stores that have its data, with commas between them", **_READ_ONLY),
        "schema": _told("The path of this schema", **_READ_ONLY),
        "locations": {"type": "array", "description": "Where its data is", "items": _LOCATION},
    },
    "additionalProperties": {"type": "string"},
    "links": [{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"}],
}  # fmt: skip

NEW_LOCATION: Json = {
    "name": "location",
    "properties": {"add_location": {
        "type": "object", "required": ["url"],
        "properties": {
            "url": _told("Where the data is"),
            "validation_data": {
                "type": "object", "description": "What its hash is to be", "additionalProperties": False,
                "properties": {
                    "os_hash_algo": {"type": "string", "maxLength": 64, "enum": ["sha1", "sha256", "sha512", "md5"]},
                    "os_hash_value": {"type": "string", "maxLength": 128},
                },
                "dependentRequired": {"os_hash_value": ["os_hash_algo"], "os_hash_algo": ["os_hash_value"]},
            },
        },
    }},
}  # fmt: skip

MEMBER: Json = {
    "name": "member",
    "properties": {
        "created_at": _told("When the image was shared"),
        "image_id": _told("The image", pattern=UUID),
        "member_id": _told("The project that it is shared with"),
        "schema": {"type": "string", **_READ_ONLY},
        "status": _told("What that project says to it", enum=list(MEMBER_STATUSES)),
        "updated_at": _told("When this was changed last"),
    },
}


def listed(name: str, one: Json, *, paged: bool = False) -> Json:
    """The schema of a list of these."""
    text, links = {"type": "string"}, [{"rel": "describedby", "href": "{schema}"}]
    properties: Json = {name: {"type": "array", "items": one}, "schema": text}
    if paged:
        properties |= {"first": text, "next": text}
        links = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, *links]
    return {"name": name, "properties": properties, "links": links}
