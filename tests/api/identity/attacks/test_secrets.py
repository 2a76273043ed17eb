"""No secret is in a log at its most talkative, in the message of an error, or in what a thing looks like where it is shown."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
import yaml

from cumulet.identity.tokens.body import Auth
from cumulet.identity.tokens.methods import Found
from cumulet.kernel import ids
from cumulet.kernel.auth.context import Context
from cumulet.kernel.db.engine import create_engine
from cumulet.kernel.http.wire import load
from cumulet.kernel.testing.engines import free_port

PATIENCE = 60.0


class Server:
    """A process that serves the APIs of a new cloud and logs all that it can."""

    def __init__(self, data: Path, database: str):
        self.log, self.address, self.data = data.parent / "log", f"127.0.0.1:{free_port()}", data
        argv = [
            sys.executable,
            "-m",
            "cumulet",
            "serve",
            "--roles",
            "api",
            "--listen",
            self.address,
            "--database",
            database,
            "--data",
            str(data),
        ]
        settings = {"CUMULET_BCRYPT_ROUNDS": "4", "CUMULET_LOG_LEVEL": "debug", "CUMULET_USER": pwd.getpwuid(os.getuid()).pw_name}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(argv, env=os.environ | settings, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._http = httpx2.Client(base_url=f"http://{self.address}/identity/v3", trust_env=False)
        self._wait()
        clouds = yaml.safe_load((data / "clouds.yaml").read_text())["clouds"]
        self.passwords = {cloud["auth"]["username"]: cloud["auth"]["password"] for cloud in clouds.values()}
        self.refused: list[str] = []

    def _wait(self) -> None:
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                if self._http.get(f"http://{self.address}/healthz").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            assert self._process.poll() is None and time.monotonic() < ends, self.log.read_text()
            time.sleep(0.05)

    def send(self, method: str, path: str, body: t.Any = None, token: str = "", **headers: str) -> httpx2.Response:
        """Send a request; what it is refused with is remembered."""
        sent = {"X-Auth-Token": token} if token else {}
        content = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        answer = self._http.request(method, path, content=content, headers={"Content-Type": "application/json"} | sent | headers)
        if answer.status_code >= 400:
            self.refused.append(answer.text)
        return answer

    def log_in(self, identity: dict, **scope: t.Any) -> str:
        auth = {"identity": {"methods": list(identity), **identity}} | scope
        return self.send("POST", "/auth/tokens", {"auth": auth}).headers.get("x-subject-token", "")

    def close(self) -> str:
        """End it; what it logged."""
        self._process.terminate()
        self._process.wait(20)
        self._http.close()
        return self.log.read_text()


@pytest.fixture
def server(database_url: str, tmp_path):
    engine = create_engine(database_url)
    found = sa.MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()
    made = Server(tmp_path / "cloud", database_url)
    yield made
    made.close()


class Secrets(dict[str, str]):
    """Texts that are to be nowhere, each made when it is first asked for."""

    def __missing__(self, name: str) -> str:
        self[name] = f"{name}-{ids.new_hex()}"
        return self[name]


def by_password(user: str, password: t.Any) -> dict:
    return {"password": {"user": {"id": user, "password": password}}}


def go_through_everything(server: Server, secrets: Secrets) -> None:
    admin = secrets["admin"] = server.log_in(
        {"password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": server.passwords["admin"]}}},
        scope={"project": {"name": "admin", "domain": {"id": "default"}}})  # fmt: skip
    secrets["admin's password"] = server.passwords["admin"]

    def made(path: str, kind: str, **fields: t.Any) -> dict:
        answer = server.send("POST", path, {kind: fields}, admin)
        assert answer.status_code == 201, answer.text
        return answer.json()[kind]

    me = server.send("GET", "/auth/tokens", token=admin, **{"X-Subject-Token": admin}).json()["token"]["user"]["id"]
    user = made("/users", "user", name="u", password=secrets["first"])["id"]
    made("/users", "user", name="extra", password=secrets["other"], secret=secrets["extra"])
    secrets["token"] = server.log_in(by_password(user, secrets["first"]))
    server.log_in(by_password(user, secrets["wrong"]))
    change = {"user": {"original_password": secrets["wrong"], "password": secrets["second"]}}
    server.send("POST", f"/users/{user}/password", change)
    change["user"]["original_password"] = secrets["first"]
    assert server.send("POST", f"/users/{user}/password", change).status_code == 204
    server.send("PATCH", f"/users/{user}", {"user": {"password": secrets["third"], "name": "admin"}}, admin)
    credential = made(f"/users/{me}/application_credentials", "application_credential", name="a", secret=secrets["chosen"])
    secrets["made"] = made(f"/users/{me}/application_credentials", "application_credential", name="b")["secret"]
    for secret in (secrets["chosen"], secrets["wrong"]):
        server.log_in({"application_credential": {"id": credential["id"], "secret": secret}})
    secrets["keys"] = server.send("POST", f"/users/{me}/credentials/OS-EC2", {"tenant_id": _project(server, admin)}, admin).json()[
        "credential"
    ]["secret"]
    for kind in ("totp", "ec2", "cert"):
        blob = json.dumps({"access": kind, "secret": secrets["blob"]})
        made("/credentials", "credential", type=kind, blob=blob, user_id=me, project_id=_project(server, admin))
    secrets["consumer"] = made("/OS-OAUTH1/consumers", "consumer")["secret"]
    domain = made("/domains", "domain", name="d")["id"]
    config = {"config": {"ldap": {"url": "ldap://nowhere", "password": secrets["ldap"]}}}
    assert server.send("PUT", f"/domains/{domain}/config", config, admin).status_code == 201
    server.send("GET", "/auth/tokens", token=secrets["forged"], **{"X-Subject-Token": secrets["forged"]})
    server.send("DELETE", "/auth/tokens", token=admin, **{"X-Subject-Token": secrets["token"]})


def _project(server: Server, token: str) -> str:
    return server.send("GET", "/auth/projects", token=token).json()["projects"][0]["id"]


def go_astray(server: Server, secrets: Secrets, database: str) -> None:
    """Requests that are wrong beside a secret, or in it, and one that breaks the server."""
    admin, user = secrets["admin"], "0" * 32
    password = secrets["mistaken"]
    for wrong in ([password], {"x": password}, password * 200, password + "\0", password + "\ud800", None, {password: 1}):
        server.log_in(by_password(user, wrong))
        server.send("POST", "/users", {"user": {"name": "v", "password": wrong}}, admin)
        server.send("POST", f"/users/{user}/password", {"user": {"original_password": wrong, "password": wrong}})
        server.send("POST", "/credentials", {"credential": {"type": 5, "blob": wrong, "user_id": user}}, admin)
    server.send("POST", "/auth/tokens", '{"auth": {"identity": {"password": {"user": {"password": "' + password)
    server.send("POST", "/auth/tokens", '{"auth": {"identity": {"password": {"user": {"password": "' + password + '"}}} x}')
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE identity_users RENAME COLUMN extra TO lost"))
    engine.dispose()
    broken = server.send("POST", "/users", {"user": {"name": "w", "password": secrets["late"]}}, admin)
    assert broken.status_code == 500, "so that the log has a trace"
    server.log_in(by_password(user, secrets["late"]))


def test_no_secret_is_logged_or_told(server: Server, database_url: str):
    secrets = Secrets()
    go_through_everything(server, secrets)
    go_astray(server, secrets, database_url)
    logged = server.close()
    assert "Traceback" in logged and '"answered"' in logged, "it logs what it can"
    assert {name for name, secret in secrets.items() if secret in logged} == set()
    told = "\n".join(server.refused)
    assert len(server.refused) > 20
    assert {name for name, secret in secrets.items() if secret in told} - {"forged"} == set()


def test_no_secret_is_in_what_things_look_like():
    secret = "s3cret"
    body = {
        "identity": {
            "methods": ["password", "token", "application_credential", "totp"],
            "password": {"user": {"id": "u", "password": secret}}, "token": {"id": secret},
            "application_credential": {"id": "a", "secret": secret}, "totp": {"user": {"id": "u", "passcode": secret}},
        }
    }  # fmt: skip
    auth = load(body, Auth, (3, 14))
    identity = auth.identity
    shown = [auth, identity, identity.password, identity.token, identity.application_credential, identity.totp]
    shown += [Context(user_id="u", token=secret), Found("u", secret, secret)]
    assert [thing for thing in shown if secret in repr(thing) or secret in str(thing) or secret in f"{thing}"] == []
