"""Requests made from the OpenAPI document, good ones and bad ones, sent to a cloud of real processes over a socket: none
ends in a 5xx, answers are as documented, and the processes have nothing to say of faults of their own.

CUMULET_FUZZ_SECONDS (60) is how long this takes for a database, CUMULET_FUZZ_SEED (1) what it tries.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import itertools
import os
import random
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import fuzz_bodies
import hypothesis
import pytest
import requests
import schemathesis
from fuzz_cloud import Caller, FuzzCloud
from fuzz_world import World, media
from hypothesis import HealthCheck, Phase
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core import NotSet
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation.case import Case
from schemathesis.generation.modes import GenerationMode
from schemathesis.schemas import APIOperation

from cumulet.kernel import services
from cumulet.kernel.testing.engines import postgresql
from cumulet.run.control import SERVICES
from system.cloud.world import own_network

SECONDS = float(os.environ.get("CUMULET_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("CUMULET_FUZZ_SEED", "1"))
VARIANTS = (("admin", World.improve), ("member", World.disturb), ("admin", World.disturb))
"""Who sends variants of each request that is drawn, all at a time (to draw one takes longer than to answer it), and what is
done to it before."""
MODES = (GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
"""Of requests that are drawn; a negative one takes ten times as long."""
PARTS = ("path_parameters", "headers", "query", "body")
FURNISH = 200
"""Operations after which there are new things, since the old ones may be deleted by now."""
ABSENT = {410: "upstream took the operation out", 501: "upstream answers so too: no Ironic, and hosts that no hypervisor switches off"}
"""Documented answers of operations that do nothing, and why."""
UNREADABLE = "Invalid HTTP request received."
"""The HTTP server's answer to what is no HTTP: no operation was asked."""

load_all_checks()
schemathesis.serializer.alias([f"application/openstack-images-v2.{minor}-json-patch" for minor in (0, 1)], "application/json")
CONFORMANCE = CHECKS.get_by_names(["status_code_conformance", "content_type_conformance", "response_schema_conformance"])


class Fuzzer:
    """Sends requests until the time is over, and remembers what went wrong, each thing once."""

    def __init__(self, world: World, operations: list[APIOperation]):
        self.world = world
        self.operations = {(one.method.upper(), one.path): one for one in operations}
        self.statuses: dict[tuple[str, str], collections.Counter[int]] = {key: collections.Counter() for key in self.operations}
        self.refused: dict[tuple[str, str], str] = {}
        self.wrong: dict[tuple[str, str], str] = {}
        self._together = ThreadPoolExecutor(len(VARIANTS))

    def run(self, until: float) -> None:
        order = list(self.operations.values())
        for round in itertools.count():
            random.Random(SEED + round).shuffle(order)
            for i, operation in enumerate(order):
                if i % FURNISH == 0:
                    self.furnish()
                if round and time.monotonic() > until:
                    return
                self.explore(operation, self.world.random.choice(MODES), SEED + round)
            print(f"{time.strftime('%H:%M:%S')} round {round}: {self.sent} requests; MiB: {self.world.cloud.memory()}", flush=True)

    @property
    def sent(self) -> int:
        return sum(count.total() for count in self.statuses.values())

    def furnish(self) -> None:
        """Make one of each thing that others are made of, and give images their content."""
        for caller, path in itertools.product(self.world.cloud.callers.values(), fuzz_bodies.FIRST):
            if "}/" in path.removeprefix(fuzz_bodies.VOL):
                continue
            case = self.operations["POST", path].Case()
            self.world.improve(caller, case)
            answer = self.world.send(caller, case)
            self.look(caller, case, answer)
            if path.endswith("/images") and isinstance(answer, requests.Response) and answer.status_code == 201:
                put = self.operations["PUT", f"{path}/{{id}}/file"]
                case = put.Case(path_parameters={"id": answer.json()["id"]}, body=bytes(512), media_type="application/octet-stream")
                self.look(caller, case, self.world.send(caller, case))

    def explore(self, operation: APIOperation, mode: GenerationMode, seed: int) -> None:
        @hypothesis.seed(seed)
        @hypothesis.settings(max_examples=1, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Case) -> None:
            drawn = {part: value for part in PARTS if not isinstance(value := getattr(case, part), NotSet)} | {
                "media_type": case.media_type or media(operation)
            }
            asked = [(self.world.cloud.callers[role], operation.Case(**copy.deepcopy(drawn))) for role, _ in VARIANTS]
            for (caller, variant), (_, change) in zip(asked, VARIANTS, strict=True):
                change(self.world, caller, variant)
            for (caller, variant), answer in zip(asked, self._together.map(lambda pair: self.world.send(*pair), asked), strict=True):
                self.look(caller, variant, answer)

        try:
            one()
        except hypothesis.errors.Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # nothing can be wrong with a request that takes nothing
            self.explore(operation, GenerationMode.POSITIVE, seed)

    def look(self, caller: Caller, case: Case, answer: requests.Response | requests.RequestException) -> None:
        """Note how a request was answered, and what of that is wrong."""
        name = f"{case.method} {case.path}"
        if isinstance(answer, requests.RequestException):
            self.wrong.setdefault((name, "no answer"), f"{case.headers} {case.body!r:.300}\n -> {answer}")
            return
        if answer.text == UNREADABLE or urlsplit(answer.request.url).path.count("/") != case.path.count("/"):
            return  # a path that says `..` led somewhere else
        self.statuses[case.method, case.path][answer.status_code] += 1
        if answer.status_code >= 400 and answer.status_code not in (403, 404):
            self.refused[case.method, case.path] = answer.text[:300]
        self.world.learn(caller, case, answer)
        for what, why in self._faults(case, answer):
            self.wrong.setdefault((name, what), f"{why}\n{_told(case, answer)}")

    @staticmethod
    def _faults(case: Case, answer: requests.Response) -> t.Iterator[tuple[str, str]]:
        if answer.status_code >= 500 and answer.status_code not in ABSENT:
            yield str(answer.status_code), "an error of the server"
        try:
            case.validate_response(answer, checks=CONFORMANCE)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                assert isinstance(failure, Failure), failure
                yield failure.title, failure.message[:600]


