"""A database with many users, and the application that serves one called in this process, without a socket."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
import typing as t
from pathlib import Path

import msgspec
import sqlalchemy as sa
import uvloop
from report import Figure

from cumulet import identity
from cumulet.identity import fernet, times
from cumulet.identity.assignments import Assignment, assignments
from cumulet.identity.groups import groups, memberships
from cumulet.identity.roles import roles
from cumulet.identity.state import state
from cumulet.identity.tree import projects
from cumulet.identity.users import users
from cumulet.kernel import clock, ids, log, services
from cumulet.kernel.bus.local import LocalBus
from cumulet.kernel.config import Config
from cumulet.kernel.db import Database
from cumulet.kernel.http.application import Application
from cumulet.kernel.runtime import Runtime
from cumulet.kernel.testing.engines import postgresql
from cumulet.run.migrate import upgrade

USERS, DOMAINS, GROUPS, EACH = 100_000, 10, 1_000, 10
"""How many there are, and how many roles each user has. With those of groups that makes 1,002,010 assignments."""
TOPS, BRANCHES, LEVELS = 10, 3, 5
"""A domain's trees of projects: how many, how many below each project, down to which level. That makes 1,210 projects a domain."""
AT_ONCE = 20_000


class Crowd:
    """What is in the database: ids, by which requests are made."""

    def __init__(self):
        self.domains = [ids.new_hex() for _ in range(DOMAINS)]
        self.projects: list[dict] = []
        for n, domain in enumerate(self.domains):
            self._grow(domain, domain, f"p{n}", TOPS, 1)
        self.users = [{"id": ids.new_hex(), "name": f"user-{n}", "domain_id": self.domains[n % DOMAINS]} for n in range(USERS)]
        self.groups = [{"id": ids.new_hex(), "name": f"group-{n}", "domain_id": self.domains[n % DOMAINS]} for n in range(GROUPS)]

        self.heirs = [n for n in range(USERS) if n % GROUPS < DOMAINS]
        """Which users inherit a whole domain, by its first group."""
        self.others = [n for n in range(USERS) if n % GROUPS >= DOMAINS]

    def _grow(self, domain: str, parent: str, name: str, number: int, level: int) -> None:
        for n in range(number):
            project = {"id": ids.new_hex(), "name": f"{name}-{n}", "domain_id": domain, "parent_id": parent}
            self.projects.append(project)
            if level < LEVELS:
                self._grow(domain, project["id"], project["name"], BRANCHES, level + 1)

    def own_projects(self, user: int) -> list[str]:
        """The projects on which a user has a role of their own; the last one's is inherited by those below it."""
        step = len(self.projects) // EACH
        return [self.projects[(user * 7 + n * step) % len(self.projects)]["id"] for n in range(EACH)]

    def fill(self, db: Database) -> None:
        """Put all into a database that has what every cloud has."""
        member = db.transact(lambda tx: tx.one(roles, name="member", domain_id=None).id, write=False)
        plain = {"description": "", "enabled": True, "options": {}, "extra": {}}
        domains = [{"id": id, "name": f"domain-{n}", "is_domain": True} | plain for n, id in enumerate(self.domains)]
        who = {"enabled": True, "valid_from": clock.now(), "options": {}, "extra": {}}
        inside = [{"group_id": self.groups[n % GROUPS]["id"], "user_id": user["id"]} for n, user in enumerate(self.users)]
        for table, rows in (
            (projects, domains), (projects, [one | plain | {"is_domain": False} for one in self.projects]),
            (users, [one | who for one in self.users]), (groups, [one | {"description": "", "extra": {}} for one in self.groups]),
            (memberships, inside), (assignments, self._assignments(member)),
        ):  # fmt: skip
            for some in batched(rows, AT_ONCE):
                db.transact(lambda tx, table=table, some=some: tx.insert_many(table, some))

    def _assignments(self, role: str) -> t.Iterator[dict]:
        """Of each user on projects; of each group on a project and inherited from another one; of each domain's first group inherited
        from the domain."""
        for n, user in enumerate(self.users):
            *own, top = self.own_projects(n)
            given = [Assignment("project", project, user["id"], None, role) for project in own]
            for one in (*given, Assignment("project", top, user["id"], None, role, True)):
                yield one._asdict() | {"id": one.id}
        for n, group in enumerate(self.groups):
            own, top = self.own_projects(n)[:2]
            given = [Assignment("project", own, None, group["id"], role), Assignment("project", top, None, group["id"], role, True)]
            if n < DOMAINS:
                given.append(Assignment("domain", group["domain_id"], None, group["id"], role, True))
            for one in given:
                yield one._asdict() | {"id": one.id}


