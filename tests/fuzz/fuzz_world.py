"""What is known to be in the cloud, and requests made with it: often good ones, often with something odd about them."""

from __future__ import annotations

import copy
import random
import re
import typing as t
from urllib.parse import quote, unquote

import fuzz_bodies
import requests
from fuzz_cloud import Caller, FuzzCloud
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation

from cumulet.kernel.http.api import Api
from cumulet.kernel.http.versions import Version, version

ODD = ["a\0b", "%00", "..", "/", "?", "\N{REPLACEMENT CHARACTER}", "x" * 300, "-1", "0", str(2**63), "9" * 5000, "null", "ü🖧", "²", "٣", "' OR 1=1",
       "\x7f\x01", "1.5", "nan", "2026-13-45", "in:a,b", "a:b:c"]  # fmt: skip
QUERIES = ["limit", "marker", "sort_key", "sort_dir", "sort", "name", "id", "status", "host", "changes-since", "created_at", "all_tenants", "offset",
           "page_reverse", "fields", "enabled", "required", "resources", "in_tree", "member_of", "is_public", "metadata", "tags"]  # fmt: skip
HEADERS = [
    {"OpenStack-API-Version": "compute 2.999"}, {"OpenStack-API-Version": ",,  ,compute"}, {"X-OpenStack-Nova-API-Version": "2.\xb2"},
    {"Range": "bytes=5-2"}, {"Range": "bytes=-" + "9" * 5000}, {"Content-Range": "bytes x/y"}, {"If-Match": "revision_number=-1"},
    {"If-Match": "revision_number=\xb2"}, {"If-Match": "revision_number=" + "9" * 5000}, {"If-None-Match": "*"}, {"Idempotency-Key": "k" * 300},
    {"Idempotency-Key": "\x80"}, {"Accept": "text/garbage;q=x"}, {"X-Subject-Token": "\xff"}, {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": "application/xml"}, {"Content-Type": ""}, {"Host": "[::"}, {"X-Image-Meta-Size": "x"}, {"Cookie": "a=\xa0"},
]  # fmt: skip
VALUES: list[t.Any] = ["a\0b", 2**63, 2**63 - 1, -(2**63), 2**31, -1, 0, 1e308, "", "x" * 70_000, "9" * 5000, "²", None, True, [], {}, [[]], "ü🖧", "٣",
                       {"": {}}, ["a"] * 300, "default", "::1", "10.0.0.0/8", "00000000-0000-4000-8000-000000000000"]  # fmt: skip
VITAL = ("/identity/v3/users", "/identity/v3/projects", "/identity/v3/domains", "/identity/v3/roles")
"""What is there at first of these is never changed: the callers are lost without it."""
LAST = re.compile(r"(.*)/\{(\w+)\}([^{]*)")
"""A path's last parameter: its collection, its name, and what comes after."""
READING = ("GET", "HEAD")
KEPT, FRESH = 60, 20
"""Things of one kind that are remembered, and of those the newest, which are named again."""
IDS = ("id", "uuid", "encryption_id", "access", "port_id", "volumeId", "alias", "name", "host_name", "request_id", "network_id",
       "namespace")  # fmt: skip
Parameters = dict[str, str]
Thing = tuple[Parameters, str]
"""What a path's parameters are that lead to a collection, and the id of a thing in it."""


class World:
    """Makes requests to a cloud, and remembers what each caller was told of, by collection (`/network/v2.0/ports`)."""

    def __init__(self, cloud: FuzzCloud, apis: dict[str, Api], seed: int):
        self.cloud, self.apis = cloud, apis
        self.random = random.Random(seed)
        self.made = 0
        self.known: dict[Caller, dict[str, list[Thing]]] = {caller: {} for caller in cloud.callers.values()}
        admin = cloud.callers["admin"]
        self.vital = {one["id"] for path in VITAL for one in admin.get(path)[path.rpartition("/")[2]]}
        self.external = admin.get("/network/v2.0/networks?router:external=true")["networks"][0]["id"]

    # -- requests ----------------------------------------------------------------------------------------------------

    def improve(self, caller: Caller, case: Case) -> None:
        """Make of a case a request that should succeed."""
        found = self._parameters(caller, case.method, case.path)
        case.path_parameters = {name: _segment(value) for name, value in found.items()}
        case.headers = self._version(case) | ({"X-Subject-Token": caller.token} if case.path.endswith("/auth/tokens") else {})
        case.query = self._filled(caller, case, fuzz_bodies.QUERIES.get(case.path, {}), found)
        self._fill(caller, case, found)

    def disturb(self, caller: Caller, case: Case) -> None:
        """Give a case, often, the ids of something known, a body that works, or something odd."""
        chance = self.random.random
        found = self._parameters(caller, case.method, case.path)
        for name in case.path_parameters or {}:
            case.path_parameters[name] = self._parameter(found[name], case.path_parameters[name])
        if chance() < 0.7:
            self._fill(caller, case, found)
        headers = {k: v for k, v in (case.headers or {}).items() if k.lower() not in ("x-auth-token", "openstack-api-version")}
        case.headers = headers | self._version(case, odd=chance() < 0.1) | (self.random.choice(HEADERS) if chance() < 0.1 else {})
        if chance() < 0.5:
            case.query = {}
        if chance() < 0.15:
            case.query = {**(case.query or {}), self.random.choice(QUERIES): self.random.choice(ODD)}
        if chance() < 0.4 and isinstance(case.body, dict | list):
            _spoil(case.body, self.random)

    def send(self, caller: Caller, case: Case) -> requests.Response | requests.RequestException:
        """The answer to a request, or why there is none."""
        kwargs = case.as_transport_kwargs(base_url=caller.url)
        names = ("method", "url", "headers", "params", "json", "data", "files")
        prepared = requests.Request(**{name: kwargs[name] for name in names if name in kwargs}).prepare()
        for name, value in prepared.headers.items():
            prepared.headers[name] = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        if prepared.body and self.random.random() < 0.02:
            prepared.body = self._broken(prepared.body)
        try:
            answer = caller.send(prepared)
        except requests.RequestException as error:
            return error
        if answer.status_code == 401 and not case.path.endswith("/auth/tokens"):
            caller.log_in()
        return answer

    # -- what there is -----------------------------------------------------------------------------------------------

    def learn(self, caller: Caller, case: Case, answer: requests.Response) -> None:
        """Remember what an answer tells of, so that later requests reach it; forget what is not there."""
        sent = {name: unquote(str(value)) for name, value in (case.path_parameters or {}).items()}
        known, good, rest = self.known[caller], answer.status_code < 300, case.path
        if found := LAST.fullmatch(case.path):
            collection, name, rest = found.groups()
            thing = {other: value for other, value in sent.items() if other != name}, sent[name]
            if not rest and (answer.status_code == 404 or (good and case.method == "DELETE")):
                known[collection] = [one for one in known.get(collection, []) if one != thing]
            elif good:
                self._keep(known, collection, [thing])
                if case.method == "PUT":
                    self._keep(known, collection + rest, [thing])
        if rest and good and answer.content and "json" in answer.headers.get("content-type", ""):
            self._keep(known, case.path.removesuffix("/detail"), [(sent, name) for name in _names(answer.json())])

    @staticmethod
    def _keep(known: dict[str, list[Thing]], collection: str, things: list[Thing]) -> None:
        known[collection] = ([one for one in known.get(collection, []) if one not in things] + things)[-KEPT:]

    def _parameters(self, caller: Caller, method: str, path: str) -> Parameters:
        """Values of a path's parameters that go together: the ids of one thing that is there, and of what it is in."""
        if (found := LAST.fullmatch(path)) is None:
            return {}
        collection, name, rest = found.groups()
        knower = self.random.choice(list(self.known)) if self.random.random() < 0.1 else caller
        things = [one for one in self.known[knower].get(collection, []) if method in READING or one[1] not in self.vital]
        named = fuzz_bodies.NAMED.get(collection) or fuzz_bodies.NAMED.get(name)
        if things and (named is None or self.random.random() < 0.5):
            above, value = self.random.choice(things[-FRESH:])
        else:
            above = self._parameters(caller, method, collection)
            value = self.random.choice(named or [self._one(caller, path.split("/")[1], _kind(collection, name, above), method)])
        own = {"user_id": caller.user_id} | dict.fromkeys(("project_id", "tenant", "tenant_id", "member_id"), caller.project_id)
        harmless = method in READING or (rest and rest != "/password") or name == "member_id"
        if name in own and harmless and self.random.random() < 0.8:
            value = own[name]
        if "project_id" in above:
            above = above | {"project_id": caller.project_id}
        return above | {name: value}

    def _parameter(self, known: str, drawn: str) -> str:
        """A path's parameter: mostly a known one, else something odd, or as it was drawn."""
        chance = self.random.random()
        return _segment(known) if chance < 0.85 else _segment(self.random.choice(ODD)) if chance < 0.93 else drawn

    def _one(self, caller: Caller, service: str, kind: str, method: str = "GET") -> str:
        """The id of something of this kind, one of the service's own where it has such; `none` where there is none."""
        known = self.known[caller]
        found = [path for path, things in known.items() if things and kind.endswith(path.rpartition("/")[2] or "/")]
        best = max(found, key=lambda path: (len(path.rpartition("/")[2]), path.split("/")[1] == service), default="")
        ids = [id for _, id in known.get(best, []) if method in READING or id not in self.vital]
        return self.random.choice(ids[-self.random.choice((3, KEPT)) :]) if ids else "none"

    # -- parts of requests -------------------------------------------------------------------------------------------

    def _version(self, case: Case, *, odd: bool = False) -> dict[str, str]:
        """The header that asks for a microversion of the service: mostly the newest that the operation has. odd: for any."""
        api = self.apis.get(case.path.split("/")[1])
        if api is None or not api.dialect.version_service:
            return {}
        low, high = api.low, api.high
        if not odd:
            declared = self.random.choice(case.operation.definition.raw["x-operations"])
            low, high = version(declared.get("since", _text(low))), version(declared.get("until", _text(high)))
        minor = high[1] if self.random.random() < 0.7 else self.random.randint(low[1], high[1])
        return {"OpenStack-API-Version": f"{api.dialect.version_service} {high[0]}.{minor}"}

    def _fill(self, caller: Caller, case: Case, found: Parameters) -> None:
        """Give a case a body that works, where one is known."""
        body = fuzz_bodies.like(case.method, case.path, self.random)
        if body is not None:
            case.body = self._filled(caller, case, body, found)
            case.media_type = media(case.operation) or "application/json"

    def _filled(self, caller: Caller, case: Case, body: t.Any, found: Parameters) -> t.Any:
        """A body with its placeholders filled: ids of things, what the path has, names that are new, numbers."""
        if isinstance(body, dict):
            pairs = body.items()
            return {self._filled(caller, case, name, found): self._filled(caller, case, value, found) for name, value in pairs}
        if isinstance(body, list):
            return [self._filled(caller, case, one, found) for one in body]
        if not isinstance(body, str):
            return body
        if body.startswith("@"):
            fixed = {"@me": caller.user_id, "@mine": caller.project_id, "@password": caller.password, "@external": self.external}
            return fixed.get(body) or self._one(caller, case.path.split("/")[1], body[1:])
        if body.startswith("{"):
            return found.get(body[1:-1], body)
        if body.endswith("#"):
            self.made += 1
            return body.replace("#", f"n{self.made}" if body == "#" else f"N{self.made}")
        return body.replace("@.", f"{self.made % 250}.")

    def _broken(self, body: str | bytes) -> bytes:
        """A body with another byte in its middle; it is as long as before."""
        body = body.encode() if isinstance(body, str) else body
        return body[: len(body) // 2] + bytes([self.random.randrange(256)]) + body[len(body) // 2 + 1 :]


def media(operation: APIOperation) -> str | None:
    """The first of the media types that an operation takes."""
    return next(iter(operation.definition.raw.get("requestBody", {}).get("content", {})), None)


def _text(at: Version) -> str:
    return f"{at[0]}.{at[1]}"


def _segment(text: str) -> str:
    """A path's segment; dots alone would be taken for a way up."""
    return quote(text, safe="").replace(".", "%2E")


def _kind(collection: str, name: str, above: Parameters) -> str:
    """What a path's parameter is of, where its collection tells of nothing: `ports` for `port_id`, else what the path says."""
    segment = collection.rpartition("/")[2]
    if found := fuzz_bodies.KINDS.get(name) or fuzz_bodies.KINDS.get(segment):
        return found
    return name.removesuffix("_id") + "s" if name.endswith("_id") else above.get(segment[1:-1], segment)


def _names(data: t.Any) -> list[str]:
    """The ids, or names, of the things that an answer is or lists; the keys of a map."""
    if not isinstance(data, dict) or _id(data):
        return [name] if (name := _id(data)) else []
    names: list[str] = []
    for value in (value for key, value in data.items() if not key.endswith("links")):
        if isinstance(value, dict):
            names += [name] if (name := _id(value)) else list(value)
        elif isinstance(value, list):
            names += [name for one in value if (name := one if isinstance(one, str) else _id(one))]
    return names


def _id(thing: t.Any) -> str | None:
    """What a thing is called; it may be wrapped, as a keypair is in a list of them."""
    if not isinstance(thing, dict):
        return None
    if found := next((str(thing[key]) for key in IDS if isinstance(thing.get(key), str | int)), None):
        return found
    return _id(next(iter(thing.values()))) if len(thing) == 1 else None


def _spoil(body: t.Any, chance: random.Random) -> None:
    """Put something odd somewhere in a body, or leave something out."""
    keys = list(body) if isinstance(body, dict) else list(range(len(body)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(body[key], dict | list) and body[key] and chance.random() < 0.9:
        _spoil(body[key], chance)
    elif chance.random() < 0.2:
        del body[key]
    else:
        body[key] = copy.deepcopy(chance.choice(VALUES))