def _told(case: Case, answer: requests.Response) -> str:
    odd = {name: value[:80] for name, value in (case.headers or {}).items()}
    asked = f"{answer.request.method} {str(answer.request.url)[:300]} {odd} {(answer.request.body or b'')[:300]!r}"
    return f"{asked}\n -> {answer.status_code} {answer.headers.get('x-openstack-request-id')} {answer.text[:300]}"


@pytest.fixture(params=["sqlite", "postgresql"])
def cloud(request: pytest.FixtureRequest) -> t.Iterator[FuzzCloud]:
    """A cloud on a database of this kind, all in a network of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    with own_network(), contextlib.ExitStack() as stack:
        made = FuzzCloud(stack.enter_context(postgresql()) if request.param == "postgresql" else "")
        stack.callback(made.close)
        yield made


@pytest.mark.timeout(SECONDS * 2 + 300)
def test_no_request_breaks_anything(cloud: FuzzCloud):
    document = cloud.callers["admin"].get("/openapi.json")
    config = schemathesis.Config.from_dict({"cache": {"enabled": False}})
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document, config=config).get_all_operations()]
    assert len(operations) == sum(map(len, document["paths"].values()))
    fuzzer = Fuzzer(World(cloud, services.load(*SERVICES), SEED), operations)
    fuzzer.run(time.monotonic() + SECONDS)
    wrong = [f"{name}: {what}\n{told}" for (name, what), told in sorted(fuzzer.wrong.items())] + cloud.troubles()
    never = [
        f"{' '.join(key)} {dict(count)} {fuzzer.refused.get(key, '')}"
        for key, count in fuzzer.statuses.items()
        if not any(status < 400 or status in ABSENT for status in count)
    ]
    good = sum(count[status] for count in fuzzer.statuses.values() for status in count if status < 400)
    print(
        f"{fuzzer.sent} requests, {good} of them good, to {len(operations)} operations; {len(operations) - len(never)} succeeded now and then"
    )
    print("These never did:\n" + "\n".join(never))
    assert not wrong, f"{len(wrong)} things went wrong:\n" + "\n\n".join(wrong)
    assert [key for key, count in fuzzer.statuses.items() if not count] == [], "there was no time for these"
