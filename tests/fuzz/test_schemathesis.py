"""Requests made from the OpenAPI document, good ones and bad ones: none ends in a 5xx, and answers are as documented.

CUMULET_FUZZ_SECONDS (60) is how long this takes, CUMULET_FUZZ_SEED (1) what it tries: the same seed tries the same,
as far as the time goes.
"""

from __future__ import annotations

import copy
import itertools
import os
import random
import time

import hypothesis
import pytest
import schemathesis
from fuzz_world import World
from hypothesis import HealthCheck, Phase
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation.case import Case
from schemathesis.generation.modes import GenerationMode
from schemathesis.schemas import APIOperation

from cumulet.kernel import services
from cumulet.kernel.http.openapi import document
from cumulet.run.control import SERVICES

SECONDS = float(os.environ.get("CUMULET_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("CUMULET_FUZZ_SEED", "1"))
EXAMPLES, VARIANTS = 3, 3
"""Requests that are drawn for an operation in one round, and what is tried with each: to draw one takes longer than to answer it."""
MODES = (GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
PARTS = ("path_parameters", "headers", "query", "body")
FURNISH = 100
"""Operations after which there are new things, since the old ones may be deleted by now."""
EXPECTED = {("GET", "/readyz", 503)}
"""No hosts: this cloud is never ready."""

load_all_checks()
CONFORMANCE = CHECKS.get_by_names(["content_type_conformance", "response_schema_conformance"])


class Fuzzer:
    """Sends requests of one caller until the time is over, and remembers what went wrong, each thing once."""

    def __init__(self, world: World, role: str):
        self.world, self.caller = world, world.callers[role]
        self.wrong: dict[tuple[str, str], str] = {}
        self.sent = 0

    def run(self, operations: list[APIOperation], until: float) -> None:
        for round in itertools.count():
            random.Random(SEED + round).shuffle(operations)
            for i, operation in enumerate(operations):
                if i % FURNISH == 0:
                    self.world.furnish(self.world.callers["admin"])
                    self.world.furnish(self.caller)
                if time.monotonic() > until:
                    return
                self.explore(operation, MODES[round % len(MODES)], SEED + round)

    def explore(self, operation: APIOperation, mode: GenerationMode, seed: int) -> None:
        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Case) -> None:
            drawn = copy.deepcopy([getattr(case, part) for part in PARTS])
            for _ in range(VARIANTS):
                for part, value in zip(PARTS, copy.deepcopy(drawn), strict=True):
                    setattr(case, part, value)
                self.check(case)

        try:
            one()
        except (hypothesis.errors.Unsatisfiable, schemathesis.errors.SchemathesisError):
            pass  # nothing can be wrong with a request that takes nothing

    def check(self, case: Case) -> None:
        answer = self.world.send(self.caller, case)
        self.sent += 1
        name = f"{case.method} {case.path}"
        odd = {name: value[:80] for name, value in (case.headers or {}).items()}
        asked = f"{answer.request.method} {str(answer.request.url)[:300]} {odd} {answer.request.content[:300]!r}"
        told = f"{asked}\n -> {answer.status_code} {answer.text[:300]}"
        if (
            answer.status_code >= 500
            and (case.method, case.path, answer.status_code) not in EXPECTED
            and not _declared(case, answer.status_code)
        ):
            self.wrong.setdefault((name, str(answer.status_code)), told)
            return
        if answer.request.url.raw_path.partition(b"?")[0].count(b"/") != case.path.count("/"):
            return  # a path that says `..` led somewhere else
        try:
            case.validate_response(answer, checks=CONFORMANCE)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                assert isinstance(failure, Failure), failure
                self.wrong.setdefault((name, failure.title), f"{failure.message[:600]}\n{told}")


def _declared(case: Case, status: int) -> bool:
    return str(status) in case.operation.definition.raw["responses"]


@pytest.mark.timeout(SECONDS * 2 + 300)
@pytest.mark.parametrize("role", ["admin", "member"])
def test_no_request_breaks_anything(database_url: str, tmp_path, role: str):
    apis = services.load(*SERVICES)
    world = World(database_url, str(tmp_path), apis, SEED)
    config = schemathesis.Config.from_dict({"cache": {"enabled": False}})
    schema = schemathesis.openapi.from_dict(document(apis.values()), config=config)
    operations = [found.ok() for found in schema.get_all_operations()]
    fuzzer = Fuzzer(world, role)
    fuzzer.run(operations, time.monotonic() + SECONDS / 2)
    world.cloud.close()
    print(f"{role}: {fuzzer.sent} requests to {len(operations)} operations")
    report = "\n\n".join(f"{name}: {what}\n{told}" for (name, what), told in sorted(fuzzer.wrong.items()))
    assert not fuzzer.wrong, f"{len(fuzzer.wrong)} things went wrong:\n{report}"
