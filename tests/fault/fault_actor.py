"""What the scenes of the fault tests are made of: an actor who makes requests, and the register of scenes."""

from __future__ import annotations

import dataclasses as dc
import typing as t
from pathlib import Path

from cumulet.kernel.db import Tx
from web_server import WebServer

PATHS = {"servers": "/compute/v2.1/servers", "volumes": "/volume/v3/volumes", "snapshots": "/volume/v3/snapshots", "backups": "/volume/v3/backups",
         "groups": "/volume/v3/groups", "group_snapshots": "/volume/v3/group_snapshots", "images": "/image/v2/images"}  # fmt: skip
VERSIONS = {"/compute": "compute 2.100", "/volume": "volume 3.71", "/image": None}
GONE = "gone"
SETTINGS: dict[str, t.Any] = {
    "image_stores": [
        {"type": "file", "id": "file", "default": True}, {"type": "file", "id": "second", "directory": "images/second"},
        {"type": "http", "id": "web"},
    ],
    "image_import": {
        "allowed_ports": [], "allowed_networks": ["127.0.0.1/32"], "plugins": ["image_decompression", "image_conversion"], "output_format": "qcow2",
    },
}  # fmt: skip
"""What the clouds of these tests are told, so that there are enough ways for images to come."""


@dc.dataclass
class Scene:
    """kind: of the thing that the saga works on, a key of PATHS. begin: makes the request, and returns the thing's id.
    done and undone: what `look` says of the thing afterwards."""

    kind: str
    begin: t.Callable[[], str]
    done: str
    undone: str
    look: t.Callable[[str], str] | None = None


class Kept(t.NamedTuple):
    """Where a host's drivers keep what they have."""

    machines: Path
    network: Path
    volumes: Path
    metadata: Path


class World(t.Protocol):
    """What scenes and checks need of a cloud, be it in this process or one of real processes."""

    hosts: list[str]
    image_id: str
    network_id: str
    image_store: Path
    web: WebServer

    def caller(self, prefix: str, *roles: str) -> t.Any: ...
    def work(self) -> None:
        """Return when no work is left."""

    def settle(self) -> None:
        """Return when no work is left and the reconcilers have seen to what it left."""

    def transact(self, fn: t.Callable[[Tx], t.Any]) -> t.Any: ...
    def kept(self, host: str) -> Kept: ...


