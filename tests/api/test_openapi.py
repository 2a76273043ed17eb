"""The OpenAPI document is valid, and the declarations that it is made from are sound."""

from __future__ import annotations

import collections
import inspect
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from cumulet.kernel import services
from cumulet.kernel.auth.policy import Policy
from cumulet.kernel.http.api import Operation
from cumulet.kernel.http.openapi import document
from cumulet.run.control import SERVICES

APIS = services.load(*SERVICES)
OPERATIONS = [op for api in APIS.values() for op in api.operations]
DOCUMENT = document(APIS.values())
ENTRIES = [entry for methods in DOCUMENT["paths"].values() for entry in methods.values()]


def names(operations: list[Operation]) -> list[str]:
    return sorted(f"{op.method} {op.path}: {op.name}" for op in operations)


def test_the_document_is_openapi_31():
    errors = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()]
    assert errors == []


def test_every_operation_is_in_the_document():
    told = [facts["name"] for entry in ENTRIES for facts in entry["x-operations"]]
    assert collections.Counter(told) == collections.Counter(op.name for op in OPERATIONS)


def test_operation_ids_are_unique():
    assert [one for one, n in collections.Counter(entry["operationId"] for entry in ENTRIES).items() if n > 1] == []


def test_every_operation_has_a_summary():
    assert names([op for op in OPERATIONS if not (inspect.getdoc(op.fn) or "").partition("\n")[0].endswith(".")]) == []


def test_operations_with_a_named_thing_say_that_it_may_not_be_there():
    """A path parameter that names something leads to 404; it is in the declared errors of whatever looks it up."""
    assert all("404" in entry["responses"] for entry in ENTRIES if any(p["in"] == "path" for p in entry["parameters"]))


def test_a_transaction_cannot_wait():
    """A `def` takes `tx` first; an `async def` has none: it waits on the world."""
    wrong = []
    for op in OPERATIONS:
        parameters = list(inspect.signature(op.fn).parameters)
        first = ["request"] if op.waits else ["tx", "request"]
        if parameters[: len(first)] != first or ("tx" in parameters) == op.waits:
            wrong.append(op)
    assert names(wrong) == []


def test_handlers_take_what_their_paths_name():
    wrong = []
    for api in APIS.values():
        for op in api.operations:
            named = set(re.findall(r"\{(\w+)", op.path)) - api.ignored
            taken = set(inspect.signature(op.fn).parameters) - {"tx", "request", "body", "query"}
            if not named <= taken and not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(op.fn).parameters.values()):
                wrong.append(op)
    assert names(wrong) == []


def test_no_two_operations_answer_the_same_request():
    seen: dict[tuple, list[Operation]] = {}
    for api in APIS.values():
        for op in api.operations:
            for path in api.paths(op):
                seen.setdefault((op.method, re.sub(r"\{[^}]*\}", "{}", path), op.action), []).append(op)
    twice = [
        (a.name, b.name)
        for group in seen.values()
        for i, a in enumerate(group)
        for b in group[:i]
        if a.first <= b.last and b.first <= a.last
    ]
    assert twice == []


def test_versions_are_the_services_own():
    assert names([op for api in APIS.values() for op in api.operations if op.first > api.high or op.last < api.low]) == []


def test_rules_can_be_read_and_refer_to_rules_that_are_there():
    for api in APIS.values():
        Policy(api.rules.values())
        named = {(rule.name, other) for rule in api.rules.values() for other in re.findall(r"rule:([\w:.-]+)", rule.check)}
        assert {pair for pair in named if pair[1] not in api.rules} == set()


@pytest.mark.parametrize("status", [500, 502, 504])
def test_no_operation_declares_that_it_breaks(status: int):
    assert names([op for op in OPERATIONS if status in op.errors]) == []
