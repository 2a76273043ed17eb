"""What the matrix of image asks about: images of the project `mine` of each visibility, and a namespace with one thing of each kind."""

from __future__ import annotations

import typing as t

from cumulet.kernel.testing.cloud import Caller
from matrix import World

BASE = "/image/v2"
OCTETS = {"Content-Type": "application/octet-stream"}
IMPORT = {"method": {"name": "glance-direct"}}
VISIBILITIES = ("private", "shared", "community", "public")


def fill(world: World) -> None:
    """Make the things."""
    world.give("admin")
    owner = world.at(BASE, world.login(world.owner_id, "pw", scope={"project": {"id": world.mine}}))
    world.things |= _images(world, owner) | _namespaces(world, owner)
    world.take("admin")
    world.bodies |= _bodies(world)
    world.more += _more()


def _images(world: World, owner: Caller) -> dict[str, str]:
    """Images with data, by visibility: the shared one is shared with `theirs`; one is there to be in two stores, and one is queued."""
    from cumulet.image import locations  # its table refers to others, which are there once the service is loaded

    made = {what: _image(owner, visibility=what) for what in VISIBILITIES}
    for project in (world.theirs, world.mine):
        assert owner.post(f"/images/{made['shared']}/members", {"member": project}).status_code == 200
    assert owner.put(f"/images/{made['private']}/tags/blue").status_code == 204
    queued = owner.post("/images", {"disk_format": "raw", "container_format": "bare", "visibility": "private"}).json()["id"]
    staged, task = _staged(owner), _importing(owner)
    twice = _image(owner, visibility="private")
    world.transact(lambda tx: locations.finish(tx, locations.begin(tx, twice, "file", position=1).id))
    return {
        "PUT /images/{id}/file id": queued, "PUT /images/{id}/stage id": queued, "POST /images/{id}/import id": staged, "/tasks id": task,
        "/images/{id}/members id": made["shared"], **{f"#{what} id": made[what] for what in VISIBILITIES},
        "id": made["private"], "image_id": twice, "tag": "blue", "member_id": world.theirs, "store_id": "file",
    }  # fmt: skip


def _staged(owner: Caller) -> str:
    id = owner.post("/images", {"disk_format": "raw", "container_format": "bare", "visibility": "private"}).json()["id"]
    assert owner("PUT", f"/images/{id}/stage", content=b"x" * 1024, headers=OCTETS).status_code == 204
    return id


def _importing(owner: Caller) -> str:
    """The task of an import that goes on."""
    id = _staged(owner)
    assert owner.post(f"/images/{id}/import", IMPORT).status_code == 202
    return owner.get(f"/images/{id}/tasks").json()["tasks"][0]["id"]


def _image(owner: Caller, **body: t.Any) -> str:
    id = owner.post("/images", {"disk_format": "raw", "container_format": "bare", **body}).json()["id"]
    assert owner("PUT", f"/images/{id}/file", content=b"x" * 1024, headers=OCTETS).status_code == 204
    return id


def _namespaces(world: World, owner: Caller) -> dict[str, str]:
    """A private one, and one that all see."""
    for name in ("private", "public"):
        answer = owner.post("/metadefs/namespaces", {
            "namespace": name, "visibility": name, "objects": [{"name": "it"}], "properties": {"it": {"type": "string", "title": "It"}},
            "tags": [{"name": "it"}], "resource_type_associations": [{"name": "it"}],
        })  # fmt: skip
        assert answer.status_code == 201, answer.text
    return {
        "#open namespace": "public",
        "namespace": "private",
        "POST /metadefs/namespaces/{namespace}/tags/{name} name": "new",
        "name": "it",
    }


def _bodies(world: World) -> dict[str, t.Any]:
    return {
        "POST /images/{id}/import": IMPORT, "POST /images #elsewhere": {"owner": world.theirs}, "POST /images #community": {"visibility": "community"},
        "POST /images #public": {"visibility": "public"},
        "PATCH /images/{id}": [], "PATCH /images/{id} #shared": [], "PATCH /images/{id} #community": [], "PATCH /images/{id} #public": [],
        "PATCH /images/{id} #publicize": _replaced("visibility", "public"),
        "PATCH /images/{id} #communitize": _replaced("visibility", "community"),
        "PATCH /images/{id} #owner": _replaced("owner", world.theirs),
    }  # fmt: skip


def _replaced(name: str, value: str) -> list[dict[str, str]]:
    return [{"op": "replace", "path": f"/{name}", "value": value}]


def _more() -> list[str]:
    seen = [f"{line} #{what}" for what in VISIBILITIES[1:] for line in ("GET /images/{id}", "GET /images/{id}/file", "PATCH /images/{id}",
                                                                        "DELETE /images/{id}", "PUT /images/{id}/tags/{tag}")]  # fmt: skip
    content = ("objects", "objects/{name}", "properties", "properties/{name}", "tags", "tags/{name}", "resource_types")
    opened = [f"{line} #open" for line in ("GET /metadefs/namespaces/{namespace}", "PUT /metadefs/namespaces/{namespace}",
                                           *(f"GET /metadefs/namespaces/{{namespace}}/{what}" for what in content))]  # fmt: skip
    wanted = ("POST /images #elsewhere", "POST /images #community", "POST /images #public", "PATCH /images/{id} #publicize",
              "PATCH /images/{id} #communitize", "PATCH /images/{id} #owner")  # fmt: skip
    return [*seen, *wanted, *opened]
