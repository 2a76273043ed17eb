"""What was interrupted or taken away is made again, and at the end nothing is left."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from network_scene import EXTERNAL, network, pings, port, router, scene

from cumulet.network.drivers.base import HostNetwork, NetworkDriverError
from cumulet.network.drivers.linux import namespaces

NOTHING = HostNetwork(host="", generation=0)
PORT = port(10)
WHOLE = scene(PORT, networks=(network(PORT, kind="vxlan", segment=5), EXTERNAL), routers=(router(("172.24.4.20", "10.0.0.10")),))


def damages(host) -> dict[str, tuple[str, ...]]:
    """Commands that take something away, by what they take."""
    names = host.driver._names
    dhcp, routing = f"--net=/run/netns/{names.dhcp('net')}", f"--net=/run/netns/{names.router('router')}"
    return {
        "tap": ("ip", "link", "del", names.tap(PORT.id)),
        "tap-down": ("ip", "link", "set", names.tap(PORT.id), "down"),
        "bridge": ("ip", "link", "del", names.bridge("net")),
        "external-bridge": ("ip", "link", "del", names.external_bridge),
        "gateway-address": ("ip", "addr", "flush", "dev", names.gateway),
        "inet-table": ("nft", "delete", "table", "inet", names.table),
        "bridge-table": ("nft", "delete", "table", "bridge", names.table),
        "every-rule": ("nft", "flush", "ruleset"),
        "dhcp-namespace": ("ip", "netns", "del", names.dhcp("net")),
        "router-namespace": ("ip", "netns", "del", names.router("router")),
        "dhcp-leg": ("ip", "link", "del", names.outer("net-dhcp")),
        "dhcp-address": ("nsenter", dhcp, "ip", "addr", "flush", "dev", names.inner("net-dhcp")),
        "router-leg": ("ip", "link", "del", names.outer("router-gateway")),
        "router-route": ("nsenter", routing, "ip", "route", "del", "default"),
        "router-translation": ("nsenter", routing, "nft", "flush", "ruleset"),
        "router-floating": (
            "nsenter",
            routing,
            "ip",
            "addr",
            "del",
            "172.24.4.20/32",
            "dev",
            names.inner("router-gateway"),
        ),
        "dnsmasq": ("kill", "-9", *map(str, host.daemon_pids("dnsmasq"))),
    }


DAMAGED = (
    "tap",
    "tap-down",
    "bridge",
    "external-bridge",
    "gateway-address",
    "inet-table",
    "bridge-table",
    "every-rule",
    "dhcp-namespace",
    "router-namespace",
    "dhcp-leg",
    "dhcp-address",
    "router-leg",
    "router-route",
    "router-translation",
    "router-floating",
    "dnsmasq",
)


@pytest.mark.parametrize("what", DAMAGED)
def test_the_same_description_again_repairs(host, guests, what):
    assert host.apply(WHOLE) == {}
    whole = host.left()
    host.run(*damages(host)[what], check=True)
    assert host.apply(WHOLE) == {}
    now = host.left()
    for part in ("links", "namespaces", "processes", "runtime"):
        assert now[part] == whole[part]
    guest = guests(host, PORT)
    assert guest.lease()
    assert pings(host.name, "172.24.4.20")
    assert guest.pings("172.24.4.1")


def test_nothing_is_left_but_what_open_made(host):
    def links() -> str:
        """All but the state of a link, which the kernel notes a little after the link is up."""
        return re.sub(r" state \w+", "", host.run("ip", "-o", "link").stdout)

    opened, before = host.left(), links()
    host.apply(WHOLE)
    assert host.left() != opened
    host.apply(NOTHING)
    assert host.left() == opened
    assert links() == before


def test_remove_leaves_nothing(hosts):
    host = hosts()
    before = host.left()
    host.open()
    host.apply(WHOLE)
    host.remove()
    assert host.left() == before
    assert list(host.directory.rglob("*")) == []


def test_an_agent_that_starts_again_finds_everything_and_disturbs_nothing(host, guests):
    host.apply(WHOLE)
    guest = guests(host, PORT)
    guest.lease()
    before, pids = host.left(), host.daemon_pids("dnsmasq")
    host.restart()
    assert host.left() == before
    assert host.daemon_pids("dnsmasq") == pids
    assert set(host.sockets) == {"net"}
    assert guest.pings("172.24.4.1")


def test_after_a_reboot_the_last_description_comes_back(host, guests):
    host.apply(WHOLE)
    description = (host.directory / "network.json").read_bytes()
    host.remove()
    (host.directory / "network.json").write_bytes(description)
    host.restart()
    assert guests(host, PORT).lease()


def test_an_older_generation_is_refused(host):
    host.apply(WHOLE)
    host.generation = -1
    with pytest.raises(NetworkDriverError, match="older"):
        host.apply(NOTHING)


def test_a_description_that_cannot_be_read_is_told(hosts):
    host = hosts()
    host.directory.mkdir()
    (host.directory / "network.json").write_text("{")
    with pytest.raises(NetworkDriverError, match=r"network\.json"):
        host.open()


def test_two_clouds_on_one_machine_do_not_meet(host, hosts):
    other = hosts("other", on=host)
    host.apply(WHOLE)
    whole = host.left()
    other.open()
    other.apply(scene(port(20), networks=(network(port(20)),)))
    assert other.left()["links"] != whole["links"]
    other.remove()
    assert host.left() == whole


def test_killed_at_any_moment_it_is_made_whole_again(host, guests):
    host.apply(WHOLE)
    whole = host.left()
    host.apply(NOTHING)
    choose = random.Random(7)
    script = str(Path(__file__).with_name("network_crasher.py"))
    for _ in range(12):
        words = ("nsenter", f"--net=/run/netns/{host.name}", sys.executable, script, str(host.directory), host.tag)
        crasher = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert crasher.stdout and crasher.stdout.readline() == "applying\n"
        time.sleep(choose.uniform(0.01, 0.4))
        os.kill(crasher.pid, signal.SIGKILL)
        crasher.wait()
        crasher.stdout.close()
        host.restart()
        host.generation = 10**9
        assert host.apply(WHOLE) == {}
        now = host.left()
        assert {**now, "rules": ""} == {**whole, "rules": ""}
        (host.directory / "network.json").unlink()
    guest = guests(host, PORT)
    assert guest.lease()
    assert pings(host.name, "172.24.4.20")


def test_what_cannot_be_taken_away_is_told_and_keeps_nothing_from_being_made(host, guests):
    stray = namespaces.path(host.driver._names.dhcp("gone"))
    stray.mkdir(parents=True)
    try:
        assert set(host.apply(WHOLE)) == {stray.name}
        assert guests(host, PORT).lease()
    finally:
        stray.rmdir()
    assert host.apply(WHOLE) == {}
