"""Settings of where images' data is kept: a table a store, whose `type` says what else it has."""

from __future__ import annotations

import typing as t

import msgspec


def doc(text: str, **limits: t.Any) -> msgspec.Meta:
    """What a setting is for, in a sentence."""
    return msgspec.Meta(description=text, **limits)


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What every store has."""

    id: t.Annotated[
        str, doc("What clients and records call the store; it stays, whatever else of it changes.", pattern=r"^(?!os_glance)[\w.-]{1,64}$")
    ]
    description: t.Annotated[str, doc("What clients are told of it.")] = ""
    default: t.Annotated[bool, doc("Whether data goes there that nobody says a store for.")] = False
    weight: t.Annotated[int, doc("Which store is read first of those that have an image: the one with the most.")] = 0


class FileTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="file"):
    """A directory that every control process and every host reaches by the same path."""

    directory: t.Annotated[str, doc("The directory, which is this cloud's alone. Relative to `data`.", min_length=1)] = "images"


class S3Table(Table, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="s3"):
    """A bucket of Amazon's S3 or of a server that speaks like it."""

    endpoint: t.Annotated[str, doc("Its URL, as https://s3.eu-west-1.amazonaws.com.", pattern=r"^https?://[^/?#@]+[^?#]*$")]
    bucket: t.Annotated[str, doc("The bucket, which has to be there.", min_length=1)]
    prefix: t.Annotated[str, doc("What the names of this cloud's objects begin with.")] = ""
    region: t.Annotated[str, doc("The region that requests are signed for.", min_length=1)] = "us-east-1"
    access_key: t.Annotated[str, doc("Id of the pair of keys that requests are signed with.", min_length=1)]
    secret_key_file: t.Annotated[str, doc("File (0600) with the secret one of them. Relative to `data`.", min_length=1)]
    part_mib: t.Annotated[
        int, doc("MiB of a part; of 10,000 parts is the largest image. An upload holds two in memory.", ge=5, le=5120)
    ] = 16


class SwiftTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="swift"):
    """A container of OpenStack's object store; that of this cloud is one too."""

    auth_url: t.Annotated[str, doc("URL of Keystone with /v3, or of the older way to log in.", pattern=r"^https?://[^/?#@]+[^?#]*$")]
    auth: t.Annotated[t.Literal["v3", "v1"], doc("How to log in: by Keystone (v3), or by X-Auth-User and X-Auth-Key (v1).")] = "v3"
    user: t.Annotated[str, doc("Who logs in; v1: ACCOUNT:USER.", min_length=1)]
    password_file: t.Annotated[str, doc("File (0600) with their password. Relative to `data`.", min_length=1)]
    user_domain: t.Annotated[str, doc("Name of the user's domain.")] = "Default"
    project: t.Annotated[str, doc("Name of the project that the container is in (v3).")] = ""
    project_domain: t.Annotated[str, doc("Name of the project's domain.")] = "Default"
    region: t.Annotated[str, doc("Region of the object store in the catalog; empty: any.")] = ""
    interface: t.Annotated[t.Literal["public", "internal", "admin"], doc("Which of its endpoints is used.")] = "public"
    container: t.Annotated[
        str, doc("The container; segments are in one of that name and `_segments`. Both are made.", pattern=r"^[^/]+$")
    ] = "images"
    segment_mib: t.Annotated[int, doc("MiB of a segment; an image has 1,000 at most.", ge=1, le=5120)] = 1024


class HttpTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="http"):
    """Servers of others, from which images are read that were told to be there. `image_import` says which servers those may be."""


class RbdTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rbd"):
    """A pool of block images in Ceph."""

    pool: t.Annotated[str, doc("The pool, which has to be there; other things may be in it beside.", pattern=r"^[^/@\s-][^/@\s]*$")] = (
        "images"
    )
    user: t.Annotated[str, doc("Name of the client, without `client.`.", pattern=r"^[\w.-]+$")] = "cumulet"
    conf: t.Annotated[str, doc("Ceph's configuration, which says where the user's keyring is. Relative to `data`.", min_length=1)] = (
        "/etc/ceph/ceph.conf"
    )
    object_mib: t.Annotated[t.Literal[1, 2, 4, 8, 16, 32], doc("MiB of each object that an image is made of.")] = 8


class ImageClones(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a host gets at images in Ceph without fetching them."""

    pool: t.Annotated[
        str,
        doc("The pool for hosts' clones of images in the same cluster; empty: such images are fetched.", pattern=r"^([^/@\s-][^/@\s]*)?$"),
    ] = ""
    user: t.Annotated[str, doc("Name of the hosts' client, without `client.`.", pattern=r"^[\w.-]+$")] = "cumulet-host"
    conf: t.Annotated[
        str, doc("Ceph's configuration, which says where the user's keyring (0600, root's) is. Relative to `data`.", min_length=1)
    ] = "/etc/ceph/ceph.conf"


StoreTable = FileTable | S3Table | SwiftTable | HttpTable | RbdTable


def checked(tables: t.Sequence[StoreTable]) -> None:
    """Raise ValueError where the tables do not go together."""
    ids = [table.id for table in tables]
    if twice := next((id for id in ids if ids.count(id) > 1), None):
        raise ValueError(f"image_stores: two stores have the id {twice}")
    if tables and sum(table.default for table in tables) != 1:
        raise ValueError("image_stores: one store, and one only, has to be the default (default = true)")
    web = [table for table in tables if isinstance(table, HttpTable)]
    if len(web) > 1 or any(table.default for table in web):
        raise ValueError("image_stores: there can be one store of type http, which takes no data and so cannot be the default")
    directories = [table.directory.rstrip("/") for table in tables if isinstance(table, FileTable)]
    if shared := next((one for one in directories if directories.count(one) > 1), None):
        raise ValueError(f"image_stores: two stores have the directory {shared}")
