"""What must hold whenever no work is left: rows and hosts agree; and when everything is deleted, nothing is left over."""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from cumulet.compute.servers.states import Vm
from cumulet.compute.servers.tables import block_devices, nics, servers
from cumulet.image.images import images
from cumulet.image.locations import locations
from cumulet.image.stores.registry import STAGING
from cumulet.image.tasks import tasks as image_tasks
from cumulet.kernel.db import Row, Tx
from cumulet.kernel.work.tasks import LIVE, tasks
from cumulet.network.tables import ports
from cumulet.placement.tables import allocations, consumers
from cumulet.volume.tables import attachments, backups, group_snapshots, groups, snapshots, unmanaged, volumes
from fault.fault_actor import PATHS, Actor, World

RUNS = {Vm.ACTIVE: "running", Vm.RESCUED: "running", Vm.PAUSED: "paused", Vm.SUSPENDED: "suspended", Vm.STOPPED: "stopped"}
"""What the machine of a server in a state does; that of a resized one does what it did."""
KINDS = {"servers": servers, "backups": backups, "group_snapshots": group_snapshots, "groups": groups, "volumes": volumes}
"""What is deleted one after the other; a volume's snapshots go with it."""
EMPTY = (servers, block_devices, nics, volumes, snapshots, backups, attachments, groups, group_snapshots, allocations, consumers, unmanaged)
"""Tables in which nothing is left."""
AT_REST = {"available", "reserved", "in-use", "error", "error_extending", "error_restoring", "error_managing"}
"""Statuses of volumes, snapshots and backups on which nobody works."""

STORES = {"file": "", "second": "second", STAGING: "staging"}
"""Stores of images, and their directories among those of images."""
PARTS = {"snapshots", "backups", *STORES.values(), "incoming", "second/incoming", "staging/incoming"}
"""All the directories of images."""


class Held(t.NamedTuple):
    """What a host has, as its drivers keep it on disk."""

    machines: dict[str, dict]
    volumes: set[str]
    snapshots: set[str]
    ports: set[str]
    metadata: set[str]


def check_whole(world: World, actor: Actor) -> None:
    """Whatever the rows say is so on the hosts, and nothing else is there."""
    held = {name: _held(world, name) for name in world.hosts}
    files = _files(world)
    world.transact(lambda tx: (_check_rows(tx, held), _check_files(tx, files)))
    _check_usage(world, actor)


def check_clean(world: World) -> None:
    """Nothing is there but the world's own network, image and flavors."""
    world.transact(lambda tx: _check_empty(tx, world.image_id))
    for name in world.hosts:
        assert _held(world, name) == Held({}, set(), set(), set(), set())
    kept = world.transact(lambda tx: {row.key for row in tx.rows(locations, image_id=world.image_id)})
    assert _files(world) == {part: set() for part in PARTS} | {"": kept}


def _check_empty(tx: Tx, image_id: str) -> None:
    assert {table.name: left for table in EMPTY if (left := tx.rows(table))} == {}
    assert [row.device_owner for row in tx.rows(ports)] in ([], ["network:dhcp"])
    assert [row.id for row in tx.rows(images)] == [image_id]


def delete_all(world: World, actor: Actor) -> None:
    """Delete everything there is, whatever its state: everything is gone after that."""
    for row in world.transact(lambda tx: tx.rows(unmanaged)):
        actor.take_in(row.kind, row.id, row.volume_id)
    world.work()
    for kind, table in KINDS.items():
        ids = [row.id for row in world.transact(lambda tx, table=table: tx.rows(table))]
        for id in ids:
            delete(actor, kind, id)
        if ids:
            world.work()
            assert {id: actor.show(kind, id) for id in ids} == dict.fromkeys(ids)
    for port in actor("GET", "/network/v2.0/ports?device_owner=")["ports"]:
        actor("DELETE", f"/network/v2.0/ports/{port['id']}")
    while page := actor("GET", "/image/v2/images?visibility=private")["images"]:
        for image in page:
            actor("DELETE", f"/image/v2/images/{image['id']}")
    world.settle()


def delete(actor: Actor, kind: str, id: str) -> None:
    """Delete one thing: as its owner, and where a client has to ask otherwise, so."""
    if kind == "groups":
        actor.act(kind, id, delete={"delete-volumes": True})
    elif kind == "volumes":
        path = f"{PATHS[kind]}/{id}"
        refused = actor.me.delete(f"{path}?cascade=true", version="volume 3.71")
        if refused.status_code == 400:
            actor.act(kind, id, admin=True, os__force_delete={})
    else:
        actor("DELETE", f"{PATHS[kind]}/{id}")


# -- rows and hosts ------------------------------------------------------------------------------------------------


def _check_rows(tx: Tx, held: dict[str, Held]) -> None:
    assert not tx.rows(tasks, status=LIVE)
    known = {row.id: row for row in tx.rows(servers)}
    for row in known.values():
        _check_server(tx, row, held)
    for name, host in held.items():
        assert set(host.machines) <= {row.id for row in known.values() if row.host == name}, "a machine without a server"
        assert host.metadata <= set(host.machines) | {row.id for row in known.values() if row.host == name}, "metadata without a server"
    _check_ports(tx, known, held)
    _check_allocations(tx, known)
    _check_volumes(tx, known, held)


