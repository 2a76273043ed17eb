"""What a conversion takes of its limits."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from cumulet.image.formats import Inspected
from cumulet.image.importing import conversion


def test_conversions_at_once_stay_far_below_what_they_may_have(tmp_path, monkeypatch):
    """However many threads a busy machine has qemu-img start."""
    monkeypatch.setattr(conversion, "MEMORY", 320 << 20)
    data, source = tmp_path / "data.raw", tmp_path / "source.qcow2"
    data.write_bytes(os.urandom(64 << 20))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", data, source], check=True)
    found = Inspected("qcow2", 64 << 20)
    for _ in range(3):
        targets = [tmp_path / f"{number}.raw" for number in range(6)]
        asyncio.run(_convert(source, found, targets))
        assert all(target.stat().st_size == 64 << 20 for target in targets)


async def _convert(source: Path, found: Inspected, targets: list[Path]) -> None:
    await asyncio.gather(*(conversion.convert(source, found, target, "raw", 1 << 30) for target in targets))
