"""Scenes of the sagas that work on servers."""

from __future__ import annotations

import typing as t

from fault.fault_actor import PATHS, SCENES, Actor, Make, Scene, deleting, images_of, scene

# -- servers: making and ending ------------------------------------------------------------------------------------


@scene("BootServer")
def boot(a: Actor) -> Scene:
    port, data = a.port(), a.volume()
    disks = [
        {
            "source_type": "image",
            "destination_type": "volume",
            "uuid": a.world.image_id,
            "boot_index": 0,
            "volume_size": 1,
            "delete_on_termination": True,
        },
        {"source_type": "volume", "destination_type": "volume", "uuid": data, "boot_index": -1},
    ]
    networks = [{"uuid": a.world.network_id}, {"port": port}]
    return Scene("servers", lambda: a.create_server(imageRef=None, block_device_mapping_v2=disks, networks=networks), "ACTIVE", "ERROR")


@scene("BootServer", "local disk")
def boot_local(a: Actor) -> Scene:
    return Scene("servers", a.create_server, "ACTIVE", "ERROR")


@scene("DeleteServer")
def delete_server(a: Actor) -> Scene:
    server, _ = a.server_with_volume()
    return deleting(a, "servers", server)


@scene("RebuildServer")
def rebuild(a: Actor) -> Scene:
    return _action(a, a.server(), "ACTIVE", "ERROR", rebuild={"imageRef": a.world.image_id})


# -- servers: power ------------------------------------------------------------------------------------------------

POWER: dict[str, tuple[dict, dict | None, str, str]] = {
    "stop": ({"os-stop": None}, None, "SHUTOFF", "ACTIVE"),
    "start": ({"os-start": None}, {"os-stop": None}, "ACTIVE", "SHUTOFF"),
    "reboot": ({"reboot": {"type": "SOFT"}}, None, "ACTIVE", "ACTIVE"),
    "reboot-hard": ({"reboot": {"type": "HARD"}}, None, "ACTIVE", "ACTIVE"),
    "pause": ({"pause": None}, None, "PAUSED", "ACTIVE"),
    "unpause": ({"unpause": None}, {"pause": None}, "ACTIVE", "PAUSED"),
    "suspend": ({"suspend": None}, None, "SUSPENDED", "ACTIVE"),
    "resume": ({"resume": None}, {"suspend": None}, "ACTIVE", "SUSPENDED"),
}
"""Change -> the action, the action before it, what the server is after it, and what it stays where it fails."""


BRIEF = {("PowerServer", change) for change in POWER if change not in ("stop", "start")}
"""Scenes of one and the same saga: the first two show all that can befall it, the others what differs."""


def _power(change: str) -> Make:
    def make(a: Actor) -> Scene:
        action, before, done, undone = POWER[change]
        server = a.server()
        if before:
            a.act("servers", server, **before)
            a.settled("servers", server, undone)
        return _action(a, server, done, undone, **action)

    return make


for _change in POWER:
    SCENES["PowerServer", _change] = _power(_change)

# -- servers: the rest ---------------------------------------------------------------------------------------------


@scene("TellServer")
def tell(a: Actor) -> Scene:
    server = a.server()

    def begin() -> str:
        a("POST", f"{PATHS['servers']}/{server}/metadata", {"metadata": {"a": "b"}})
        return server

    return Scene("servers", begin, "ACTIVE", "ACTIVE")


@scene("SnapshotServer")
def snapshot_server(a: Actor) -> Scene:
    server = a.server()
    return _action(a, server, "ACTIVE, images: active", "ACTIVE, images: ", look=_images, createImage={"name": "i"})


@scene("SnapshotVolumes")
def snapshot_volumes(a: Actor) -> Scene:
    root = {"source_type": "image", "destination_type": "volume", "uuid": a.world.image_id, "boot_index": 0, "volume_size": 1}
    server = a.server(imageRef=None, block_device_mapping_v2=[root | {"delete_on_termination": True}])
    return _action(a, server, "ACTIVE, images: active", "ACTIVE, images: ", look=_images, createImage={"name": "i"})


@scene("BackupServer")
def backup_server(a: Actor) -> Scene:
    server = a.server()
    action = {"createBackup": {"name": "i", "backup_type": "daily", "rotation": 1}}
    a.act("servers", server, **action)
    a.world.work()
    return _action(a, server, "ACTIVE, images: active", "ACTIVE, images: active", look=_images, **action)


@scene("RescueServer")
def rescue(a: Actor) -> Scene:
    return _action(a, a.server(), "RESCUE", "ACTIVE", rescue={})


@scene("UnrescueServer")
def unrescue(a: Actor) -> Scene:
    server = a.server()
    a.act("servers", server, rescue={})
    a.settled("servers", server, "RESCUE")
    return _action(a, server, "ACTIVE", "RESCUE", unrescue=None)


