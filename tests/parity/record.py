"""Play a service's scenes on the real service and write down what it answers.

Usage: PARITY_PASSWORD=... python tests/parity/record.py --url http://127.0.0.1:5000 identity [topic ...]

The address is identity's, from whose catalog others have theirs.

The password is the administrator's. What a scene made is deleted after it. Recording again gives the same bytes.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import itertools
import json
import os
import sys
import typing as t
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1]))

from parity.play import Player
from parity.scenes import Scene, load

HERE = Path(__file__).parent
ONCE = httpx2.Limits(max_keepalive_connections=0)
"""A connection each: a server may close one after an error, and the next request must not find it closed."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="where identity is, without a version")
    parser.add_argument("service")
    parser.add_argument("topics", nargs="*")
    wanted = parser.parse_args()
    stages, asking = (importlib.import_module(f"parity.{wanted.service}.{name}") for name in ("stage", "asking"))
    with httpx2.Client(base_url=wanted.url, timeout=60, trust_env=False, limits=ONCE) as client:
        send = functools.partial(_send, client)
        scenes = load(HERE / wanted.service / "scenes", stages.GROUPS, wanted.topics)
        for topic, of_topic in itertools.groupby(scenes, lambda scene: scene.topic):
            stage = stages.build(send, wanted.url, os.environ["PARITY_PASSWORD"])
            try:
                answers = record(Player(send, stage, asking), of_topic)
            finally:
                stage.close()
            (HERE / wanted.service / "recorded" / f"{topic}.json").write_text(_written(answers))


def _send(client: httpx2.Client, method: str, path: str, **options: t.Any) -> httpx2.Response:
    """A service that breaks without a word has answered 500."""
    try:
        return client.request(method, path, **options)
    except httpx2.RemoteProtocolError:
        return httpx2.Response(500)


def record(player: Player, scenes: t.Iterable[Scene]) -> dict[str, list[t.Any]]:
    """The answers to each scene."""
    answers = {}
    for scene in scenes:
        print(f"{scene.topic}: {scene.title}", flush=True)
        answers[scene.title] = player.play(scene)
        player.clean()
    return answers


def _written(answers: dict[str, list[t.Any]]) -> str:
    """JSON with a line for each answer."""
    scenes = []
    for title, steps in answers.items():
        lines = ",\n".join(f"  {json.dumps(step, sort_keys=True, ensure_ascii=False)}" for step in steps)
        scenes.append(f" {json.dumps(title)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(scenes) + "\n}\n"


if __name__ == "__main__":
    main()
