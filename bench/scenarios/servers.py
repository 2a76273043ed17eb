"""A hundred servers asked for at once, on simulated hosts."""

from __future__ import annotations

import statistics
import time
import typing as t
from pathlib import Path

import load
from cloud import LISTEN, SIMULATED, Cloud, running, wait
from report import Figure

HOSTS, SERVERS, TIMES = 10, 100, 3
PATIENCE = 60.0
LIST = "/compute/v2.1/servers"


class Boots(t.NamedTuple):
    """Seconds until every POST was answered, and until every server was ACTIVE."""

    accepted: float
    active: float


def run(guest: Path) -> list[Figure]:
    with running(guest, *SIMULATED, "--hosts", str(HOSTS)) as cloud:
        boots = []
        for _ in range(TIMES):
            boots.append(boot(cloud))
            remove(cloud)
    return [
        Figure(f"{SERVERS} simulated servers, all accepted", statistics.median(b.accepted for b in boots), "s", None,
               {"each": [b.accepted for b in boots]}),
        Figure(f"{SERVERS} simulated servers, all ACTIVE", statistics.median(b.active for b in boots), "s", 5,
               {"each": [b.active for b in boots], "hosts": HOSTS}),
    ]  # fmt: skip


def boot(cloud: Cloud) -> Boots:
    """Ask for all servers at one moment and wait until all are ACTIVE. Raises RuntimeError where one is refused."""
    network = _network(cloud)
    image, flavor = cloud.one("/image/v2/images", "guest"), cloud.one("/compute/v2.1/flavors", "m1.tiny")
    wanted = [
        load.request("POST", LIST, {"server": {
            "name": f"bench-{i}", "imageRef": image["id"], "flavorRef": flavor["id"], "networks": [{"uuid": network}],
        }}, X_Auth_Token=cloud.token)
        for i in range(SERVERS)
    ]  # fmt: skip
    posted = load.at_once(LISTEN, wanted)
    began = time.monotonic() - posted.seconds
    if posted.failed:
        raise RuntimeError(f"{len(posted.failed)} of {SERVERS} servers were refused: {set(posted.failed)}")
    wait(lambda: _count(cloud, "?status=ACTIVE") == SERVERS, PATIENCE, "every server ACTIVE", 0.1)
    return Boots(posted.seconds, time.monotonic() - began)


def remove(cloud: Cloud) -> None:
    """Delete every server and wait until they are gone."""
    for server in cloud.call("GET", LIST)["servers"]:
        cloud.call("DELETE", f"{LIST}/{server['id']}")
    wait(lambda: _count(cloud) == 0, PATIENCE, "every server gone", 0.2)


def _network(cloud: Cloud) -> str:
    """The network that the servers are put on, made at first use."""
    found = cloud.call("GET", "/network/v2.0/networks?name=bench")["networks"]
    if found:
        return found[0]["id"]
    net = cloud.call("POST", "/network/v2.0/networks", {"network": {"name": "bench"}})["network"]
    cloud.call("POST", "/network/v2.0/subnets", {"subnet": {"network_id": net["id"], "cidr": "10.0.0.0/16", "ip_version": 4}})
    return net["id"]


def _count(cloud: Cloud, query: str = "") -> int:
    return len(cloud.call("GET", LIST + query)["servers"])
