from __future__ import annotations

import pytest

EVENTS = "/OS-REVOKE/events"


def audit_id(caller) -> str:
    return caller.get("/auth/tokens", headers={"X-Subject-Token": caller.token}).json()["token"]["audit_ids"][0]


def test_what_ended_tokens(cloud, admin):
    user = cloud.user(admin, "u")["id"]
    assert admin.get(EVENTS).json() == {
        "events": [], "links": {"next": None, "self": "http://cloud/identity/v3/OS-REVOKE/events", "previous": None}
    }  # fmt: skip
    ended = cloud.login("u", "pw")
    audit = audit_id(ended)
    assert ended.delete("/auth/tokens", headers={"X-Subject-Token": ended.token}).status_code == 204
    admin.patch(f"/users/{user}", {"user": {"enabled": False}})
    token, all_of_user = admin.get(EVENTS).json()["events"]
    assert token == {"audit_id": audit, "issued_before": token["issued_before"], "revoked_at": token["issued_before"]}
    assert all_of_user == {"user_id": user, "issued_before": all_of_user["revoked_at"], "revoked_at": all_of_user["revoked_at"]}
    assert token["issued_before"] < all_of_user["issued_before"]
    later = admin.get(f"{EVENTS}?since={token['revoked_at']}").json()
    assert later["events"] == [all_of_user] and later["links"]["self"].endswith("/events")
    assert admin.get(f"{EVENTS}?since={all_of_user['revoked_at']}").json()["events"] == []
    assert len(admin.get(f"{EVENTS}?since=0001-01-01T00:00:00Z").json()["events"]) == 2


@pytest.mark.parametrize("since", ["blah", "2026-13-01", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00%2B23:59"])
def test_since_no_time(admin, since):
    assert admin.get(f"{EVENTS}?since={since}").status_code == 400


def test_who_may_list_events(cloud, admin, demo):
    user = cloud.user(admin, "u")["id"]
    project = admin.get("/projects?name=service").json()["projects"][0]["id"]
    cloud.grant(admin, "service", f"projects/{project}/users/{user}")
    assert cloud.login("u", "pw", scope="service").get(EVENTS).status_code == 200
    assert cloud.login("admin", cloud.ADMIN, scope="system").get(EVENTS).status_code == 200
    assert cloud.login("admin", cloud.ADMIN, scope={"domain": {"id": "default"}}).get(EVENTS).status_code == 403
    assert demo.get(EVENTS).status_code == 403 and cloud.stranger(cloud.base).get(EVENTS).status_code == 401


def test_what_went_with_signed_tokens(cloud, demo):
    for caller in (demo, cloud.stranger(cloud.base)):
        for path in ("/OS-SIMPLE-CERT/ca", "/OS-SIMPLE-CERT/certificates"):
            assert caller.get(path).status_code == caller("HEAD", path).status_code == 410
            assert caller.get(path).json()["error"]["title"] == "Gone"
        assert caller.get("/auth/tokens/OS-PKI/revoked").status_code == 403
