"""The log of what a guest wrote to its serial port: its end, within bounds."""

from __future__ import annotations

from pathlib import Path

FILE = "console.log"
KEPT_BYTES = 1 << 20
"""How much of a log is kept and read; it is cut back to this whenever it has grown to twice as much."""


def tail(path: Path, lines: int | None) -> str:
    """The last lines of the log, or all that is kept; "" where there is none yet."""
    try:
        text = _end(path).decode(errors="replace")
    except FileNotFoundError:
        return ""
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""


def trim(path: Path) -> None:
    """Cut a log that has grown too long. QEMU appends, so its next byte goes after what is kept."""
    try:
        if path.stat().st_size < 2 * KEPT_BYTES:
            return
    except FileNotFoundError:
        return
    kept = _end(path)
    with path.open("r+b") as file:
        file.truncate(0)
    with path.open("ab") as file:
        file.write(kept)


def _end(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - KEPT_BYTES))
        return file.read(KEPT_BYTES)
