"""A cloud of real processes with simulated hosts, at whose steps a fault can be laid and whose processes can be killed."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
import time
import typing as t
from pathlib import Path

import httpx2
import yaml

from cumulet.image.locations import locations
from cumulet.kernel import ids
from cumulet.kernel.db import Database, Tx
from cumulet.kernel.testing.engines import free_port
from cumulet.kernel.work.tasks import LIVE, tasks
from cumulet.run.layout import Layout
from fault.fault_actor import SETTINGS, Kept
from system.cloud.world import Cloud, eventually, kill
from web_server import web_server

HOST = "simulated-0001"
PATIENCE = 25.0
"""Seconds in which work has to end whose processes were killed: less than a lease lasts."""
QUIET = 5.5
"""Seconds after which a process that ends is started again at once."""


class Client:
    """Requests of one user. They are made again where their connection breaks, and none is done twice for that."""

    def __init__(self, cloud: ProcessCloud, user: str):
        self._cloud, self._user = cloud, user
        self._http = httpx2.Client(base_url=cloud.url, timeout=30)
        self._token = ""

    def __call__(self, method: str, path: str, json: t.Any = None, *, version: str | None = None, **more: t.Any) -> httpx2.Response:
        headers = {"Idempotency-Key": ids.new()} if method == "POST" else {}
        if version:
            headers["OpenStack-API-Version"] = version
        headers["X-Auth-Token"] = self.token
        return self._insist(method, path, json=json, headers=headers | more.pop("headers", {}), **more)

    @property
    def token(self) -> str:
        self._token = self._token or self._log_in()
        return self._token

    def get(self, path: str, **more: t.Any) -> httpx2.Response:
        return self("GET", path, **more)

    def delete(self, path: str, **more: t.Any) -> httpx2.Response:
        return self("DELETE", path, **more)

    def _insist(self, method: str, path: str, **more: t.Any) -> httpx2.Response:
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return self._http.request(method, path, **more)
            except httpx2.TransportError:
                assert time.monotonic() < ends, f"{method} {path}: the cloud did not come back"
                time.sleep(0.05)

    def _log_in(self) -> str:
        user = {"name": self._user, "password": self._cloud.passwords[self._user], "domain": {"id": "default"}}
        scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        answer = self._insist("POST", "/identity/v3/auth/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]


class ProcessCloud:
    """One cloud, up, with two flavors, an image and a network. database: the URL of one that is empty; SQLite where it is none."""

    def __init__(self, database: str = ""):
        self.hosts = [HOST]
        self._data = Path(tempfile.mkdtemp(prefix="fault-"))
        self._data.chmod(0o755)
        self.layout = Layout(self._data)
        self.image_store = self.layout.images
        self._probe = self.layout.control / "probe.json"
        flags = ["--hypervisor", "simulated", "--network", "simulated", "--listen", f"127.0.0.1:{free_port()}"]
        self._cloud = Cloud(self._data, *flags, *(["--database", database] if database else []))
        told = {"CUMULET_PROBE": str(self._probe)} | {f"CUMULET_{name.upper()}": json.dumps(value) for name, value in SETTINGS.items()}
        os.environ |= told
        try:
            self._cloud.up()
        finally:
            for name in told:
                del os.environ[name]
        self._serving = web_server()
        self.web = self._serving.__enter__()
        clouds = yaml.safe_load(self.layout.clouds.read_text())["clouds"]
        self.url = clouds["cumulet"]["auth"]["auth_url"].removesuffix("/identity")
        self.passwords = {cloud["auth"]["username"]: cloud["auth"]["password"] for cloud in clouds.values()}
        self._db = Database(database or f"sqlite:///{self.layout.control / 'cumulet.db'}")
        self._furnish()

    def close(self) -> None:
        self._serving.__exit__(None, None, None)
        self._db.close()
        self._cloud.purge()
        shutil.rmtree(self._data, ignore_errors=True)

    # -- what scenes and checks need -------------------------------------------------------------------------------

    def caller(self, prefix: str, *roles: str) -> Client:
        return self._admin if roles else self._member

    def work(self) -> None:
        eventually("no work left", lambda: not self.live(), PATIENCE, 0.02)

    def settle(self) -> None:
        self.work()

    def transact(self, fn: t.Callable[[Tx], t.Any]) -> t.Any:
        return self._db.transact(fn, write=False)

    def kept(self, host: str) -> Kept:
        root = self.layout.agent / host
        return Kept(
            root / "compute" / f"{host}.json", root / "network" / "network.json", self.layout.volumes / f"{host}.json",
            self.layout.metadata / "servers",
        )  # fmt: skip

    # -- adversity -------------------------------------------------------------------------------------------------

    def lay(self, saga: str, step: str, when: str, do: str) -> None:
        """Have the control process meet this at a step: it is killed there, or held."""
        draft = self._probe.with_suffix(".new")
        draft.write_text(json.dumps({"saga": saga, "step": step, "when": when, "do": do}))
        draft.chmod(0o644)
        draft.replace(self._probe)

    def parts(self) -> dict[str, list[int]]:
        """The control plane's processes by what they are for."""
        first, worker, *apis = self._cloud.control()
        return {"worker": [worker], "api": apis, "all": [first, worker, *apis]}

    def met(self) -> None:
        """Wait until the step is reached at which something lies in wait."""
        eventually("the saga came there", lambda: not self._probe.exists(), PATIENCE, 0.01)

    def kill_held(self, *names: str) -> None:
        """Kill processes of the cloud while a step is held, and let it go on."""
        pids = self._cloud.pids()
        kill(*(pids[name] for name in names))
        self._probe.with_suffix(".held").unlink(missing_ok=True)

    def rest(self) -> None:
        """Let the processes have run for so long that they are started again at once when they end."""
        eventually("processes that ran for a while", lambda: min(map(_age, self._cloud.pids().values())) > QUIET, PATIENCE, 0.05)

    def grow_old(self) -> None:
        """Let uploads that nobody works on have been without a sign of life for so long that they count as dead, and the
        reconciler come."""
        begun = dt.datetime(2001, 1, 1)
        self._db.transact(lambda tx: tx.update(locations, {"status": "pending"}, updated_at=begun))
        wanted = {"name": "nobody's", "disk_format": "raw", "container_format": "bare", "visibility": "private"}
        id = self._member("POST", "/image/v2/images", wanted).json()["id"]
        octets = {"Content-Type": "application/octet-stream"}
        assert self._member("PUT", f"/image/v2/images/{id}/file", content=b"x", headers=octets).status_code == 204
        assert self._member.delete(f"/image/v2/images/{id}").status_code == 204

    def live(self) -> bool:
        return bool(self.transact(lambda tx: tx.rows(tasks, status=LIVE)))

    def _furnish(self) -> None:
        self._member, self._admin = Client(self, "demo"), Client(self, "admin")
        for name, size in (("f1", 1), ("f2", 2)):
            body = {"id": name, "name": name, "ram": 64 * size, "vcpus": size, "disk": 1}
            assert self._admin("POST", "/compute/v2.1/flavors", {"flavor": body}).status_code == 200
        wanted = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        self.image_id = self._admin("POST", "/image/v2/images", wanted).json()["id"]
        octets = {"Content-Type": "application/octet-stream"}
        sent = self._admin("PUT", f"/image/v2/images/{self.image_id}/file", content=bytes(1 << 20), headers=octets)
        assert sent.status_code == 204, sent.text
        self.network_id = self._member("POST", "/network/v2.0/networks", {"network": {"name": "private"}}).json()["network"]["id"]
        subnet = {"network_id": self.network_id, "ip_version": 4, "cidr": "10.0.0.0/24"}
        assert self._member("POST", "/network/v2.0/subnets", {"subnet": subnet}).status_code == 201


def _age(pid: int | None) -> float:
    """Seconds that a process has run."""
    try:
        started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0
    return float(Path("/proc/uptime").read_text().split()[0]) - started
