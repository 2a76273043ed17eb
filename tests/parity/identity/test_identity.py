"""Identity answers as the real service does: every scene, played here, against what was recorded there.

A difference that is meant is in differences.yaml with its reason; that list may only shrink.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t
from pathlib import Path

import pytest

from cumulet import identity
from cumulet.kernel import services
from cumulet.kernel.testing.cloud import Cloud
from parity.compare import Difference, differences, meant
from parity.play import Player, Send
from parity.scenes import load

from . import signing, stage

HERE = Path(__file__).parent
PASSWORD = "admin-pw"
SCENES = load(HERE / "scenes", stage.GROUPS)
MEANT = meant(HERE / "differences.yaml")
MOST = 32
"""How many kinds of difference there may be."""


@functools.cache
def recorded(topic: str) -> dict[str, t.Any]:
    return json.loads((HERE / "recorded" / f"{topic}.json").read_text())


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Send]:
    """Sends a request to a new cloud."""
    data = tmp_path_factory.mktemp("parity")
    cloud = Cloud(f"sqlite:///{data}/cloud.db", str(data), services.load("identity"), authenticate=identity.authenticate)
    config = cloud.runtime.config
    endpoints = [("identity", "keystone", "http://cloud/identity")]
    cloud.transact(lambda tx: identity.bootstrap(
        tx, config, admin_password=PASSWORD, demo_password=PASSWORD, endpoints=endpoints))  # fmt: skip

    def send(method: str, path: str, **options: t.Any) -> t.Any:
        return cloud.send(method, f"/identity{path}", **options)

    yield send
    cloud.close()


@pytest.mark.parametrize("topic", sorted({scene.topic for scene in SCENES}))
def test_scenes_go_as_recorded(send: Send, topic: str):
    strange = [it for it in _found(send, topic) if not any(entry.covers(it) for entry in MEANT)]
    assert not strange, f"{len(strange)} differences\n" + "\n".join(map(str, strange))


def test_what_is_meant_to_differ_still_does(send: Send):
    found = [it for topic in {scene.topic for scene in SCENES} for it in _found(send, topic)]
    assert [entry.why for entry in MEANT if not any(entry.covers(it) for it in found)] == []
    assert len(MEANT) <= MOST


def test_every_operation_of_the_reference_is_asked_for():
    asked = {f"{step.method} {step.path.partition('?')[0]}" for scene in SCENES for step in scene.steps}
    lines = (HERE.parents[1] / "api-ref" / "identity.tsv").read_text().splitlines()[1:]
    for method, path, *_ in (line.split("\t") for line in lines):
        parts = re.split(r"\{[^}]*\}", path.partition("?")[0].removeprefix("/identity").replace("/protocol/", "/protocols/"))
        pattern = f"{method} {'[^/]+'.join(map(re.escape, parts))}"
        assert any(re.fullmatch(pattern, one) for one in asked), pattern


_seen: dict[str, list[Difference]] = {}


def _found(send: Send, topic: str) -> list[Difference]:
    """All differences of a topic's scenes; played once."""
    if topic not in _seen:
        player = Player(send, "http://cloud/identity", stage.build(send, PASSWORD), signing)
        _seen[topic] = []
        for scene in (scene for scene in SCENES if scene.topic == topic):
            _seen[topic] += differences(scene.title, recorded(topic)[scene.title], player.play(scene))
            player.clean()
    return _seen[topic]
