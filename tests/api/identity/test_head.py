"""HEAD is answered wherever GET is, with its status and headers and without a body."""

from __future__ import annotations

import pytest


@pytest.fixture
def ids(cloud, admin) -> dict[str, str]:
    token = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]
    user, project, role = token["user"]["id"], token["project"]["id"], cloud.role(admin, "admin")
    group = admin.post("/groups", {"group": {"name": "g"}}).json()["group"]["id"]
    for where in (f"projects/{project}", "domains/default", "system"):
        admin.put(f"/{where}/users/{user}/roles/{role}")
        admin.put(f"/{where}/groups/{group}/roles/{role}")
    for where in (f"projects/{project}", "domains/default"):
        admin.put(f"/OS-INHERIT/{where}/users/{user}/roles/{role}/inherited_to_projects")
        admin.put(f"/OS-INHERIT/{where}/groups/{group}/roles/{role}/inherited_to_projects")
    admin.put(f"/groups/{group}/users/{user}")
    return {"user": user, "project": project, "role": role, "group": group, "manager": cloud.role(admin, "manager")}


@pytest.mark.parametrize(
    ("status", "path"),
    [
        (200, "/auth/tokens"), (200, "/users"), (200, "/users/{user}"), (200, "/auth/projects"),
        (204, "/groups/{group}/users/{user}"), (204, "/roles/{role}/implies/{manager}"),
        (204, "/projects/{project}/users/{user}/roles/{role}"), (204, "/projects/{project}/groups/{group}/roles/{role}"),
        (204, "/domains/default/users/{user}/roles/{role}"), (204, "/domains/default/groups/{group}/roles/{role}"),
        (204, "/system/users/{user}/roles/{role}"), (204, "/system/groups/{group}/roles/{role}"),
        (204, "/OS-INHERIT/projects/{project}/users/{user}/roles/{role}/inherited_to_projects"),
        (204, "/OS-INHERIT/projects/{project}/groups/{group}/roles/{role}/inherited_to_projects"),
        (204, "/OS-INHERIT/domains/default/users/{user}/roles/{role}/inherited_to_projects"),
        (204, "/OS-INHERIT/domains/default/groups/{group}/roles/{role}/inherited_to_projects"),
        (404, "/users/nobody"), (404, "/projects/{project}/users/{user}/roles/none"), (404, "/no/such/path"),
    ],
)  # fmt: skip
def test_head(admin, ids, status, path):
    answer = admin("HEAD", path.format(**ids), headers={"X-Subject-Token": admin.token})
    assert answer.status_code == status and answer.content == b"", answer.text


def test_head_has_the_headers_of_get(admin, ids):
    for path in ("/users", "/users/nobody"):
        headers = [admin(method, path).headers for method in ("GET", "HEAD")]
        assert [h["content-type"] for h in headers] == ["application/json"] * 2
        assert headers[0]["content-length"] == headers[1]["content-length"] != "0"
