"""What hosts keep of images: `/v2/cache`, and servers and volumes whose hosts have to fetch their images."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import os
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cumulet.image.cache import wishes
from cumulet.image.cache.bring import origin, source
from cumulet.kernel import clock, ids
from cumulet.kernel.work import Worker
from image_hosts import HostsAway
from world import RAW, World

DATA = os.urandom(1 << 20)


@pytest.fixture
def away(database_url: str, tmp_path: Path) -> Iterator[HostsAway]:
    made = HostsAway(database_url, str(tmp_path), hosts=2)
    yield made
    made.close()


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(database_url, str(tmp_path), hosts=2)
    yield made
    made.close()


def admin(world: World) -> t.Any:
    return world.caller("/image/v2", "admin", project="admin")


def reconcile(world: World) -> None:
    world.portal.call(wishes.Precaching(world.runtime).run_once)


def state(world: World) -> tuple[list[str], list[str]]:
    """Ids of the images that are cached, and that are queued."""
    said = admin(world).get("/cache").json()
    return [one["image_id"] for one in said["cached_images"]], said["queued_images"]


def cached(world: World, *image_ids: str) -> None:
    """Have the images in all hosts' caches."""
    for id in image_ids:
        assert admin(world).put(f"/cache/{id}").status_code == 202
    world.until(lambda: (reconcile(world), state(world))[1] == (sorted(image_ids), []))


# -- servers and volumes -------------------------------------------------------------------------------------------


def test_servers_that_boot_at_once_have_their_image_fetched_once(away: HostsAway) -> None:
    image, servers = away.image(data=DATA), []
    for project in ("p1", "p2"):
        network = away.network(project=project)
        one = {"imageRef": image, "networks": [{"uuid": network}], "availability_zone": "nova:host-1"}
        owner = away.caller("/compute/v2.1", "admin", project=project)
        servers += [away.boot(owner, wait=False, **one) for _ in range(10)]
    away.settle(60)
    assert [away.show(id)["status"] for id in servers] == ["ACTIVE"] * 20
    assert away.fetched == [image]
    (kept,) = away.cache()
    assert (kept.name, kept.read_bytes()) == (f"{hashlib.sha512(DATA).hexdigest()}.raw", DATA)


def test_a_host_with_the_file_fetches_nothing(world: World) -> None:
    world.boot()
    assert list((world.root / "host-1" / "images").iterdir()) == []


def test_a_server_is_not_made_of_damaged_data(away: HostsAway) -> None:
    image = away.image(data=DATA)
    (kept,) = (path for path in (Path(away.runtime.config.data) / "images").iterdir() if path.is_file())
    kept.chmod(0o600)
    kept.write_bytes(bytes(len(DATA)))
    server = away.boot(wait=False, imageRef=image)
    away.settle()
    shown = away.show(server)
    assert shown["status"] == "ERROR" and "what came is not it: its sha512 is" in shown["fault"]["message"]
    assert away.cache() == []


def test_a_server_whose_image_comes_slowly_can_be_deleted(away: HostsAway) -> None:
    image = away.image(data=DATA)
    away.gate = away.portal.call(_event)
    working = away.portal.start_task_soon(Worker(away.runtime).run)
    server = away.boot(wait=False, imageRef=image)
    away.until(lambda: away.fetched)
    assert away.me.delete(f"/servers/{server}").status_code == 204
    away.until(lambda: away.me.get(f"/servers/{server}").status_code == 404)
    working.cancel()


async def _event() -> asyncio.Event:
    return asyncio.Event()


def test_a_server_starts_again_without_its_image(away: HostsAway) -> None:
    image = away.image(data=DATA)
    server = away.boot(imageRef=image)
    assert admin(away).delete(f"/images/{image}").status_code == 204
    for action in ("os-stop", "os-start"):
        assert away.me.post(f"/servers/{server}/action", {action: None}).status_code == 202
        away.settle()
    assert (away.show(server)["status"], away.fetched) == ("ACTIVE", [image])


def test_a_server_whose_image_is_gone_says_so(away: HostsAway) -> None:
    image = away.image(data=DATA)
    server = away.boot(wait=False, imageRef=image)
    away.gate = away.portal.call(_event)
    settling = away.portal.start_task_soon(away._settle, 20)
    away.until(lambda: away.fetched)
    assert admin(away).delete(f"/images/{image}").status_code == 204
    away.portal.call(away.gate.set)
    settling.result()
    shown = away.show(server)
    assert shown["status"] == "ERROR" and f"image {image} is gone" in shown["fault"]["message"]


def test_a_volume_is_made_of_an_image_that_its_host_fetches(away: HostsAway) -> None:
    image = away.image(data=DATA)
    away.volume(imageRef=image)
    assert away.fetched == [image]


