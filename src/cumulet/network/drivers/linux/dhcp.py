"""The DHCP, DNS and metadata namespace of a network, and the dnsmasq in it."""

from __future__ import annotations

import asyncio
import grp
import pwd
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from cumulet.network.drivers.base import Network, Port
from cumulet.network.drivers.linux import dnsmasq, files
from cumulet.network.drivers.linux.daemons import Daemon, Daemons
from cumulet.network.drivers.linux.dnsmasq import METADATA, Files
from cumulet.network.drivers.linux.inside import Inside, Leg
from cumulet.network.drivers.linux.names import Names
from cumulet.network.drivers.linux.routers import interfaces, ways_out
from cumulet.network.drivers.linux.spoof import mac

USER = "nobody"
"""Whom dnsmasq becomes."""


def plan(names: Names, network: Network, port: Port, bridge_of: Callable[[Network], str]) -> Inside:
    """The namespace of a network's DHCP port. Raises ValueError for a port that cannot be."""
    leg = Leg(
        outer=names.outer(port.id),
        inner=names.inner(port.id),
        bridge=bridge_of(network),
        mac=mac(port.mac),
        mtu=network.mtu,
        addresses=(*interfaces(network, port.fixed_ips), f"{METADATA}/32"),
    )
    own = {ip.subnet_id for ip in port.fixed_ips}
    out = ways_out([subnet for subnet in network.subnets if subnet.id in own], leg.inner)  # for DNS to ask servers outside
    return Inside(name=names.dhcp(network.id), legs=(leg,), routes=tuple(out.values()))


class Dhcp:
    """The dnsmasqs of a host. `runtime` holds the files that they read again after they have given up root,
    so it must be a place that everyone may enter; the files are for their group alone."""

    def __init__(self, daemons: Daemons, directory: Path, runtime: Path, domain: str, dns: tuple[str, ...]):
        self._daemons, self._directory, self._runtime = daemons, directory, runtime
        self._domain, self._dns = domain, dns
        self._gid = pwd.getpwnam(USER).pw_gid

    async def serve(self, namespace: str, interface: str, network: Network, port: Port) -> dict[str, str]:
        """Have dnsmasq hand out the network's leases; which ports had to be left out, and why.

        New leases are read by the running process. It is started anew when an address left its MAC, since
        it would keep the address for the old one.
        """
        wanted, failed = dnsmasq.leases(network, port, self._domain)
        loaded = self._loaded(namespace)
        if loaded and dnsmasq.addresses(loaded.hosts) - dnsmasq.addresses(wanted.hosts):
            await self._daemons.stop(namespace)
        await asyncio.to_thread(self._write, namespace, wanted)
        conf = dnsmasq.configuration(network, interface, self._account(), self._runtime / namespace, self._domain, self._dns)
        started = await self._daemons.ensure(Daemon(namespace, conf, command))
        if not started and loaded != wanted:
            self._daemons.signal(namespace, signal.SIGHUP)
        if started or loaded != wanted:
            await asyncio.to_thread(files.write, self._loaded_path(namespace), msgspec.json.encode(wanted))
        return failed

    def forget(self, namespace: str) -> None:
        """Remove the files of a namespace that is no more."""
        shutil.rmtree(self._runtime / namespace, ignore_errors=True)

    def _account(self) -> str:
        return f"{USER}\ngroup={grp.getgrgid(self._gid).gr_name}"

    def _write(self, namespace: str, wanted: Files) -> None:
        for name, content in msgspec.structs.asdict(wanted).items():
            path = self._runtime / namespace / name
            if files.read(path) != content:
                files.write(path, content, mode=0o640, group=self._gid)

    def _loaded(self, namespace: str) -> Files | None:
        """What the running process has read."""
        content = files.read(self._loaded_path(namespace))
        return msgspec.json.decode(content, type=Files) if content else None

    def _loaded_path(self, namespace: str) -> Path:
        return self._directory / f"{namespace}.loaded"


def command(conf: Path, pid_file: Path) -> tuple[str, ...]:
    return (
        "dnsmasq",
        f"--conf-file={conf}",
        f"--pid-file={pid_file}",
        f"--log-facility={pid_file.with_suffix('.log')}",
    )
