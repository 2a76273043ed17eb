"""An OpenStack Swift for the tests, in a process of its own (`swift_cluster.py`), with its S3 API."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import typing as t
from pathlib import Path

CLUSTER = Path(__file__).with_name("swift_cluster.py")
USER, PASSWORD = "test:tester", "testing"


@contextlib.contextmanager
def swift_server(root: Path) -> t.Iterator[str]:
    """Its URL."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-W", "ignore", CLUSTER, root], cwd=CLUSTER.parent, env={**os.environ, "EVENTLET_HUB": "poll"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    with server:
        assert server.stdin is not None and server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, f"Swift did not start: {(root / 'log').read_text()[-2000:]}"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
