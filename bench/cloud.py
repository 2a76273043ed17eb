"""A cloud of this checkout, in a directory of its own, for as long as it is measured."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import yaml

LISTEN = "127.0.0.1:5000"
COMMAND = [sys.executable, "-m", "cumulet"]
SIMULATED = ("--hypervisor", "simulated", "--network", "simulated")


class Refused(Exception):
    """The cloud answered with an error; the text has it."""


class Cloud:
    """A cloud that runs, as its administrator sees it."""

    def __init__(self, root: Path, flags: t.Sequence[str]):
        self.root, self.flags, self.token = root, flags, ""

    def up(self) -> None:
        self._command("up", "--listen", LISTEN, "--detach", *self.flags)

    def down(self) -> None:
        self._command("down")

    def login(self) -> None:
        """Get the token that calls are made with, for the administrator's project."""
        _, headers = exchange("POST", "/identity/v3/auth/tokens", self.credentials())
        self.token = headers["X-Subject-Token"]

    def credentials(self) -> dict:
        """The body that asks for a token."""
        auth = yaml.safe_load((self.root / "clouds.yaml").read_text())["clouds"]["cumulet"]["auth"]
        user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
        project = {"name": auth["project_name"], "domain": {"id": "default"}}
        return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": project}}}

    def call(self, method: str, path: str, body: t.Any = None) -> t.Any:
        """A request of the APIs; its answer's JSON. Raises Refused."""
        return exchange(method, path, body, {"X-Auth-Token": self.token})[0]

    def status_of(self, path: str) -> int:
        """The status code of a GET."""
        return _answer("GET", path, None, {"X-Auth-Token": self.token})[0].status

    def one(self, path: str, name: str) -> dict:
        """The item of a list that has a name."""
        (items,) = (value for value in self.call("GET", path).values() if isinstance(value, list))
        return next(item for item in items if item["name"] == name)

    def _command(self, *arguments: str) -> None:
        argv = [*COMMAND, arguments[0], "--data", str(self.root), *arguments[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=90)
        if done.returncode:
            raise RuntimeError(f"cumulet {arguments[0]}: {done.stderr.strip()}")


@contextlib.contextmanager
def directory(guest: Path) -> t.Iterator[Path]:
    """A data directory with the guest image in it, removed afterwards."""
    root = Path(tempfile.mkdtemp(prefix="cumulet-bench-"))
    root.chmod(0o755)
    try:
        if guest.exists():
            shutil.copy(guest, root / "guest.qcow2")
        yield root
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def running(guest: Path, *flags: str) -> t.Iterator[Cloud]:
    """A new cloud that is up, its administrator logged in; stopped and removed afterwards."""
    with directory(guest) as root:
        cloud = Cloud(root, flags)
        cloud.up()
        try:
            cloud.login()
            yield cloud
        finally:
            cloud.down()


def exchange(method: str, path: str, body: t.Any = None, headers: dict[str, str] | None = None, at: str = LISTEN) -> tuple[t.Any, t.Any]:
    """One request on a connection of its own: the answer's JSON and headers. Raises Refused."""
    answer, data = _answer(method, path, body, headers or {}, at)
    if answer.status >= 400:
        raise Refused(f"{method} {path}: {answer.status} {data.decode(errors='replace')[:400]}")
    return (json.loads(data) if data else None), answer.headers


def _answer(method: str, path: str, body: t.Any, headers: dict[str, str], at: str = LISTEN) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(at, timeout=60)
    with contextlib.closing(connection):
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer, answer.read()


def wait(until: t.Callable[[], bool], seconds: float, what: str, every: float = 0.05) -> None:
    """Ask until the answer is yes. Raises TimeoutError that says what did not come."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)