# -- tickets -------------------------------------------------------------------------------------------------------


def test_only_a_ticket_for_the_image_has_it_given(away: HostsAway) -> None:
    image, other = away.image(data=DATA), away.image()

    def ask(ticket: str, id: str = image, **headers: str) -> httpx2.Response:
        return away.send("GET", f"/image/v2/cache/data/{id}", headers={"X-Image-Ticket": ticket, **headers})

    told = away.transact(lambda tx: source(tx, away.runtime, image))
    good = origin(away.runtime, told).ticket
    assert (ask(good).status_code, ask(good).content) == (200, DATA)
    part = ask(good, Range="bytes=4-7")
    assert (part.status_code, part.content) == (206, DATA[4:8])
    ends, _, mark = good.partition(".")
    for bad in ("", "nonsense", mark, f"{int(ends) + 1}.{mark}", f"{ends}.{mark[:-1]}x", f"{ends}.{mark}x", f".{mark}", f"{ends}."):
        assert ask(bad).status_code == 403, bad
    assert ask(good, other).status_code == ask(good, ids.new()).status_code == 403
    assert origin(away.runtime, told).url == f"http://{away.runtime.config.listen}/image/v2/cache/data/{image}"


def test_a_ticket_runs_out(away: HostsAway, monkeypatch: pytest.MonkeyPatch) -> None:
    image = away.image(data=DATA)
    told = away.transact(lambda tx: source(tx, away.runtime, image))
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now - dt.timedelta(days=1))
    old = origin(away.runtime, told).ticket
    monkeypatch.undo()
    assert away.send("GET", f"/image/v2/cache/data/{image}", headers={"X-Image-Ticket": old}).status_code == 403


# -- /v2/cache -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [HostsAway, World])
def test_an_image_is_queued_and_then_cached(kind: type[World], database_url: str, tmp_path: Path) -> None:
    world = kind(database_url, str(tmp_path), hosts=2)
    try:
        _queued_and_then_cached(world)
    finally:
        world.close()


def _queued_and_then_cached(world: World) -> None:
    image = world.image(data=DATA)
    before = time.time()
    assert admin(world).get("/cache").json() == {"cached_images": [], "queued_images": []}
    said = admin(world).put(f"/cache/{image}")
    assert (said.status_code, said.content) == (202, b"")
    assert state(world) == ([], [image])
    cached(world, image)
    (found,) = admin(world).get("/cache").json()["cached_images"]
    assert found == {"image_id": image, "hits": 0, "size": len(DATA), "last_accessed": found["last_accessed"],
                     "last_modified": found["last_modified"]}  # fmt: skip
    assert before - 1 < found["last_accessed"] < time.time() and found["last_modified"] > before - 1
    assert admin(world).get(f"/cache/nodes/{image}").json() == ["host-1", "host-2"]


def test_what_is_cached_is_not_fetched_for_a_server(away: HostsAway) -> None:
    image = away.image(data=DATA)
    cached(away, image)
    assert len(away.fetched) == 2, "once a host"
    away.boot(imageRef=image)
    assert len(away.fetched) == 2


def test_an_image_is_taken_out_of_the_queue(away: HostsAway) -> None:
    image = away.image(data=DATA)
    away.gate = away.portal.call(_event)
    admin(away).put(f"/cache/{image}")
    reconcile(away)
    assert state(away) == ([], [image])
    assert admin(away).delete(f"/cache/{image}").status_code == 204
    assert state(away) == ([], [])
    away.portal.call(away.gate.set)


def test_images_are_taken_out_of_the_cache(away: HostsAway) -> None:
    images = sorted(away.image(name, data=name.encode() * 1000) for name in "abc")
    cached(away, *images)
    assert admin(away).delete(f"/cache/{images[0]}").status_code == 204
    assert state(away) == (images[1:], [])
    assert admin(away).delete(f"/cache/{images[0]}").status_code == 204
    admin(away).put(f"/cache/{images[0]}")
    clear = lambda target: admin(away).delete("/cache", headers={"x-image-cache-clear-target": target})
    assert clear("bogus").status_code == 400
    assert "must be 'cache', 'queue' or empty string" in clear("bogus").text
    assert clear("Cache").status_code == 204
    assert state(away) == ([], [images[0]])
    assert clear("queue").status_code == 204
    assert state(away) == ([], [])
    cached(away, *images)
    assert admin(away).delete("/cache").status_code == 204
    assert state(away) == ([], [])


def test_a_deleted_image_leaves_the_caches(away: HostsAway) -> None:
    image = away.image(data=DATA)
    cached(away, image)
    admin(away).delete(f"/images/{image}")
    assert state(away) == ([], [])
    away.portal.call(wishes.CachedLeftovers(away.runtime).run_once)
    assert away.cache("host-1") == away.cache("host-2") == []


