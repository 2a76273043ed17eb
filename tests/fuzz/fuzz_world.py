"""A cloud to be fuzzed: every service, a few things to find, and callers who never lose their tokens."""

from __future__ import annotations

import copy
import random
import re
import typing as t
from urllib.parse import quote

import fuzz_bodies
import httpx2
import requests
from schemathesis.generation.case import Case

from cumulet import compute, identity, network
from cumulet.identity.projects import projects
from cumulet.identity.users import users
from cumulet.kernel.auth.context import Context
from cumulet.kernel.db import Tx
from cumulet.kernel.http.api import Api
from cumulet.kernel.testing.cloud import Caller, Cloud
from cumulet.network.tables import networks

ODD = ["a\0b", "%00", "..", "/", "?", "\N{REPLACEMENT CHARACTER}", "x" * 300, "-1", "0", str(2**63), "9" * 5000, "null", "ü🖧", "²", "٣", "' OR 1=1",
       "\x7f\x01", "1.5", "nan", "2026-13-45", "in:a,b", "a:b:c"]  # fmt: skip
QUERIES = ["limit", "marker", "sort_key", "sort_dir", "sort", "name", "id", "status", "host", "changes-since", "created_at", "all_tenants", "offset",
           "page_reverse", "fields", "enabled", "required", "resources", "in_tree", "member_of", "is_public", "metadata", "tags"]  # fmt: skip
