"""What the tests of the linux driver are made of: hosts and guests in namespaces, and descriptions."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cumulet.network.drivers.base import (
    FixedIp,
    FloatingIp,
    Group,
    HostNetwork,
    Lease,
    Network,
    Port,
    Router,
    RouterPort,
    Rule,
    Subnet,
)
from cumulet.network.drivers.linux import namespaces
from cumulet.network.drivers.linux.driver import LinuxDriver
from cumulet.network.drivers.linux.hostlinks import PublicNet

PUBLIC = PublicNet(name="public", cidr="172.24.4.0/24", gateway="172.24.4.1")
LEASE_SCRIPT = """#!/bin/sh
case "$1" in bound|renew)
  ip link set "$interface" mtu "${mtu:-1500}"
  ip addr replace "$ip/$mask" dev "$interface"
  set -- $staticroutes
  while [ $# -gt 1 ]; do ip route replace "$1" via "$2" onlink dev "$interface"; shift 2; done
  echo "{\\"ip\\": \\"$ip\\", \\"mtu\\": \\"$mtu\\", \\"dns\\": \\"$dns\\", \\"routes\\": \\"$staticroutes\\",
    \\"router\\": \\"$router\\", \\"boot_file\\": \\"${bootfile:-$boot_file}\\", \\"hostname\\": \\"$hostname\\"}" > "$LEASE_FILE";;
esac
"""


def eventually(question: Callable[[], Any], seconds: float = 10) -> Any:
    """What `question` answers once that is true; its last answer when time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def command(*argv: str, namespace: str | None = None, **options) -> subprocess.CompletedProcess[str]:
    options = {"check": False, "capture_output": True, "text": True} | options
    return subprocess.run(namespaces.command(namespace, *argv), **options)


class Loop:
    """An event loop in a thread that lives in a host's namespace."""

    def __init__(self, namespace: str):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._live, args=(namespace,), daemon=True)
        self.thread.start()

    def _live(self, namespace: str) -> None:
        namespaces.switch(namespace)
        self.loop.run_forever()

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Host:
    """A host: a namespace, of its own or that of another, with a driver and the metadata sockets that it handed over."""

    def __init__(self, directory: Path, *, on: Host | None = None, **options):
        self.name = on.name if on else "t" + secrets.token_hex(4)
        self.own_namespace = on is None
        if self.own_namespace:
            command("ip", "netns", "add", self.name, check=True)
            command("ip", "link", "set", "lo", "up", namespace=self.name, check=True)
        self.directory, self.tag, self.options = directory, secrets.token_hex(2), options
        self.sockets: dict[str, socket.socket] = {}
        self.generation = 0
        self.loop = Loop(self.name)
        self.driver = self.new_driver()

    def new_driver(self) -> LinuxDriver:
        self.driver = LinuxDriver(
            self.directory,
            self.tag,
            public=PUBLIC,
            on_metadata_socket=self.sockets.__setitem__,
            on_metadata_gone=lambda network: self.sockets.pop(network).close(),
            **self.options,
        )
        return self.driver

    def open(self) -> Host:
        self.loop.run(self.driver.open())
        return self

    def restart(self) -> None:
        """As after the death of the agent: a new driver that knows nothing."""
        for each in self.sockets.values():
            each.close()
        self.sockets.clear()
        self.new_driver()
        self.open()

    def apply(self, wanted: HostNetwork) -> dict[str, str]:
        self.generation += 1
        wanted = HostNetwork(
            host=self.name,
            generation=self.generation,
            networks=wanted.networks,
            ports=wanted.ports,
            groups=wanted.groups,
            routers=wanted.routers,
        )
        return self.loop.run(self.driver.apply(wanted)).failed

    def run(self, *argv: str, **options) -> subprocess.CompletedProcess[str]:
        return command(*argv, namespace=self.name, **options)

    def left(self) -> dict[str, object]:
        """All that a cloud could leave on a host."""
        return {
            "links": sorted(line.split(":")[1].split("@")[0] for line in self.run("ip", "-o", "link").stdout.splitlines()),
            "namespaces": sorted(each for each in namespaces.listed() if each.startswith("c" + self.tag)),
            "rules": self.run("nft", "list", "ruleset").stdout,
            "processes": self.daemons(),
            "runtime": sorted(map(str, Path("/run").glob(f"c{self.tag}/**/*"))),
        }

    def daemons(self) -> list[str]:
        """Command lines of the processes that were started for this host."""
        marker = str(self.directory)
        lines = (read_command_line(pid) for pid in os.listdir("/proc") if pid.isdecimal() and int(pid) != os.getpid())
        return sorted(line for line in lines if marker in line)

    def daemon_pids(self, program: str) -> set[int]:
        marker = str(self.directory)
        pids = [int(pid) for pid in os.listdir("/proc") if pid.isdecimal()]
        return {pid for pid in pids if marker in (line := read_command_line(str(pid))) and line.startswith(program)}

    def remove(self) -> None:
        self.loop.run(self.driver.remove())

    def end(self) -> None:
        self.remove()
        self.loop.stop()
        if self.own_namespace:
            command("ip", "netns", "del", self.name)


