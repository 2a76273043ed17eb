"""`cumulet identity bootstrap`: an administrator can get in, however often and however many times at once it is run."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa

from cumulet import identity
from cumulet.identity.assignments import assignments
from cumulet.identity.endpoints import endpoints
from cumulet.identity.implied_roles import implied_roles
from cumulet.identity.regions import regions
from cumulet.identity.roles import roles
from cumulet.identity.services import services as identity_services
from cumulet.identity.tree import projects
from cumulet.identity.users import users
from cumulet.kernel import services
from cumulet.kernel.config import Config
from cumulet.kernel.db import Database
from cumulet.kernel.db.engine import create_engine
from cumulet.run.control import SERVICES
from cumulet.run.migrate import upgrade

URLS = ("--bootstrap-public-url", "http://cloud/identity", "--bootstrap-internal-url", "http://inside/identity")
Start = t.Callable[..., subprocess.Popen]


@pytest.fixture
def empty(database_url: str) -> str:
    """A migrated database with nothing in it."""
    services.load(*SERVICES)
    engine, found = create_engine(database_url), sa.MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()
    upgrade(database_url)
    return database_url


@pytest.fixture
def start(empty: str, tmp_path: Path) -> Start:
    environment = os.environ | {
        "CUMULET_BCRYPT_ROUNDS": "4", "CUMULET_USER": pwd.getpwuid(os.getuid()).pw_name, "CUMULET_DATABASE": empty,
        "CUMULET_DATA": str(tmp_path), "OS_BOOTSTRAP_PASSWORD": "first",
    }  # fmt: skip

    def start(*options: str, stdin: int = subprocess.DEVNULL, **more: str) -> subprocess.Popen:
        argv = [sys.executable, "-m", "cumulet", "identity", "bootstrap", *options]
        return subprocess.Popen(argv, env=environment | more, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


def ended(process: subprocess.Popen, given: str | None = None) -> tuple[int, str]:
    told, _ = process.communicate(given, timeout=60)
    return process.returncode, told


def user(url: str) -> t.Any:
    db = Database(url)
    with db.begin(write=False) as tx:
        (found,) = tx.rows(users)
    db.close()
    return found


def made(url: str) -> dict[str, t.Any]:
    """What is in the database, by kind."""
    db = Database(url)
    with db.begin(write=False) as tx:
        names = {table.name: sorted(row.name for row in tx.rows(table)) for table in (projects, roles, users, identity_services)}
        found = names | {
            "regions": [row.id for row in tx.rows(regions)],
            "endpoints": sorted((row.interface, row.url) for row in tx.rows(endpoints)),
            "assignments": sorted((row.kind, row.inherited) for row in tx.rows(assignments)),
            "implied": len(tx.rows(implied_roles)),
        }
    db.close()
    return found


MADE = {
    "identity_projects": ["Default", "admin"], "identity_roles": ["admin", "manager", "member", "reader", "service"],
    "identity_users": ["admin"], "identity_services": ["keystone"], "regions": ["RegionOne"], "implied": 3,
    "endpoints": [("internal", "http://inside/identity"), ("public", "http://cloud/identity")],
    "assignments": [("project", False), ("system", False)],
}  # fmt: skip


def test_two_processes_at_once_make_one_of_each(start: Start, empty: str):
    both = [start(*URLS) for _ in range(2)]
    for code, told in map(ended, both):
        assert (code, told) == (0, "admin is there, with the role admin on the project admin and on the system.\n")
    assert made(empty) == MADE
    before = user(empty)
    assert ended(start(*URLS))[0] == 0
    assert (made(empty), user(empty)) == (MADE, before), "a second time changes nothing"


def test_many_at_the_same_moment(empty: str, tmp_path: Path):
    first, config = identity.First(urls={"public": "http://cloud/identity"}), Config(data=str(tmp_path), bcrypt_rounds=4)
    together, failed = threading.Barrier(4), []

    def run() -> None:
        db = Database(empty)
        try:
            together.wait()
            identity.bootstrap_first(db, config, first, "pw")
        except Exception as error:
            failed.append(error)
        finally:
            db.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert made(empty) == MADE | {"endpoints": [("public", "http://cloud/identity")]}
    assert {path.name for path in (tmp_path / "control" / "fernet-keys").iterdir()} == {"0", "1"}


def test_the_password_comes_from_a_file_or_from_standard_input(start: Start, empty: str, tmp_path: Path):
    assert ended(start())[0] == 0
    before = user(empty)
    (tmp_path / "password").write_text("second\n")
    assert ended(start("--bootstrap-password-file", str(tmp_path / "password")))[0] == 0
    after = user(empty)
    assert after.password_hash != before.password_hash
    assert after.valid_from > before.valid_from, "whoever got in with the old password is out"
    assert ended(start("--bootstrap-password-file", "-", stdin=subprocess.PIPE), "second\n")[0] == 0
    assert user(empty) == after
    code, told = ended(start(OS_BOOTSTRAP_PASSWORD=""))
    assert (code, "There is no password: put it in OS_BOOTSTRAP_PASSWORD" in told) == (1, True)


def test_other_names(start: Start, empty: str):
    options = ["--bootstrap-username", "root", "--bootstrap-project-name", "ops", "--bootstrap-role-name", "boss", "--no-immutable-roles",
               "--bootstrap-region-id", "north", "--bootstrap-service-name", "who", *URLS]  # fmt: skip
    assert ended(start(*options))[0] == 0
    found = made(empty)
    assert (found["identity_users"], found["identity_projects"], found["regions"]) == (["root"], ["Default", "ops"], ["north"])
    assert (found["identity_roles"][1], found["identity_services"]) == ("boss", ["who"])


def test_a_database_that_was_never_migrated(start: Start, tmp_path: Path):
    code, told = ended(start("--database", f"sqlite:///{tmp_path}/none.db"))
    assert (code, "There is no database" in told) == (1, True)
    (tmp_path / "none.db").touch()
    code, told = ended(start("--database", f"sqlite:///{tmp_path}/none.db"))
    assert (code, "cumulet db migrate" in told) == (1, True)


def test_who_was_disabled_is_enabled(start: Start, empty: str):
    assert ended(start())[0] == 0
    db = Database(empty)
    db.transact(lambda tx: tx.update(users, {"name": "admin"}, enabled=False))
    db.close()
    assert ended(start())[0] == 0
    assert user(empty).enabled
