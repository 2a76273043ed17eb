"""Playing a scene on a cloud, real or in the test's process."""

from __future__ import annotations

import dataclasses
import typing as t
from urllib.parse import parse_qs

import httpx2

from .normal import Normal
from .scenes import Scene, Step, fill

Send = t.Callable[..., httpx2.Response]
"""`send(method, path, json=, content=, headers=)`; the path begins with a slash, for identity, or is a whole address."""
Asked = dict[str, t.Any]
"""A request's options, as `Send` takes them, with `method` and `path`."""


@dataclasses.dataclass
class Stage:
    """What is there before a scene begins. names: what `$name` stands for. tokens: each actor's. base: the address of the service.
    sweep: takes away what a scene left. close: takes it all away."""

    names: dict[str, t.Any]
    tokens: dict[str, str | None]
    base: str
    close: t.Callable[[], None]
    sweep: t.Callable[[], None] = lambda: None


@dataclasses.dataclass
class Player:
    """asking: where a step's `by` is looked up."""

    send: Send
    stage: Stage
    asking: t.Any
    made: list[str] = dataclasses.field(default_factory=list)

    def play(self, scene: Scene) -> list[dict[str, t.Any]]:
        """Ask everything of a scene; the answers, normalised."""
        names = self.stage.names | {"url": self.stage.base}
        asked = [(step, self._ask(step, names)) for step in scene.steps]
        return [{"request": step.line, **Normal(self.stage.base, names, step.ordered).answer(answer)} for step, answer in asked]

    def _ask(self, step: Step, names: dict[str, t.Any]) -> httpx2.Response:
        names["actor"] = step.actor
        asked = self._request(step, names)
        answer = self._send(asked.pop("method"), asked.pop("path"), **asked)
        for name, path in step.keep.items():
            found = _find(answer, path)
            if found is not None:
                names[name] = found
        del names["actor"]
        if step.method in ("POST", "PUT") and answer.status_code == 201 and (link := _self(answer)):
            self.made.append(link.removeprefix(self.stage.base))
        return answer

    def clean(self) -> None:
        """Delete what the scenes made, the newest first, as far as it is still there."""
        while self.made:
            path = self.made.pop()
            headers = {"X-Auth-Token": self.stage.tokens["admin"]}
            if "/domains/" in path:
                self._send("PATCH", path, json={"domain": {"enabled": False}}, headers=headers)
            self._send("DELETE", path, headers=headers)
        self.stage.sweep()

    def _send(self, method: str, path: str, **options: t.Any) -> httpx2.Response:
        return self.send(method, self.stage.base + path, **options)

    def _request(self, step: Step, names: dict[str, t.Any]) -> Asked:
        token = names.get(step.actor.removeprefix("$")) if step.actor.startswith("$") else self.stage.tokens[step.actor]
        headers = ({"X-Auth-Token": token} if token else {}) | fill(step.headers, names)
        asked: Asked = {"method": step.method, "path": fill(step.path, names), "headers": headers}
        if step.text is not None:
            asked["content"] = fill(step.text, names).encode()
            headers.setdefault("Content-Type", "application/json")
        elif step.body is not None:
            asked["json"] = fill(step.body, names)
        return getattr(self.asking, step.by)(asked, names) if step.by else asked


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
