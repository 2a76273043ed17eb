"""Who may do what, as a service answers it: every operation asked with every role in every scope, for things of known owners.

A service's world (`matrix_identity.py`) makes the things and says which of them a path's parameters mean. An operation that is
declared is in the matrix by itself. What a request writes is taken back, so that each meets the same world.

Who asks, each with one role (and those that it implies), or with none that a rule names:

    own            the user whom the things belong to, with a token for the project that they belong to
    other          another user of another domain, with a token for a project there
    domain         an officer of the things' domain, with a token for that domain
    other domain   the other user, with a token for their domain
    system         the officer, with a token for the system
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import typing as t

from cumulet.kernel.db import Database, Tx
from cumulet.kernel.http.api import LAST, Api, Operation
from cumulet.kernel.testing.cloud import Caller
from logins import Identity

ROLES = {"admin": "a", "manager": "g", "member": "m", "reader": "r", "": "n"}
SCOPES = ("own", "other", "domain", "other domain", "system")
NOBODY = "holder"
"""A role that no rule names; everybody has it, so that they can have a token."""
REFUSED = {401, 403, 404}
"""Answers to those who may not. Nothing that is asked for is missing, so that 404 says that it is not for the caller."""


class Asked(t.NamedTuple):
    """An operation, or another request to one, as the service's world names it. form: its path before its parameters are filled in,
    whole and as the operation has it. headers: what says of which version and type it is."""

    name: str
    method: str
    path: str
    body: t.Any
    form: tuple[str, str]
    headers: dict[str, str]


class World(Identity):
    """Those who ask, and what they ask about: `things` are the values of path parameters, by name, and before those by an
    operation, the beginning of a path, or what a further request is marked by, and name (`DELETE /regions/{region_id} region_id`,
    `/credentials credential_id`, `#shared id`), for what is to be another thing there, the first that fits; `bodies` by method and path; `more` are further requests, as `_like` reads them."""

    def __init__(self, url: str, data: str, *names: str):
        super().__init__(url, data, *names)
        self.url = url
        self.admin = self.login("admin", self.ADMIN, scope="admin")
        self.things: dict[str, str] = {}
        self.bodies: dict[str, t.Any] = {}
        self.more: list[str] = []
        self.here, self.there = (self._domain(name) for name in ("here", "there"))
        self.mine, self.theirs = (self.project(self.admin, "p", domain_id=domain)["id"] for domain in (self.here, self.there))
        self.owner_id, self.officer_id = (self.user(self.admin, name, domain_id=self.here)["id"] for name in ("owner", "officer"))
        self.stranger_id = self.user(self.admin, "stranger", domain_id=self.there)["id"]
        self._groups = {user: self._group_of(user) for user in (self.owner_id, self.officer_id, self.stranger_id)}
        self.give(NOBODY)

    def _domain(self, name: str) -> str:
        return self.admin.post("/domains", {"domain": {"name": name}}).json()["domain"]["id"]

    def _group_of(self, user: str) -> str:
        """A group with this user alone: roles come and go by it, for what the user made would go with a role of their own."""
        id = self.admin.post("/groups", {"group": {"name": user}}).json()["group"]["id"]
        assert self.admin.put(f"/groups/{id}/users/{user}").status_code == 204
        return id

    # -- who asks --------------------------------------------------------------------------------------------------

    def _places(self) -> dict[str, tuple[str, str, dict | str]]:
        """Scope -> user, where they have a role, the scope of their token."""
        return {
            "own": (self.owner_id, f"projects/{self.mine}", {"project": {"id": self.mine}}),
            "other": (self.stranger_id, f"projects/{self.theirs}", {"project": {"id": self.theirs}}),
            "domain": (self.officer_id, f"domains/{self.here}", {"domain": {"id": self.here}}),
            "other domain": (self.stranger_id, f"domains/{self.there}", {"domain": {"id": self.there}}),
            "system": (self.officer_id, "system", "system"),
        }

    def at(self, base: str, caller: Caller) -> Caller:
        """The same caller of another service."""
        return Caller(self, base, caller.token, caller.context)

    def give(self, role: str) -> None:
        """Have everybody have a role where they ask."""
        for user, place, _ in self._places().values():
            self.grant(self.admin, role, f"{place}/groups/{self._groups[user]}")

    def take(self, role: str) -> None:
        for user, place, _ in self._places().values():
            self.revoke(self.admin, role, f"{place}/groups/{self._groups[user]}")

    def callers(self) -> dict[str, Caller]:
        return {name: self.login(user, "pw", scope=scope) for name, (user, _, scope) in self._places().items()}

    # -- what is asked ---------------------------------------------------------------------------------------------

    def asked(self, api: Api) -> list[Asked]:
        """Every operation with a policy, and the further requests, in an order that changes in the source do not change."""
        guarded = sorted((op for op in api.operations if op.policy), key=lambda op: (op.path, op.method, op.action or "", op.first))
        found = [self._of(api, op) for op in guarded]
        return found + [self._like(found, text) for text in self.more]

    def _of(self, api: Api, op: Operation) -> Asked:
        name = " ".join(filter(None, (op.method, op.path, op.action)))
        body = self.bodies.get(name, {}) if op.body is not None or op.action else None
        at = api.high if op.last == LAST else op.last
        version = "{} {}.{}".format(api.dialect.version_service, *at) if api.dialect.version_service else None
        headers = ({"OpenStack-API-Version": version} if version else {}) | ({"Content-Type": op.media[0]} if op.media else {})
        form, body = (api.paths(op)[0], op.path), {op.action: body} if op.action else b"x" if op.raw else body
        return Asked(name, op.method, self._filled(*form, name), body, form, headers)

    def _like(self, found: list[Asked], text: str) -> Asked:
        """`GET /path?query`, or `POST /path #what`, whose body is in `bodies` under this text, and of whose things some may be in
        `things` so."""
        base = re.split(r"\?| #", text)[0]
        like = next(one for one in found if one.name == base)
        query = self._filled(f"?{text.partition('?')[2]}", "", "") if "?" in text else ""
        body = like.body if isinstance(like.body, bytes) else self.bodies.get(text)
        return like._replace(name=text, path=self._filled(*like.form, text) + query, body=body)

    def _filled(self, text: str, path: str, name: str) -> str:
        def thing(match: re.Match) -> str:
            for key, value in self.things.items():
                begins, _, of = key.rpartition(" ")
                if begins and of == match[1] and (path.startswith(begins) or name == begins or name.endswith(f" {begins}")):
                    return value
            assert match[1] in self.things, f"{name}: the service's world has to say which thing {match[1]} is"
            return self.things[match[1]]

        return re.sub(r"\{(\w+)\}", thing, text)


def observed(world: World, api: Api) -> dict[str, dict[str, str]]:
    """Request -> scope -> letters of the roles that may."""
    asked = world.asked(api)
    cells = {one.name: dict.fromkeys(SCOPES, "") for one in asked}
    for role, letter in ROLES.items():
        if role:
            world.give(role)
        for one, scope, status in _answers(world, asked, world.callers()):
            cells[one.name][scope] += letter if status not in REFUSED else ""
        if role:
            world.take(role)
    return cells


def _answers(world: World, asked: list[Asked], callers: dict[str, Caller]) -> t.Iterator[tuple[Asked, str, int]]:
    with taken_back(world):
        subject = {"X-Subject-Token": world.things["subject"]} if "subject" in world.things else {}
        for one in asked:
            body = {"content": one.body} if isinstance(one.body, bytes) else {"json": one.body}
            for scope, caller in callers.items():
                answer = caller.cloud.send(one.method, one.path, headers={"X-Auth-Token": caller.token, **subject, **one.headers}, **body)
                yield one, scope, answer.status_code


@contextlib.contextmanager
def taken_back(world: World) -> t.Iterator[None]:
    """What requests write inside is taken back as each of their transactions ends."""
    kept = world.runtime.db
    world.runtime.db = _Forgetful(world.url)
    try:
        yield
    finally:
        world.runtime.db.close()
        world.runtime.db = kept


class _Forgetful(Database):
    @contextlib.contextmanager
    def begin(self, write: bool = True) -> t.Iterator[Tx]:
        with contextlib.suppress(_TakeBack), super().begin(write) as tx:
            yield tx
            raise _TakeBack


class _TakeBack(Exception):
    pass


def rendered(api: Api, cells: dict[str, dict[str, str]]) -> str:
    head = (
        f"# Who may do what in {api.service}, as it answered. Letters are the roles that may: a admin, g manager, m member, r reader,\n"
        "# n none of these; the columns are whose token asks, as tests/matrix.py tells; anyone needs none. `make goldens` writes this file.\n"
    )
    rows = ((name, "  ".join(f"{scope} {row[scope] or '-':<5}" for scope in SCOPES)) for name, row in cells.items())
    anyone = sorted(f"{op.method} {op.path or '/'}" for op in api.operations if not op.policy)
    return head + "".join(f"{name:<100} {row}".rstrip() + "\n" for name, row in (*rows, *((name, "anyone") for name in anyone)))


def matrix(service: str, fill: t.Callable[[World], None]) -> str:
    """A service's matrix as it is now, in a world that `fill` fills."""
    with tempfile.TemporaryDirectory() as data, contextlib.closing(World(f"sqlite:///{data}/cloud.db", data, service)) as world:
        fill(world)
        api = world.runtime.apis[service]
        return rendered(api, observed(world, api))
