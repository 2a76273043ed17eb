"""What was asked of a server, by whom, and what came of it."""

from __future__ import annotations

import datetime as dt

import pytest

from cumulet.compute.drivers.simulated import Recipe
from cumulet.kernel.recipe import Trouble
from world import World


@pytest.fixture
def id(world) -> str:
    id = world.boot()
    for body in ({"os-stop": None}, {"os-start": None}):
        world.me.post(f"/servers/{id}/action", body)
        world.settle()
    return id


def actions(world, id: str, query: str = "", version: str = "compute 2.84", by=None):
    return (by or world.me).get(f"/servers/{id}/os-instance-actions{query}", version=version)


def test_actions_are_listed_newest_first(world, id):
    found = actions(world, id).json()["instanceActions"]
    assert [one["action"] for one in found] == ["start", "stop", "create"]
    assert (
        found[0]["user_id"] == "u1" and found[0]["project_id"] == "p1" and found[0]["instance_uuid"] == id and found[0]["message"] is None
    )
    for one in found:
        assert dt.datetime.fromisoformat(one["start_time"]) <= dt.datetime.fromisoformat(one["updated_at"])
    assert "updated_at" not in actions(world, id, version="compute 2.57").json()["instanceActions"][0]


def test_actions_are_paged_and_chosen_by_time(world, id):
    first = actions(world, id, "?limit=2").json()
    assert len(first["instanceActions"]) == 2 and first["links"][0]["rel"] == "next"
    rest = world.me.get(first["links"][0]["href"].partition("/v2.1")[2], version="compute 2.84").json()
    assert [one["action"] for one in rest["instanceActions"]] == ["create"] and "links" not in rest
    assert actions(world, id, "?marker=req-nope").status_code == 400 and actions(world, id, "?limit=-1").status_code == 400
    assert actions(world, id, "?changes-since=2999-01-01T00:00:00Z").json()["instanceActions"] == []
    assert len(actions(world, id, "?changes-before=2999-01-01T00:00:00Z").json()["instanceActions"]) == 3
    assert actions(world, id, "?changes-since=nope").status_code == 400
    assert actions(world, id, "?changes-since=2999-01-01T00:00:00Z&changes-before=2000-01-01T00:00:00Z").status_code == 400


def test_an_action_is_shown_with_its_events(world, id):
    by_name = {one["action"]: one["request_id"] for one in actions(world, id).json()["instanceActions"]}
    show = lambda name, by, version: by.get(f"/servers/{id}/os-instance-actions/{by_name[name]}", version=version).json()["instanceAction"]
    (event,) = show("create", world.admin, "compute 2.84")["events"]
    assert event["event"] == "compute__do_build_and_run_instance" and event["result"] == "Success" and event["host"] == "host-1"
    assert event["start_time"] <= event["finish_time"] and event["traceback"] is None is event["details"] and len(event["hostId"]) == 56
    (event,) = show("stop", world.me, "compute 2.84")["events"]
    assert event["event"] == "compute_stop_instance" and event.keys() == {"event", "start_time", "finish_time", "result", "hostId"}
    assert "hostId" not in show("stop", world.me, "compute 2.61")["events"][0] and "events" not in show("stop", world.me, "compute 2.50")
    assert "traceback" in show("stop", world.admin, "compute 2.21")["events"][0]
    assert world.me.get(f"/servers/{id}/os-instance-actions/req-nope").status_code == 404


def test_an_action_that_failed_says_so(database_url, tmp_path):
    world = World(database_url, str(tmp_path), recipe=Recipe(calls={"stop": Trouble(chance=1, message="stuck")}))
    try:
        id = world.boot()
        world.me.post(f"/servers/{id}/action", {"os-stop": None})
        world.settle()
        stop = actions(world, id).json()["instanceActions"][0]
        assert stop["message"] == "Error"
        (event,) = world.admin.get(f"/servers/{id}/os-instance-actions/{stop['request_id']}", version="compute 2.84").json()[
            "instanceAction"
        ]["events"]
        assert event["result"] == "Error" and "stuck" in event["details"]
    finally:
        world.close()


def test_actions_outlive_their_server(world, id):
    world.me.delete(f"/servers/{id}")
    world.settle()
    assert [one["action"] for one in actions(world, id).json()["instanceActions"]] == ["delete", "start", "stop", "create"]
    assert actions(world, id, version="compute 2.20").status_code == 404
    assert actions(world, id, by=world.caller("/compute/v2.1", project="p2")).status_code == 404
