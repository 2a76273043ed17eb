"""How much of a service's resources a project may have, by what is registered and limited; for the services that count it."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.config import Config
from ..kernel.db import Tx
from .registered_limits import limits, registered_limits
from .services import services
from .tree import projects


class Ceiling(t.NamedTuple):
    """What some projects may have together. `projects` selects their ids; -1 is no limit."""

    limit: int
    projects: sa.Select


def ceilings(tx: Tx, config: Config, service_type: str, project_id: str) -> dict[str, list[Ceiling]]:
    """What a project has to stay below, by resource; its own comes first. A resource that is not registered has no limit; one
    that is registered for this cloud's region, and for all, has the region's. By `strict_two_level` what all projects of a
    domain have is no more than the domain may have."""
    own = _limits(tx, config, service_type, project_id)
    found = {name: [Ceiling(limit, sa.select(sa.literal(project_id)))] for name, limit in own.items()}
    if found and config.limit_model == "strict_two_level":
        domain_id = tx.scalar(sa.select(sa.func.coalesce(projects.c.domain_id, projects.c.id)).where(projects.c.id == project_id))
        together = sa.select(projects.c.id).where(sa.or_(projects.c.domain_id == domain_id, projects.c.id == domain_id))
        for name, limit in _limits(tx, config, service_type, domain_id).items():
            found[name].append(Ceiling(limit, together))
    return found


_LIMITS = (
    sa.select(registered_limits.c.resource_name, sa.func.coalesce(limits.c.resource_limit, registered_limits.c.default_limit))
    .join(services, services.c.id == registered_limits.c.service_id)
    .outerjoin(limits, sa.and_(
        limits.c.registered_limit_id == registered_limits.c.id,
        sa.or_(limits.c.project_id == sa.bindparam("whose"), limits.c.domain_id == sa.bindparam("whose")),
    ))
    .where(
        services.c.type == sa.bindparam("service_type"),
        sa.or_(registered_limits.c.region_id.is_(None), registered_limits.c.region_id == sa.bindparam("region")),
    )
    .order_by(registered_limits.c.region_id.is_not(None))
)  # fmt: skip


def _limits(tx: Tx, config: Config, service_type: str, whose: str) -> dict[str, int]:
    """The limits of a project or a domain, by resource: its own where there is one, or else what is registered."""
    rows = tx.all(_LIMITS, {"whose": whose, "service_type": service_type, "region": config.region})
    return {name: limit for name, limit in rows}
