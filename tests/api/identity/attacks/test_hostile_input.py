"""Whatever is sent to whatever operation: a 4xx, or it is done. (A test cloud fails on every 5xx.)"""

from __future__ import annotations

import itertools
import json
import typing as t

from cumulet.kernel import services
from cumulet.kernel.http.request import BODY_MAX

UNUSED = "0" * 32
OPERATIONS = sorted({(operation.method, path.removeprefix("/identity/v3"), operation.wrap or "")
                     for operation in services.load("identity")["identity"].operations
                     for path in services.load("identity")["identity"].paths(operation) if "/v3/" in path})  # fmt: skip
WITH_BODY = [one for one in OPERATIONS if one[0] in ("POST", "PUT", "PATCH")]
HOSTILE: dict[str, t.Any] = {
    "nul": "a\0b", "a surrogate": "\ud800", "text that is long": "x" * 5_000, "a number": 2**80, "a small number": -1, "a fraction": 1.5,
    "null": None, "a list": [[]], "an object": {"x": {}}, "a key": {"\0": 1}, "truth": True, "controls": "\x01\x7f\u202e\ufeff", "nothing": "",
}  # fmt: skip
FIELDS = ("name", "id", "description", "enabled", "domain_id", "parent_id", "password", "original_password", "user_id", "project_id", "roles",
          "type", "blob", "options", "tags", "rules", "service_id", "region_id", "url", "interface", "secret", "access_rules", "expires_at",
          "trustor_user_id", "trustee_user_id", "impersonation", "resource_name", "resource_limit", "default_limit", "remote_ids", "mapping_id",
          "auth_url", "sp_url", "filters", "extra", "email", "schema_version", "identity", "scope", "methods", "token", "totp")  # fmt: skip


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


NO_BODIES = [
    nested(100_000), "[" * 500_000, '{"user":' * 10_000, nested(65), "{" * 100, '{"user": {"name": NaN}}', '{"user": {"name": 1e999}}',
    '{"user": {"name": "a", "name": "b"}}', "\xff\xfe", '"' + "x" * 1_000_000 + '"', "null", "[]", "0", '""', "tru", '{"auth": ' + "9" * 5000 + "}",
]  # fmt: skip
NAMES = ["a%00b", "%ED%A0%80", "'%22;--", "x" * 3000, "%0d%0aX-Injected:1"]
QUERIES = [
    "name=%00", "name=%ED%A0%80", "limit=99999999999999999999", "limit=-1", "marker=x", "sort_key=password_hash&sort_dir=x", "enabled=maybe",
    "user.id=%FF&effective", "scope.project.id=x&scope.domain.id=y", "&&&===", "name__contains=%25", "password_expires_at=lt:x",
    "tags=" + "a," * 2000, "name=x&" * 3000, "include_subtree&effective&include_names", "since=9999999-01-01", "name=" + "x" * 5000,
]  # fmt: skip


def where(path: str, name: str = UNUSED) -> str:
    for part in path.split("/"):
        if part.startswith("{"):
            path = path.replace(part, name)
    return path


def test_there_are_operations():
    assert len(OPERATIONS) > 200 and len(WITH_BODY) > 50


def test_values(admin):
    """In each field that there is, at once and alone."""
    for (method, path, wrap), (kind, value) in itertools.product(WITH_BODY, HOSTILE.items()):
        for inner in (value, dict.fromkeys(FIELDS, value)):
            body = {wrap: inner} if wrap else inner
            answer = admin(method, where(path), content=json.dumps(body), headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, (method, path, kind)


def test_bodies_that_are_none(admin):
    for (method, path, _), content in itertools.product(WITH_BODY[::3], NO_BODIES):
        sent = admin(method, where(path), content=content.encode("latin-1"), headers={"Content-Type": "application/json"})
        assert sent.status_code < 500, (method, path, content[:40])


def test_bodies_that_are_too_large(cloud, admin):
    for caller in (admin, cloud.stranger(cloud.base)):
        answer = caller.post("/auth/tokens", content=b"x" * (BODY_MAX + 1), headers={"Content-Type": "application/json"})
        assert answer.status_code == 413 and str(BODY_MAX) in answer.text


def test_names_in_paths(admin):
    for (method, path, wrap), name in itertools.product(OPERATIONS, NAMES):
        if "{" in path:
            answer = admin(method, where(path, name), {wrap: {}} if wrap else None)
            assert answer.status_code < 500 and "x-injected" not in answer.headers, (method, path, name)


def test_queries(admin):
    for (method, path, _), query in itertools.product(OPERATIONS, QUERIES):
        if method == "GET" and not path.endswith("}"):
            assert admin.get(where(path) + "?" + query).status_code < 500, (path, query)


OTHERS = ["X-Auth_Token", "X_Auth_Token", "X-Forwarded-X-Auth-Token", "X-Storage-Token", "X-User-Id", "X-Roles", "X-Is-Admin-Project",
          "X-Identity-Status", "X-Service-Token", "REMOTE_USER", "Remote-User", "X-Remote-User", "Authorization", "Cookie"]  # fmt: skip
"""Headers that other services' middleware knows, and other spellings of the one that counts."""


class TestHeaders:
    """Those that say who somebody is, sent twice, in parts, or with what no header should have."""

    def both(self, cloud, *pairs: tuple[str, str]):
        return cloud.send("GET", "/identity/v3/auth/tokens", headers=list(pairs))

    def test_two_tokens_are_no_better_than_the_worse(self, cloud, admin, demo):
        """Whichever is gone by, it is one: no request has the roles of both, and what is shown is the subject."""
        for first, second in ((admin.token, demo.token), (demo.token, admin.token)):
            answer = self.both(cloud, ("X-Auth-Token", first), ("X-Auth-Token", second), ("X-Subject-Token", demo.token))
            assert answer.status_code in (200, 401) and answer.json().get("token", {}).get("user", {"name": "demo"})["name"] == "demo"
        answer = self.both(cloud, ("X-Auth-Token", admin.token), ("X-Subject-Token", demo.token), ("X-Subject-Token", admin.token))
        assert answer.status_code in (200, 404)

    def test_tokens_in_one_header(self, cloud, admin, demo):
        for glued in ("{0},{1}", "{0}, {1}", "{0} {1}", "{0};{1}", "{0}\t{1}", "Bearer {0}"):
            text = glued.format(demo.token, admin.token)
            assert cloud.bearer(text).get("/auth/projects").status_code == 401
            assert admin.get("/auth/tokens", headers={"X-Subject-Token": text}).status_code == 404

    def test_other_names_are_nobody(self, cloud, admin, demo):
        """A proxy's word for who somebody is counts only from a proxy."""
        me = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]["user"]["id"]
        said = [("X-Identity-Status", "Confirmed"), ("X-Roles", "admin"), ("X-User-Id", me)]
        for name, value in itertools.product(OTHERS, (admin.token, me, "admin", "Confirmed")):
            headers = [(name, value), *said]
            assert cloud.send("GET", "/identity/v3/users", headers=headers).status_code == 401
            assert cloud.send("GET", "/identity/v3/users", headers=[*headers, ("X-Auth-Token", demo.token)]).status_code == 403

    def test_a_subject_is_echoed_only_where_it_is_one(self, cloud, admin, demo):
        answer = admin.get("/auth/tokens", headers={"X-Subject-Token": demo.token})
        assert answer.headers["x-subject-token"] == demo.token
        for text in (demo.token + "=", "x", ""):
            assert "x-subject-token" not in admin.get("/auth/tokens", headers={"X-Subject-Token": text}).headers
