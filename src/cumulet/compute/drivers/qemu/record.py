"""What the host keeps of each server: one file, from which its machine can be brought back."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cumulet.compute.drivers.base import DriverError, Machine
from cumulet.compute.drivers.files import write_whole

FILE = "machine.json"


class Record(msgspec.Struct, kw_only=True):
    """`machine` is what the server should be; `booted` is the hardware that its guest (running or
    suspended) has now, which can lag behind; `places` keeps each device on its bus address, by
    `<bus>/<device id>`, so that a guest finds its devices where they were."""

    machine: Machine
    booted: Machine | None = None
    places: dict[str, int] = {}

    def save(self, directory: Path) -> None:
        """Write to the server's directory, in one step."""
        write_whole(directory / FILE, msgspec.json.encode(self))

    def place(self, bus: str, device: str, first: int, last: int) -> int:
        """The address of a device on a bus: the one it had, else the lowest that is free."""
        key = f"{bus}/{device}"
        if key not in self.places:
            taken = {place for other, place in self.places.items() if other.startswith(f"{bus}/")}
            free = next((place for place in range(first, last + 1) if place not in taken), None)
            if free is None:
                raise DriverError(f"server {self.machine.id}: no room for another device, its {bus} bus has {last - first + 1} places")
            self.places[key] = free
        return self.places[key]

    def release(self, device: str) -> None:
        """Free a device's address."""
        self.places = {key: place for key, place in self.places.items() if key.partition("/")[2] != device}


def load(directory: Path) -> Record | None:
    """A server's record, or None where there is none. Raises DriverError for a file that cannot be read."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise DriverError(f"{path} cannot be read ({error}); destroy the server, or put the file back") from None
