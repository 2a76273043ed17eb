"""The `linux` network driver: bridges, VXLAN, namespaces, dnsmasq, radvd and nft, brought to one description.

`apply` compares with what the kernel has, not with what was done before, so whatever was interrupted or
taken away by hand is made again. A namespace whose description is the same as at its last success is looked
at from outside only; the same description once more, of whatever generation, means: look at everything.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable
from pathlib import Path

import msgspec
from pyroute2 import IPRoute

from cumulet.kernel import process
from cumulet.network.drivers.base import Applied, HostNetwork, Network, NetworkDriverError, Router
from cumulet.network.drivers.linux import (
    conntrack,
    dhcp,
    files,
    hostlinks,
    inside,
    links,
    namespaces,
    radvd,
    routers,
    ruleset,
    sessions,
)
from cumulet.network.drivers.linux.daemons import Daemon, Daemons
from cumulet.network.drivers.linux.hostlinks import PublicNet, Site
from cumulet.network.drivers.linux.inside import Inside, Leg
from cumulet.network.drivers.linux.links import Host, Link
from cumulet.network.drivers.linux.metadata import Metadata, OnGone, OnSocket, Place
from cumulet.network.drivers.linux.names import Names
from cumulet.network.drivers.linux.nft import Tables

FAILURES = (*hostlinks.FAILURES, process.CommandFailed)
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
RUNTIME = Path("/run")
EMPTY = HostNetwork(host="", generation=-1)
log = logging.getLogger(__name__)


class LinuxDriver:
    """See `NetworkDriver`. All calls are for the namespace of the process, and need root.

    `root` keeps the description; `tag` (four hex digits) tells this cloud's names from other clouds'.
    `owner` is the user who may open the taps. Guests on vxlan networks reach other hosts where `tunnel_ip` is given.
    """

    def __init__(
        self,
        root: Path,
        tag: str,
        *,
        public: PublicNet | None,
        on_metadata_socket: OnSocket,
        on_metadata_gone: OnGone,
        tunnel_ip: str | None = None,
        dns_servers: tuple[str, ...] = (),
        domain: str = "cumulet.internal",
        owner: int = 0,
    ):
        self._names = Names(tag)
        self._site = Site(names=self._names, public=public, tunnel_ip=tunnel_ip, owner=owner)
        self._file = root / "network.json"
        self._directory = root / "daemons"
        self._runtime = RUNTIME / self._names.prefix
        self._daemons = Daemons(self._directory)
        self._dhcp = dhcp.Dhcp(self._daemons, self._directory, self._runtime, domain, dns_servers)
        self._metadata = Metadata(on_metadata_socket, on_metadata_gone)
        self._tables = Tables()
        self._lock = asyncio.Lock()
        self._wanted: HostNetwork | None = None
        self._before: HostNetwork | None = None
        self._made: dict[str, tuple[Inside, int | None]] = {}

    async def open(self) -> None:
        await require_bridge_filter()
        async with self._lock:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._wanted = read_description(self._file)
            failed = await self._reconcile(self._wanted or EMPTY)
        for id, reason in failed.items():
            log.warning("network: %s could not be made again: %s", id, reason)

    async def close(self) -> None:
        """Nothing is watched; the sockets for metadata are their owner's to close."""

    async def apply(self, wanted: HostNetwork) -> Applied:
        async with self._lock:
            if self._wanted and wanted.generation < self._wanted.generation:
                raise NetworkDriverError(
                    f"generation {wanted.generation} of the host's network is older than {self._wanted.generation}, in force"
                )
            if self._wanted and msgspec.structs.replace(self._wanted, generation=wanted.generation) == wanted:
                self._made.clear()
            if wanted != self._wanted:
                await asyncio.to_thread(files.write, self._file, msgspec.json.encode(wanted))
            self._wanted = wanted
            return Applied(generation=wanted.generation, failed=await self._reconcile(wanted))

    async def remove(self) -> None:
        async with self._lock:
            site, self._site = self._site, msgspec.structs.replace(self._site, public=None)
            try:
                await self._reconcile(EMPTY)
            finally:
                self._site = site
            await self._tables.put(None, ruleset.replacing(self._names.table, ("bridge", "inet")))
            self._wanted = self._before = None
            self._file.unlink(missing_ok=True)
            shutil.rmtree(self._directory, ignore_errors=True)
            shutil.rmtree(self._runtime, ignore_errors=True)

    def tap(self, port_id: str) -> str:
        return self._names.tap(port_id)

    async def port_statistics(self, port_id: str) -> dict[str, int]:
        """Raises NetworkDriverError where the port has no tap here."""
        link = (await asyncio.to_thread(links.found)).get(self.tap(port_id))
        if link is None:
            raise NetworkDriverError(f"port {port_id} has no tap device on this host")
        return links.statistics(link)

    async def _reconcile(self, wanted: HostNetwork) -> dict[str, str]:
        """Links, then rules (no tap passes anything without), then namespaces; what failed, by id."""
        try:
            found, failed = await asyncio.to_thread(hostlinks.make, self._site, wanted)
            failed |= await self._filter(wanted, found)
        except FAILURES as error:
            raise NetworkDriverError(f"the host's links and filter rules could not be made: {error}") from error
        await self._daemons.refresh()
        here = msgspec.structs.replace(
            wanted,
            networks=tuple(network for network in wanted.networks if network.id not in failed),
            routers=tuple(router for router in wanted.routers if router.up),
        )
        await self._sweep(here, failed)
        new: list[tuple[str, Leg, str]] = []
        for network in here.networks:
            if network.dhcp_port and network.up:
                await note(failed, network.id, self._serve(network, found, failed))
        for router in here.routers:
            await note(failed, router.id, self._route(router, here, found, new))
        for namespace, leg, address in new:
            await note(failed, namespace, asyncio.to_thread(inside.announce, namespace, leg, address))
        return failed | await asyncio.to_thread(self._metadata.serve, self._places(here, failed))

    async def _filter(self, wanted: HostNetwork, found: dict[str, Link]) -> dict[str, str]:
        """Put the rules in force, and end connections that they would not let begin."""
        indexes = {name: link.index for name, link in found.items()}
        rules = ruleset.ruleset(self._names, wanted, indexes)
        await self._tables.put(None, rules.text, lambda: self._end_sessions(wanted, indexes, rules.failed))
        self._before = wanted
        return rules.failed

    def _end_sessions(self, wanted: HostNetwork, indexes: dict[str, int], failed: dict[str, str]) -> None:
        before = self._before or wanted
        zones: dict[int, list[str]] = {}
        touched = sessions.narrowed(before, wanted) if self._before else {network.id for network in wanted.networks}
        for network in wanted.networks:
            if network.id in touched and (index := indexes.get(self._bridge_name(network))):
                zones.setdefault(ruleset.zone(index), []).append(network.id)
        if zones:
            conntrack.end(sessions.judge(before, wanted, failed, zones))

    def _bridge_name(self, network: Network) -> str:
        return self._names.external_bridge if network.kind == "flat" else self._names.bridge(network.id)

    async def _sweep(self, wanted: HostNetwork, failed: dict[str, str]) -> None:
        """Take away the namespaces and daemons of networks and routers that are not wanted here."""
        kept = {self._names.dhcp(network.id) for network in wanted.networks if network.dhcp_port and network.up}
        kept |= {self._names.router(router.id) for router in wanted.routers}
        served = self._places(wanted, {})
        self._metadata.keep(served)
        here = {name for name in namespaces.listed() if self._names.owns(name)}
        for name in (here | self._daemons.namespaces()) - kept:
            await note(failed, name, self._clear(name))

    async def _clear(self, name: str) -> None:
        self._made.pop(name, None)
        self._tables.forget(name)
        await self._daemons.stop(name)
        await namespaces.delete(name)
        self._dhcp.forget(name)

    async def _serve(self, network: Network, found: dict[str, Link], failed: dict[str, str]) -> None:
        assert network.dhcp_port
        wanted = dhcp.plan(self._names, network, network.dhcp_port, self._site.bridge)
        if await self._make(wanted, found):
            await self._daemons.stop(wanted.name)  # dnsmasq does not follow its interface to a new one
        failed |= await self._dhcp.serve(wanted.name, wanted.legs[0].inner, network, network.dhcp_port)

    async def _route(self, router: Router, wanted: HostNetwork, found: dict[str, Link], new: list[tuple[str, Leg, str]]) -> None:
        plan = routers.plan(self._names, router, wanted, self._site.bridge)
        name = plan.inside.name
        new += [(name, leg, address) for leg, address in await self._make(plan.inside, found)]
        await self._tables.put(name, plan.translation, lambda: conntrack.end(routers.outdated(router)))
        if plan.announcements:
            await self._daemons.ensure(Daemon(name, plan.announcements, radvd.command))
        elif name in self._daemons.namespaces():
            await self._daemons.stop(name)

    async def _make(self, wanted: Inside, found: dict[str, Link]) -> list[tuple[Leg, str]]:
        """Have a namespace as described; addresses that are new in it. Nothing is done where it is known to be so."""
        known = (wanted, namespaces.identity(wanted.name))
        if known[1] and self._made.get(wanted.name) == known and inside.outers_whole(found, wanted):
            return []
        self._made.pop(wanted.name, None)
        if fresh := known[1] is None:
            self._tables.forget(wanted.name)
            await namespaces.add(wanted.name)
        added = await asyncio.to_thread(make_inside, wanted, fresh)
        self._made[wanted.name] = wanted, namespaces.identity(wanted.name)
        return added

    def _places(self, wanted: HostNetwork, failed: dict[str, str]) -> dict[str, Place]:
        """Where each network's metadata is asked for: at its DHCP port, else at the first router that it is on."""
        places = {
            network.id: Place(self._names.dhcp(network.id), self._names.inner(network.dhcp_port.id))
            for network in wanted.networks
            if network.dhcp_port and network.up and network.id not in failed
        }
        bare = {network.id for network in wanted.networks if network.dhcp_port is None}
        for router in wanted.routers:
            for port in router.interfaces if router.id not in failed else ():
                if port.network_id in bare:
                    place = Place(self._names.router(router.id), self._names.inner(port.port_id))
                    places.setdefault(port.network_id, place)
        return places