class Actor:
    """A member of a project, with the few requests that scenes are made of."""

    def __init__(self, world: World):
        self.world = world
        self.me, self.admin = world.caller(""), world.caller("", "admin")

    def __call__(self, method: str, path: str, body: t.Any = None, *, admin: bool = False) -> t.Any:
        """What a request answers that has to succeed."""
        answer = (self.admin if admin else self.me)(method, path, body, version=self._version(path))
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def show(self, kind: str, id: str) -> dict | None:
        """A thing as its owner sees it; None where there is no such."""
        path = f"{PATHS[kind]}/{id}"
        answer = self.admin.get(path, version=self._version(path))
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json() if kind == "images" else answer.json()[kind[:-1]]

    def status(self, kind: str, id: str) -> str:
        shown = self.show(kind, id)
        return GONE if shown is None else shown["status"]

    def act(self, kind: str, id: str, *, admin: bool = False, **action: t.Any) -> None:
        self("POST", f"{PATHS[kind]}/{id}/action", {name.replace("__", "-"): body for name, body in action.items()}, admin=admin)

    def settled(self, kind: str, id: str, status: str) -> str:
        """The id, once the thing is whole."""
        self.world.work()
        assert self.status(kind, id) == status, self.show(kind, id)
        return id

    def server(self, **values: t.Any) -> str:
        return self.settled("servers", self.create_server(**values), "ACTIVE")

    def create_server(self, **values: t.Any) -> str:
        body = {"name": "s", "flavorRef": "f1", "imageRef": self.world.image_id, "networks": [{"uuid": self.world.network_id}]} | values
        return self("POST", PATHS["servers"], {"server": {k: v for k, v in body.items() if v is not None}})["server"]["id"]

    def volume(self, **values: t.Any) -> str:
        return self.settled("volumes", self.create_volume(**values), "available")

    def create_volume(self, **values: t.Any) -> str:
        return self("POST", PATHS["volumes"], {"volume": {"size": 1} | values})["volume"]["id"]

    def snapshot(self, volume: str) -> str:
        return self.settled("snapshots", self.create_snapshot(volume), "available")

    def create_snapshot(self, volume: str) -> str:
        return self("POST", PATHS["snapshots"], {"snapshot": {"volume_id": volume}})["snapshot"]["id"]

    def create_backup(self, volume: str, **values: t.Any) -> str:
        return self("POST", PATHS["backups"], {"backup": {"volume_id": volume} | values})["backup"]["id"]

    def backup(self, volume: str) -> str:
        return self.settled("backups", self.create_backup(volume), "available")

    def attach(self, server: str, volume: str) -> None:
        self("POST", f"{PATHS['servers']}/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})

    def server_with_volume(self) -> tuple[str, str]:
        server, volume = self.server(), self.volume()
        self.attach(server, volume)
        self.settled("volumes", volume, "in-use")
        return server, volume

    def port(self) -> str:
        return self("POST", "/network/v2.0/ports", {"port": {"network_id": self.world.network_id}})["port"]["id"]

    def ports(self, server: str) -> int:
        """How many cards a server has."""
        return len(self("GET", f"{PATHS['servers']}/{server}/os-interface")["interfaceAttachments"])

    def group(self) -> str:
        """A group with one volume."""
        kinds = {row["name"]: row["id"] for row in self("GET", "/volume/v3/types", admin=True)["volume_types"]}
        kind = kinds.get("plain") or self("POST", "/volume/v3/types", {"volume_type": {"name": "plain"}}, admin=True)["volume_type"]["id"]
        group_kinds = {row["name"]: row["id"] for row in self("GET", "/volume/v3/group_types", admin=True)["group_types"]}
        group_kind = group_kinds.get("plain")
        if group_kind is None:
            group_kind = self("POST", "/volume/v3/group_types", {"group_type": {"name": "plain"}}, admin=True)["group_type"]["id"]
        group = self("POST", PATHS["groups"], {"group": {"group_type": group_kind, "volume_types": [kind]}})["group"]["id"]
        self.volume(volume_type=kind, group_id=group)
        return group

    def take_in(self, kind: str, reference: str, volume: str | None = None) -> str:
        """Manage a volume, or a snapshot of a volume, that was let go of; its new id."""
        if kind == "volume":
            wanted = {"host": f"{self.world.hosts[0]}@lvm#lvm", "ref": {"source-name": f"volume-{reference}"}}
        else:
            wanted = {"volume_id": volume, "ref": {"source-name": f"_snapshot-{reference}"}}
        return self("POST", f"/volume/v3/manageable_{kind}s", {kind: wanted}, admin=True)[kind]["id"]

    def _version(self, path: str) -> str | None:
        return VERSIONS.get("/" + path.split("/")[1])


Make = t.Callable[[Actor], Scene]
SCENES: dict[tuple[str, str], Make] = {}
"""(Saga, variant) -> what sets its scene."""


def scene(saga: str, variant: str = "") -> t.Callable[[Make], Make]:
    def register(make: Make) -> Make:
        SCENES[saga, variant] = make
        return make

    return register


def deleting(a: Actor, kind: str, id: str) -> Scene:
    def begin() -> str:
        a("DELETE", f"{PATHS[kind]}/{id}")
        return id

    return Scene(kind, begin, GONE, GONE)


def images_of(a: Actor) -> str:
    """The project's own images."""
    return "images: " + ", ".join(image["status"] for image in a("GET", "/image/v2/images?visibility=private")["images"])
