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


class FileTable(Table, frozen=True, tag="file"):
    """A directory that every control process and every host reaches by the same path."""

    directory: t.Annotated[str, doc("The directory, which is this cloud's alone. Relative to `data`.", min_length=1)] = "images"


StoreTable = FileTable


def checked(tables: t.Sequence[StoreTable]) -> None:
    """Raise ValueError where the tables do not go together."""
    ids = [table.id for table in tables]
    if twice := next((id for id in ids if ids.count(id) > 1), None):
        raise ValueError(f"image_stores: two stores have the id {twice}")
    if tables and sum(table.default for table in tables) != 1:
        raise ValueError("image_stores: one store, and one only, has to be the default (default = true)")
    directories = [table.directory.rstrip("/") for table in tables if isinstance(table, FileTable)]
    if shared := next((one for one in directories if directories.count(one) > 1), None):
        raise ValueError(f"image_stores: two stores have the directory {shared}")
