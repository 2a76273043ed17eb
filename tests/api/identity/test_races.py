from __future__ import annotations

import concurrent.futures as cf
import typing as t


def together(calls: list[t.Callable[[], t.Any]]) -> list[int]:
    """The statuses of requests sent at once."""
    with cf.ThreadPoolExecutor(len(calls)) as threads:
        return [answer.status_code for answer in threads.map(lambda call: call(), calls)]


def test_one_of_many_gets_the_name(admin):
    for path, body in (
        ("/users", {"user": {"name": "same"}}),
        ("/projects", {"project": {"name": "same"}}),
        ("/domains", {"domain": {"name": "same"}}),
        ("/roles", {"role": {"name": "same"}}),
    ):
        statuses = together([lambda path=path, body=body: admin.post(path, body)] * 6)
        assert sorted(statuses) == [201] + [409] * 5, path


def test_grants_at_once_all_count(cloud, admin):
    user, project = cloud.user(admin, "u")["id"], cloud.project(admin, "p")["id"]
    roles = [cloud.role(admin, f"r{i}") for i in range(8)]
    path = f"/projects/{project}/users/{user}/roles"
    assert together([lambda role=role: admin.put(f"{path}/{role}") for role in roles * 2]) == [204] * 16
    token = cloud.ask("u", "pw", scope={"project": {"id": project}}).json()["token"]
    assert {role["id"] for role in token["roles"]} == set(roles)


def test_a_trust_with_one_use_is_used_once(cloud, admin, demo):
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]
    body = {"trustor_user_id": me["user"]["id"], "trustee_user_id": cloud.user(admin, "trustee")["id"], "impersonation": False,
            "project_id": me["project"]["id"], "roles": [{"name": "reader"}], "remaining_uses": 1}  # fmt: skip
    trust = demo.post("/OS-TRUST/trusts", {"trust": body}).json()["trust"]
    scope = {"OS-TRUST:trust": {"id": trust["id"]}}
    assert sorted(together([lambda: cloud.ask("trustee", "pw", scope=scope)] * 5)) == [201] + [401] * 4


def test_one_of_many_registers_the_limit_of_all_regions(admin):
    service = admin.get("/services?type=volumev3").json()["services"][0]["id"]
    body = {"registered_limits": [{"service_id": service, "resource_name": "r", "default_limit": 1}]}
    assert sorted(together([lambda: admin.post("/registered_limits", body)] * 6)) == [201] + [409] * 5
