"""A cloud in the test's process that scenes can be played on."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from cumulet import identity
from cumulet.kernel.http.api import Api
from cumulet.kernel.testing.cloud import Cloud

from .play import Send

PASSWORD = "admin-pw"


@contextlib.contextmanager
def cloud(data: Path, apis: dict[str, Api]) -> t.Iterator[Send]:
    """Sends requests to a new cloud with these services, identity among them."""
    it = Cloud(f"sqlite:///{data}/cloud.db", str(data), apis, authenticate=identity.authenticate)
    endpoints = [(name, name, f"http://cloud{api.prefix}") for name, api in apis.items()]
    it.transact(lambda tx: identity.bootstrap(
        tx, it.runtime.config, admin_password=PASSWORD, demo_password=PASSWORD, endpoints=endpoints))  # fmt: skip

    def send(method: str, path: str, **options: t.Any) -> t.Any:
        return it.send(method, path if "://" in path else f"/identity{path}", **options)

    yield send
    it.close()
