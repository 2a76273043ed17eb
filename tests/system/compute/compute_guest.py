"""A guest of one boot sector, up in a fifth of a second, for tests of what a hypervisor does to a guest.

It adds one to the first byte of its second sector and writes `boot N` (N that byte) to the serial port.
Then, at each tick of the clock, it switches off when the power button was pressed, lets go of any PCI
device that it is asked to let go of, sends back a character that came over the serial port, and
switches itself off when that character is `q`.
"""

from __future__ import annotations

from pathlib import Path

CODE = (
    bytes.fromhex(
        # Segments and stack to 0; read sector 2 to 0x7e00 by BIOS call 0x13; add 1; write it back.
        "31c08ed88ec08ed0bc007c52b80102e86d00fe06007e5ab80103e86200"
        # Print the message at 0x7c8f, the byte as a digit, a line feed.
        "be8f7cac84c07405e86200ebf6a0007e0430e85800b00ae85300"
        # ACPI: enable the power button (PM1 enable at 0x602).
        "ba0206b80001ef"
        # Loop. Button pressed (PM1 status at 0x600)? Then off.
        "ba0006edf6c401752e"
        # PCI hot-plug registers: bus 0 (0xae10), slots asked to let go (0xae04), let go (0xae08).
        "ba10ae6631c066efba04ae66ed6685c07405ba08ae66ef"
        # A character at the serial port (0x3fd, 0x3f8)? `q` is off, any other is sent back.
        "bafd03eca801740bbaf803ec3c717407e81900"
        # Wait for the clock, loop.
        "fbf4ebc9"
        # Off: sleep state 5 (PM1 control at 0x604).
        "ba0406b80020eff4ebfd"
        # Subroutines: the BIOS call; sending a character.
        "bb007eb9020030f6cd13c3baf803eec3"
    )
    + b"boot \0"
)


def write_image(path: Path, size: int = 1 << 20) -> Path:
    """Write a raw disk image with the guest on it."""
    path.write_bytes((CODE.ljust(510, b"\0") + b"\x55\xaa").ljust(size, b"\0"))
    return path