def test_images_of_one_content_are_cached_together(away: HostsAway) -> None:
    one, two = sorted(away.image(name, data=DATA) for name in "ab")
    admin(away).put(f"/cache/{one}")
    away.until(lambda: (reconcile(away), state(away))[1] == ([one, two], []))
    assert len(away.fetched) == 2


def test_cleaning_and_pruning(away: HostsAway) -> None:
    cached(away, away.image(data=DATA))
    (away.root / "host-1" / "images" / "abc.raw.part").write_bytes(b"of a killed one")
    said = admin(away).post("/cache/clean")
    assert (said.status_code, said.content) == (200, b"")
    assert [path.suffix for path in away.cache()] == [".raw"]
    said = admin(away).post("/cache/prune")
    assert (said.status_code, said.json()) == (200, {"total_files_pruned": 0, "total_bytes_pruned": 0})


def test_a_wish_that_fails_is_tried_again_and_ends(away: HostsAway, monkeypatch: pytest.MonkeyPatch) -> None:
    image = away.image(data=DATA)
    (kept,) = (path for path in (Path(away.runtime.config.data) / "images").iterdir() if path.is_file())
    kept.unlink()
    kept.write_bytes(bytes(len(DATA)))
    admin(away).put(f"/cache/{image}")
    wish = lambda: away.transact(lambda tx: tx.rows(wishes.wishes))
    away.until(lambda: (reconcile(away), all(row.tries for row in wish()))[1])
    assert [row.error for row in wish()] == [row.error for row in wish() if "what came is not it" in row.error]
    assert all(row.due_at > clock.now() for row in wish())
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + wishes.LASTS + dt.timedelta(seconds=1))
    reconcile(away)
    assert state(away) == ([], [])


def test_what_cannot_be_cached(world: World) -> None:
    queued = admin(world).post("/images", {"name": "q", "disk_format": "raw", "container_format": "bare"}).json()["id"]
    said = admin(world).put(f"/cache/{queued}")
    assert said.status_code == 400 and "Only images with status active can be targeted for queueing" in said.text
    for method in ("PUT", "DELETE"):
        for id in (ids.new(), "nonsense"):
            said = admin(world)(method, f"/cache/{id}")
            assert said.status_code == 404 and f"Image {id} not found." in said.text
    assert admin(world).get(f"/cache/nodes/{ids.new()}").status_code == 404
    assert admin(world).get(f"/cache/{queued}").status_code == 405


def test_caches_are_for_administrators(world: World) -> None:
    me, image = world.caller("/image/v2"), world.image()
    calls = [("GET", ""), ("PUT", f"/{image}"), ("DELETE", f"/{image}"), ("DELETE", ""), ("POST", "/clean"), ("POST", "/prune"),
             ("GET", f"/nodes/{image}")]  # fmt: skip
    assert [me(method, f"/cache{path}").status_code for method, path in calls] == [403] * len(calls)
    assert me.put(f"/cache/{ids.new()}").status_code == 404


def test_a_host_that_is_away_is_left_out(world: World) -> None:
    image = world.image(data=RAW)
    cached(world, image)
    world.portal.call(world.agent.port.close)
    assert admin(world).get("/cache").json() == {"cached_images": [], "queued_images": []}
    assert admin(world).put(f"/cache/{image}").status_code == 202
    reconcile(world)
    assert state(world) == ([], [image])


def test_hosts_of_an_aggregate_fetch_images_beforehand(away: HostsAway) -> None:
    compute, one, two = away.caller("/compute/v2.1", "admin"), away.image("a", data=DATA), away.image("b", data=DATA[:1000])
    id = compute.post("/os-aggregates", {"aggregate": {"name": "fast"}}).json()["aggregate"]["id"]
    assert compute.post(f"/os-aggregates/{id}/action", {"add_host": {"host": "host-2"}}).status_code == 200

    def ask(*images: str, version: str = "compute 2.81", of: int | str = id) -> httpx2.Response:
        return compute.post(f"/os-aggregates/{of}/images", {"cache": [{"id": image} for image in images]}, version=version)

    said = ask(one, two)
    assert (said.status_code, said.content) == (202, b"")
    away.until(lambda: (reconcile(away), state(away))[1] == (sorted([one, two]), []))
    assert (len(away.cache("host-1")), len(away.cache("host-2"))) == (0, 2)
    assert ask(one, version="compute 2.80").status_code == 404
    assert ask(one, of=4711).status_code == 404
    assert [ask().status_code, ask(one, one).status_code, ask(ids.new()).status_code, ask("nonsense").status_code] == [400] * 4
    member = away.caller("/compute/v2.1")
    assert member.post(f"/os-aggregates/{id}/images", {"cache": [{"id": one}]}, version="compute 2.81").status_code == 403