@scene("ResizeServer")
def resize(a: Actor) -> Scene:
    return _action(a, a.server(), "VERIFY_RESIZE, flavor: f2", "ACTIVE, flavor: f1", look=_flavor, resize={"flavorRef": "f2"})


@scene("ResizeServer", "stopped")
def resize_stopped(a: Actor) -> Scene:
    server = a.server()
    a.act("servers", server, **{"os-stop": None})
    a.settled("servers", server, "SHUTOFF")
    return _action(a, server, "VERIFY_RESIZE, flavor: f2", "SHUTOFF, flavor: f1", look=_flavor, resize={"flavorRef": "f2"})


@scene("RevertResize")
def revert_resize(a: Actor) -> Scene:
    server = a.server()
    a.act("servers", server, resize={"flavorRef": "f2"})
    a.settled("servers", server, "VERIFY_RESIZE")
    return _action(a, server, "ACTIVE, flavor: f1", "VERIFY_RESIZE, flavor: f2", look=_flavor, revertResize=None)


@scene("ShelveServer")
def shelve(a: Actor) -> Scene:
    return _action(a, a.server(), "SHELVED_OFFLOADED, images: active", "ACTIVE, images: ", look=_images, shelve=None)


@scene("OffloadServer")
def offload(a: Actor) -> Scene:
    return _action(a, a.server(), "SHELVED_OFFLOADED", "SHELVED", shelve=None)


@scene("UnshelveServer")
def unshelve(a: Actor) -> Scene:
    server, _ = a.server_with_volume()
    a.act("servers", server, shelve=None)
    a.settled("servers", server, "SHELVED_OFFLOADED")
    return _action(a, server, "ACTIVE, images: ", "SHELVED_OFFLOADED, images: active", look=_images, unshelve=None)


@scene("AttachVolume")
def attach_volume(a: Actor) -> Scene:
    server, volume = a.server(), a.volume()

    def begin() -> str:
        a.attach(server, volume)
        return server

    return Scene("servers", begin, "ACTIVE, volume: in-use", "ACTIVE, volume: available", _with_volume(a, volume))


@scene("DetachVolume")
def detach_volume(a: Actor) -> Scene:
    server, volume = a.server_with_volume()

    def begin() -> str:
        a("DELETE", f"{PATHS['servers']}/{server}/os-volume_attachments/{volume}")
        return server

    return Scene("servers", begin, "ACTIVE, volume: available", "ACTIVE, volume: in-use", _with_volume(a, volume))


@scene("AttachInterface")
def attach_interface(a: Actor) -> Scene:
    server = a.server()

    def begin() -> str:
        a("POST", f"{PATHS['servers']}/{server}/os-interface", {"interfaceAttachment": {"net_id": a.world.network_id}})
        return server

    return Scene("servers", begin, "ACTIVE, cards: 2", "ACTIVE, cards: 1", lambda id: f"{a.status('servers', id)}, cards: {a.ports(id)}")


@scene("DetachInterface")
def detach_interface(a: Actor) -> Scene:
    server = a.server(networks=[{"uuid": a.world.network_id}, {"port": a.port()}])
    card = a("GET", f"{PATHS['servers']}/{server}/os-interface")["interfaceAttachments"][0]["port_id"]

    def begin() -> str:
        a("DELETE", f"{PATHS['servers']}/{server}/os-interface/{card}")
        return server

    return Scene("servers", begin, "ACTIVE, cards: 1", "ACTIVE, cards: 2", lambda id: f"{a.status('servers', id)}, cards: {a.ports(id)}")


@scene("ExtendDisk")
def extend_disk(a: Actor) -> Scene:
    server, volume = a.server_with_volume()

    def begin() -> str:
        event = {"name": "volume-extended", "server_uuid": server, "tag": volume}
        a("POST", "/compute/v2.1/os-server-external-events", {"events": [event]}, admin=True)
        return server

    return Scene("servers", begin, "ACTIVE", "ACTIVE")


# -- helpers -------------------------------------------------------------------------------------------------------


def _action(a: Actor, server: str, done: str, undone: str, look: t.Callable[[Actor, str], str] | None = None, **action: t.Any) -> Scene:
    def begin() -> str:
        a.act("servers", server, **action)
        return server

    return Scene("servers", begin, done, undone, (lambda id: look(a, id)) if look else None)


def _images(a: Actor, server: str) -> str:
    return f"{a.status('servers', server)}, {images_of(a)}"


def _flavor(a: Actor, server: str) -> str:
    shown = a.show("servers", server)
    assert shown is not None
    return f"{shown['status']}, flavor: {shown['flavor']['original_name']}"


def _with_volume(a: Actor, volume: str) -> t.Callable[[str], str]:
    def look(server: str) -> str:
        attached = a("GET", f"{PATHS['servers']}/{server}/os-volume_attachments")["volumeAttachments"]
        status = a.status("volumes", volume)
        assert bool(attached) == (status != "available"), f"the server says {attached}, the volume {status}"
        return f"{a.status('servers', server)}, volume: {status}"

    return look
