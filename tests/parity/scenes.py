"""Scenes: requests in order, written in YAML, that can be played on any cloud.

A file of a service's `scenes` folder is one topic: a mapping from a scene's title to its steps. A step's first key says who asks
(several, with commas between; a group that the stage names stands for its members), its value is the request line:

    made, shown and gone:
      - admin: POST /v3/users
        body: {user: {name: alice, domain_id: $domain}}
        keep: {alice: user.id}
      - domain-reader, nobody: GET /v3/users/$alice

`$name` stands for what the stage knows, what an earlier step of the scene kept, or `$actor`, who asks. `keep` takes from the
answer's body by a dotted path, from a form (`form oauth_token`), or from a header (`header x-subject-token`).
`headers` are sent besides; `text` is a body that is no JSON; `ordered` says that the answer's lists are in an order that counts;
`by` names a function of the service's `asking` module that makes the last changes to the request.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from pathlib import Path

import yaml

NAME = re.compile(r"\$([a-z][a-z0-9_]*)")


@dataclasses.dataclass(frozen=True)
class Step:
    """One request. `line` is what a recording is found by; actor: whose token it carries."""

    actor: str
    method: str
    path: str
    body: t.Any = None
    text: str | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    keep: dict[str, str] = dataclasses.field(default_factory=dict)
    by: str | None = None
    ordered: bool = False

    @property
    def line(self) -> str:
        return f"{self.actor}: {self.method} {self.path}"


@dataclasses.dataclass(frozen=True)
class Scene:
    topic: str
    title: str
    steps: list[Step]


def load(folder: Path, groups: dict[str, list[str]], topics: t.Sequence[str] = ()) -> list[Scene]:
    """The scenes of a folder's files (of these topics, where any are named). groups: what one word for many actors means."""
    files = [file for file in sorted(folder.glob("*.yaml")) if not topics or file.stem in topics]
    return [
        Scene(file.stem, title, [step for written in steps for step in _steps(written, groups)])
        for file in files
        for title, steps in yaml.safe_load(file.read_text()).items()
    ]


def _steps(written: dict[str, t.Any], groups: dict[str, list[str]]) -> list[Step]:
    (who, line), *rest = written.items()
    method, path = line.split(" ", 1)
    actors = [actor for word in who.split(", ") for actor in groups.get(word, [word])]
    return [Step(actor, method, path, **dict(rest)) for actor in actors]


def fill(value: t.Any, names: t.Mapping[str, t.Any]) -> t.Any:
    """The value with its `$name`s replaced. A string that is one name becomes what it stands for, whatever its type; a name that
    nobody knows stays as it is written."""
    if isinstance(value, dict):
        return {fill(key, names): fill(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    if (whole := NAME.fullmatch(value)) and whole[1] in names:
        return names[whole[1]]
    return NAME.sub(lambda found: str(names.get(found[1], found[0])), value)
