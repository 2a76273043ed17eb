"""What new data of a volume is made of, as its driver takes it."""

from __future__ import annotations

from ... import image as images
from ...image.drivers.base import ImageSource
from ...kernel.db import Row
from ...kernel.runtime import Runtime
from ...kernel.work import StepFailed
from ..backup_files import backup_path
from ..drivers.base import Source


async def source_of(runtime: Runtime, row: Row, backup_file: str | None) -> Source:
    """What a new volume's row says that it starts from; a `backup_file` goes before that. Raises StepFailed."""
    if backup_file:
        return from_backup(runtime, backup_file)
    if row.image_id:
        return await from_image(runtime, row.host, row.image_id)
    return Source(snapshot_id=row.snapshot_id, volume_id=row.source_volid)


def from_backup(runtime: Runtime, file: str) -> Source:
    return Source(image=ImageSource(id=file, as_is=True, path=str(backup_path(runtime, file))))


async def from_image(runtime: Runtime, host: str, image_id: str) -> Source:
    """An image whose data the host can get at from now on. Raises StepFailed where it is gone."""
    found = await runtime.db.read(lambda tx: images.source(tx, runtime, image_id))
    if found is None:
        raise StepFailed(f"Image {image_id} is gone, or has no data.")
    await images.have(runtime, host, found)
    return Source(image=found)
