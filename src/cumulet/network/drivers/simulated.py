"""A network driver without a network: it keeps the description, and is as slow and as faulty as a recipe says.

Thousands of hosts fit in one process. With a directory it also survives a restart, as a real one does.
"""

from __future__ import annotations

import asyncio
import typing as t
from pathlib import Path

import msgspec

from cumulet.kernel import recipe
from cumulet.network.drivers.base import Applied, HostNetwork, NetworkDriverError

TAP_PREFIX = "sim"
COUNTERS = tuple(f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "packets", "drop", "errors"))


Call = t.Literal["open", "apply", "remove", "port_statistics"]


class Recipe(recipe.Recipe, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What befalls a simulated host's calls; `failing`: networks, ports and routers that never can be made."""

    calls: dict[Call | t.Literal["*"], recipe.Trouble] = {}
    failing: frozenset[str] = frozenset()


class SimulatedDriver:
    """See `NetworkDriver`. `wanted` is the description in force, None before the first."""

    def __init__(self, root: Path | None = None, recipe: Recipe | None = None):
        self.wanted: HostNetwork | None = None
        self._file = root / "network.json" if root else None
        self._recipe = recipe or Recipe()
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        async with self._lock, self._call("open"):
            if self._file and self._file.exists():
                self.wanted = msgspec.json.decode(self._file.read_bytes(), type=HostNetwork)

    async def close(self) -> None:
        """Nothing is watched."""

    async def apply(self, wanted: HostNetwork) -> Applied:
        async with self._lock:
            if self.wanted and wanted.generation < self.wanted.generation:
                raise NetworkDriverError(
                    f"generation {wanted.generation} of the host's network is older than {self.wanted.generation}, in force"
                )
            async with self._call("apply"):
                self._keep(wanted)
            return Applied(generation=wanted.generation, failed=self._failed(wanted))

    async def remove(self) -> None:
        async with self._lock, self._call("remove"):
            self.wanted = None
            if self._file:
                self._file.unlink(missing_ok=True)

    def tap(self, port_id: str) -> str:
        return TAP_PREFIX + port_id.replace("-", "")[: 15 - len(TAP_PREFIX)]

    async def port_statistics(self, port_id: str) -> dict[str, int]:
        """All counters are zero. Raises NetworkDriverError for a port that is not on this host."""
        async with self._call("port_statistics"):
            if self.wanted is None or port_id not in {port.id for port in self.wanted.ports} - self._recipe.failing:
                raise NetworkDriverError(f"port {port_id} has no tap device on this host")
        return dict.fromkeys(COUNTERS, 0)

    def _keep(self, wanted: HostNetwork) -> None:
        self.wanted = wanted
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_suffix(".new")
            draft.write_bytes(msgspec.json.encode(wanted))
            draft.replace(self._file)

    def _failed(self, wanted: HostNetwork) -> dict[str, str]:
        parts = (*wanted.networks, *wanted.ports, *wanted.routers)
        return {part.id: "the recipe lets it fail" for part in parts if part.id in self._recipe.failing}

    def _call(self, name: Call) -> t.AsyncContextManager[None]:
        return self._recipe.call(name, name, NetworkDriverError)
