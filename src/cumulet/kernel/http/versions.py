"""Microversions: parsing, comparing, and the marks that put them on fields."""

from __future__ import annotations

import dataclasses as dc
import functools
import re
import types
import typing as t

import msgspec

Version = tuple[int, int]
_FORM = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)")


def version(text: str) -> Version:
    """`"2.47"` as `(2, 47)`. Raises ValueError."""
    match = _FORM.fullmatch(text)
    if not match:
        raise ValueError(text)
    return int(match[1]), int(match[2])


@dc.dataclass(frozen=True)
class since:
    """A field's mark: it exists from this microversion on."""

    first: str


@dc.dataclass(frozen=True)
class until:
    """A field's mark: this is the last microversion that has it."""

    last: str


class Shape(t.NamedTuple):
    """What of a struct is not there at some microversion."""

    absent: frozenset[str]
    nested: tuple[tuple[str, Shape], ...]


@functools.cache
def shape(cls: type, at: Version) -> Shape | None:
    """The fields (by their names on the wire) that `cls` lacks at a microversion, and the same of the structs
    inside it. None where it is whole. Structs are not recursive, so neither is this without end."""
    absent, nested = set(), []
    hints = t.get_type_hints(cls, include_extras=True)
    for field in msgspec.structs.fields(cls):
        hint = hints[field.name]
        if not _exists(hint, at):
            absent.add(field.encode_name)
        elif (inner := struct_in(hint)) and (found := shape(inner, at)):
            nested.append((field.encode_name, found))
    return Shape(frozenset(absent), tuple(nested)) if absent or nested else None


def prune(data: t.Any, lacks: Shape | None) -> t.Any:
    """`data` (as msgspec.to_builtins gives it) without the fields that `lacks` names; changed in place."""
    if lacks is None or data is None:
        return data
    for one in data if isinstance(data, list) else (data,):
        for name in lacks.absent:
            one.pop(name, None)
        for name, inner in lacks.nested:
            prune(one.get(name), inner)
    return data


def first_absent(data: t.Any, lacks: Shape | None, path: str = "") -> str | None:
    """The path of the first field in `data` that does not exist at this microversion."""
    if lacks is None:
        return None
    for i, one in enumerate(data if isinstance(data, list) else (data,)):
        if not isinstance(one, dict):
            continue
        here = f"{path}[{i}]" if isinstance(data, list) else path
        for name in one:
            if name in lacks.absent:
                return f"{here}.{name}".lstrip(".")
        for name, inner in lacks.nested:
            if name in one and (found := first_absent(one[name], inner, f"{here}.{name}")):
                return found
    return None


def _exists(hint: t.Any, at: Version) -> bool:
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, since) and at < version(mark.first):
            return False
        if isinstance(mark, until) and at > version(mark.last):
            return False
    return True


def struct_in(hint: t.Any) -> type | None:
    """The struct in a type hint: itself, or that of an optional or a list; None where there is none."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    if t.get_origin(hint) in (t.Annotated, t.Union, types.UnionType, list, tuple):
        return next((found for arg in t.get_args(hint) if (found := struct_in(arg))), None)
    return None