def read_command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


class Guest:
    """A guest behind a port: a namespace with a card on the port's tap."""

    def __init__(self, host: Host, port: Port, directory: Path):
        self.port, self.directory = port, directory
        self.name = "g" + secrets.token_hex(4)
        command("ip", "netns", "add", self.name, check=True)
        script = Path(__file__).with_name("network_guest.py")
        words = (sys.executable, str(script), host.name, host.driver.tap(port.id), self.name, port.mac)
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout and self.process.stdout.readline() == "ready\n"
        command("ip", "link", "set", "lo", "up", namespace=self.name, check=True)
        command("ip", "link", "set", "eth0", "up", namespace=self.name, check=True)

    def run(self, *argv: str, **options) -> subprocess.CompletedProcess[str]:
        return command(*argv, namespace=self.name, **options)

    def lease(self) -> dict[str, str] | None:
        """Ask for an address by DHCP, use it, and tell what came with it."""
        script, answer = self.directory / "lease.sh", self.directory / f"{self.name}.lease"
        if not script.exists():
            script.write_text(LEASE_SCRIPT)
            script.chmod(0o755)
        options = [word for name in ("staticroutes", "mtu", "bootfile") for word in ("-O", name)]
        words = ["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "8", "-T", "1", "-s", str(script), *options]
        self.run("busybox", *words, env={**os.environ, "LEASE_FILE": str(answer)})
        return json.loads(answer.read_text()) if answer.exists() else None

    def address(self, interface: str, gateway: str | None = None) -> None:
        """Give the card an address by hand."""
        self.run("ip", "addr", "replace", interface, "dev", "eth0", *(["nodad"] if ":" in interface else []), check=True)
        if gateway:
            self.run("ip", "route", "replace", "default", "via", gateway, check=True)

    def pings(self, address: str, seconds: float = 5) -> bool:
        return pings(self.name, address, seconds)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        command("ip", "netns", "del", self.name)


def pings(namespace: str, address: str, seconds: float = 5) -> bool:
    """Whether an address answers within some seconds."""
    once = ("busybox", "ping6" if ":" in address else "ping", "-c", "1", "-W", "1", address)
    return bool(eventually(lambda: command(*once, namespace=namespace).returncode == 0, seconds))


class Echo:
    """A TCP server in a namespace that answers each connection with its name and then with what it is sent."""

    def __init__(self, namespace: str, port: int, name: bytes = b"hello"):
        self.name = name
        self.socket = namespaces.inside(namespace, lambda: socket.create_server(("", port)))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, self.peer = self.socket.accept()
            except OSError:
                return
            connection.sendall(self.name)
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1024):
                connection.sendall(data)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def connect(namespace: str, address: str, port: int, seconds: float = 1) -> socket.socket | None:
    """A TCP connection from a namespace; None where there is no answer in time."""
    try:
        return namespaces.inside(namespace, lambda: socket.create_connection((address, port), seconds))
    except OSError:
        return None


