"""Whatever a client sends is answered in the service's own words, and never with a 5xx."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import quote

import msgspec
import pytest
import sqlalchemy as sa

from cumulet.kernel.db import Tx, metadata, table
from cumulet.kernel.http import Api, Body, Conflict, Dialect, KeyedDialect, NotFound, Query, Reply, Request, View, since
from cumulet.kernel.testing.cloud import Caller, Cloud

things = table("test_things", sa.Column("name", sa.String(20), nullable=False), sa.Column("size", sa.Integer, nullable=False))
metadata.remove(things)  # no table of the cloud's
api = Api("things", prefix="/things", base="/v2", low="2.1", high="2.9", dialect=KeyedDialect("things", "fault"))
root = Api("root", prefix="", dialect=Dialect())
MEMBER = api.rule("things:all", "role:member")


class ThingCreate(Body):
    name: str
    size: int = 0


class Thing(View):
    id: str
    name: str
    size: t.Annotated[int, since("2.2")]


class Listing(Query):
    limit: t.Annotated[int, msgspec.Meta(ge=0)] | None = None


def view(row: t.Any) -> Thing:
    return Thing(id=row.id, name=row.name, size=row.size)


@api.op("POST", "/things", policy=MEMBER, wrap="thing", status={"0.0": 200, "2.3": 201}, errors=(409,))
def create(tx: Tx, request: Request, body: ThingCreate) -> Reply:
    """Make one."""
    row = tx.insert(things, name=body.name, size=body.size)
    return Reply(view(row), headers={"Location": f"{request.base}/things/{row.id}"})


@api.op("GET", "/things", policy=MEMBER, reply="things")
def index(tx: Tx, request: Request, query: Listing) -> list[Thing]:
    """List them."""
    return [view(row) for row in tx.rows(things, order=things.c.name)]


@api.op("GET", "/things/{name}", policy=MEMBER, reply="thing", errors=(404,))
def show(tx: Tx, request: Request, name: str) -> Thing:
    """Show one."""
    rows = tx.rows(things, name=name)
    if not rows:
        raise NotFound(f"No thing {name}")
    return view(rows[0])


@api.op("POST", "/things/{name}/action", policy=MEMBER, action="grow")
def grow(tx: Tx, request: Request, name: str, body: int) -> None:
    """Make it larger."""
    tx.update(things, {"name": name}, size=body)


@api.op("POST", "/things/{name}/action", policy=MEMBER, action="rename", first="2.4")
def rename(tx: Tx, request: Request, name: str, body: str) -> None:
    """Give it another name."""
    tx.update(things, {"name": name}, name=body)


@api.op("PUT", "/data", policy=MEMBER, raw=True, status=204)
async def upload(request: Request) -> None:
    """Take bytes."""
    async for _ in request.stream():
        pass


@api.op("POST", "/open", policy=None, wrap="thing")
def make_openly(tx: Tx, request: Request, body: ThingCreate) -> Thing:
    """Make one without a token."""
    return view(tx.insert(things, name=body.name, size=body.size))


@pytest.fixture
def cloud(database_url: str, tmp_path):
    made = Cloud(database_url, str(tmp_path), {"things": api, "root": root})
    things.drop(made.runtime.db.engine, checkfirst=True)
    things.create(made.runtime.db.engine)
    yield made
    things.drop(made.runtime.db.engine)
    made.close()


@pytest.fixture
def me(cloud: Cloud) -> Caller:
    return cloud.caller("/things/v2")


def count(cloud: Cloud) -> int:
    return cloud.transact(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(things)))


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b'"\xff"', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"thing": {"name": "a\\u0000b"}}', {}, 400),
        (b'{"thing": {"name": "a", "size": 1e999}}', {}, 400),
        (b'{"thing": {"name": "a", "size": 9223372036854775808}}', {}, 400),
        (b'{"thing": {"name": "a"}, "more": 1}', {}, 400),
        (b"[]", {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Length": "-5"}, 400),
        (b"{}", {"Content-Length": "many"}, 400),
        (b"{}", {"Content-Length": "9" * 30}, 413),
        (b" " * (2**20 + 1), {}, 413),
        (b"{}", {"OpenStack-API-Version": "things 2.x"}, 400),
        (b"{}", {"OpenStack-API-Version": "things " + "9" * 5000}, 400),
        (b"{}", {"OpenStack-API-Version": "things 2.10"}, 406),
        (b"{}", {"OpenStack-API-Version": "others 9.9, , ,,things"}, 400),
        (b'{"thing": {"name": "a"}}', {"OpenStack-API-Version": "things latest"}, 201),
        (b'{"thing": {"name": "a"}}', {"Idempotency-Key": "k" * 256}, 400),
        (b'{"thing": {"name": "a"}}', {"Idempotency-Key": "a\tb"}, 400),
        (b'{"thing": {"name": "a"}}', {"Idempotency-Key": ""}, 200),
        (b'{"thing": {"name": "a"}}', {"X-Auth-Token": "\xff"}, 401),
    ],
)
def test_odd_requests(me: Caller, content: bytes, headers: dict, status: int):
    answer = me("POST", "/things", content=content, headers={name: value.encode("latin-1") for name, value in headers.items()})
    assert answer.status_code == status, answer.text
    if status >= 400 and status != 401:
        (fault,) = answer.json().values()
        assert fault["code"] == status and fault["message"]
    assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize("name", ["a/b", "a?b", "a#b", "a%b", "a%2Fb", "ü 🖧", "a;b,c", ".", "a\\b"])
def test_names_in_paths_are_whole(me: Caller, cloud: Cloud, name: str):
    cloud.transact(lambda tx: tx.insert(things, name=name, size=1))
    assert me.get(f"/things/{quote(name, safe='').replace('.', '%2E')}").json()["thing"]["name"] == name


@pytest.mark.parametrize(
    ("path", "status"),
    [("/things/a%00b", 404), ("/things/%FF", 404), ("/things/%", 404), ("/nothing", 404), ("/things?limit=x", 400), ("/things?limit=1&limit=2", 200),
     ("/things?a=%00", 400), ("/things?%00=a", 400), ("/things?limit=%FF", 400), ("/things?&&==&=", 200), ("/things?limit=" + "9" * 9000, 400)],
)  # fmt: skip
def test_odd_paths_and_queries(me: Caller, path: str, status: int):
    assert me.get(path).status_code == status


def test_bytes_that_are_no_url(cloud: Cloud, me: Caller):
    """A server hands on paths and queries as they came."""
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"x-auth-token", (me.token or "").encode()), (b"host", b"[::bad")]
    scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/things/v2/things/ÿ", "raw_path": b"/things/v2/things/\xff\xfe",
             "query_string": b"a=\xff\xfe", "headers": headers, "server": ("h", 80), "http_version": "1.1"}  # fmt: skip
    cloud.portal.call(cloud.application, scope, receive, send)
    assert sent[0]["status"] == 404


def test_a_websocket_is_turned_away(cloud: Cloud):
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    cloud.portal.call(cloud.application, {"type": "websocket", "path": "/"}, None, send)
    assert sent == [{"type": "websocket.close"}]


def test_a_value_larger_than_its_column_is_the_clients_mistake(me: Caller):
    """SQLite keeps it; PostgreSQL does not."""
    for thing in ({"name": "a", "size": 2**40}, {"name": "long" * 20}):
        assert me.post("/things", {"thing": thing}).status_code in (200, 400)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"grow": 5}, 200, ""),
        ({"shrink": 5}, 400, "no such action: shrink"),
        ({"grow": 5, "rename": "b"}, 400, "Only one action"),
        ({"grow": "x"}, 400, "grow: Expected `int`"),
        ({}, 400, "an action is expected"),
        ([1], 400, "an action is expected"),
        (None, 400, "an action is expected"),
        ({"rename": "b"}, 404, "could not be found"),
    ],
)
def test_actions(me: Caller, body: t.Any, status: int, told: str):
    answer = me.post("/things/a/action", body)
    assert answer.status_code == status and told in answer.text


def test_methods_that_are_not_there_name_those_that_are(me: Caller):
    answer = me.put("/things", {})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert me("HEAD", "/things").status_code == 200


def test_a_stranger_learns_nothing(cloud: Cloud):
    stranger = cloud.stranger("/things/v2")
    for method, path in (("GET", "/things"), ("GET", "/things/a"), ("POST", "/things"), ("PUT", "/data")):
        answer = stranger(method, path)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == 'Keystone uri="http://cloud/identity"'
    assert cloud.caller("/things/v2", "reader").get("/things").status_code == 403


def test_a_post_repeated_with_its_key_does_nothing_again(cloud: Cloud, me: Caller):
    body, key = {"thing": {"name": "once"}}, {"Idempotency-Key": "k1"}
    first, second = (me.post("/things", body, headers=key) for _ in range(2))
    assert (first.status_code, first.json(), first.headers["location"]) == (second.status_code, second.json(), second.headers["location"])
    assert "idempotency-replayed" not in first.headers and second.headers["idempotency-replayed"] == "true"
    assert count(cloud) == 1


def test_a_key_belongs_to_its_user_and_request(cloud: Cloud, me: Caller):
    key = {"Idempotency-Key": "k1"}
    assert me.post("/things", {"thing": {"name": "a"}}, headers=key).status_code == 200
    other = me.post("/things", {"thing": {"name": "b"}}, headers=key)
    assert other.status_code == 400 and "came with another request" in other.text
    you = cloud.caller("/things/v2", user="u2")
    assert "idempotency-replayed" not in you.post("/things", {"thing": {"name": "a"}}, headers=key).headers
    assert count(cloud) == 2


def test_a_post_that_failed_may_be_tried_again_with_its_key(cloud: Cloud, me: Caller):
    key = {"Idempotency-Key": "k1"}
    assert me.post("/things", {"thing": {}}, headers=key).status_code == 400
    assert me.post("/things", {"thing": {"name": "a"}}, headers=key).status_code == 200


def test_what_a_stranger_gets_is_not_kept(cloud: Cloud):
    stranger = cloud.stranger("/things/v2")
    for _ in range(2):
        answer = stranger.post("/open", {"thing": {"name": "a"}}, headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 200 and "idempotency-replayed" not in answer.headers
    assert count(cloud) == 2


def test_the_answer_is_of_the_version_that_was_asked_for(me: Caller):
    body = {"thing": {"name": "a", "size": 1}}
    old, new = me.post("/things", body), me.post("/things", body, version="things 2.3")
    assert (old.status_code, set(old.json()["thing"])) == (200, {"id", "name"})
    assert (new.status_code, set(new.json()["thing"])) == (201, {"id", "name", "size"})
    assert new.headers["openstack-api-version"] == "things 2.3" and "OpenStack-API-Version" in new.headers["vary"]
    assert json.loads(new.content) == new.json()


def test_what_others_refer_to_cannot_be_deleted(cloud: Cloud):
    """A reference that a service forgot to ask for is a conflict, and no 5xx."""
    made = sa.MetaData()
    owners = sa.Table("test_owners", made, sa.Column("id", sa.String(64), primary_key=True))
    owned = sa.Table("test_owned", made, sa.Column("owner_id", sa.ForeignKey(owners.c.id), nullable=False))
    made.drop_all(cloud.runtime.db.engine)
    made.create_all(cloud.runtime.db.engine)
    cloud.transact(lambda tx: (tx.insert(owners, id="o1"), tx.insert(owned, owner_id="o1")))
    with pytest.raises(Conflict, match="test_owners: others still refer to it"):
        cloud.transact(lambda tx: tx.delete(owners, id="o1"))
    made.drop_all(cloud.runtime.db.engine)
