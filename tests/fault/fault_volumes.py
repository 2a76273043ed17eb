"""Scenes of the sagas that work on volumes, snapshots, backups and groups."""

from __future__ import annotations

import typing as t

from fault.fault_actor import GONE, PATHS, Actor, Scene, deleting, images_of, scene

# -- volumes -------------------------------------------------------------------------------------------------------


@scene("CreateVolume")
def create_volume(a: Actor) -> Scene:
    return Scene("volumes", lambda: a.create_volume(imageRef=a.world.image_id), "available", "error")


@scene("CreateVolume", "from a snapshot")
def create_volume_from_snapshot(a: Actor) -> Scene:
    snapshot = a.snapshot(a.volume())
    return Scene("volumes", lambda: a.create_volume(snapshot_id=snapshot), "available", "error")


@scene("DeleteVolume")
def delete_volume(a: Actor) -> Scene:
    volume = a.volume()
    a.snapshot(volume)

    def begin() -> str:
        a("DELETE", f"{PATHS['volumes']}/{volume}?cascade=true")
        return volume

    return Scene("volumes", begin, GONE, GONE)


@scene("ExtendVolume")
def extend_volume(a: Actor) -> Scene:
    return _volume_action(a, a.volume(), "available", "error_extending", os__extend={"new_size": 2})


@scene("ExtendVolume", "attached")
def extend_attached_volume(a: Actor) -> Scene:
    server, volume = a.server_with_volume()

    def begin() -> str:
        a.act("volumes", volume, os__extend={"new_size": 2})
        return server

    return Scene("servers", begin, "in-use", "error_extending", lambda _: a.status("volumes", volume))


@scene("CreateSnapshot")
def create_snapshot(a: Actor) -> Scene:
    volume = a.volume()
    return Scene("snapshots", lambda: a.create_snapshot(volume), "available", "error")


@scene("DeleteSnapshot")
def delete_snapshot(a: Actor) -> Scene:
    return deleting(a, "snapshots", a.snapshot(a.volume()))


@scene("RevertVolume")
def revert_volume(a: Actor) -> Scene:
    volume = a.volume()
    return _volume_action(a, volume, "available", "error", revert={"snapshot_id": a.snapshot(volume)})


@scene("RefillVolume", "from an image")
def reimage(a: Actor) -> Scene:
    return _volume_action(a, a.volume(), "available", "error", os__reimage={"image_id": a.world.image_id})


@scene("RefillVolume", "from a backup")
def restore(a: Actor) -> Scene:
    volume = a.volume()
    backup = a.backup(volume)

    def begin() -> str:
        a("POST", f"{PATHS['backups']}/{backup}/restore", {"restore": {"volume_id": volume}})
        return volume

    def look(id: str) -> str:
        return f"{a.status('volumes', id)}, backup: {a.status('backups', backup)}"

    return Scene("volumes", begin, "available, backup: available", "error_restoring, backup: available", look)


@scene("UploadVolume")
def upload(a: Actor) -> Scene:
    volume = a.volume()

    def begin() -> str:
        a.act("volumes", volume, os__volume_upload_image={"image_name": "i"})
        return volume

    return Scene(
        "volumes", begin, "available, images: active", "available, images: ", lambda id: f"{a.status('volumes', id)}, {images_of(a)}"
    )


@scene("CreateBackup")
def create_backup(a: Actor) -> Scene:
    volume = a.volume()
    return Scene("backups", lambda: a.create_backup(volume), "available, volume: available", "error, volume: available",
                 lambda id: f"{a.status('backups', id)}, volume: {a.status('volumes', volume)}")  # fmt: skip


@scene("CreateBackup", "of a snapshot")
def create_backup_of_snapshot(a: Actor) -> Scene:
    volume = a.volume()
    snapshot = a.snapshot(volume)
    return Scene("backups", lambda: a.create_backup(volume, snapshot_id=snapshot), "available, snapshot: available", "error, snapshot: available",
                 lambda id: f"{a.status('backups', id)}, snapshot: {a.status('snapshots', snapshot)}")  # fmt: skip


@scene("DeleteBackup")
def delete_backup(a: Actor) -> Scene:
    return deleting(a, "backups", a.backup(a.volume()))


@scene("ManageVolume")
def manage_volume(a: Actor) -> Scene:
    volume = a.volume()
    a.act("volumes", volume, os__unmanage={}, admin=True)
    return Scene("volumes", lambda: a.take_in("volume", volume), "available", "error_managing")


@scene("ManageSnapshot")
def manage_snapshot(a: Actor) -> Scene:
    volume = a.volume()
    snapshot = a.snapshot(volume)
    a.act("snapshots", snapshot, os__unmanage={}, admin=True)
    return Scene("snapshots", lambda: a.take_in("snapshot", snapshot, volume), "available", "error")


# -- groups of volumes ---------------------------------------------------------------------------------------------


@scene("FillGroup")
def fill_group(a: Actor) -> Scene:
    source = a.group()
    return Scene("groups", lambda: a("POST", f"{PATHS['groups']}/action", {"create-from-src": {"source_group_id": source}})["group"]["id"],
                 "available", "error")  # fmt: skip


@scene("DeleteGroup")
def delete_group(a: Actor) -> Scene:
    group = a.group()

    def begin() -> str:
        a.act("groups", group, delete={"delete-volumes": True})
        return group

    return Scene("groups", begin, GONE, "error")


@scene("CreateGroupSnapshot")
def create_group_snapshot(a: Actor) -> Scene:
    group = a.group()
    return Scene("group_snapshots", lambda: _group_snapshot(a, group), "available", "error")


@scene("DeleteGroupSnapshot")
def delete_group_snapshot(a: Actor) -> Scene:
    taken = a.settled("group_snapshots", _group_snapshot(a, a.group()), "available")
    return deleting(a, "group_snapshots", taken)


# -- helpers -------------------------------------------------------------------------------------------------------


def _group_snapshot(a: Actor, group: str) -> str:
    return a("POST", PATHS["group_snapshots"], {"group_snapshot": {"group_id": group}})["group_snapshot"]["id"]


def _volume_action(a: Actor, volume: str, done: str, undone: str, **action: t.Any) -> Scene:
    def begin() -> str:
        a.act("volumes", volume, **action)
        return volume

    return Scene("volumes", begin, done, undone)
