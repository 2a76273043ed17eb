"""The stores that the settings name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...kernel.config import Config
from ...kernel.config_images import FileTable, HttpTable, RbdTable, S3Table, StoreTable, SwiftTable
from ...kernel.db import Row
from ...kernel.runtime import Runtime
from .base import Store, StoreError
from .ceph import RbdStore
from .file import FileStore
from .http import HttpStore
from .s3 import S3Store
from .swift import SwiftStore

STAGING = "os_glance_staging_store"
"""Where data waits for its import; no client sees this store."""


class Stores:
    """Every store of this process, by its id."""

    def __init__(self, config: Config):
        self.tables: dict[str, StoreTable] = {table.id: table for table in config.image_stores or [FileTable(id="file", default=True)]}
        """What the settings say of the stores that clients may name, in their order."""
        self.default = next(table.id for table in self.tables.values() if table.default)
        self._stores: dict[str, Store] = {id: _made(table, config) for id, table in self.tables.items()}
        self._stores[STAGING] = FileStore(config.root / "images" / "staging")

    @property
    def web(self) -> str | None:
        """The store whose keys are URLs, where the settings have one."""
        return next((id for id, table in self.tables.items() if isinstance(table, HttpTable)), None)

    def __getitem__(self, id: str) -> Store:
        """Raises StoreError for one that the settings have no longer."""
        if id not in self._stores:
            raise StoreError(f"the settings have no image store {id}")
        return self._stores[id]

    def sorted(self, places: Iterable[Row]) -> list[Row]:
        """Locations in the order in which they are to be read: by the weight of their stores, then as they come."""
        return sorted(places, key=lambda place: -self.tables[place.store].weight if place.store in self.tables else 0)

    def keeps(self, place: Row) -> bool:
        """Whether the data of a location is kept by this cloud, which saw it come; else it is somebody's on the web."""
        return place.store in self._stores and not self._stores[place.store].read_only

    def url(self, place: Row) -> str:
        """Where the data of a location is, for those who may know it."""
        return self._stores[place.store].url(place.key) if place.store in self._stores else f"{place.store}:{place.key}"

    def __iter__(self) -> Iterator[tuple[str, Store]]:
        """All there are, the one for staging included."""
        return iter(self._stores.items())


def _made(table: StoreTable, config: Config) -> Store:
    root = config.root
    match table:
        case FileTable():
            return FileStore(root / table.directory)
        case S3Table():
            return S3Store(table, root)
        case SwiftTable():
            return SwiftStore(table, root)
        case HttpTable():
            return HttpStore(config)
        case RbdTable():
            return RbdStore(table, root)


def stores(runtime: Runtime) -> Stores:
    """Those of this process."""
    if "image.stores" not in runtime.shared:
        runtime.shared["image.stores"] = Stores(runtime.config)
    return runtime.shared["image.stores"]
