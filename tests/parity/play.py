"""Playing a scene on a cloud, real or in the test's process."""

from __future__ import annotations

import dataclasses
import typing as t
from urllib.parse import parse_qs

import httpx2

from .normal import Normal
from .scenes import Scene, Step, fill

Send = t.Callable[..., httpx2.Response]
"""`send(method, path, json=, content=, headers=)`, the path with its leading slash."""
Asked = dict[str, t.Any]
"""A request's options, as `Send` takes them, with `method` and `path`."""


@dataclasses.dataclass
class Stage:
    """What is there before a scene begins. names: what `$name` stands for. tokens: each actor's. close: takes it all away."""

    names: dict[str, t.Any]
    tokens: dict[str, str | None]
    close: t.Callable[[], None]


@dataclasses.dataclass
class Player:
    """base: the address that the service's links begin with. signing: where a step's `by` is looked up."""

    send: Send
    base: str
    stage: Stage
    signing: t.Any = None
    made: list[str] = dataclasses.field(default_factory=list)

    def play(self, scene: Scene) -> list[dict[str, t.Any]]:
        """Ask everything of a scene; the answers, normalised."""
        names = self.stage.names | {"url": self.base}
        kept = Normal(self.base, names)
        asked = [(step, self._ask(step, names)) for step in scene.steps]
        return [{"request": step.line, **kept.answer(answer)} for step, answer in asked]

    def _ask(self, step: Step, names: dict[str, t.Any]) -> httpx2.Response:
        names["actor"] = step.actor
        asked = self._request(step, names)
        answer = self.send(asked.pop("method"), asked.pop("path"), **asked)
        for name, path in step.keep.items():
            found = _find(answer, path)
            if found is not None:
                names[name] = found
        del names["actor"]
        if step.method in ("POST", "PUT") and answer.status_code == 201 and (link := _self(answer)):
            self.made.append(link.removeprefix(self.base))
        return answer

    def clean(self) -> None:
        """Delete what the scenes made, the newest first, as far as it is still there."""
        while self.made:
            path = self.made.pop()
            headers = {"X-Auth-Token": self.stage.tokens["admin"]}
            if "/domains/" in path:
                self.send("PATCH", path, json={"domain": {"enabled": False}}, headers=headers)
            self.send("DELETE", path, headers=headers)

    def _request(self, step: Step, names: dict[str, t.Any]) -> Asked:
        token = names.get(step.actor.removeprefix("$")) if step.actor.startswith("$") else self.stage.tokens[step.actor]
        headers = ({"X-Auth-Token": token} if token else {}) | fill(step.headers, names)
        asked: Asked = {"method": step.method, "path": fill(step.path, names), "headers": headers}
        if step.text is not None:
            asked["content"] = fill(step.text, names).encode()
            headers["Content-Type"] = "application/json"
        elif step.body is not None:
            asked["json"] = fill(step.body, names)
        return getattr(self.signing, step.by)(asked, names) if step.by else asked


def _find(answer: httpx2.Response, path: str) -> t.Any:
    if path.startswith("header "):
        return answer.headers.get(path.removeprefix("header "))
    if path.startswith("form "):
        return parse_qs(answer.text).get(path.removeprefix("form "), [None])[0]
    try:
        found = answer.json()
        for part in path.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _self(answer: httpx2.Response) -> str | None:
    """The address of what was made."""
    try:
        (made,) = answer.json().values()
        return made["links"]["self"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