HEADERS = [
    {"OpenStack-API-Version": "compute 2.999"}, {"OpenStack-API-Version": ",,  ,compute"}, {"X-OpenStack-Nova-API-Version": "2.\xb2"},
    {"Range": "bytes=5-2"}, {"Range": "bytes=-" + "9" * 5000}, {"Content-Range": "bytes x/y"}, {"If-Match": "revision_number=-1"},
    {"If-Match": "revision_number=\xb2"}, {"If-Match": "revision_number=" + "9" * 5000}, {"If-None-Match": "*"}, {"Idempotency-Key": "k" * 300},
    {"Idempotency-Key": "\x7f"}, {"Accept": "text/garbage;q=x"}, {"X-Subject-Token": "\xff"}, {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": "application/xml"}, {"Content-Type": ""}, {"Host": "[::"}, {"X-Image-Meta-Size": "x"}, {"Cookie": "a=\x01"},
]  # fmt: skip
VALUES: list[t.Any] = ["a\0b", 2**63, 2**63 - 1, -(2**63), 2**31, -1, 0, 1e308, "", "x" * 70_000, "9" * 5000, "²", None, True, [], {}, [[]], "ü🖧", "٣",
                       {"": {}}, ["a"] * 300, "default", "::1", "10.0.0.0/8", "00000000-0000-4000-8000-000000000000"]  # fmt: skip


class World:
    """The cloud, and the ids of things in it by what they are (`("network", "ports")`)."""

    def __init__(self, url: str, data: str, apis: dict[str, Api], seed: int):
        self.cloud = Cloud(url, data, apis)
        self.apis = apis
        self.random = random.Random(seed)
        self.made, self.external = 0, ""
        self.known: dict[tuple[str, str], list[str]] = {}
        self.cloud.transact(self._seed)
        self.callers = {"admin": self._caller("admin", "admin"), "member": self._caller("demo", "member")}

    def _seed(self, tx: Tx) -> None:
        identity.bootstrap(tx, self.cloud.runtime.config, admin_password="a", demo_password="d",
                           endpoints=[("compute", "nova", "http://cloud/compute/v2.1")])  # fmt: skip
        compute.add_flavor(tx, id="1", name="m1.tiny", ram=512, vcpus=1, disk=1)
        admin = tx.get(projects, name="admin", domain_id="default").id
        network.add_external(tx, project_id=admin, name="public", cidr="172.24.4.0/24", gateway="172.24.4.1")
        self.external = tx.get(networks, name="public").id

    def _caller(self, name: str, role: str) -> Caller:
        """A caller whose user and project are there, and whose token outlives even them."""
        found: Context = self.cloud.transact(
            lambda tx: Context(user_id=tx.get(users, name=name).id, project_id=tx.get(projects, name=name, domain_id="default").id)
        )
        return self.cloud.caller("", role, user=str(found.user_id), project=found.project_id)

    def furnish(self, caller: Caller) -> None:
        """Make one of each thing that others are made of, and what they need to be of use."""
        for path in fuzz_bodies.FIRST:
            if not path.endswith("/action") and "}/" not in path.removeprefix(fuzz_bodies.VOL):
                body = self._filled(caller, path.split("/")[1], fuzz_bodies.FIRST[path])
                answer = caller.post(path.replace("{project_id}", str(caller.context.project_id)), body, headers=self._newest(path))
                self.learn(path, answer)
                if path.endswith("/images") and answer.status_code == 201:
                    content = {"content": bytes(512), "headers": {"Content-Type": "application/octet-stream"}}
                    caller.put(f"{path}/{answer.json()['id']}/file", **content)
                if path.endswith("/volumes") and answer.status_code == 202:
                    reset = {"os-reset_status": {"status": "available"}}
                    self.callers["admin"].post(f"/volume/v3/volumes/{answer.json()['volume']['id']}/action", reset)

    def send(self, caller: Caller, case: Case) -> httpx2.Response:
        """Make a case's request, often with known ids in its path, a body that works, or something odd about it."""
        self._disturb(caller, case)
        kwargs = case.as_transport_kwargs(base_url="http://cloud")
        prepared = requests.Request(
            **{k: kwargs[k] for k in ("method", "url", "headers", "params", "json", "data", "files") if k in kwargs}
        ).prepare()
        prepared.headers["X-Auth-Token"] = caller.token or ""
        headers = [(_bytes(name), _bytes(value)) for name, value in prepared.headers.items()]
        content = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        if self.random.random() < 0.02 and isinstance(content, bytes):
            content = content[: len(content) // 2] + bytes([self.random.randrange(256)]) + content[len(content) // 2 :]
        answer = self.cloud.send(prepared.method or "GET", prepared.url or "", content=content, headers=headers)
        self.learn(case.path, answer)
        return answer

    def learn(self, path: str, answer: httpx2.Response) -> None:
        """Keep the ids and names that an answer tells, so that later requests reach them."""
        if answer.status_code >= 300 or not answer.content or "json" not in answer.headers.get("content-type", ""):
            return
        kept = self.known.setdefault(_kind(path.removesuffix("/detail")), [])
        for thing in _things(answer.json()):
            kept += [str(thing[key]) for key in ("id", "uuid", "name") if isinstance(thing.get(key), str | int)][:1]
        del kept[:-60]

    def _disturb(self, caller: Caller, case: Case) -> None:
        chance = self.random.random
        for name in case.path_parameters or {}:
            case.path_parameters[name] = self._parameter(caller, case, name)
        if (body := fuzz_bodies.like(case.method, case.path)) is not None and chance() < 0.7:
            filled = self._filled(caller, case.path.split("/")[1], body)
            case.body = self._part(filled) if case.method in ("PUT", "PATCH") else filled
            case.media_type = "application/json"
        headers = {k: v for k, v in (case.headers or {}).items() if k.lower() not in ("x-auth-token", "openstack-api-version")}
        version = self._newest if chance() < 0.7 else self._some_version
        case.headers = headers | version(case.path) | (self.random.choice(HEADERS) if chance() < 0.1 else {})
        if chance() < 0.15:
            case.query = {**(case.query or {}), self.random.choice(QUERIES): self.random.choice(ODD)}
        if chance() < 0.4 and isinstance(case.body, dict | list):
            _spoil(case.body, self.random)

    def _parameter(self, caller: Caller, case: Case, name: str) -> str:
        """A path's parameter: that of something known, something odd, or as generated."""
        service = case.path.split("/")[1]
        known = self.known.get(_kind(case.path.partition("/{" + name)[0])) or self.known.get((service, name.removesuffix("_id") + "s"))
        if name in ("project_id", "tenant", "tenant_id") and self.random.random() < 0.95:
            return str(caller.context.project_id)
        if known and self.random.random() < 0.85:
            return _segment(self.random.choice(known[-20:]))
        return _segment(self.random.choice(ODD)) if self.random.random() < 0.5 else case.path_parameters[name]

    def _newest(self, path: str) -> dict[str, str]:
        """The header that asks for the newest microversion of a path's service."""
        api = self.apis.get(path.split("/")[1])
        return {"OpenStack-API-Version": f"{api.dialect.version_service} latest"} if api and api.dialect.version_service else {}

    def _some_version(self, path: str) -> dict[str, str]:
        """The header that asks for any of a service's microversions."""
        api = self.apis.get(path.split("/")[1])
        if api is None or not api.dialect.version_service:
            return {}
        return {"OpenStack-API-Version": f"{api.dialect.version_service} {api.high[0]}.{self.random.randint(api.low[1], api.high[1])}"}

    def _filled(self, caller: Caller, service: str, body: t.Any) -> t.Any:
        """A body with its placeholders filled: ids of things, names that are new, numbers."""
        if isinstance(body, dict):
            return {self._filled(caller, service, name): self._filled(caller, service, value) for name, value in body.items()}
        if isinstance(body, list):
            return [self._filled(caller, service, one) for one in body]
        if isinstance(body, str) and body.startswith("@"):
            fixed = {"@me": caller.context.user_id, "@mine": caller.context.project_id, "@external": self.external}
            return fixed.get(body) or self._one(service, body[1:])
        if body == "#":
            self.made += 1
            return f"n{self.made}"
        return body.replace("@.", f"{self.made % 250}.") if isinstance(body, str) else body

    def _one(self, service: str, kind: str) -> str:
        """The id of something of this kind, one of the service's own where it has such."""
        known = self.known.get((service, kind)) or [one for (_, other), ids in self.known.items() if other == kind for one in ids]
        return self.random.choice(known[-9:]) if known else "none"

    def _part(self, body: t.Any) -> t.Any:
        """Some of the attributes of a body's only member."""
        if not isinstance(body, dict) or len(body) != 1 or not isinstance(inner := next(iter(body.values())), dict):
            return body
        return {name: {k: v for k, v in inner.items() if self.random.random() < 0.4} for name in body}


def _kind(path: str) -> tuple[str, str]:
    """What a path lists: its service, and its last segment that is fixed."""
    fixed = [segment for segment in re.sub(r"\{\w+\}", "", path).split("/") if segment]
    return fixed[0] if fixed else "", fixed[-1] if fixed else ""


def _segment(text: str) -> str:
    """A path's segment; dots alone would be taken for a way up."""
    return quote(text, safe="").replace(".", "%2E")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")


def _things(data: t.Any, depth: int = 0) -> t.Iterator[dict]:
    if isinstance(data, list):
        for one in data:
            yield from _things(one, depth)
    elif isinstance(data, dict):
        yield data
        for value in data.values() if depth < 1 else ():
            yield from _things(value, depth + 1)


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
