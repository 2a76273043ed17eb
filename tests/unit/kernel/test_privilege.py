"""Ceasing to be root: what can be read afterwards."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from cumulet.kernel.privilege import may_read


@pytest.mark.skipif(os.getuid() != 0, reason="only root can try as somebody else")
def test_what_another_user_may_read():
    with tempfile.TemporaryDirectory() as made:
        _check(Path(made))


def _check(directory: Path) -> None:
    directory.chmod(0o755)
    file = directory / "code.py"
    file.write_text("")
    file.chmod(0o644)
    assert may_read(file, "nobody")
    file.chmod(0o600)
    assert not may_read(file, "nobody")
    file.chmod(0o644)
    directory.chmod(0o700)
    assert not may_read(file, "nobody")
    assert (os.geteuid(), os.getegid()) == (0, 0) and file.read_text() == ""
