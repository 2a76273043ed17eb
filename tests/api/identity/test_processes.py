"""Two control processes with one database: what one does, the other knows; and the released clients against them."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
import yaml
from keystoneauth1 import exceptions, loading
from keystoneauth1.session import Session

from cumulet.kernel.db.engine import create_engine
from cumulet.kernel.testing.engines import free_port

from .certificate_authority import Authority
from .tls_front import Front

PATIENCE = 60.0


class Servers:
    """Two processes that serve the APIs of one cloud."""

    def __init__(self, data: Path, database: str):
        self.data, self.database = data, database
        me = pwd.getpwuid(os.getuid()).pw_name
        self._environment = os.environ | {"CUMULET_BCRYPT_ROUNDS": "4", "CUMULET_USER": me, "CUMULET_TRUSTED_PROXIES": "127.0.0.1"}
        self.ports = [free_port(), free_port()]
        self.addresses = [f"127.0.0.1:{port}" for port in self.ports]
        self._processes: list[subprocess.Popen] = []
        self.http = requests.Session()
        self.http.trust_env = False

    def start(self) -> None:
        for address in self.addresses:
            with (self.data.parent / "log").open("ab") as log:
                argv = self._argv("serve", "--listen", address, "--roles", "api", "--database", self.database)
                self._processes.append(subprocess.Popen(argv, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
            self._wait(address)
        clouds = yaml.safe_load((self.data / "clouds.yaml").read_text())["clouds"]
        self.passwords = {name: cloud["auth"]["password"] for cloud in clouds.values() for name in [cloud["auth"]["username"]]}

    def _wait(self, address: str) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self.http.get(f"http://{address}/healthz", timeout=5).status_code == 200:
                    return
            except requests.RequestException:
                pass
            assert self._processes[-1].poll() is None and time.monotonic() < end, (self.data.parent / "log").read_text()
            time.sleep(0.05)

    def command(self, *words: str) -> str:
        done = subprocess.run(self._argv(*words), env=self._environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cumulet", *words, "--data", str(self.data)]

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(20)

    def log_in(self, server: int, user: str = "admin") -> str:
        """A token of a user's, from one of the processes."""
        named = {"name": user, "domain": {"id": "default"}, "password": self.passwords[user]}
        scope = {"project": {"name": user, "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": named}}, "scope": scope}}
        answer = self.http.post(self.url(server) + "/auth/tokens", json=body, timeout=PATIENCE)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def send(self, server: int, method: str, path: str, token: str, **options: t.Any) -> requests.Response:
        headers = {"X-Auth-Token": token} | options.pop("headers", {})
        return self.http.request(method, self.url(server) + path, headers=headers, timeout=PATIENCE, **options)

    def url(self, server: int) -> str:
        return f"http://{self.addresses[server]}/identity/v3"


@pytest.fixture(scope="module")
def servers(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Servers]:
    engine = create_engine(database_url)
    found = sa.MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()
    made = Servers(tmp_path_factory.mktemp("servers") / "data", database_url)
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_a_token_that_one_process_revokes_is_no_good_for_the_other_from_the_next_request_on(servers):
    admin = servers.log_in(0)
    for turn in range(5):
        victim = servers.log_in(turn % 2, "demo")
        for server in (0, 1):  # both know the token by now
            assert servers.send(server, "GET", "/auth/projects", victim).status_code == 200
            assert servers.send(server, "GET", "/auth/tokens", admin, headers={"X-Subject-Token": victim}).status_code == 200
        revoked = servers.send(turn % 2, "DELETE", "/auth/tokens", admin, headers={"X-Subject-Token": victim})
        assert revoked.status_code == 204
        for server in (1 - turn % 2, turn % 2):
            assert servers.send(server, "GET", "/auth/projects", victim).status_code == 401
            assert servers.send(server, "GET", "/auth/tokens", admin, headers={"X-Subject-Token": victim}).status_code == 404


def test_keys_are_rotated_by_the_command_while_both_run(servers):
    admin = servers.log_in(0)
    me = servers.send(0, "GET", "/auth/tokens", admin, headers={"X-Subject-Token": admin}).json()["token"]["user"]["id"]
    body = {"credential": {"type": "cert", "blob": "a secret", "user_id": me}}
    made = servers.send(0, "POST", "/credentials", admin, json=body).json()["credential"]["id"]
    assert "sealed with key 2" in servers.command("identity", "fernet", "rotate")
    after = servers.log_in(0)
    assert "key 3" in servers.command("identity", "fernet", "rotate")
    fresh = servers.log_in(1)
    for token in (after, fresh):
        for server in (0, 1):
            assert servers.send(server, "GET", "/auth/projects", token).status_code == 200
    said = servers.command("identity", "credential", "rotate", "--database", servers.database)
    assert said.startswith("Credentials are sealed with key 2 from now on; ")
    for server in (0, 1):
        assert servers.send(server, "GET", f"/credentials/{made}", fresh).json()["credential"]["blob"] == "a secret"
    for name in ("fernet-keys", "credential-keys"):
        assert {path.stat().st_mode & 0o777 for path in (servers.data / "control" / name).iterdir()} == {0o600}


