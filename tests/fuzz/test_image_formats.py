"""Images that lie, looked at by the inspector: it never raises, says the same however the image is cut, takes no time worth
mentioning, and what it lets pass is what QEMU finds when it opens the file.

CUMULET_FUZZ_HEADERS (3000) is how many images there are, CUMULET_FUZZ_SEED (1) which. QEMU is asked about every
CUMULET_FUZZ_ASK-th (10) of those that pass.
"""

from __future__ import annotations

import collections
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from fuzz_formats import Liar

from cumulet.image.formats import Inspected, Inspector, UnsafeImage, check

HEADERS = int(os.environ.get("CUMULET_FUZZ_HEADERS", "3000"))
SEED = int(os.environ.get("CUMULET_FUZZ_SEED", "1"))
ASK = int(os.environ.get("CUMULET_FUZZ_ASK", "10"))
LONGEST = 0.1
"""Seconds of processor time that one image may take."""

QEMU_NAMES = {"iso": "raw", "luks": "raw", "vhd": "vpc", "ploop": "parallels"}
LIMITS = ("prlimit", f"--as={4 << 30}", "--cpu=20")


def looked_at(chunks: list[bytes]) -> tuple[Inspected, float]:
    """The verdict, and the processor time that it took."""
    began = time.thread_time()
    inspector = Inspector()
    for chunk in chunks:
        inspector.feed(chunk)
    return inspector.finish(), time.thread_time() - began


def lie(path: Path, found: Inspected, refused: collections.Counter[str]) -> str | None:
    """What QEMU finds in a file that is not as it was said to be; one that it does not open is counted."""
    format = QEMU_NAMES.get(found.format, found.format)
    done = subprocess.run([*LIMITS, "qemu-img", "info", "--output=json", "-f", format, str(path)], capture_output=True, cwd="/")
    if done.returncode:
        refused[f"{format}: {done.stderr.decode(errors='replace').strip().rpartition(str(path))[2][:100]}"] += 1
        return None
    info = json.loads(done.stdout)
    data = info.get("format-specific", {}).get("data", {})
    others = [info.get("backing-filename"), info.get("full-backing-filename"), data.get("data-file")]
    others += [extent["filename"] for extent in data.get("extents", []) if extent["filename"] != str(path)]
    if any(others):
        return f"it names other files: {others}"
    if info["virtual-size"] != -(-found.virtual_size // 512) * 512:
        return f"its size is {info['virtual-size']}"
    return None


def guessed(path: Path) -> str:
    """The format that QEMU takes a file for if nobody tells it."""
    done = subprocess.run([*LIMITS, "qemu-img", "info", "--output=json", str(path)], capture_output=True, check=False, cwd="/")
    return json.loads(done.stdout)["format"] if done.returncode == 0 else "nothing"


@pytest.mark.timeout(HEADERS / 20 + 120)
def test_no_lie_passes(tmp_path: Path) -> None:
    liar, slowest, passed, asked = Liar(tmp_path, SEED), 0.0, 0, 0
    verdicts, refused = collections.Counter[str](), collections.Counter[str]()
    path = tmp_path / "image"
    for number in range(HEADERS):
        if number % 100_000 == 99_999:
            print(f"{time.strftime('%H:%M:%S')} {number + 1} images, slowest {slowest * 1000:.1f} ms: {dict(verdicts)}", flush=True)
        content = liar.image()
        found, seconds = looked_at([content])
        again, more = looked_at(list(liar.chunks(content)))
        case = f"image {number} of seed {SEED}: {found}"
        assert again == found, case
        assert 0 <= found.virtual_size < 1 << 63, case
        slowest = max(slowest, seconds, more)
        assert slowest < LONGEST, case
        try:
            check("raw" if found.format in ("iso", "luks") else found.format, found)
        except UnsafeImage:
            verdicts["refused"] += 1
            continue
        verdicts[found.format] += 1
        passed += 1
        if passed % ASK:
            continue
        asked += 1
        path.write_bytes(content)
        assert Inspector.of(path) == found, case
        assert not (told := lie(path, found, refused)), f"{case}, but {told}"
        if found.format in ("raw", "iso", "luks"):
            assert guessed(path) in ("raw", "luks", *(["nothing"] if found.format == "luks" else [])), case
    print(f"{HEADERS} images of seed {SEED}, slowest {slowest * 1000:.1f} ms: {dict(verdicts)}")
    print(f"QEMU was asked about {asked}; it did not open {refused.total()} of them: {dict(refused)}")
    assert asked > HEADERS // ASK // 20
    assert refused.total() * 50 < asked + 50, "what QEMU does not open should be refused, where a header shows it"
