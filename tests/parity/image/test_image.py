"""Image answers as the real service does: every scene, played here, against what was recorded there.

A difference that is meant is in differences.yaml with its reason; that list may only shrink.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from cumulet.kernel import services
from parity.here import PASSWORD, cloud
from parity.play import Send
from parity.verdict import Service, documented

from . import asking, stage

SERVICE = Service(Path(__file__).parent, stage, asking, "http://cloud/identity", PASSWORD)
MOST = 47
"""How many kinds of difference there may be."""


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Send]:
    with cloud(tmp_path_factory.mktemp("parity"), services.load("identity", "image")) as send:
        yield send


@pytest.mark.parametrize("topic", SERVICE.topics)
def test_scenes_go_as_recorded(send: Send, topic: str):
    strange = SERVICE.strange(send, topic)
    assert not strange, f"{len(strange)} differences\n" + "\n".join(map(str, strange))


def test_what_is_meant_to_differ_still_does(send: Send):
    assert SERVICE.idle(send) == []
    assert len(SERVICE.meant) <= MOST


def test_every_operation_of_the_reference_is_asked_for():
    assert SERVICE.unasked(documented("image")) == []
