"""Where two normalised answers differ, and which differences are meant."""

from __future__ import annotations

import dataclasses
import html
import re
import typing as t
from pathlib import Path

import yaml

ABSENT = "(absent)"


@dataclasses.dataclass(frozen=True)
class Difference:
    """step: which one of its scene. request: its line. field: the way to it, as in `body.user.name`."""

    scene: str
    step: int
    request: str
    field: str
    theirs: t.Any
    ours: t.Any

    def __str__(self) -> str:
        return f"{self.scene}, {self.step}: {self.request}\n    {self.field}\n      theirs: {_brief(self.theirs)}\n      ours:   {_brief(self.ours)}"


@dataclasses.dataclass(frozen=True)
class Meant:
    """A kind of difference that is there on purpose; patterns for the whole of each, and why."""

    why: str
    scene: str = ".*"
    request: str = ".*"
    field: str = ".*"
    theirs: str = ".*"
    ours: str = ".*"

    def covers(self, it: Difference) -> bool:
        pairs = ((self.scene, it.scene), (self.request, it.request), (self.field, it.field), (self.theirs, it.theirs), (self.ours, it.ours))
        return all(re.fullmatch(pattern, str(value), re.DOTALL) for pattern, value in pairs)


def meant(file: Path) -> list[Meant]:
    return [Meant(**entry) for entry in yaml.safe_load(file.read_text())]


def differences(scene: str, theirs: list[dict[str, t.Any]], ours: list[dict[str, t.Any]]) -> list[Difference]:
    """Between the recorded answers of a scene and ours, in order. Of an answer by which the real service broke, the status is all
    that counts. Raises AssertionError where other requests were recorded."""
    assert [a["request"] for a in theirs] == [a["request"] for a in ours], "the scene has changed since it was recorded"
    pairs = enumerate(zip(theirs, ours, strict=True))
    return [Difference(scene, i, a["request"], *found) for i, (a, b) in pairs for found in _answers(a, b)]


def _answers(theirs: dict[str, t.Any], ours: dict[str, t.Any]) -> t.Iterator[tuple[str, t.Any, t.Any]]:
    if theirs["status"] >= 500:
        return _differ({"status": theirs["status"]}, {"status": ours["status"]}, "")
    return _differ(_read(theirs), _read(ours), "")


def _read(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """An answer with the characters of its page, however they are written in HTML."""
    page = "html" in answer["headers"].get("content-type", "") and "body" in answer
    return answer | {"body": html.unescape(answer["body"])} if page else answer


def _differ(theirs: t.Any, ours: t.Any, at: str) -> t.Iterator[tuple[str, t.Any, t.Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            yield from _differ(theirs.get(key, ABSENT), ours.get(key, ABSENT), f"{at}.{key}".lstrip("."))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for i, (a, b) in enumerate(zip(theirs, ours, strict=True)):
            yield from _differ(a, b, f"{at}.{i}")
    elif theirs != ours or type(theirs) is not type(ours):
        yield at, theirs, ours


def _brief(value: t.Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else text[:400] + "..."