class Answer(t.NamedTuple):
    """How long it took, and what processor time of all threads, in seconds; the body."""

    seconds: float
    cpu: float
    body: bytes

    @property
    def items(self) -> int:
        """How many a list has."""
        return sum(len(value) for value in msgspec.json.decode(self.body).values() if isinstance(value, list))


class Served:
    """The application over a database that is migrated, with what every cloud has: identity, and the services that are named."""

    def __init__(self, url: str, directory: Path, *more: str):
        log.configure("warning")
        upgrade(url)
        config = Config(data=str(directory), bcrypt_rounds=4)
        self.db = Database(url)
        self._runtime = Runtime(config, self.db, LocalBus([]), services.load("identity", *more), identity.authenticate)
        self._application = Application(self._runtime)
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        endpoints = [(f"service{n}", f"name{n}", f"http://cloud/{n}/%(project_id)s") for n in range(8)]
        self.db.transact(lambda tx: identity.bootstrap(
            tx, config, admin_password="admin", demo_password="demo", endpoints=endpoints))  # fmt: skip
        self.admin = self.login("admin")

    def close(self) -> None:
        self._runner.close()
        self.db.close()

    def token(self, user: str, project: str) -> str:
        """A token for a project, as if the user had logged in now."""
        now = times.micros(clock.now())
        claims = fernet.Claims(["password"], user, ("p", project), now, now + 3_600_000_000, [fernet.audit_id(os.urandom(16))])
        return fernet.issue(state(self._runtime).token_keys, claims)

    def get(self, path: str, token: str, subject: str = "") -> Answer:
        """Ask, as `token`, about `subject`. Raises RuntimeError for any answer but 200."""
        return self._runner.run(self._get(path, token, subject))

    def project(self, name: str) -> str:
        """The id of a project that every cloud has; the user of the same name belongs to it."""
        return self._named(projects, name)

    def login(self, name: str) -> str:
        """A token for a user and a project of one name."""
        return self.token(self._named(users, name), self.project(name))

    def _named(self, table: sa.Table, name: str) -> str:
        return self.db.transact(lambda tx: next(iter(tx.rows(table, name=name, domain_id="default"))).id, write=False)

    async def _get(self, path: str, token: str, subject: str) -> Answer:
        path, _, query = path.partition("?")
        said = {"host": "cloud", "x-auth-token": token, "x-subject-token": subject}
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
                 "headers": [(name.encode(), value.encode()) for name, value in said.items()], "client": None}  # fmt: skip
        sent: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        began, cpu = time.perf_counter(), time.process_time()
        await self._application(scope, receive, send)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        body = b"".join(message["body"] for message in sent[1:])
        if sent[0]["status"] != 200:
            raise RuntimeError(f"GET {path}?{query}: {sent[0]['status']} {body[:400]!r}")
        return Answer(seconds, cpu, body)


def batched(rows: t.Iterable[dict], size: int) -> t.Iterator[list[dict]]:
    left = iter(rows)
    while some := list(itertools.islice(left, size)):
        yield some


def on_both(measure: t.Callable[[str, str, Path], list[Figure]]) -> list[Figure]:
    """What is measured on SQLite, and then on PostgreSQL: told which, where it is, and a directory."""
    with tempfile.TemporaryDirectory(prefix="cumulet-bench-") as directory:
        figures = measure("SQLite", f"sqlite:///{directory}/db", Path(directory))
    with tempfile.TemporaryDirectory(prefix="cumulet-bench-") as directory, postgresql() as url:
        return figures + measure("PostgreSQL", url, Path(directory))
