"""Calls that many tests of block storage make."""

from __future__ import annotations

import typing as t


def make_volume(cloud: t.Any, caller: t.Any, **body: t.Any) -> str:
    """An available volume; its id."""
    id = caller.post("/volumes", {"volume": {"size": 1, **body}}).json()["volume"]["id"]
    cloud.settle()
    assert status(caller, id) == "available"
    return id


def make_snapshot(cloud: t.Any, caller: t.Any, volume: str, **body: t.Any) -> str:
    """An available snapshot; its id."""
    id = caller.post("/snapshots", {"snapshot": {"volume_id": volume, **body}}).json()["snapshot"]["id"]
    cloud.settle()
    assert caller.get(f"/snapshots/{id}").json()["snapshot"]["status"] == "available"
    return id


def status(caller: t.Any, id: str) -> str:
    return caller.get(f"/volumes/{id}").json()["volume"]["status"]


def act(caller: t.Any, id: str, name: str, value: t.Any = None, **options: t.Any) -> t.Any:
    return caller.post(f"/volumes/{id}/action", {name: value}, **options)
