"""What projects have of images, and that they have no more than identity's limits for the service `image` say.

What is not registered there is not limited. Usage is counted from the images' rows, of their owners; the two sizes are whole MiB.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..identity import Ceiling, ceilings
from ..kernel.config import Config
from ..kernel.db import Tx
from ..kernel.errors import TooLarge
from ..kernel.http import Request
from . import api, policy
from .images import images
from .locations import locations
from .stores.registry import STAGING

SIZE = "image_size_total"
"""Data in stores."""
STAGE = "image_stage_total"
"""Data that waits to be imported."""
COUNT = "image_count_total"
UPLOADING = "image_count_uploading"
"""Images whose data is on its way."""

MIB = 1 << 20


@api.op("GET", "/info/usage", policy=policy.ANYONE)
def usage(tx: Tx, request: Request) -> dict:
    """What the caller's project has of all that is limited, and how much it may have."""
    return {"usage": {
        name: {"usage": _used(tx, name, found[0]), "limit": found[0].limit}
        for name, found in _ceilings(tx, request.runtime.config, request.context.project_id).items() if name in _COUNTED
    }}  # fmt: skip


def enforce(tx: Tx, config: Config, owner: str | None, **more: int) -> None:
    """Raise TooLarge where a project would have more than it may. more: by resource, what comes to what is counted already."""
    if told := over(tx, config, owner, **more):
        raise TooLarge(
            "The request returned a 413 Request Entity Too Large. This generally means that rate limiting or a quota threshold was "
            f"breached.\n\nThe response body:\n{told}"
        )


def over(tx: Tx, config: Config, owner: str | None, **more: int) -> str:
    """Which limits a project would be over, in words; empty where it is over none."""
    found = _ceilings(tx, config, owner)
    told = [
        f"Resource {name} is over limit of {ceiling.limit} due to current usage {used} and delta {delta}"
        for name, delta in sorted(more.items()) for ceiling in found.get(name, ())
        if 0 <= ceiling.limit < (used := _used(tx, name, ceiling)) + delta
    ]  # fmt: skip
    return f"Project {owner} is over a limit for [{', '.join(told)}]" if told else ""


def _ceilings(tx: Tx, config: Config, project_id: str | None) -> dict[str, list[Ceiling]]:
    return {} if project_id is None else ceilings(tx, config, "image", project_id)


def _used(tx: Tx, name: str, ceiling: Ceiling) -> int:
    used = int(tx.scalar(_COUNTED[name](ceiling.projects)) or 0)
    return used // MIB if name in (SIZE, STAGE) else used


def _counted(what: t.Any, projects: sa.Select, *clauses: sa.ColumnElement[bool]) -> sa.Select:
    return sa.select(what).where(images.c.owner.in_(projects), *clauses)


_BYTES = sa.func.sum(sa.func.coalesce(images.c.size, images.c.announced))
_STAGED = images.c.status.in_(("uploading", "importing"))
_COPIES = sa.and_(images.c.id == locations.c.image_id, locations.c.store != STAGING, locations.c.status != "refused")
_COUNTED: dict[str, t.Callable[[sa.Select], sa.Select]] = {
    COUNT: lambda projects: _counted(sa.func.count(), projects),
    UPLOADING: lambda projects: _counted(sa.func.count(), projects, sa.or_(images.c.status == "saving", _STAGED)),
    STAGE: lambda projects: _counted(_BYTES, projects, _STAGED),
    SIZE: lambda projects: _counted(_BYTES, projects, _COPIES),
}
"""What of each resource is in use by the projects that a statement selects."""
