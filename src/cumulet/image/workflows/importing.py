"""Importing an image: its data is brought to the staging area, looked at, made what is wanted, and kept in each store.

Nothing of it is the image's until all is done. Whatever was left on the way has a location, which the undo of the step that
made it takes from the image; then the reconciler removes the data.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t
from pathlib import Path

from ...kernel.config_imports import ImageImport
from ...kernel.db import Row, Tx
from ...kernel.work import Saga, StepFailed, step
from .. import quota, tasks, web
from ..addresses import Refused
from ..data import facts
from ..formats import PACKED, UnsafeImage, check
from ..images import images
from ..importing import copies, elsewhere
from ..importing.conversion import CannotConvert, convert, wanted
from ..importing.decompression import CannotDecompress, compression, decompressed
from ..importing.inspection import inspected
from ..signatures import verified
from ..staging import staged
from ..stores.base import Accept, Stored, StoreError
from ..stores.registry import STAGING, stores

KERNELS = {"aki", "ari"}
"""Disk formats of what is compressed for good."""


class Declared(t.NamedTuple):
    disk_format: str
    container_format: str


class ImportImage(Saga):
    """The subject is the task. State: `image_id`, `method` as it was asked for, `stores`, `must_succeed`, the caller's `roles`,
    their `sealed` token where another cloud is asked with it; then `key`, where the data is staged, and what the image becomes:
    `attributes`, `properties`. `made`: whether the image was made for this import, and goes where it fails."""

    deadline = dt.timedelta(hours=12)

    @step
    async def fetch(self) -> dict:
        with told():
            match self.state["method"]["name"]:
                case "glance-direct":
                    place = await self.runtime.db.read(lambda tx: staged(tx, self.state["image_id"]))
                    return {"key": place.key if place else None}
                case "web-download":
                    async with web.fetched(self.state["method"]["uri"], self._settings, most=self._most) as answer:
                        key, _ = await copies.keep(self, STAGING, answer.chunks)
                    return {"key": key}
                case _:
                    return await elsewhere.fetch(self, self._most)

    @fetch.undo
    def undo_fetch(self, tx: Tx) -> None:
        copies.forget(tx, self.state["image_id"], STAGING)

    @step
    async def decompress(self) -> dict | None:
        row, source = await self._image(), self._source()
        if "image_decompression" not in self._settings.plugins or row.container_format == "compressed" or row.disk_format in KERNELS:
            return None
        kind = compression(source)
        if kind is None:
            return None
        with told():
            key, _ = await copies.keep(self, STAGING, decompressed(source, kind, self._most))
        return {"key": key}

    @step
    async def convert(self) -> dict | None:
        if "image_conversion" not in self._settings.plugins:
            return None
        row, source, output = await self._image(), self._source(), self._settings.output_format
        declared = self._declared(row)
        found = await inspected(source)
        with told():
            check(declared.disk_format, found, declared.container_format)
            if declared.container_format in PACKED or not wanted(declared.disk_format, found, output):
                return None
            place = await self.write(lambda tx: copies.place(tx, self, STAGING))
            made = _path(self, place.key)
            await convert(source, found, made, output, self._most)
            await stores(self.runtime)[STAGING].adopt(place.key, made, lambda result: check(output, result))
            await copies.finish(self, place)
        return {"key": place.key, "attributes": {"disk_format": output, "container_format": "bare"}}

    @step
    async def distribute(self) -> None:
        row, source = await self._image(), self._source()
        declared = self._declared(row)
        size = source.stat().st_size

        async def data() -> tuple[t.AsyncIterator[bytes], Accept]:
            chunks = await stores(self.runtime)[STAGING].open(self.state["key"])
            return verified(self.runtime, row, chunks, lambda found: check(declared.disk_format, found, declared.container_format))

        def over(tx: Tx) -> str:
            more = len(copies.missing(tx, self)) * size // quota.MIB
            return quota.over(tx, self.runtime.config, row.owner, image_size_total=more)

        if why := await self.runtime.db.read(over):
            raise StepFailed(why)
        with told():
            await copies.distribute(self, data, self._keep)

    @distribute.undo
    def undo_distribute(self, tx: Tx) -> None:
        copies.forget(tx, self.state["image_id"], *self.state["stores"])

    def succeeded(self, tx: Tx) -> None:
        row = tx.one(images, id=self.state["image_id"])
        properties = row.properties | self.state.get("properties", {}) | self._injected()
        tx.update(
            images, {"id": row.id, "status": "importing"}, status="active", import_task=None, properties=properties,
            **self.state.get("attributes", {}),
        )  # fmt: skip
        copies.forget(tx, row.id, STAGING)
        tasks.succeed(tx, self.runtime.config, self.subject, f"Copied {row.size >> 20} MiB", image_id=row.id)

    def failed(self, tx: Tx, why: str) -> None:
        nothing = dict.fromkeys(("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"))
        if self.state.get("made"):
            tx.delete(images, id=self.state["image_id"])
        tx.update(
            images, {"id": self.state["image_id"], "import_task": self.subject}, status="queued", import_task=None,
            import_stores={"to": [], "failed": self.state["stores"]}, **nothing,
        )  # fmt: skip
        tasks.fail(tx, self.runtime.config, self.subject, why)

    @property
    def _settings(self) -> ImageImport:
        return self.runtime.config.image_import

    @property
    def _most(self) -> int:
        """Bytes of an image."""
        return self.runtime.config.image_size_max_gib << 30

    def _declared(self, row: Row) -> Declared:
        """What the image is said to be, once the plugins have done their work."""
        return Declared(**{"disk_format": row.disk_format, "container_format": row.container_format} | self.state.get("attributes", {}))

    async def _image(self) -> Row:
        return await self.runtime.db.read(lambda tx: tx.one(images, id=self.state["image_id"]))

    def _source(self) -> Path:
        """The file in the staging area. Raises StepFailed where there is none."""
        path = _path(self, self.state["key"])
        if not path.exists():
            raise StepFailed("The staged data is not there any more: stage it again.")
        return path

    def _keep(self, tx: Tx, kept: Stored) -> None:
        row = tx.one(images, id=self.state["image_id"])
        tx.update(images, row.id, **facts(self._declared(row).container_format, kept))

    def _injected(self) -> dict[str, str]:
        given = "inject_image_metadata" in self._settings.plugins and not set(self.state["roles"]) & set(self._settings.ignore_user_roles)
        return self._settings.inject if given else {}


def _path(saga: Saga, key: str | None) -> Path:
    path = stores(saga.runtime)[STAGING].path(key) if key else None
    if path is None:
        raise StepFailed("There is no staged data: stage it first.")
    return path


@contextlib.contextmanager
def told() -> t.Iterator[None]:
    """Whatever is wrong with an image, or with where it comes from, in words for its owner."""
    try:
        yield
    except (Refused, web.FetchFailed) as error:
        raise StepFailed(f"The image could not be fetched: {error}.") from None
    except CannotDecompress as error:
        raise StepFailed(f"The image could not be decompressed: {error}.") from None
    except CannotConvert as error:
        raise StepFailed(f"The image could not be converted: {error}.") from None
    except UnsafeImage as error:
        raise StepFailed(f"The image was refused: {error}") from None
    except StoreError as error:
        raise StepFailed(f"The staging area could not keep the image: {error}") from None
