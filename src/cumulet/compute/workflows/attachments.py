"""A server's volumes, as its workflows connect and let go of them."""

from __future__ import annotations

import sqlalchemy as sa

from ... import volume
from ...kernel.db import Row, Tx
from ...kernel.work import Retry, Saga, StepFailed
from ..servers.tables import block_devices
from .restart import server


def volumes_of(tx: Tx, server_id: str) -> list[Row]:
    return tx.all(sa.select(block_devices).where(block_devices.c.server_id == server_id, block_devices.c.volume_id.is_not(None)))


async def connect_volumes(saga: Saga) -> None:
    """Make every volume of the saga's server reachable from its host, and write down how. Raises Retry while one is still
    being made, StepFailed where one failed."""
    runtime, host = saga.runtime, (await server(saga)).host
    disks = await runtime.db.read(lambda tx: volumes_of(tx, saga.subject))
    for disk in disks:
        state = await runtime.db.read(lambda tx, id=disk.volume_id: volume.state(tx, id))
        if state in ("creating", "downloading"):
            raise Retry(f"volume {disk.volume_id} is being made", 0.2)
        if state.startswith("error"):
            raise StepFailed(f"Volume {disk.volume_id} could not be made: its status is {state}.")
        connection = await volume.connect(runtime, disk.volume_id, host)
        await saga.write(lambda tx, disk=disk, c=connection: attached(tx, disk, c, host))


def attached(tx: Tx, disk: Row, connection: dict, host: str) -> None:
    """Both sides' rows of an attachment that is made."""
    attachment = volume.attach(tx, disk.volume_id, server_id=disk.server_id, host=host, mountpoint=disk.device_name)
    tx.update(block_devices, disk.id, connection=connection, attachment_id=attachment)
