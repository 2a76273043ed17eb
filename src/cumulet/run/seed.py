"""What a user expects to find in a new cloud. Made once: what its owner removes stays away."""

from __future__ import annotations

import asyncio
import typing as t
from pathlib import Path

import sqlalchemy as sa

from .. import compute, identity, image, network
from ..identity.projects import projects
from ..kernel.config import Config
from ..kernel.db import Tx, table
from ..kernel.log import get_logger
from ..kernel.runtime import Runtime
from .layout import Layout

log = get_logger("seed")

FLAVORS = (("1", "m1.tiny", 512, 1, 1), ("2", "m1.small", 2048, 1, 20), ("3", "m1.medium", 4096, 2, 40),
           ("4", "m1.large", 8192, 4, 80), ("5", "m1.xlarge", 16384, 8, 160))  # fmt: skip
"""id, name, MiB of memory, processors, GiB of disk."""

ENDPOINTS = (("identity", "keystone", "/identity"), ("image", "glance", "/image"), ("placement", "placement", "/placement"),
             ("compute", "nova", "/compute/v2.1"), ("network", "neutron", "/network"),
             ("block-storage", "cinder", "/volume/v3"), ("volumev3", "cinderv3", "/volume/v3/$(project_id)s"))  # fmt: skip
"""Type, name and path of each service, as clients look them up."""

POOL, POOL_LENGTH = "10.192.0.0/10", 24
"""Where the subnets lie that projects get by themselves: apart from what people write when they choose, at the beginning of 10/8."""

seeds = table("seeds", sa.Column("name", sa.String(64), nullable=False, unique=True))
"""What was made already, by name."""
ALL = "all"
"""The seed that says that nothing is missing."""
LOOK = 0.05
"""Seconds after which it is looked for again."""


def seed_rows(tx: Tx, config: Config, wanted: dict[str, t.Any]) -> None:
    """Identity's basics at every start (they are idempotent), quota, flavors and the default subnet pool at the first."""
    identity.bootstrap(
        tx, config, admin_password=wanted["admin"], demo_password=wanted["demo"],
        endpoints=[(kind, name, config.url + path) for kind, name, path in ENDPOINTS],
    )  # fmt: skip
    if _first(tx, "quotas"):
        compute.lift_limits(tx, _admin_project(tx))
    if _first(tx, "flavors"):
        for id, name, ram, vcpus, disk in FLAVORS:
            compute.add_flavor(tx, id=id, name=name, ram=ram, vcpus=vcpus, disk=disk)
    if _first(tx, "pool"):
        network.add_default_pool(tx, project_id=_admin_project(tx), name="default", prefix=POOL, length=POOL_LENGTH)


async def seed_images(runtime: Runtime, layout: Layout) -> None:
    """The image `guest`, where it was built; then the cloud is ready."""
    path = layout.root / "guest.qcow2"
    if path.exists() and await runtime.db.write(lambda tx: _first(tx, "guest")):
        await _add_image(runtime, path)
    await runtime.db.write(lambda tx: _first(tx, ALL))


async def seeded(runtime: Runtime) -> None:
    """Note, for those who ask this process whether the cloud is ready, that everything is made; once it is."""
    while True:
        if await runtime.db.read(lambda tx: tx.get(seeds, name=ALL)):
            break
        await asyncio.sleep(LOOK)
    runtime.shared["seeded"] = True


async def _add_image(runtime: Runtime, path: Path) -> None:
    project = await runtime.db.read(_admin_project)
    await image.add_file(runtime, path, name="guest", project_id=project, disk_format="qcow2", visibility="public")
    log.info("image added", name="guest")


def seed_public(tx: Tx, cidr: str, gateway: str) -> None:
    """The external network `public`, once the first host said which addresses it has."""
    if _first(tx, "public"):
        network.add_external(tx, project_id=_admin_project(tx), name="public", cidr=cidr, gateway=gateway)


def _admin_project(tx: Tx) -> str:
    return tx.one(projects, name="admin", domain_id="default").id


def _first(tx: Tx, name: str) -> bool:
    if tx.get(seeds, name=name):
        return False
    tx.insert(seeds, name=name)
    return True
