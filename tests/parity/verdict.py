"""Whether a service answers as recorded: its scenes, played here."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path
from types import ModuleType

from .compare import Difference, differences, meant
from .play import Player, Send
from .scenes import load


class Service:
    """here: the folder of its scenes and recordings. stage, asking: its modules of these names. base: where it is on the test's
    cloud, whose administrator has this password."""

    def __init__(self, here: Path, stage: ModuleType, asking: ModuleType, base: str, password: str):
        self.here, self.stage, self.asking, self.base, self.password = here, stage, asking, base, password
        self.scenes = load(here / "scenes", stage.GROUPS)
        self.topics = sorted({scene.topic for scene in self.scenes})
        self.meant = meant(here / "differences.yaml")
        self._found: dict[str, list[Difference]] = {}

    def strange(self, send: Send, topic: str) -> list[Difference]:
        """The differences that nobody means."""
        return [it for it in self.found(send, topic) if not any(entry.covers(it) for entry in self.meant)]

    def idle(self, send: Send) -> list[str]:
        """Reasons for differences that there are not."""
        found = [it for topic in self.topics for it in self.found(send, topic)]
        return [entry.why for entry in self.meant if not any(entry.covers(it) for it in found)]

    def found(self, send: Send, topic: str) -> list[Difference]:
        """All differences of a topic's scenes; played once."""
        if topic not in self._found:
            player = Player(send, self.stage.build(send, self.base, self.password), self.asking)
            self._found[topic] = []
            for scene in (scene for scene in self.scenes if scene.topic == topic):
                self._found[topic] += differences(scene.title, self._recorded(topic)[scene.title], player.play(scene))
                player.clean()
        return self._found[topic]

    def unasked(self, paths: t.Iterable[tuple[str, str]]) -> list[str]:
        """Operations that no scene asks for, of these methods and paths."""
        asked = {f"{step.method} {step.path.partition('?')[0]}" for scene in self.scenes for step in scene.steps}
        patterns = [f"{method} {'[^/]+'.join(map(re.escape, re.split(r'{[^}]*}', path)))}/?" for method, path in paths]
        return [pattern for pattern in patterns if not any(re.fullmatch(pattern, one) for one in asked)]

    def _recorded(self, topic: str) -> dict[str, t.Any]:
        return json.loads((self.here / "recorded" / f"{topic}.json").read_text())


def documented(name: str) -> list[tuple[str, str]]:
    """Method and path, without a query, of every operation in the reference of a service."""
    lines = (Path(__file__).parents[1] / "api-ref" / f"{name}.tsv").read_text().splitlines()[1:]
    return [(method, path.partition("?")[0]) for method, path, *_ in (line.split("\t") for line in lines)]
