"""What a cloud has from its first moment: keys, the default domain, roles, the administrator, a demo user, the catalog.

All of it is made where it is not there, in one transaction. Transactions are serialisable: of two that make the same at once,
one fails and finds it made when it is tried again.
"""

from __future__ import annotations

import functools
import typing as t

from sqlalchemy.exc import IntegrityError

from ..kernel import clock, ids
from ..kernel.config import Config
from ..kernel.db import Database, Row, Tx
from ..kernel.errors import Conflict
from . import epoch, keys, passwords
from .assignments import Assignment, assign
from .endpoints import endpoints
from .implied_roles import implied_roles
from .regions import regions
from .roles import role_named, roles
from .services import services
from .tree import DEFAULT_DOMAIN, projects
from .users import users

IMPLICATIONS = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
ROLES = ("admin", "manager", "member", "reader", "service")
INTERFACES = ("public", "internal", "admin")
ATTEMPTS = 8


class First(t.NamedTuple):
    """Who runs a cloud, where, and under which URLs (by interface) its identity service is found; none: no catalog."""

    username: str = "admin"
    project: str = "admin"
    role: str = "admin"
    service: str = "keystone"
    region: str = "RegionOne"
    urls: dict[str, str] = {}
    immutable: bool = True
    """Whether the roles that are made can be changed only after that was taken from them."""


def bootstrap(tx: Tx, config: Config, *, admin_password: str, demo_password: str,
              endpoints: t.Iterable[tuple[str, str, str]]) -> None:  # fmt: skip
    """Make whatever of it is not there, and change the endpoints whose URL is another now. Users that are there keep
    the passwords that they have. The roles are immutable: policy goes by their names.

    endpoints: (service type, service name, URL).
    """
    keys.setup(config)
    held = _roles(tx, immutable=True)
    admin = _user(tx, config, "admin", admin_password)
    demo = _user(tx, config, "demo", demo_password)
    admin_project = _project(tx, "admin", "Resources of the cloud's administrators.")
    demo_project = _project(tx, "demo", "For trying things out.")
    _project(tx, "service", "Resources of the cloud itself.")
    assign(tx, Assignment("project", admin_project, admin, None, held["admin"]))
    assign(tx, Assignment("project", demo_project, admin, None, held["admin"]))
    assign(tx, Assignment("domain", DEFAULT_DOMAIN, admin, None, held["admin"]))
    assign(tx, Assignment("system", None, admin, None, held["admin"]))
    assign(tx, Assignment("project", demo_project, demo, None, held["member"]))
    _catalog(tx, config.region, [(type, name, dict.fromkeys(INTERFACES, url)) for type, name, url in endpoints])
    epoch.bump(tx)


def bootstrap_first(db: Database, config: Config, first: First, password: str) -> None:
    """Make whatever is not there of what an administrator needs to get in. A user who is there has this password and is enabled
    afterwards; who has it already keeps their tokens."""
    keys.setup(config)
    for attempts_left in reversed(range(ATTEMPTS)):
        before = db.transact(lambda tx: _first_user(tx, first.username), write=False)
        right = before is not None and before.password_hash is not None and passwords.matches(password, before.password_hash)
        new = None if right else passwords.hashed(password, config.bcrypt_rounds)
        try:
            return db.transact(functools.partial(_make_first, first=first, before=before, new=new))
        except (Conflict, IntegrityError, _Changed):  # somebody else made some of it at the same moment: look at what is there now
            if not attempts_left:
                raise


class _Changed(Exception):
    """The user is another than was looked at."""


