"""Clouds that are reached over HTTP, as released clients do, and pysaml2's identity provider beside them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives import serialization
from keystoneauth1 import session
from keystoneauth1.identity import v3

from cumulet import identity
from cumulet.identity.drivers.saml.keys import signing_key
from cumulet.kernel import services
from cumulet.kernel.config import Federation, SamlProvider
from cumulet.kernel.testing.cloud import Cloud

HERE = Path(__file__).parent
DASHBOARD = "https://dashboard.example/auth/websso/"
ADMIN, DEMO = "admin-pw", "demo-pw"


class HttpCloud(Cloud):
    """Identity on a port of this machine, with a database of its own unless it is given one. saml: the file with the metadata of
    each identity provider."""

    def __init__(self, directory: Path, saml: dict[str, Path], url: str | None = None):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        providers = [SamlProvider(identity_provider=id, metadata=str(file)) for id, file in saml.items()]
        super().__init__(
            url or f"sqlite:///{directory}/cloud.db", str(directory), services.load("identity", "root"),
            authenticate=identity.authenticate, config={"public_url": self.url, "federation": Federation(saml=providers, trusted_dashboards=[DASHBOARD])},
        )  # fmt: skip
        config, here = self.runtime.config, [("identity", "keystone", f"{self.url}/identity")]
        self.transact(lambda tx: identity.bootstrap(tx, config, admin_password=ADMIN, demo_password=DEMO, endpoints=here))
        self._server = uvicorn.Server(uvicorn.Config(self.application, log_config=None, lifespan="off"))
        self._served = self.portal.start_task_soon(lambda: self._server.serve([self._socket]))

    @property
    def v3(self) -> str:
        return f"{self.url}/identity/v3"

    def auth_url(self, provider: str, protocol: str = "saml2") -> str:
        return f"{self.v3}/OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}/auth"

    def close(self) -> None:
        self._server.should_exit = True
        self._served.result(10)
        super().close()


class Idp:
    """pysaml2's identity provider, a process of its own, which knows a service provider by its metadata."""

    def __init__(self, directory: Path, people: dict[str, t.Any]):
        directory.mkdir()
        key = signing_key(directory / "both.pem")
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (directory / "key.pem").write_bytes(key.private.private_bytes(serialization.Encoding.PEM, *form))
        (directory / "cert.pem").write_bytes(key.certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "people.json").write_text(json.dumps(people))
        self.key, self.metadata, self._directory = key, directory / "idp.xml", directory

    def start(self, sp_metadata: bytes) -> None:
        (self._directory / "sp.xml").write_bytes(sp_metadata)
        command = [sys.executable, str(HERE / "saml_idp.py"), str(self._directory)]
        with (self._directory / "log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline().split()
        assert said[:1] == ["ready"], (self._directory / "log").read_text()
        self.url = f"http://127.0.0.1:{said[1]}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def plugin(cloud: HttpCloud, user: str = "admin", password: str = ADMIN, project: str | None = "admin") -> v3.Password:
    scope = {"project_name": project, "project_domain_name": "Default"} if project else {"unscoped": True}
    return v3.Password(cloud.v3, username=user, password=password, user_domain_name="Default", **scope)


class Admin:
    """An administrator of a cloud, by HTTP."""

    def __init__(self, cloud: HttpCloud):
        self.v3, self._session = cloud.v3, session.Session(auth=plugin(cloud))

    def __call__(self, method: str, path: str, json: t.Any = None) -> t.Any:
        answer = self._session.request(self.v3 + path, method, json=json)
        return answer.json() if answer.content else None

    def trust(self, provider: str, remote_id: str, rules: list, protocol: str = "saml2") -> None:
        """Have a provider's word count, by these rules and no others."""
        for path in (f"identity_providers/{provider}", f"mappings/{provider}"):
            self._session.delete(f"{self.v3}/OS-FEDERATION/{path}", raise_exc=False)
        body = {"identity_provider": {"enabled": True, "remote_ids": [remote_id]}}
        self("PUT", f"/OS-FEDERATION/identity_providers/{provider}", body)
        self("PUT", f"/OS-FEDERATION/mappings/{provider}", {"mapping": {"rules": rules}})
        self("PUT", f"/OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}", {"protocol": {"mapping_id": provider}})

    def group(self, name: str, role: str = "member", project: str = "demo") -> str:
        """A group with a role on a project; its id."""
        id = self("POST", "/groups", {"group": {"name": name}})["group"]["id"]
        roles, projects = self("GET", f"/roles?name={role}")["roles"], self("GET", f"/projects?name={project}")["projects"]
        self("PUT", f"/projects/{projects[0]['id']}/groups/{id}/roles/{roles[0]['id']}")
        return id


def rules(name: str, *local: dict, remote: tuple[dict, ...] = ()) -> list:
    return [{"local": [{"user": {"name": "{0}"}}, *local], "remote": [{"type": name}, *remote]}]
