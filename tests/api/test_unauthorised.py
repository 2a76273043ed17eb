"""Whoever has no token, or one that nobody gave, gets 401 from everything that has a policy; a 5xx never."""

from __future__ import annotations

import re

import pytest

from cumulet import identity
from cumulet.kernel import services
from cumulet.kernel.auth.context import Context
from cumulet.kernel.http.api import LAST, Api, Operation
from cumulet.kernel.testing.cloud import Caller, Cloud
from cumulet.run.control import SERVICES

APIS = services.load(*SERVICES)
GUARDED = [(api, op) for api in APIS.values() for op in api.operations if op.policy]
OPEN = [(api, op) for api in APIS.values() for op in api.operations if not op.policy]
TOKENS = ["", "x", "g" * 32, "gAAAAABm" + "A" * 100, "gAAAAA==", "\xff\xfe", "a" * 5000, "../../etc/passwd", "' OR 1=1 --", "%00", "é"]
EXCEPTIONS: set[str] = set()
"""Operations with a policy that answer a stranger otherwise. May only shrink."""


@pytest.fixture(scope="module")
def cloud(database_url: str, tmp_path_factory: pytest.TempPathFactory):
    made = Cloud(database_url, str(tmp_path_factory.mktemp("cloud")), APIS, authenticate=identity.authenticate)
    config = made.runtime.config
    made.transact(lambda tx: identity.bootstrap(tx, config, admin_password="a", demo_password="d", endpoints=[]))
    yield made
    made.close()


def call(cloud: Cloud, api: Api, op: Operation, token: str | None) -> int:
    """The status of a request that gets as far as this operation."""
    headers = {}
    if api.dialect.version_service:
        at = api.high if op.last == LAST else op.last
        headers["OpenStack-API-Version"] = "{} {}.{}".format(api.dialect.version_service, *at)
    if token is not None:
        headers["X-Auth-Token"] = token.encode("latin-1")
    path = re.sub(r"\{[^}]*\}", "00000000-0000-4000-8000-000000000000", api.paths(op)[0])
    body = {op.action: {}} if op.action else {} if op.body is not None else None
    return Caller(cloud, "", None, Context())(op.method, path or "/", body, headers=headers).status_code


def names(pairs: list[tuple[Api, Operation]]) -> set[str]:
    return {f"{op.method} {api.paths(op)[0]} {op.action or ''}".strip() for api, op in pairs}


def test_without_a_token(cloud: Cloud):
    assert names([pair for pair in GUARDED if call(cloud, *pair, None) != 401]) == EXCEPTIONS


def test_with_a_token_that_nobody_gave(cloud: Cloud):
    wrong = [pair for i, pair in enumerate(GUARDED) if call(cloud, *pair, TOKENS[i % len(TOKENS)]) != 401]
    assert names(wrong) == EXCEPTIONS


@pytest.mark.parametrize("token", TOKENS)
def test_odd_tokens(cloud: Cloud, token: str):
    api = APIS["identity"]
    asked = next(op for op in api.operations if (op.method, op.path) == ("GET", "/users"))
    assert call(cloud, api, asked, token) == 401


def test_what_is_open_does_not_break(cloud: Cloud):
    broken = [pair for pair in OPEN if call(cloud, *pair, None) >= 500]
    assert names(broken) == {"GET /readyz"}, "readiness is all that may be missing in a cloud without hosts"