def _make_first(tx: Tx, first: First, before: Row | None, new: str | None) -> None:
    held = _roles(tx, first.immutable)
    role = held.get(first.role) or _role(tx, first.role, first.immutable)
    user = _first_user(tx, first.username)
    if (user and user.password_hash) != (before and before.password_hash):
        raise _Changed
    if user is None:
        user_id = _insert_user(tx, first.username, str(new))
    else:
        user_id = user.id
        if new is not None or not user.enabled:
            tx.update(users, user_id, enabled=True, valid_from=clock.now(), **({} if new is None else {"password_hash": new}))
    project = _project(tx, first.project, "The project of whoever runs the cloud.")
    assign(tx, Assignment("project", project, user_id, None, role))
    assign(tx, Assignment("system", None, user_id, None, role))
    if first.urls:
        _catalog(tx, first.region, [("identity", first.service, first.urls)])
    epoch.bump(tx)


def _first_user(tx: Tx, name: str) -> Row | None:
    return tx.get(users, domain_id=DEFAULT_DOMAIN, name=name, shadow=False)


def _roles(tx: Tx, immutable: bool) -> dict[str, str]:
    """The default domain, and the ids of the roles that policy goes by."""
    _domain(tx)
    held = {name: _role(tx, name, immutable) for name in ROLES}
    for prior, implied in IMPLICATIONS:
        _imply(tx, held[prior], held[implied])
    return held


def _domain(tx: Tx) -> None:
    if tx.get(projects, id=DEFAULT_DOMAIN) is None:
        tx.insert(
            projects, id=DEFAULT_DOMAIN, name="Default", domain_id=None, parent_id=None, description="The default domain",
            enabled=True, is_domain=True, options={}, extra={},
        )  # fmt: skip


def _project(tx: Tx, name: str, description: str) -> str:
    row = tx.get(projects, domain_id=DEFAULT_DOMAIN, name=name)
    return row.id if row else tx.insert(
        projects, id=ids.new_hex(), name=name, domain_id=DEFAULT_DOMAIN, parent_id=DEFAULT_DOMAIN, description=description,
        enabled=True, is_domain=False, options={}, extra={},
    ).id  # fmt: skip


def _role(tx: Tx, name: str, immutable: bool) -> str:
    row = role_named(tx, name)
    return row.id if row else tx.insert(
        roles, id=ids.new_hex(), name=name, domain_id=None, description=None, options={"immutable": True} if immutable else {}, extra={}
    ).id  # fmt: skip


def _imply(tx: Tx, prior: str, implied: str) -> None:
    pair = {"prior_role_id": prior, "implied_role_id": implied}
    if tx.get(implied_roles, **pair) is None:
        tx.insert(implied_roles, **pair)


def _user(tx: Tx, config: Config, name: str, password: str) -> str:
    row = _first_user(tx, name)
    return row.id if row else _insert_user(tx, name, passwords.hashed(password, config.bcrypt_rounds))


def _insert_user(tx: Tx, name: str, hashed: str) -> str:
    return tx.insert(
        users, id=ids.new_hex(), name=name, domain_id=DEFAULT_DOMAIN, default_project_id=None, description=None, enabled=True,
        password_hash=hashed, valid_from=clock.now(), options={}, extra={},
    ).id  # fmt: skip


def _catalog(tx: Tx, region: str, wanted: t.Iterable[tuple[str, str, dict[str, str]]]) -> None:
    if tx.get(regions, id=region) is None:
        tx.insert(regions, id=region, description="", parent_region_id=None, extra={})
    for type, name, urls in wanted:
        service = next(iter(tx.rows(services, type=type, name=name)), None) or tx.insert(
            services, id=ids.new_hex(), type=type, name=name, description=None, enabled=True, extra={}
        )
        for interface, url in urls.items():
            _endpoint(tx, service.id, region, interface, url)
    epoch.bump(tx, epoch.CATALOG)


def _endpoint(tx: Tx, service_id: str, region: str, interface: str, url: str) -> None:
    where = {"service_id": service_id, "region_id": region, "interface": interface}
    found = tx.rows(endpoints, **where)
    if not found:
        tx.insert(endpoints, id=ids.new_hex(), **where, url=url, enabled=True, extra={})
    elif found[0].url != url:
        tx.update(endpoints, found[0].id, url=url)
