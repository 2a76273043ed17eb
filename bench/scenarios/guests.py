"""A real guest: from POST to ACTIVE, and to an SSH session through a floating IP."""

from __future__ import annotations

import socket
import statistics
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

from cloud import Cloud, running, wait
from report import Figure

TIMES = 3
PATIENCE = 60.0


class Place(t.NamedTuple):
    """What there is before a server is asked for: its port, the floating IP that leads there, its key."""

    port: str
    address: str
    key: Path


def run(guest: Path) -> list[Figure]:
    if not guest.exists():
        raise FileNotFoundError(f"there is no guest image {guest}: make it with `make image`")
    active, ssh = [], []
    with running(guest) as cloud, tempfile.TemporaryDirectory() as keys:
        place = _prepare(cloud, Path(keys))
        for _ in range(TIMES):
            seconds = _boot(cloud, place)
            active.append(seconds[0])
            ssh.append(seconds[1])
    return [
        Figure("guest, POST to ACTIVE", statistics.median(active), "s", 1, {"each": active}),
        Figure("guest, POST to SSH", statistics.median(ssh), "s", 8, {"each": ssh}),
    ]


def _prepare(cloud: Cloud, keys: Path) -> Place:
    key = keys / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text()
    cloud.call("POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "bench", "public_key": public}})
    net = _made(cloud, "network", name="bench")
    subnet = _made(cloud, "subnet", network_id=net["id"], cidr="10.0.0.0/24", ip_version=4)
    external = cloud.one("/network/v2.0/networks", "public")["id"]
    router = _made(cloud, "router", name="bench", external_gateway_info={"network_id": external})
    cloud.call("PUT", f"/network/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    group = _made(cloud, "security_group", name="bench")
    _made(cloud, "security_group_rule", security_group_id=group["id"], direction="ingress", protocol="tcp",
          port_range_min=22, port_range_max=22)  # fmt: skip
    port = _made(cloud, "port", network_id=net["id"], security_groups=[group["id"]])
    floating = _made(cloud, "floatingip", floating_network_id=external, port_id=port["id"])
    return Place(port["id"], floating["floating_ip_address"], key)


def _made(cloud: Cloud, kind: str, **values: t.Any) -> dict:
    path = f"/network/v2.0/{kind.replace('_', '-')}s"
    return cloud.call("POST", path, {kind: values})[kind]


def _boot(cloud: Cloud, place: Place) -> tuple[float, float]:
    """Seconds from POST to ACTIVE and to a command done over SSH; the server is gone afterwards."""
    image, flavor = cloud.one("/image/v2/images", "guest"), cloud.one("/compute/v2.1/flavors", "m1.tiny")
    body = {"name": "bench", "imageRef": image["id"], "flavorRef": flavor["id"], "key_name": "bench", "networks": [{"port": place.port}]}
    began = time.monotonic()
    path = f"/compute/v2.1/servers/{cloud.call('POST', '/compute/v2.1/servers', {'server': body})['server']['id']}"
    try:
        wait(lambda: _status(cloud, path) == "ACTIVE", PATIENCE, "ACTIVE", 0.02)
        active = time.monotonic() - began
        wait(lambda: _listens(place.address), PATIENCE, "SSH's port")
        wait(lambda: _logged_in(place), PATIENCE, "an SSH session", 0.1)
        return active, time.monotonic() - began
    finally:
        cloud.call("DELETE", path)
        wait(lambda: cloud.status_of(path) == 404, PATIENCE, "the server's end")


def _status(cloud: Cloud, path: str) -> str:
    server = cloud.call("GET", path)["server"]
    if server["status"] == "ERROR":
        raise RuntimeError(f"the server has failed: {server.get('fault')}")
    return server["status"]


def _listens(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=0.5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _logged_in(place: Place) -> bool:
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=3", "LogLevel=ERROR"]
    argv = [
        "ssh",
        "-F",
        "/dev/null",
        "-i",
        str(place.key),
        *(part for option in options for part in ("-o", option)),
        f"guest@{place.address}",
        "true",
    ]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=20).returncode == 0