def test_who_is_connected_is_believed_and_not_a_header_about_it(servers):
    """The processes are told to trust 127.0.0.1, from where this comes, and not the address that the header names."""
    auth = {"auth": {"identity": {"methods": ["external"], "external": {}}}}
    headers = {"Remote-User": "demo", "X-Forwarded-For": "192.0.2.7"}
    answer = servers.http.post(servers.url(0) + "/auth/tokens", json=auth, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 201 and answer.json()["token"]["user"]["name"] == "demo"


def application_credential(servers: Servers) -> tuple[str, str]:
    token = servers.log_in(0, "demo")
    me = servers.send(0, "GET", "/auth/tokens", token, headers={"X-Subject-Token": token}).json()["token"]["user"]["id"]
    body = {"application_credential": {"name": f"p{time.monotonic_ns()}"}}
    made = servers.send(0, "POST", f"/users/{me}/application_credentials", token, json=body).json()["application_credential"]
    return made["id"], made["secret"]


def test_keystoneauths_plugin_for_client_credentials(servers):
    id, secret = application_credential(servers)
    options = {"auth_url": servers.url(0), "oauth2_endpoint": servers.url(0) + "/OS-OAUTH2/token", "oauth2_client_id": id}
    plugin = loading.get_plugin_loader("v3oauth2clientcredential").load_from_options(**options, oauth2_client_secret=secret)
    session = Session(plugin, session=servers.http)
    assert session.get(servers.url(0) + "/auth/projects").json()["projects"][0]["name"] == "demo"
    bearer = {"Authorization": session.get_auth_headers()["Authorization"]}
    assert servers.http.get(servers.url(1) + "/auth/projects", headers=bearer, timeout=PATIENCE).status_code == 200
    wrong = loading.get_plugin_loader("v3oauth2clientcredential").load_from_options(**options, oauth2_client_secret="wrong")
    with pytest.raises(exceptions.ClientException):
        Session(wrong, session=servers.http).get(servers.url(0) + "/auth/projects")


def test_keystoneauths_plugin_for_certificates(servers, tmp_path):
    authority, admin = Authority(), servers.log_in(0)
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_CN"}]}]
    assert servers.send(0, "PUT", "/OS-FEDERATION/mappings/oauth2_mapping", admin, json={"mapping": {"rules": rules}}).status_code == 201
    project = servers.send(0, "GET", "/projects?name=demo", admin).json()["projects"][0]["id"]
    robot = servers.send(0, "POST", "/users", admin, json={"user": {"name": "robot", "default_project_id": project}}).json()["user"]["id"]
    member = servers.send(0, "GET", "/roles?name=member", admin).json()["roles"][0]["id"]
    assert servers.send(0, "PUT", f"/projects/{project}/users/{robot}/roles/{member}", admin).status_code == 204
    front = Front(servers.addresses[0], authority, tmp_path)
    try:
        url = f"{front.url}/identity/v3"
        options = {"auth_url": url, "oauth2_endpoint": f"{url}/OS-OAUTH2/token", "oauth2_client_id": robot}
        plugin = loading.get_plugin_loader("v3oauth2mtlsclientcredential").load_from_options(**options)
        session = Session(plugin, verify=str(front.ca), cert=front.write("robot", authority.issue(CN="robot")))
        assert session.get(f"{url}/auth/projects").json()["projects"][0]["name"] == "demo"
        token = session.get_token()
        assert plugin.get_access(session).oauth2_credential_thumbprint
        for server in (0, 1):
            assert servers.send(server, "GET", "/auth/projects", token).status_code == 401, "without the certificate"
        for name in ("other", None):
            cert = front.write("other", authority.issue(CN=name)) if name else None
            other = loading.get_plugin_loader("v3oauth2mtlsclientcredential").load_from_options(**options)
            with pytest.raises(exceptions.ClientException, match="Client authentication failed"):
                Session(other, verify=str(front.ca), cert=cert).get(f"{url}/auth/projects")
    finally:
        front.close()
