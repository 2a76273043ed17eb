"""How Ceph's block images are asked for, by stores and by hosts: by a program of its own (ADR 0022)."""

from __future__ import annotations

import re
from pathlib import Path

from ..stores import rbd_program

PYTHON, PROGRAM = "/usr/bin/python3", Path(rbd_program.__file__)


def command(conf: Path, user: str, pool: str, do: str, name: str, *more: str) -> tuple[str, ...]:
    """How the program is run."""
    return PYTHON, "-I", str(PROGRAM), str(conf), user, pool, do, name, *more


def cluster_of(conf: Path) -> str:
    """A cluster's id, as its configuration tells it; empty where it does not."""
    try:
        found = re.search(r"^\s*fsid\s*=\s*([\w-]+)", conf.read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else ""
