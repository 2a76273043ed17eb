"""A POST that is sent twice with one key happens once, whether it waits on the world or not."""

from __future__ import annotations

import json
import re

from cumulet import identity
from cumulet.kernel import sealing, services
from cumulet.kernel.http.idempotency import idempotency_keys
from cumulet.kernel.testing.cloud import Cloud


def test_a_user_is_made_once(database_url, tmp_path):
    cloud = Cloud(database_url, str(tmp_path), services.load("identity"))
    try:
        cloud.transact(lambda tx: identity.bootstrap(
            tx, cloud.runtime.config, admin_password="x", demo_password="x", endpoints=[]))  # fmt: skip
        admin = cloud.caller("/identity/v3", "admin")
        send = lambda name, key: admin.post("/users", {"user": {"name": name, "password": "p"}}, headers={"Idempotency-Key": key})
        first, again = send("a", "k"), send("a", "k")
        assert first.status_code == again.status_code == 201 and first.content == again.content
        assert send("b", "k").status_code == 400
        assert send("a", "other").status_code == 409 and send("c", "other").status_code == 201
    finally:
        cloud.close()


SECRETS = {
    "/users/{me}/application_credentials": ({"application_credential": {"name": "a"}}, lambda body: body["application_credential"]["secret"]),
    "/users/{me}/credentials/OS-EC2": ({"tenant_id": "{project}"}, lambda body: body["credential"]["secret"]),
    "/credentials": ({"credential": {"type": "cert", "blob": "a secret that I bring", "user_id": "{me}"}}, lambda body: body["credential"]["blob"]),
}  # fmt: skip


def test_no_secret_of_a_kept_answer_is_in_the_database(cloud, demo):
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]
    ids = {"me": me["user"]["id"], "project": me["project"]["id"]}
    for i, (path, (body, secret)) in enumerate(SECRETS.items()):
        filled = json.loads(re.sub(r'"\{(\w+)\}"', lambda found: json.dumps(ids[found[1]]), json.dumps(body)))
        first, again = (demo.post(path.format(**ids), filled, headers={"Idempotency-Key": f"k{i}"}) for _ in range(2))
        assert first.status_code == again.status_code == 201 and first.content == again.content, first.text
        kept = cloud.transact(lambda tx: tx.rows(idempotency_keys))
        assert len(kept) == i + 1 and secret(first.json()) not in repr(kept), path


def test_a_kept_answer_whose_key_is_not_here_is_not_given_and_nothing_happens_twice(cloud, admin):
    send = lambda: admin.post("/users", {"user": {"name": "a", "password": "p"}}, headers={"Idempotency-Key": "k"})
    assert send().status_code == 201
    key = cloud.runtime.config.root / "control" / "answers.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    sealing.box.cache_clear()
    assert send().status_code == 409 and "sealed" in send().json()["error"]["message"]
    assert len(admin.get("/users?name=a").json()["users"]) == 1
