"""A POST that is sent twice with one key happens once, whether it waits on the world or not."""

from __future__ import annotations

from cumulet import identity
from cumulet.kernel import services
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
