"""What a cloud has from its first moment: keys, the default domain, roles, the administrator, a demo user, the catalog."""

from __future__ import annotations

import typing as t

from ..kernel import clock, ids
from ..kernel.config import Config
from ..kernel.db import Tx
from . import epoch, passwords
from .assignments import Assignment, assign
from .endpoints import endpoints
from .fernet import Repository
from .implied_roles import implied_roles
from .regions import regions
from .roles import role_named, roles
from .services import services
from .tree import DEFAULT_DOMAIN, projects
from .users import users

IMPLICATIONS = (("admin", "manager"), ("manager", "member"), ("member", "reader"))
ROLES = ("admin", "manager", "member", "reader", "service")
INTERFACES = ("public", "internal", "admin")


def bootstrap(tx: Tx, config: Config, *, admin_password: str, demo_password: str,
              endpoints: t.Iterable[tuple[str, str, str]]) -> None:  # fmt: skip
    """Make whatever of it is not there, and change the endpoints whose URL is another now. Users that are there keep
    the passwords that they have. The roles are immutable: policy goes by their names.

    endpoints: (service type, service name, URL).
    """
    control = config.root / "control"
    Repository(control / "fernet-keys").setup()
    Repository(control / "credential-keys").setup()
    _domain(tx)
    held = {name: _role(tx, name) for name in ROLES}
    for prior, implied in IMPLICATIONS:
        _imply(tx, held[prior], held[implied])
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
    _catalog(tx, config.region, endpoints)
    epoch.bump(tx)


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


def _role(tx: Tx, name: str) -> str:
    row = role_named(tx, name)
    return row.id if row else tx.insert(
        roles, id=ids.new_hex(), name=name, domain_id=None, description=None, options={"immutable": True}, extra={}
    ).id  # fmt: skip


def _imply(tx: Tx, prior: str, implied: str) -> None:
    pair = {"prior_role_id": prior, "implied_role_id": implied}
    if tx.get(implied_roles, **pair) is None:
        tx.insert(implied_roles, **pair)


def _user(tx: Tx, config: Config, name: str, password: str) -> str:
    row = tx.get(users, domain_id=DEFAULT_DOMAIN, name=name)
    return row.id if row else tx.insert(
        users, id=ids.new_hex(), name=name, domain_id=DEFAULT_DOMAIN, default_project_id=None, description=None, enabled=True,
        password_hash=passwords.hashed(password, config.bcrypt_rounds), valid_from=clock.now(), options={}, extra={},
    ).id  # fmt: skip


def _catalog(tx: Tx, region: str, wanted: t.Iterable[tuple[str, str, str]]) -> None:
    if tx.get(regions, id=region) is None:
        tx.insert(regions, id=region, description="", parent_region_id=None, extra={})
    for type, name, url in wanted:
        service = next(iter(tx.rows(services, type=type, name=name)), None) or tx.insert(
            services, id=ids.new_hex(), type=type, name=name, description=None, enabled=True, extra={}
        )
        for interface in INTERFACES:
            _endpoint(tx, service.id, region, interface, url)


def _endpoint(tx: Tx, service_id: str, region: str, interface: str, url: str) -> None:
    where = {"service_id": service_id, "region_id": region, "interface": interface}
    found = tx.rows(endpoints, **where)
    if not found:
        tx.insert(endpoints, id=ids.new_hex(), **where, url=url, enabled=True, extra={})
    elif found[0].url != url:
        tx.update(endpoints, found[0].id, url=url)
