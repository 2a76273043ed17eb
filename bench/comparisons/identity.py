"""Identity: tokens issued and validated, users and effective assignments listed, by one client and by sixteen.

Each cloud gets a domain with 1,000 users and ten projects in five levels. Each user has a role on each project, on half of
them inherited by those below: 10,000 assignments. 64 more users have a password, which each uses once: a password that was right
is remembered by Cumulet for five minutes, and the hash is to be compared.
"""

from __future__ import annotations

import concurrent.futures as cf
import contextlib
import functools
import secrets
import threading
import typing as t

import load
from compare import Comparison, Side, checked, rate
from report import Figure

USERS, LEVELS, LOGINS = 1_000, 5, 64
CLIENTS = (1, 16)
PASSWORD = "Correct-horse-9"


class World:
    """What a cloud has for the comparison."""

    def __init__(self, side: Side, name: str):
        self.side, self.admin = side, side.token()
        self.domain = self._make("domains", "domain", name=name)
        self.role = self._make("roles", "role", name=f"{name}-role")
        self.projects: list[str] = []

    def fill(self) -> None:
        for branch in range(2):
            parent = self.domain
            for level in range(LEVELS):
                parent = self._make("projects", "project", name=f"p{branch}{level}", domain_id=self.domain, parent_id=parent)
                self.projects.append(parent)
        with cf.ThreadPoolExecutor(4) as pool:
            self.users = list(pool.map(lambda n: self._make("users", "user", name=f"u{n}", domain_id=self.domain), range(USERS)))
            list(pool.map(self._assign, self.users))
        self.logins = iter([self._login(n) for n in range(LOGINS)])

    def gone(self) -> None:
        self.side.call(self.admin, "PATCH", f"/domains/{self.domain}", {"domain": {"enabled": False}})
        self.side.call(self.admin, "DELETE", f"/domains/{self.domain}")
        self.side.call(self.admin, "DELETE", f"/roles/{self.role}")

    def get(self, path: str) -> bytes:
        return load.request("GET", self.side.base + path, X_Auth_Token=self.admin, X_Subject_Token=self.admin)

    def _make(self, collection: str, noun: str, **body: t.Any) -> str:
        return self.side.call(self.admin, "POST", f"/{collection}", {noun: body})[noun]["id"]

    def _assign(self, user: str) -> None:
        for n, project in enumerate(self.projects):
            where = f"/projects/{project}/users/{user}/roles/{self.role}"
            self.side.call(self.admin, "PUT", f"/OS-INHERIT{where}/inherited_to_projects" if n % 2 else where)

    def _login(self, number: int) -> bytes:
        """A request for a token by a user who never asked for one."""
        user = self._make("users", "user", name=f"l{number}", domain_id=self.domain, password=PASSWORD)
        identity = {"methods": ["password"], "password": {"user": {"id": user, "password": PASSWORD}}}
        return load.request("POST", f"{self.side.base}/auth/tokens", {"auth": {"identity": identity}})


def run(sides: list[Side], compare: t.Callable[[list[Side], list[Comparison]], list[Figure]]) -> list[Figure]:
    with contextlib.ExitStack() as made:
        worlds: dict[str, World] = {}
        name = f"compared-{secrets.token_hex(4)}"  # what a run left that was cut off is in nobody's way
        for side in sides:
            worlds[side.name] = world = World(side, name)
            made.callback(world.gone)
            world.fill()
        return compare(sides, _comparisons(worlds))


def _comparisons(worlds: dict[str, World]) -> list[Comparison]:
    def lists(path: str, clients: int, side: Side) -> float:
        return rate(side, worlds[side.name].get(path.format(world=worlds[side.name])), clients, 4.0)

    def issued(clients: int, side: Side) -> float:
        return rate(side, load.request("POST", f"{side.base}/auth/tokens", side.login), clients)

    paths = {
        "token validated": "/auth/tokens",
        "1,000 users listed": "/users?domain_id={world.domain}",
        "a user by name": "/users?domain_id={world.domain}&name=u500",
        "a user's effective assignments": "/role_assignments?effective&user.id={world.users[7]}",
        "a project's effective assignments": "/role_assignments?effective&scope.project.id={world.projects[4]}",
    }
    wanted = [
        Comparison(f"{name}, {clients} clients", functools.partial(lists, path, clients), 10.0)
        for name, path in paths.items()
        for clients in CLIENTS
    ]
    wanted += [Comparison(f"token issued to the same user, {clients} clients", functools.partial(issued, clients)) for clients in CLIENTS]
    wanted.append(Comparison("first logins, 4 clients", lambda side: _logins(worlds[side.name], 8).per_second))
    wanted.append(Comparison("99th percentile of validation while 4 log in", lambda side: _beside_logins(worlds[side.name]), less=True))
    return wanted


def _logins(world: World, number: int) -> load.Load:
    return checked(load.each_once(world.side.address, [next(world.logins) for _ in range(number)], clients=4))


def _beside_logins(world: World) -> float:
    """Milliseconds."""
    logins = threading.Thread(target=_logins, args=(world, 12))
    logins.start()
    found = checked(load.closed_loop(world.side.address, world.get("/auth/tokens"), clients=1, seconds=1.0))
    logins.join()
    return found.percentile(99)