async def note(failed: dict[str, str], id: str, work: Awaitable[object]) -> None:
    """Wait for one part's work; what goes wrong is that part's alone."""
    try:
        await work
    except FAILURES as error:
        failed[id] = str(error)


def make_inside(wanted: Inside, fresh: bool) -> list[tuple[Leg, str]]:
    with IPRoute() as ip:
        return inside.make(Host(ip), wanted, fresh=fresh)


def read_description(path: Path) -> HostNetwork | None:
    """The description that was last asked for. Raises NetworkDriverError for a file that cannot be read."""
    content = files.read(path)
    try:
        return msgspec.json.decode(content, type=HostNetwork) if content else None
    except msgspec.DecodeError as error:
        raise NetworkDriverError(f"{path} is not a description of the host's network ({error}); remove it") from error


async def require_bridge_filter() -> None:
    """Bridged packets must pass the packet filter, or security groups would be without effect."""
    if not BRIDGE_FILTER.exists():
        try:
            await process.run("modprobe", "br_netfilter")
        except process.CommandFailed as error:
            raise NetworkDriverError(
                "the kernel has no br_netfilter, without which security groups cannot be kept on bridges; "
                f"install the module or build the kernel with CONFIG_BRIDGE_NETFILTER ({error})"
            ) from error
