"""The simulated driver passes the same suite as the real one."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from compute_conformance import Conformance
from compute_guest import write_image

from cumulet.compute.drivers.base import Nic, Power, VolumeDisk
from cumulet.compute.drivers.simulated import SimulatedDriver


class SimulatedWorld:
    """A simulated host whose books are in a directory."""

    def __init__(self, path: Path):
        self.path, self.heard = path, []
        self._driver: SimulatedDriver | None = None

    async def driver(self) -> SimulatedDriver:
        self._driver = SimulatedDriver("host-1", root=self.path / "hosts")
        await self._driver.open(self._hear)
        return self._driver

    def image(self) -> Path:
        return write_image(self.path / "image")

    def volume(self) -> VolumeDisk:
        return VolumeDisk(id=str(uuid.uuid4()), connection={"driver": "simulated"})

    def nic(self) -> Nic:
        return Nic(port_id=str(uuid.uuid4()), mac="fa:16:3e:00:00:01")

    def leftovers(self, id: str) -> list[str]:
        return [key for key in json.loads((self.path / "hosts/host-1.json").read_bytes()) if key == id]

    async def crash(self, id: str) -> None:
        await self._driver.happen(id, Power.CRASHED)

    async def power_off(self, id: str) -> None:
        await self._driver.happen(id, Power.STOPPED)

    async def _hear(self, id: str, power: Power) -> None:
        self.heard.append((id, power))


class TestSimulated(Conformance):
    @pytest.fixture
    def world(self, tmp_path: Path) -> SimulatedWorld:
        return SimulatedWorld(tmp_path)
