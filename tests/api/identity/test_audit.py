"""Audit events: what was done is told, once it is so, by whom and to what; and no secret with it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import aio_pika
import pytest

from cumulet.identity.audit import NOTHING, named_by
from cumulet.kernel import services
from cumulet.kernel.audit import AuditRelay
from cumulet.kernel.audit.events import waiting
from cumulet.kernel.config import ConfigError, load
from logins import Identity

RABBITMQ = os.environ.get("CUMULET_TEST_RABBITMQ")
UNTOLD: set[str] = set()
"""Writing operations that nothing is told of. May only shrink."""


@pytest.fixture
def cloud(database_url: str, tmp_path: Path):
    made = Identity(database_url, str(tmp_path), config={"audit": "log"})
    yield made
    made.close()


def told(cloud: Identity) -> list[dict]:
    """The events since the last look, as they are in the log."""
    cloud.portal.call(AuditRelay(cloud.runtime).run_once)
    path = cloud.runtime.config.root / "control" / "audit.log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def test_every_operation_that_changes_something_is_told_of():
    api = services.load("identity")["identity"]
    changing = [op for op in api.operations if op.write and op.path not in NOTHING and 410 not in op.errors]
    assert {f"{op.method} {op.path}" for op in changing if named_by(op) is None} == UNTOLD


def test_who_did_what_to_which(cloud: Identity, admin):
    told(cloud)
    me = admin.get("/auth/tokens", headers={"X-Subject-Token": admin.token}).json()["token"]
    user = admin.post("/users", {"user": {"name": "x", "password": "hidden-1"}}, headers={"User-Agent": "tests"}).json()["user"]["id"]
    admin.patch(f"/users/{user}", {"user": {"description": "y"}})
    group = admin.post("/groups", {"group": {"name": "g"}}).json()["group"]["id"]
    admin.put(f"/groups/{group}/users/{user}")
    admin.delete(f"/users/{user}")
    events = told(cloud)
    assert [event["event_type"] for event in events] == [
        "identity.user.created", "identity.user.updated", "identity.group.created", "identity.group.updated", "identity.user.deleted",
    ]  # fmt: skip
    first, payload = events[0], events[0]["payload"]
    assert (first["priority"], first["publisher_id"].partition(".")[0]) == ("INFO", "identity")
    assert payload["typeURI"] == "http://schemas.dmtf.org/cloud/audit/1.0/event"
    assert (payload["eventType"], payload["action"], payload["outcome"]) == ("activity", "created.user", "success")
    assert (payload["target"], payload["resource_info"]) == ({"id": user, "typeURI": "data/security/account/user"}, user)
    assert payload["reason"] == {"reasonType": "HTTP", "reasonCode": "201"}
    assert payload["observer"]["typeURI"] == "service/security"
    assert payload["observer"]["id"] == admin.get("/services?type=identity").json()["services"][0]["id"]
    who = payload["initiator"]
    assert (who["id"], who["typeURI"], who["username"]) == (me["user"]["id"], "service/security/account/user", "admin")
    assert (who["project_id"], who["host"]["agent"], who["request_id"][:4]) == (me["project"]["id"], "tests", "req-")
    assert events[3]["payload"]["user"] == user
    assert (events[3]["payload"]["actor_operation"], events[3]["payload"]["resource_info"]) == ("added", group)
    assert len({event["message_id"] for event in events}) == len(events)


def test_assignments(cloud: Identity, admin):
    user, project = cloud.user(admin, "x")["id"], cloud.project(admin, "p")["id"]
    told(cloud)
    cloud.grant(admin, "reader", f"projects/{project}/users/{user}")
    role = cloud.role(admin, "reader")
    assert admin.put(f"/OS-INHERIT/domains/default/users/{user}/roles/{role}/inherited_to_projects").status_code == 204
    cloud.revoke(admin, "reader", f"projects/{project}/users/{user}")
    payloads = [event["payload"] for event in told(cloud)]
    assert [payload["action"] for payload in payloads] == [
        "created.role_assignment", "created.role_assignment", "deleted.role_assignment",
    ]  # fmt: skip
    named = [{name: payload.get(name) for name in ("user", "project", "domain", "role", "inherited_to_projects")} for payload in payloads]
    on_project = {"user": user, "project": project, "domain": None, "role": role, "inherited_to_projects": False}
    assert named == [on_project, on_project | {"project": None, "domain": "default", "inherited_to_projects": True}, on_project]


def test_what_did_not_happen_is_not_told(cloud: Identity, admin, demo):
    cloud.project(admin, "p")
    told(cloud)
    assert admin.post("/projects", {"project": {"name": "p"}}).status_code == 409
    assert admin.post("/users", {"user": {"name": "demo", "password": "x"}}).status_code == 409
    assert demo.post("/projects", {"project": {"name": "q"}}).status_code == 403
    assert admin.get("/projects").status_code == 200
    assert told(cloud) == []


def test_logins(cloud: Identity, admin):
    user = admin.get("/users?name=demo").json()["users"][0]["id"]
    told(cloud)
    cloud.login("demo", cloud.DEMO)
    assert cloud.ask("demo", "wrong").status_code == 401
    assert cloud.ask("nobody", "wrong").status_code == 401
    events = told(cloud)
    assert {event["event_type"] for event in events} == {"identity.authenticate"}
    outcomes = [
        (event["payload"]["outcome"], event["payload"]["initiator"]["id"], event["payload"]["reason"]["reasonCode"]) for event in events
    ]
    assert outcomes == [("success", user, "201"), ("failure", user, "401"), ("failure", "unknown", "401")]
    options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    admin.patch(f"/users/{user}", {"user": {"options": options}})
    assert cloud.ask("demo", cloud.DEMO).status_code == 401
    assert [event["payload"]["outcome"] for event in told(cloud)] == ["success", "pending"]


def test_there_is_no_secret_in_an_event(cloud: Identity, admin):
    user = cloud.user(admin, "x", password="hidden-1")["id"]
    cloud.grant(admin, "member", f"projects/{cloud.project(admin, 'p')['id']}/users/{user}")
    theirs = cloud.login("x", "hidden-1", scope="p")
    made = theirs.post(f"/users/{user}/application_credentials", {"application_credential": {"name": "c", "secret": "hidden-2"}})
    assert made.status_code == 201
    blob = admin.post("/credentials", {"credential": {"type": "cert", "blob": "hidden-3", "user_id": user}})
    assert blob.status_code == 201
    keys = theirs.post(f"/users/{user}/credentials/OS-EC2", {"tenant_id": theirs_project(theirs)}).json()["credential"]
    changed = theirs.post(f"/users/{user}/password", {"user": {"original_password": "hidden-1", "password": "hidden-4"}})
    assert changed.status_code == 204
    assert cloud.ask("x", "hidden-5").status_code == 401
    events = told(cloud)
    assert {"identity.application_credential.created", "identity.credential.created", "identity.authenticate"} <= {
        event["event_type"] for event in events
    }
    text = json.dumps(events)
    assert "hidden" not in text
    assert not any(secret in text for secret in (keys["secret"], str(theirs.token), str(admin.token)))


def theirs_project(caller) -> str:
    return caller.get("/auth/tokens", headers={"X-Subject-Token": caller.token}).json()["token"]["project"]["id"]


def test_the_log_is_its_owners_alone_and_what_cannot_be_told_waits(cloud: Identity, admin):
    told(cloud)
    control = cloud.runtime.config.root / "control"
    (control / "audit.log").mkdir()
    cloud.project(admin, "p")
    relay = AuditRelay(cloud.runtime)
    cloud.portal.call(relay.run_once)
    (control / "audit.log").rmdir()
    both = [AuditRelay(cloud.runtime), relay]
    for one in both:
        cloud.portal.call(one.run_once)
    assert len((control / "audit.log").read_text().splitlines()) == 1, "told once, though two look"
    assert stat.S_IMODE((control / "audit.log").stat().st_mode) == 0o600
    assert cloud.transact(lambda tx: tx.rows(waiting)) == []


def test_nothing_is_kept_unless_it_is_wanted(database_url: str, tmp_path: Path):
    cloud = Identity(database_url, str(tmp_path))
    admin = cloud.login("admin", cloud.ADMIN, scope="admin")
    cloud.project(admin, "p")
    assert cloud.transact(lambda tx: tx.rows(waiting)) == []
    cloud.close()


def test_notifications_need_a_message_server(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no message server"):
        load(None, {}, audit="bus", data=str(tmp_path))


@pytest.mark.skipif(not RABBITMQ, reason="needs RabbitMQ")
def test_notifications_as_consumers_of_oslo_messaging_read_them(database_url: str, tmp_path: Path):
    cloud = Identity(database_url, str(tmp_path), config={"audit": "bus", "bus": RABBITMQ})
    admin = cloud.login("admin", cloud.ADMIN, scope="admin")
    project = cloud.project(admin, "p")["id"]

    async def told() -> list[dict]:
        relay = AuditRelay(cloud.runtime)
        await relay.run_once()
        await relay.close()
        async with await aio_pika.connect(RABBITMQ) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("notifications.info")
            bodies = []
            while (message := await queue.get(no_ack=True, fail=False)) is not None:
                assert message.content_type == "application/json"
                bodies.append(json.loads(message.body))
            return bodies

    envelopes = cloud.portal.call(told)
    assert {envelope["oslo.version"] for envelope in envelopes} == {"2.0"}
    messages = [json.loads(envelope["oslo.message"]) for envelope in envelopes]
    assert [message["event_type"] for message in messages] == ["identity.authenticate", "identity.project.created"]
    assert messages[1]["payload"]["resource_info"] == project
    assert set(messages[1]) >= {"message_id", "publisher_id", "priority", "timestamp", "_unique_id"}
    assert cloud.transact(lambda tx: tx.rows(waiting)) == []
    cloud.close()
