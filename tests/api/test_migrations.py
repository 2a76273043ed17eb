"""The migrations make what the services declare, on both databases, and a newer database is refused."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import cumulet.run.seed  # noqa: F401  (its table is nobody's else)
from cumulet.kernel import services
from cumulet.kernel.db import metadata
from cumulet.kernel.db.engine import create_engine
from cumulet.run.control import SERVICES
from cumulet.run.migrate import NewerDatabase, configuration, current, head, upgrade


@pytest.fixture
def empty(database_url: str) -> str:
    engine = create_engine(database_url)
    found = sa.MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()
    return database_url


def test_migrations_make_the_declared_tables(empty):
    services.load(*SERVICES)
    upgrade(empty)
    engine = create_engine(empty)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == [], "add a migration: see CONTRIBUTING.md"
    engine.dispose()
    assert current(empty) == head()
    upgrade(empty)


def test_a_newer_database_is_refused(empty):
    services.load(*SERVICES)
    upgrade(empty)
    engine = create_engine(empty)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(NewerDatabase, match="upgrade Cumulet"):
        upgrade(empty)


def test_a_database_of_the_first_version_keeps_what_is_in_it(empty):
    services.load(*SERVICES)
    command.upgrade(configuration(empty), "0001")
    old, now = sa.MetaData(), dt.datetime(2026, 1, 1)
    engine = create_engine(empty)
    old.reflect(engine)
    volume = {"id": "v", "created_at": now, "project_id": "p", "user_id": "u", "size": 1, "status": "in-use", "availability_zone": "nova",
              "bootable": False, "multiattach": False, "metadata": {}, "admin_metadata": {}, "image_metadata": {}}  # fmt: skip
    domain = {"id": "d", "created_at": now, "name": "d", "description": "", "enabled": True, "is_domain": True, "options": {}, "extra": {}}
    user = {"id": "u", "created_at": now, "name": "u", "domain_id": "d", "enabled": True, "valid_from": now, "extra": {}, "options": {}}
    group = {"id": "g", "created_at": now, "name": "g", "domain_id": "d", "description": "", "extra": {}}
    with engine.begin() as connection:
        connection.execute(old.tables["volumes"].insert(), volume)
        for name, row in (
            ("projects", domain),
            ("users", user),
            ("groups", group),
            ("memberships", {"created_at": now, "group_id": "g", "user_id": "u"}),
        ):
            connection.execute(old.tables[f"identity_{name}"].insert(), row)
    engine.dispose()
    upgrade(empty)
    engine = create_engine(empty)
    with engine.connect() as connection:
        assert connection.execute(sa.select(metadata.tables["volumes"].c.status)).scalars().all() == ["in-use"]
        member = sa.select(metadata.tables["identity_memberships"].c.user_id, metadata.tables["identity_users"].c.shadow)
        assert connection.execute(member.join_from(metadata.tables["identity_memberships"], metadata.tables["identity_users"])).all() == [
            ("u", False)
        ]
    engine.dispose()


def test_images_that_were_there_are_found_by_what_they_have_now(empty):
    services.load(*SERVICES)
    command.upgrade(configuration(empty), "0017")
    old, engine = sa.MetaData(), create_engine(empty)
    old.reflect(engine)
    row = {"id": "i", "created_at": dt.datetime(2026, 1, 1), "status": "queued", "visibility": "private", "protected": False, "min_ram": 0,
           "os_hidden": False, "min_disk": 0, "properties": {"os": "x"}, "tags": ["a", "b"]}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(old.tables["images"].insert(), row)
    engine.dispose()
    upgrade(empty)
    engine = create_engine(empty)
    images, terms = metadata.tables["images"], metadata.tables["image_terms"]
    kept = sa.select(terms.c.term).order_by(terms.c.term)
    with engine.begin() as connection:
        assert connection.execute(kept).scalars().all() == ["pos=x", "ta", "tb"]
        connection.execute(images.update().values(tags=["c"]))
        assert connection.execute(kept).scalars().all() == ["pos=x", "tc"]
        connection.execute(images.delete())
        assert connection.execute(kept).scalars().all() == []
    engine.dispose()


def test_what_a_database_has_twice_is_told_apart(empty):
    """Nothing should be there twice; where it is, an upgrade neither fails nor loses what has a meaning of its own."""
    services.load(*SERVICES)
    command.upgrade(configuration(empty), "0005")
    old, engine = sa.MetaData(), create_engine(empty)
    old.reflect(engine)
    with engine.begin() as connection:
        for place, id in enumerate("ab"):
            row = {"created_at": dt.datetime(2026, 1, 1 + place), "id": id * 32}
            for table, values in _TWICE.items():
                connection.execute(old.tables[table].insert(), row | values)
    engine.dispose()
    upgrade(empty)
    engine = create_engine(empty)
    with engine.connect() as connection:

        def left(table: str, *columns: str) -> list[tuple]:
            found = metadata.tables[table]
            statement = sa.select(*(found.c[name] for name in columns)).where(found.c.id.in_(("a" * 32, "b" * 32)))
            return [tuple(row) for row in connection.execute(statement.order_by(found.c.created_at))]

        assert left("identity_projects", "name") == [("same",), ("same-bbbbbbbb",)]
        assert left("identity_roles", "name") == [("same",), ("same-bbbbbbbb",)]
        assert left("networks", "is_default", "external") == [(True, True), (False, True)]
        assert left("subnetpools", "is_default") == [(True,), (False,)]
        assert left("security_groups", "is_default") == [(True,), (False,)]
        assert left("volume_attachments", "status") == [("attached",)]
    engine.dispose()


def test_images_keep_their_data(empty):
    """From the version on that knows of several stores, each image's data is where it was; an upload on its way has to be
    made again."""
    services.load(*SERVICES)
    command.upgrade(configuration(empty), "0013")
    old, engine = sa.MetaData(), create_engine(empty)
    old.reflect(engine)
    with engine.begin() as connection:
        for id in ("active", "deactivated", "queued", "saving"):
            row = {"id": id, "created_at": dt.datetime(2026, 1, 1), "status": id, "visibility": "shared", "protected": False,
                   "os_hidden": False, "min_disk": 0, "min_ram": 0, "properties": {}, "tags": []}  # fmt: skip
            connection.execute(old.tables["images"].insert(), row)
    engine.dispose()
    upgrade(empty)
    engine = create_engine(empty)
    images, places = metadata.tables["images"], metadata.tables["image_locations"]
    with engine.connect() as connection:
        found = connection.execute(sa.select(places.c.image_id, places.c.store, places.c.key, places.c.status, places.c.metadata))
        assert sorted(found) == [(id, "file", id, "active", {}) for id in ("active", "deactivated")]
        assert connection.execute(sa.select(images.c.status).where(images.c.id == "saving")).scalar() == "queued"
    engine.dispose()


_STANDARD = {"project_id": "p", "name": "n", "description": "", "revision_number": 0}
_TWICE: dict[str, dict] = {
    "identity_projects": {"name": "same", "description": "", "enabled": True, "is_domain": True, "options": {}, "extra": {}},
    "identity_roles": {"name": "same", "options": {}, "extra": {}},
    "networks": _STANDARD | {"admin_state_up": True, "external": True, "is_default": True, "mtu": 1500, "port_security_enabled": True,
                             "network_type": "flat", "dns_domain": "", "availability_zone_hints": []},
    "subnetpools": _STANDARD | {"ip_version": 4, "prefixes": [], "default_prefixlen": 24, "min_prefixlen": 8, "max_prefixlen": 32,
                                "is_default": True},
    "security_groups": _STANDARD | {"stateful": True, "is_default": True},
    "volumes": {"project_id": "p", "user_id": "u", "size": 1, "status": "in-use", "availability_zone": "nova", "bootable": False,
                "multiattach": False, "metadata": {}, "admin_metadata": {}, "image_metadata": {}},
    "volume_attachments": {"volume_id": "a" * 32, "project_id": "p", "instance_id": "s", "by_compute": True, "status": "attached",
                           "attach_mode": "rw", "connection": {}},
}  # fmt: skip
"""What of each table is there twice but for ids and times."""
