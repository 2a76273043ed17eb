"""Access rules: a program with an application credential that has any makes those requests, and no others."""

from __future__ import annotations

import time

import pytest

from cumulet.identity.access_rules import allow
from cumulet.kernel.testing.cloud import Caller


@pytest.mark.parametrize(
    ("pattern", "path", "covers"),
    [
        ("/v2.1/servers", "/v2.1/servers", True), ("/v2.1/servers", "/v2.1/servers/1", False), ("/v2.1/servers", "/v2.1/server", False),
        ("/v2.1/servers", "/v2x1/servers", False), ("/v2.1/servers/*", "/v2.1/servers/1", True), ("/v2.1/servers/*", "/v2.1/servers/", False),
        ("/v2.1/servers/*", "/v2.1/servers/1/ips", False), ("/v2.1/servers/*/ips", "/v2.1/servers/1/ips", True),
        ("/v2.1/servers/*/ips", "/v2.1/servers/1/2/ips", False), ("/v2.1/servers/{server_id}/ips", "/v2.1/servers/1/ips", True),
        ("/v2.1/servers/{server_id}", "/v2.1/servers/1/ips", False), ("/v2.1/**", "/v2.1/servers/1/ips", True), ("/v2.1/**", "/v2.1/", True),
        ("/**", "/v2.1/servers", True), ("**", "", True), ("/v2.1/**/ips", "/v2.1/servers/1/ips", True), ("/v2.1/**/ips", "/v2.1/ips", False),
        ("/**/{id}/ips", "/v2.1/servers/1/ips", True), ("/v2.1/s*s", "/v2.1/servers", True), ("/v2.1/*-*", "/v2.1/os-hosts", True),
        ("/v2.1/servers/%2A", "/v2.1/servers/1", False), ("/v2.1/{open", "/v2.1/x", False), ("/v2.1/{open", "/v2.1/{open", True),
        ("/", "/", True), ("/", "/x", False), ("/v2.1/a+b", "/v2.1/aab", False), ("/v2.1/(a|b)", "/v2.1/a", False),
    ],
)  # fmt: skip
def test_what_a_path_covers(pattern: str, path: str, covers: bool):
    assert allow([{"service": "compute", "method": "GET", "path": pattern}], "compute", "GET", path) is covers


def test_service_and_method_count():
    rules = [{"service": "block-storage", "method": "GET", "path": "/v3/*/volumes"}, {"service": "image", "method": "POST", "path": "/**"}]
    assert allow(rules, "volume", "GET", "/v3/p/volumes") and allow(rules, "image", "POST", "/v2/images")
    for service, method in (("volume", "POST"), ("volume", "HEAD"), ("compute", "GET"), ("image", "GET")):
        assert not allow(rules, service, method, "/v3/p/volumes"), (service, method)
    assert allow([rules[0] | {"service": "volumev3"}], "volume", "GET", "/v3/p/volumes")
    assert not allow([rules[0] | {"service": "image"}], "volume", "GET", "/v3/p/volumes")


def test_no_pattern_takes_long():
    started = time.process_time()
    for pattern in ("/" + "**x" * 74, "/" + "*x" * 112, "/" + "*" * 223 + "y", "/" + "{a}" * 74):
        assert not allow([{"service": "image", "method": "GET", "path": pattern}], "image", "GET", "/" + "x" * 4000 + "/!")
    assert time.process_time() - started < 10


@pytest.fixture
def me(demo) -> dict:
    return demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]


def program(cloud, demo, me, *rules: tuple[str, str, str]) -> Caller:
    """One with an application credential that has these rules: (service, method, path)."""
    named = [dict(zip(("service", "method", "path"), rule, strict=True)) for rule in rules]
    body = {"application_credential": {"name": "ci", "access_rules": named}}
    made = demo.post(f"/users/{me['id']}/application_credentials", body).json()["application_credential"]
    part = {"id": made["id"], "secret": made["secret"]}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": part}}
    answer = cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth})
    assert answer.status_code == 201
    return cloud.bearer(answer.headers["x-subject-token"])


def test_a_program_does_what_its_rules_say_and_nothing_else(cloud, demo, me):
    it = program(cloud, demo, me, ("identity", "GET", "/v3/auth/projects"), ("identity", "GET", "/v3/users/{user_id}"))
    assert it.get("/auth/projects").status_code == 200 and it.get(f"/users/{me['id']}").status_code == 200
    for refused in (
        it.get("/auth/domains"), it.get(f"/users/{me['id']}/projects"), it("HEAD", "/auth/projects"),
        it.delete("/auth/tokens", headers={"X-Subject-Token": it.token}), it.get(f"/users/{me['id']}/"), it.get("/auth//projects"),
    ):  # fmt: skip
        assert refused.status_code == 401
    assert demo.get("/auth/domains").status_code == 200, "its user is not held to them"


def test_rules_for_one_service_are_none_for_another(cloud, demo, me):
    it = program(cloud, demo, me, ("compute", "GET", "/**"))
    assert it.get("/auth/projects").status_code == 401


def test_who_does_not_know_of_rules_is_not_told_that_the_token_is_good(cloud, admin, demo, me):
    it = program(cloud, demo, me, ("compute", "GET", "/v2.1/servers"))
    subject = {"X-Subject-Token": it.token}
    for who in (admin, it):
        assert who.get("/auth/tokens", headers=subject).status_code == 404
        assert who.get("/auth/tokens", headers=subject | {"OpenStack-Identity-Access-Rules": "0.9"}).status_code == 404
        shown = who.get("/auth/tokens", headers=subject | {"OpenStack-Identity-Access-Rules": "1.0"})
        assert shown.status_code == 200 and len(shown.json()["token"]["application_credential"]["access_rules"]) == 1
    assert admin("HEAD", "/auth/tokens", headers=subject).status_code == 404