def _check_server(tx: Tx, row: Row, held: dict[str, Held]) -> None:
    assert row.task_state is None, f"it is still {row.task_state}"
    assert row.vm_state != Vm.BUILDING
    assert row.fault is not None or row.vm_state != Vm.ERROR, "an error without a reason"
    assert (row.resize is not None) == (row.vm_state == Vm.RESIZED)
    assert (row.rescue is not None) == (row.vm_state == Vm.RESCUED)
    if row.host is None:
        assert row.vm_state in (Vm.ERROR, Vm.SHELVED_OFFLOADED)
        return
    machine = held[row.host].machines.get(row.id)
    if row.vm_state in RUNS:
        assert machine is not None, "a server without a machine"
        assert machine["power"] == RUNS[row.vm_state]
        assert machine["machine"]["vcpus"] == row.flavor["vcpus"]
    if machine is not None and row.vm_state not in (Vm.ERROR, Vm.SHELVED):
        described = machine["machine"]
        assert {nic["port_id"] for nic in described.get("nics", ())} == {card.port_id for card in tx.rows(nics, server_id=row.id)}
        attached = {disk.volume_id for disk in tx.rows(block_devices, server_id=row.id) if disk.volume_id}
        assert {volume["id"] for volume in described.get("volumes", ())} == attached


def _check_ports(tx: Tx, known: dict[str, Row], held: dict[str, Held]) -> None:
    cards = {card.port_id: card.server_id for card in tx.rows(nics)}
    bound = tx.all(sa.select(ports).where(ports.c.device_owner.startswith("compute:")))
    assert {port.id: port.device_id for port in bound} == cards, "ports and servers' cards differ"
    for port in bound:
        assert port.host == (known[port.device_id].host or "")
    for name, host in held.items():
        assert host.ports == {port.id for port in bound if port.host == name}, "taps and bound ports differ"


def _check_allocations(tx: Tx, known: dict[str, Row]) -> None:
    wanted = {row.id for row in known.values() if row.host} | {row.resize["consumer"] for row in known.values() if row.resize}
    assert {row.consumer_id for row in tx.rows(allocations)} == wanted, "allocations and servers differ"
    assert {row.id for row in tx.rows(consumers)} == wanted
    for row in known.values():
        for resource, amount in (("VCPU", row.vcpus), ("MEMORY_MB", row.memory_mib)):
            used = sum(one.used for one in tx.rows(allocations, consumer_id=row.id, resource_class=resource))
            assert used == (amount if row.host else 0)


def _check_volumes(tx: Tx, known: dict[str, Row], held: dict[str, Held]) -> None:
    for table in (volumes, snapshots, backups):
        for row in tx.rows(table):
            assert row.status in AT_REST, f"{table.name} {row.id} is still {row.status}"
            assert row.fault or "error" not in row.status, "an error without a reason"
    disks = Counter((disk.server_id, disk.volume_id) for disk in tx.rows(block_devices) if disk.volume_id)
    uses = Counter((use.instance_id, use.volume_id) for use in tx.rows(attachments))
    for row in tx.rows(volumes):
        mine = Counter({pair: n for pair, n in disks.items() if pair[1] == row.id})
        assert mine == Counter({pair: n for pair, n in uses.items() if pair[1] == row.id}), "disks and attachments differ"
        attached = any(use.status == "attached" for use in tx.rows(attachments, volume_id=row.id))
        status = "in-use" if attached else "reserved" if mine else "available"
        assert row.status == status or "error" in row.status
    let_go = {row.id for row in tx.rows(unmanaged)}
    for kind, table in (("volumes", volumes), ("snapshots", snapshots)):
        here = set().union(*(getattr(host, kind) for host in held.values()))
        rows = {row.id: row.status for row in tx.rows(table)}
        assert here <= set(rows) | let_go, f"{kind} without a row"
        assert {id for id, status in rows.items() if "error" not in status} <= here, f"{kind} without data"


def _check_usage(world: World, actor: Actor) -> None:
    """What the limits tell is what there is."""
    found = actor("GET", "/compute/v2.1/limits")["limits"]["absolute"]
    rows = world.transact(lambda tx: tx.rows(servers))
    assert (found["totalInstancesUsed"], found["totalCoresUsed"]) == (len(rows), sum(row.vcpus for row in rows))
    found = actor("GET", "/volume/v3/limits")["limits"]["absolute"]
    there = [len(world.transact(lambda tx, table=table: tx.rows(table))) for table in (volumes, snapshots, backups)]
    assert [found[f"total{name}Used"] for name in ("Volumes", "Snapshots", "Backups")] == there


# -- files ---------------------------------------------------------------------------------------------------------


def _check_files(tx: Tx, files: dict[str, set[str]]) -> None:
    for store, part in STORES.items():
        kept = {row.key for row in tx.rows(locations, store=store) if row.image_id}
        assert (files[part] - kept, kept - files[part]) == (set(), set()), "files of no image, and images without their files"
    whose = {row.image_id for row in tx.rows(locations) if row.status != "refused"} - {None}
    assert whose == {row.id for row in tx.rows(images) if row.status == "active"}
    assert files["backups"] == {row.file_id for row in tx.rows(backups) if row.status == "available"}, "backups and their files differ"
    assert all(files[part] == set() for part in PARTS - {"backups", *STORES.values()}), "a file on its way to nowhere"
    assert not [row for row in tx.rows(images) if row.import_task or row.status == "importing"], "an image that is imported by nobody"
    assert {row.status for row in tx.rows(image_tasks)} <= {"success", "failure"}


def _files(world: World) -> dict[str, set[str]]:
    return {part: {path.name for path in (world.image_store / part).glob("*") if path.is_file()} for part in PARTS}


def _held(world: World, name: str) -> Held:
    kept = world.kept(name)
    stored, network = _json(kept.volumes), _json(kept.network)
    told = {path.stem for path in kept.metadata.glob("*.json")}
    return Held(
        _json(kept.machines), set(stored.get("volumes", ())), set(stored.get("snapshots", ())),
        {port["id"] for port in network.get("ports", ())}, told,
    )  # fmt: skip


def _json(path: Path) -> dict:
    return json.loads(path.read_bytes()) if path.exists() else {}