def says(namespace: str, address: str, port: int, seconds: float = 1) -> bytes | None:
    """What a server says first; None where it cannot be reached."""
    connection = connect(namespace, address, port, seconds)
    if connection is None:
        return None
    with connection:
        return connection.recv(64)


def still_echoes(connection: socket.socket) -> bool:
    connection.settimeout(1)
    try:
        connection.sendall(b"again")
        return connection.recv(64) == b"again"
    except OSError:
        return False


V4 = Subnet(id="s4", cidr="10.0.0.0/24", ip_version=4, gateway="10.0.0.1")
V6 = Subnet(id="s6", cidr="fd00:1::/64", ip_version=6, gateway="fd00:1::1", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
EXTERNAL = Network(
    id="external",
    kind="flat",
    physical="public",
    mtu=1500,
    subnets=(Subnet(id="public4", cidr="172.24.4.0/24", ip_version=4, gateway="172.24.4.1", dhcp=False),),
)
OUT = (Rule(direction="egress", ethertype="IPv4"), Rule(direction="egress", ethertype="IPv6"))
EVERYTHING = (*OUT, Rule(direction="ingress", ethertype="IPv4"), Rule(direction="ingress", ethertype="IPv6"))
OPEN = Group(id="open", rules=EVERYTHING, members=())


def mac(number: int) -> str:
    return f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"


def port(number: int, *, network: str = "net", subnet: str = "s4", address: str | None = None, **fields) -> Port:
    fixed = (FixedIp(subnet, address or f"10.0.0.{number}"),)
    known = {"groups": ("open",), "fixed_ips": fixed, "mac": mac(number), "id": f"{network}-port-{number}"} | fields
    return Port(network_id=network, **known)


def network(*leased: Port, id: str = "net", subnets=(V4,), dhcp: bool = True, server: str = "10.0.0.2", **fields) -> Network:
    own = Port(id=f"{id}-dhcp", network_id=id, mac=mac(512), fixed_ips=(FixedIp(subnets[0].id, server),))
    leases = tuple(
        Lease(port_id=each.id, mac=each.mac, addresses=each.fixed_ips, hostname=each.hostname, options=each.dhcp_options) for each in leased
    )
    known = {"kind": "local", "mtu": 1450} | fields
    return Network(id=id, subnets=subnets, leases=leases, dhcp_port=own if dhcp else None, **known)


def router(
    *floating: tuple[str, str],
    id: str = "router",
    address: str = "172.24.4.10",
    number: int = 600,
    legs=(("net", "s4", "10.0.0.1"),),
) -> Router:
    return Router(
        id=id,
        interfaces=tuple(
            RouterPort(
                port_id=f"{id}-{net}-{subnet}",
                network_id=net,
                mac=mac(number + index),
                fixed_ips=(FixedIp(subnet, ip),),
            )
            for index, (net, subnet, ip) in enumerate(legs)
        ),
        gateway=RouterPort(
            port_id=f"{id}-gateway",
            network_id="external",
            mac=mac(number + 100),
            fixed_ips=(FixedIp("public4", address),),
        ),
        floating_ips=tuple(FloatingIp(*each) for each in floating),
    )


def scene(*ports: Port, networks=None, routers=(), groups=(OPEN,)) -> HostNetwork:
    """One network with DHCP for these ports, and the external one, unless told otherwise."""
    return HostNetwork(
        host="",
        generation=0,
        networks=networks or (network(*ports), EXTERNAL),
        ports=ports,
        groups=groups,
        routers=routers,
    )
