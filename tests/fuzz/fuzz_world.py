"""A cloud to be fuzzed: every service, a few things to find, and callers who never lose their tokens."""

from __future__ import annotations

import random
import re
import typing as t
from urllib.parse import quote

import httpx2
import requests
from schemathesis.generation.case import Case

from cumulet import compute, identity
from cumulet.identity.projects import projects
from cumulet.identity.users import users
from cumulet.kernel.auth.context import Context
from cumulet.kernel.db import Tx
from cumulet.kernel.http.api import Api
from cumulet.kernel.testing.cloud import Caller, Cloud

PARAMETER = re.compile(r"\{(\w+)\}")
ODD = ["a\0b", "%00", "..", "/", "?", "\N{REPLACEMENT CHARACTER}", "x" * 300, "-1", "0", str(2**63), "null", "ü🖧", "' OR 1=1", "\x7f\x01"]
HEADERS = [
    {"OpenStack-API-Version": "compute 2.999"}, {"OpenStack-API-Version": ",,  ,compute"}, {"X-OpenStack-Nova-API-Version": "2.٣".encode().decode("latin-1")},
    {"Range": "bytes=5-2"}, {"Range": "bytes=-" + "9" * 30}, {"Content-Range": "bytes x/y"}, {"If-Match": "revision_number=-1"},
    {"If-None-Match": "*"}, {"Idempotency-Key": "k" * 300}, {"Idempotency-Key": "\x7f"}, {"Accept": "text/garbage;q=x"}, {"X-Subject-Token": "\xff"},
    {"Content-Type": "application/json; charset=utf-16"}, {"Content-Type": "application/xml"}, {"Content-Type": ""}, {"Host": "[::"},
    {"X-Forwarded-Proto": "\xff"}, {"X-Image-Meta-Size": "x"}, {"Transfer-Encoding": "x"}, {"Cookie": "a=\x01"},
]  # fmt: skip
VALUES: list[t.Any] = ["a\0b", 2**63, -(2**63), 2**31, -1, 0, 1e308, "", "x" * 70_000, None, True, [], {}, [[]], "ü🖧", "٣", {"": {}}, ["a"] * 300]


class World:
    """The cloud, and the ids of things in it by the path that lists them."""

    def __init__(self, url: str, data: str, apis: dict[str, Api], seed: int):
        self.cloud = Cloud(url, data, apis)
        self.random = random.Random(seed)
        self.known: dict[str, list[str]] = {}
        self.cloud.transact(self._seed)
        self.callers = {"admin": self._caller("admin", "admin"), "member": self._caller("demo", "member")}

    def _seed(self, tx: Tx) -> None:
        identity.bootstrap(tx, self.cloud.runtime.config, admin_password="a", demo_password="d",
                           endpoints=[("compute", "nova", "http://cloud/compute/v2.1")])  # fmt: skip
        compute.add_flavor(tx, id="1", name="m1.tiny", ram=512, vcpus=1, disk=1)

    def _caller(self, name: str, role: str) -> Caller:
        """A caller whose user and project are there, and whose token outlives even them."""
        found: Context = self.cloud.transact(
            lambda tx: Context(user_id=tx.get(users, name=name).id, project_id=tx.get(projects, name=name, domain_id="default").id)
        )
        return self.cloud.caller("", role, user=str(found.user_id), project=found.project_id)

    def furnish(self) -> None:
        """Make one of each thing that others are made of."""
        me = self.callers["admin"]
        for path, body in (
            ("/network/v2.0/networks", {"network": {"name": "n"}}),
            ("/network/v2.0/security-groups", {"security_group": {"name": "s"}}),
            ("/network/v2.0/routers", {"router": {"name": "r"}}),
            ("/image/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}),
            ("/compute/v2.1/os-keypairs", {"keypair": {"name": "k"}}),
            ("/compute/v2.1/os-aggregates", {"aggregate": {"name": "a"}}),
            ("/placement/resource_providers", {"name": "p"}),
            ("/volume/v3/volumes", {"volume": {"size": 1}}),
        ):
            self.learn(path, me.post(path, body))
        (network,) = self.known["/network/v2.0/networks"][:1]
        subnet = {"subnet": {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}}
        self.learn("/network/v2.0/subnets", me.post("/network/v2.0/subnets", subnet))
        self.learn("/network/v2.0/ports", me.post("/network/v2.0/ports", {"port": {"network_id": network}}))
        server = {"server": {"name": "s", "flavorRef": "1", "imageRef": self.known["/image/v2/images"][0], "networks": [{"uuid": network}]}}
        self.learn("/compute/v2.1/servers", me.post("/compute/v2.1/servers", server))

    def send(self, caller: Caller, case: Case) -> httpx2.Response:
        """Make a case's request, now and then with known ids in its path, or something odd about it."""
        self._disturb(case)
        kwargs = case.as_transport_kwargs(base_url="http://cloud", headers={"X-Auth-Token": caller.token or ""})
        prepared = requests.Request(**{k: kwargs[k] for k in ("method", "url", "headers", "params", "json", "data", "files") if k in kwargs}).prepare()
        headers = [(k.encode("latin-1"), v.encode("latin-1") if isinstance(v, str) else v) for k, v in prepared.headers.items()]
        content = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        if self.random.random() < 0.03 and isinstance(content, bytes):
            content = content[: len(content) // 2] + bytes([self.random.randrange(256)]) + content[len(content) // 2 :]
        answer = self.cloud.send(prepared.method or "GET", prepared.url or "", content=content, headers=headers)
        self.learn(case.path, answer)
        return answer

    def learn(self, path: str, answer: httpx2.Response) -> None:
        """Keep the ids and names that an answer tells, so that later requests reach them."""
        if answer.status_code >= 300 or "json" not in answer.headers.get("content-type", ""):
            return
        ids = self.known.setdefault(path.removesuffix("/detail"), [])
        for thing in _things(answer.json()):
            ids += [str(thing[key]) for key in ("id", "uuid", "name") if isinstance(thing.get(key), str | int)]
        del ids[:-200]

    def _disturb(self, case: Case) -> None:
        for name in case.path_parameters or {}:
            known = self.known.get(case.path.partition("/{" + name)[0])
            if known and self.random.random() < 0.7:
                case.path_parameters[name] = _segment(self.random.choice(known))
            elif self.random.random() < 0.1:
                case.path_parameters[name] = _segment(self.random.choice(ODD))
        if self.random.random() < 0.1:
            case.headers = {**(case.headers or {}), **self.random.choice(HEADERS)}
        if self.random.random() < 0.1:
            case.query = {**(case.query or {}), self.random.choice(["limit", "marker", "sort_key", "name", "id"]): self.random.choice(ODD)}
        if self.random.random() < 0.2 and isinstance(case.body, dict | list):
            _spoil(case.body, self.random)


def _segment(text: str) -> str:
    """A path's segment; dots alone would be taken for a way up."""
    return quote(text, safe="").replace(".", "%2E")


def _things(data: t.Any, depth: int = 0) -> t.Iterator[dict]:
    if isinstance(data, list):
        for one in data:
            yield from _things(one, depth)
    elif isinstance(data, dict):
        yield data
        for value in data.values() if depth < 1 else ():
            yield from _things(value, depth + 1)


def _spoil(body: t.Any, chance: random.Random) -> None:
    """Put something odd somewhere in a body."""
    keys = list(body) if isinstance(body, dict) else list(range(len(body)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(body[key], dict | list) and body[key] and chance.random() < 0.8:
        _spoil(body[key], chance)
    else:
        body[key] = chance.choice(VALUES)
