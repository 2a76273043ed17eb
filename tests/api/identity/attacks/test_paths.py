"""Other spellings of a path are no way round an access rule, and no way into what is another's."""

from __future__ import annotations

import pytest

from cumulet.kernel.testing.cloud import Caller

SPELLINGS = (
    "/v3/projects/{id}/tags", "/v3/projects/{id}//tags", "/v3/projects//{id}/tags", "//v3/projects/{id}/tags", "/v3/projects/{id}%2Ftags",
    "/v3/projects/{id}%2ftags", "/v3/projects/{id}%252Ftags", "/v3/%70rojects/{id}/tags", "/v3/projects/{id}/%74ags", "/v3/projects/{id}/./tags",
    "/v3/projects/./{id}/tags", "/v3/projects/{id}/x/../tags", "/v3/projects/../projects/{id}/tags", "/v3/projects/{id}/%2e/tags",
    "/v3/projects/{id};/tags", "/v3/projects/{id}/tags;", "/v3/projects/{id};x=/tags", "/v3/projects/{id}/tags/", "/v3/projects/{id}/tags//",
    "/v3/projects/{id}%3F/tags", "/v3/projects/{id}%23/tags", "/v3/projects/{id}%00/tags", "/v3/projects/{id}\\tags", "/V3/projects/{id}/tags",
    "/v3/projects/%2e%2e/projects/{id}/tags", "/v3/projects/{id}/tags%20", "/v3/projects/{id}/tags?x=/v3/projects/{id}", "/v3/users",
    "/v3/projects/..%2Fusers", "/v3/projects/%2e%2e/users", "/v3/projects/../users", "/v3/projects//../users", "/v3/projects/;/../users",
)  # fmt: skip
"""Ways to write what a rule for one project does not cover."""


@pytest.fixture
def me(demo) -> dict:
    return demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]


def program(cloud, owner: Caller, user: str, *paths: str) -> Caller:
    """Whoever may GET what these paths cover, and nothing else."""
    rules = [{"service": "identity", "method": "GET", "path": path} for path in paths]
    body = {"application_credential": {"name": "a", "secret": "s", "access_rules": rules}}
    id = owner.post(f"/users/{user}/application_credentials", body).json()["application_credential"]["id"]
    auth = {"identity": {"methods": ["application_credential"], "application_credential": {"id": id, "secret": "s"}}}
    return cloud.bearer(cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).headers["x-subject-token"])


@pytest.mark.parametrize("rule", ["/v3/projects/{project_id}", "/v3/projects/*", "/v3/projects/{exactly}"])
def test_an_access_rule_is_for_one_resource(cloud, admin, me, rule: str):
    """The administrator could see tags and users: a program of theirs is stopped by its rule alone."""
    whole = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]
    project = me["project"]["id"]
    assert admin.put(f"/projects/{project}/tags", {"tags": ["hidden"]}).status_code == 200
    bearer = program(cloud, admin, whole["user"]["id"], rule.replace("{exactly}", project))
    bearer.prefix = "/identity"
    assert bearer.get(f"/v3/projects/{project}").status_code == 200
    for spelling in SPELLINGS:
        answer = bearer.get(spelling.format(id=project))
        assert answer.status_code in (401, 404), spelling
        assert "hidden" not in answer.text and "users" not in answer.json(), spelling
    for method in ("PATCH", "DELETE", "HEAD"):
        assert bearer(method, f"/v3/projects/{project}").status_code == 401, method
    assert bearer("GET", f"/v3/projects/{project}", headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 200
    assert admin.get(f"/projects/{project}").status_code == 200


def test_a_rule_for_everything_below_is_not_for_what_is_beside_it(cloud, admin, me):
    whole = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]
    bearer = program(cloud, admin, whole["user"]["id"], "/v3/projects/**")
    bearer.prefix = "/identity"
    assert bearer.get(f"/v3/projects/{me['project']['id']}/tags").status_code == 200
    for spelling in (
        "/v3/projects/../users",
        "/v3/projects/%2e%2e/users",
        "/v3/projects/..%2Fusers",
        "/v3/projects",
        "/v3/users",
        "/v3//users",
    ):
        answer = bearer.get(spelling)
        assert answer.status_code in (401, 404) and "users" not in answer.json(), spelling


def test_what_is_anothers_is_not_there_in_any_spelling(cloud, admin, me):
    """A member of one project asks for another, and for another's secrets."""
    other = cloud.user(admin, "other")["id"]
    cloud.grant(admin, "member", f"projects/{me['project']['id']}/users/{other}")
    eve = cloud.login(other, "pw", scope={"project": {"id": me["project"]["id"]}})
    eve.prefix = "/identity"
    hidden = cloud.project(admin, "hidden")["id"]
    for path in (f"/v3/projects/{hidden}", f"/v3/users/{me['user']['id']}", f"/v3/users/{me['user']['id']}/application_credentials",
                 f"/v3/users/{me['user']['id']}/credentials/OS-EC2"):  # fmt: skip
        for spelling in (path, path + "/", path.replace("/v3", "//v3"), path.replace("users", "%75sers"), path + "?user_id=" + other,
                         path + ";" + other, path.replace("/v3/", f"/v3/users/{other}/../../")):  # fmt: skip
            assert eve.get(spelling).status_code in (403, 404), spelling
