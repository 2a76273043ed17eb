"""What the tests of image import share: a cloud with settings, and the few requests that they are made of."""

from __future__ import annotations

import typing as t
from pathlib import Path

import msgspec

from cumulet.image.reconcile import ImageData
from cumulet.image.stores.registry import STAGING, stores
from cumulet.kernel import services
from cumulet.kernel.config import Config
from cumulet.kernel.testing.cloud import Cloud

OCTETS = {"Content-Type": "application/octet-stream"}
DATA = bytes(range(256)) * 5000
DIRECT, COPY = {"method": {"name": "glance-direct"}}, {"method": {"name": "copy-image"}}


def make(url: str, path: Path, *names: str, **settings: t.Any) -> Cloud:
    """A cloud of these services, image alone where none is named, with settings as a file would have them."""
    converted = msgspec.convert(settings, Config)
    return Cloud(url, str(path), services.load(*(names or ("image",))), config={name: getattr(converted, name) for name in settings})


def stage(who, id: str, data: t.Any = DATA):
    return who("PUT", f"/images/{id}/stage", content=data, headers=OCTETS)


def ask(who, id: str, body):
    return who.post(f"/images/{id}/import", body)


def fetch(who, id: str, url: str, **more):
    return ask(who, id, {"method": {"name": "web-download", "uri": url}} | more)


def tasks(who, id: str) -> list[dict]:
    return who.get(f"/images/{id}/tasks").json()["tasks"]


def left(cloud: Cloud) -> dict[str, int]:
    """How much data each store has, once what is not wanted is removed."""
    cloud.portal.call(ImageData(cloud.runtime).run_once)
    return {"staging" if id == STAGING else id: len(cloud.portal.call(store.list)) for id, store in stores(cloud.runtime)}
