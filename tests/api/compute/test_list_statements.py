"""Lists of servers and volumes cost the same number of statements however long they are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from cumulet.compute.server_groups import server_group_members, server_groups
from cumulet.compute.servers.tables import block_devices, nics, servers
from cumulet.kernel import ids
from cumulet.kernel.db import Tx
from cumulet.network.tables import ports
from cumulet.volume.tables import attachments, backups, snapshots, volumes

LISTS = [
    ("compute 2.1", "/compute/v2.1/servers"), ("compute 2.1", "/compute/v2.1/servers/detail"), ("compute 2.104", "/compute/v2.1/servers/detail"),
    ("compute 2.104", "/compute/v2.1/os-server-groups"), ("compute 2.104", "/compute/v2.1/os-simple-tenant-usage?detailed=1"),
    ("compute 2.87", "/compute/v2.1/os-hypervisors/detail?with_servers=true"),
    *(("volume 3.71", f"/volume/v3/{path}") for path in ("volumes", "volumes/detail", "volumes/summary", "snapshots/detail", "backups/detail",
                                                          "attachments/detail", "types", "groups/detail")),
]  # fmt: skip
MANY = 40


@pytest.fixture
def shelf(world):
    """A cloud with a server that has a volume, which has a snapshot and a backup."""
    server, volume, owner = world.boot(), world.volume(), world.caller("/volume/v3")
    world.me.post(f"/servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
    world.settle()
    for kind in ("snapshot", "backup"):
        owner.post(f"/{kind}s", {kind: {"volume_id": volume, "force": True}})
        world.settle()
    return world


def test_statements_do_not_grow_with_rows(shelf):
    made: list[str] = []
    sa.event.listen(shelf.runtime.db.engine, "before_cursor_execute", lambda *said: made.append(said[2]))
    admin = shelf.caller("", "admin")

    def count() -> list[tuple[str, int, int]]:
        counted = []
        for version, path in LISTS:
            made.clear()
            answer = admin.get(path, version=version)
            assert answer.status_code == 200, answer.text
            counted.append((path, len(made), len(answer.content)))
        return counted

    one = count()
    shelf.transact(_many)
    many = count()
    assert [entry[:2] for entry in many] == [entry[:2] for entry in one]
    assert sum(entry[2] for entry in many) > MANY / 2 * sum(entry[2] for entry in one) / len(one), "the lists have grown"


def _many(tx: Tx) -> None:
    """The server and all that it has, over and over again."""
    server, volume, port, card, disk = (tx.rows(table)[-1]._asdict() for table in (servers, volumes, ports, nics, block_devices))
    snapshot, backup, use = (tx.rows(table)[0]._asdict() for table in (snapshots, backups, attachments))
    for n in range(MANY):
        new = {name: ids.new() for name in ("server", "volume", "port")}
        tx.insert(servers, **server | {"id": new["server"]})
        tx.insert(volumes, **volume | {"id": new["volume"]})
        tx.insert(ports, **port | {"id": new["port"], "device_id": new["server"], "mac_address": f"fa:16:3e:00:00:{n:02x}"})
        tx.insert(nics, **card | {"id": ids.new(), "server_id": new["server"], "port_id": new["port"]})
        tx.insert(block_devices, **disk | {"id": ids.new(), "server_id": new["server"], "volume_id": new["volume"]})
        tx.insert(snapshots, **snapshot | {"id": ids.new(), "volume_id": new["volume"]})
        tx.insert(backups, **backup | {"id": ids.new(), "volume_id": new["volume"]})
        tx.insert(attachments, **use | {"id": ids.new(), "volume_id": new["volume"], "instance_id": new["server"]})
        group = tx.insert(server_groups, project_id="p1", user_id="u1", name="g", policy="affinity", rules={})
        tx.insert(server_group_members, group_id=group.id, server_id=new["server"])
