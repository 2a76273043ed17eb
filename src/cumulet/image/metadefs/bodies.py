"""What clients send of metadata definitions, checked first against the schemas and in their words."""

from __future__ import annotations

import typing as t
from typing import ClassVar  # by this name: msgspec reads it from the text of the annotation

import msgspec

from ...kernel.http import UNSET, BadRequest, Body, Forbidden, UnsetType
from ...kernel.json_schema import Json
from ..shapes import check
from . import schemas

Name = t.Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Short = t.Annotated[str, msgspec.Meta(max_length=80)]
Number = t.Union[int, t.Annotated[float, msgspec.Meta(ge=-(2.0**62), le=2.0**62)]]  # noqa: UP007
NUMBERS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")


class Checked(Body):
    """A body that has a JSON schema."""

    SCHEMA: ClassVar[Json]
    READ_ONLY: ClassVar[tuple[str, ...]] = ("created_at", "updated_at")

    @classmethod
    def refuse(cls, data: t.Any) -> None:
        if data is None:
            raise BadRequest("Body expected in request.")
        if not isinstance(data, dict):
            raise BadRequest("Unexpected body type. Expected dict.")
        if name := next((name for name in cls.READ_ONLY if name in data), None):
            raise Forbidden(f"Attribute '{name}' is read-only.")
        check(data, cls.SCHEMA)


Given = t.TypeVar("Given")
Otherwise = t.TypeVar("Otherwise")


def given(value: Given | UnsetType, otherwise: Otherwise) -> Given | Otherwise:
    """What was sent, or something else where nothing was."""
    return otherwise if isinstance(value, UnsetType) else value


class Items(Body):
    """What elements of an array may be."""

    type: str
    enum: list[str | None] | UnsetType = UNSET


class Described(Body):
    """What a property is."""

    type: str
    title: str
    description: str | UnsetType = UNSET
    operators: list[str] | UnsetType = UNSET
    default: t.Any = UNSET
    readonly: bool | UnsetType = UNSET
    minimum: Number | UnsetType = UNSET
    maximum: Number | UnsetType = UNSET
    enum: list[str | None] | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    minLength: Number | UnsetType = UNSET
    maxLength: Number | UnsetType = UNSET
    confidential: bool | UnsetType = UNSET
    items: Items | UnsetType = UNSET
    uniqueItems: bool | UnsetType = UNSET
    minItems: Number | UnsetType = UNSET
    maxItems: Number | UnsetType = UNSET
    additionalItems: bool | UnsetType = UNSET

    def kept(self) -> dict[str, t.Any]:
        """It as it is kept: numbers whole, and the default as text, or null where it is a list or an object."""
        values = msgspec.to_builtins(self)
        values |= {name: int(values[name]) for name in NUMBERS if name in values}
        if isinstance(values.get("default"), list | dict):
            values["default"] = None
        elif values.get("default") is not None:
            values["default"] = str(values["default"])
        return values


class Property(Described):
    name: Short | UnsetType = UNSET


Properties = dict[Name, Property]


class Object(Body):
    name: Name
    description: str | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET


class Association(Body):
    name: Name
    prefix: Short | UnsetType = UNSET
    properties_target: Short | UnsetType = UNSET


class Tag(Body):
    name: Name


# -- whole bodies --------------------------------------------------------------------------------------------------


class NamespaceBody(Checked):
    SCHEMA = schemas.NAMESPACE
    READ_ONLY = ("self", "schema", "created_at", "updated_at")

    namespace: Name
    display_name: Short | UnsetType = UNSET
    description: t.Annotated[str, msgspec.Meta(max_length=500)] | UnsetType = UNSET
    visibility: t.Literal["public", "private"] = "private"
    protected: bool = False
    owner: t.Annotated[str, msgspec.Meta(max_length=255)] | UnsetType = UNSET
    resource_type_associations: list[Association] | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET
    objects: list[Object] | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET


class ObjectBody(Checked, Object):
    SCHEMA = schemas.OBJECT
    READ_ONLY = ("self", "schema", "created_at", "updated_at")

    @classmethod
    def refuse(cls, data: t.Any) -> None:
        super().refuse(data)
        for one in data.get("properties", {}).values():
            check(one, schemas.PROPERTY_OF_OBJECT)


class PropertyBody(Checked, Described, kw_only=True):
    SCHEMA = schemas.PROPERTY

    name: Name


class AssociationBody(Checked, Association):
    SCHEMA = schemas.RESOURCE_TYPE


class TagBody(Checked, Tag):
    SCHEMA = schemas.TAG


class TagsBody(Checked):
    SCHEMA = schemas.TAGS

    tags: list[Tag]
