"""A cloud of real processes with simulated hosts, spoken to over a socket, and its two users."""

from __future__ import annotations

import json
import shutil
import tempfile
import typing as t
from pathlib import Path

import requests
import yaml

from cumulet.kernel.testing.engines import free_port
from cumulet.run.layout import Layout
from system.cloud.world import Cloud

HOSTS = 3
PATIENCE = 30.0
"""Seconds that an answer may take."""


class Caller:
    """One user with a token, made anew when it was revoked. Raises AssertionError where the user cannot log in."""

    def __init__(self, url: str, auth: dict[str, str]):
        self.url, self._auth, self.password = url, auth, auth["password"]
        self._session = requests.Session()
        self._session.trust_env = False
        self.token = ""
        self.user_id, self.project_id = self.log_in()

    def log_in(self) -> tuple[str, str]:
        """Get a token; the ids of the user and the project that it is for."""
        user = {"name": self._auth["username"], "password": self.password, "domain": {"id": "default"}}
        scope = {"project": {"name": self._auth["project_name"], "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        answer = self._session.post(f"{self.url}/identity/v3/auth/tokens", json=body, timeout=PATIENCE)
        assert answer.status_code == 201, f"{user['name']} cannot log in any more: {answer.text}"
        self.token = answer.headers["X-Subject-Token"]
        return answer.json()["token"]["user"]["id"], answer.json()["token"]["project"]["id"]

    def send(self, prepared: requests.PreparedRequest) -> requests.Response:
        """Send a request with the user's token. Raises `requests.RequestException` where there is no answer."""
        prepared.headers["X-Auth-Token"] = self.token
        return self._session.send(prepared, timeout=PATIENCE, allow_redirects=False)

    def get(self, path: str) -> t.Any:
        """What a GET that must succeed answers."""
        answer = self.send(requests.Request("GET", self.url + path).prepare())
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()


class FuzzCloud:
    """One cloud, up. database: the URL of one that is empty; SQLite where it is none."""

    def __init__(self, database: str):
        data = Path(tempfile.mkdtemp(prefix="fuzz-"))
        data.chmod(0o755)
        (data / "cumulet.toml").write_text("bcrypt_rounds = 4\n")
        self._layout = Layout(data)
        flags = ["--hypervisor", "simulated", "--network", "simulated", "--hosts", str(HOSTS), "--listen", f"127.0.0.1:{free_port()}"]
        self._cloud = Cloud(data, *flags, *(["--database", database] if database else []))
        self._cloud.up()
        clouds = yaml.safe_load(self._layout.clouds.read_text())["clouds"]
        self.url = clouds["cumulet"]["auth"]["auth_url"].removesuffix("/identity")
        self.callers = {"admin": Caller(self.url, clouds["cumulet"]["auth"]), "member": Caller(self.url, clouds["cumulet-demo"]["auth"])}
        self._began = self._cloud.pids()

    def close(self) -> None:
        self._cloud.purge()
        shutil.rmtree(self._layout.root, ignore_errors=True)

    def memory(self) -> dict[str, int]:
        """MiB of memory that each process has, by its name."""
        return {name: _resident(pid) >> 10 for name, pid in self._cloud.pids().items()}

    def troubles(self) -> list[str]:
        """What the processes say of faults of their own: ends, and lines of their logs with a trace."""
        now = self._cloud.pids()
        ended = [f"the {name} process ended and was started again" for name, pid in self._began.items() if now.get(name) != pid]
        return ended + [f"{path.name}: {fault}" for path in self._layout.log.glob("*.log") for fault in _faults(path)]


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _faults(path: Path) -> t.Iterator[str]:
    """Each different event that came with a trace, by the trace's end, and whatever is no log line."""
    seen = set()
    for line in path.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"exception": line}
        trace = entry.pop("exception", "").rstrip()
        if trace and trace[-200:] not in seen:
            seen.add(trace[-200:])
            yield f"{entry}\n{trace[-1500:]}"
