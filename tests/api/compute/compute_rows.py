"""Rows that the tests of compute's smaller resources need of servers."""

from __future__ import annotations

import dataclasses as dc
import datetime as dt
import typing as t

from cumulet.compute.servers.tables import servers
from cumulet.kernel.testing.cloud import Cloud

FLAVOR = {"id": "1", "name": "tiny", "vcpus": 2, "ram": 64, "disk": 1, "ephemeral": 0, "swap": 0, "extra_specs": {}}


@dc.dataclass
class Added:
    cloud: Cloud
    id: str

    def remove(self) -> None:
        self.cloud.transact(lambda tx: tx.delete(servers, id=self.id))


def add_server(cloud: Cloud, **values: t.Any) -> Added:
    """A server of project p1 with two processors and 64 MiB, launched now."""
    row = {
        "project_id": "p1", "user_id": "u1", "name": "s", "hostname": "s", "vm_state": "active", "power_state": 1, "progress": 0,
        "flavor": FLAVOR, "vcpus": 2, "memory_mib": 64, "image_properties": {}, "root_epoch": 0, "config_drive": False,
        "disk_config": "MANUAL", "reservation_id": "r-1", "launch_index": 0, "metadata": {}, "tags": [], "scheduler_hints": {},
        "launched_at": dt.datetime.now(dt.UTC).replace(tzinfo=None),
    }  # fmt: skip
    return Added(cloud, cloud.transact(lambda tx: tx.insert(servers, **row | values)).id)
