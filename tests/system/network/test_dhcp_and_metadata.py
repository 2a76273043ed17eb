"""What a guest gets from its network: address, routes, names, metadata."""

from __future__ import annotations

import socket
import struct
import threading

import msgspec
from network_scene import EXTERNAL, V4, V6, eventually, network, port, router, scene

from cumulet.network.drivers.base import FixedIp, Subnet
from cumulet.network.drivers.linux import namespaces


def answer_once(listener) -> threading.Thread:
    """Answer one request with the address it came from."""
    listener.settimeout(10)

    def answer() -> None:
        connection, (address, _) = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {len(address)}\r\n\r\n{address}".encode())

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def fetch_metadata(guest, listener) -> str:
    thread = answer_once(listener)
    said = guest.run("busybox", "wget", "-q", "-O", "-", "http://169.254.169.254/", timeout=15).stdout
    thread.join()
    return said


def test_a_lease_has_address_mtu_routes_and_names(host, guests):
    one = port(10, hostname="web", dhcp_options={"bootfile-name": "pxe.0"})
    subnet = msgspec.structs.replace(V4, routes=(("10.9.0.0/16", "10.0.0.9"),))
    assert host.apply(scene(one, networks=(network(one, subnets=(subnet,)),))) == {}
    lease = guests(host, one).lease()
    assert lease is not None
    assert (lease["ip"], lease["mtu"], lease["dns"], lease["boot_file"]) == ("10.0.0.10", "1450", "10.0.0.2", "pxe.0")
    routes = lease["routes"].split()
    assert dict(zip(routes[::2], routes[1::2], strict=True)) == {
        "169.254.169.254/32": "10.0.0.2",
        "10.9.0.0/16": "10.0.0.9",
        "0.0.0.0/0": "10.0.0.1",
    }


def test_options_that_make_no_sense_harm_no_one(host, guests):
    """Clients may write any: the program that hands them out leaves out what it cannot read, and goes on."""
    wrong = {
        "no-such-option": "x",
        "mtu": "many",
        "router": "nowhere,,",
        "999": "",
        "option6:dns-server": "1.2.3.4",
        "bootfile-name": "pxe.0",
    }
    one, two = port(10, dhcp_options=wrong), port(11)
    assert host.apply(scene(one, two)) == {}
    lease, other = guests(host, one).lease(), guests(host, two).lease()
    assert lease and lease["ip"] == "10.0.0.10" and lease["boot_file"] == "pxe.0"
    assert other and other["ip"] == "10.0.0.11"


def test_a_stranger_gets_no_lease(host, guests):
    known, stranger = port(10), port(11)
    host.apply(scene(known, stranger, networks=(network(known),)))
    assert guests(host, known).lease() is not None
    stranger_guest = guests(host, stranger)
    stranger_guest.run("ip", "link", "set", "eth0", "up")
    said = stranger_guest.run("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "2", "-T", "1", "-s", "/bin/true")
    assert said.returncode != 0


def test_adding_a_port_does_not_restart_dnsmasq(host, guests):
    one, two = port(10), port(11)
    host.apply(scene(one))
    before = host.daemon_pids("dnsmasq")
    host.apply(scene(one, two))
    assert host.daemon_pids("dnsmasq") == before != set()
    lease = guests(host, two).lease()
    assert lease and lease["ip"] == "10.0.0.11"


def test_an_address_goes_to_another_port(host, guests):
    one = port(10)
    host.apply(scene(one))
    assert guests(host, one).lease()
    two = port(11, address="10.0.0.10")
    host.apply(scene(two))
    lease = guests(host, two).lease()
    assert lease and lease["ip"] == "10.0.0.10"


def test_guests_find_each_other_by_name(host, guests):
    one, two = port(10, hostname="web"), port(11, hostname="db")
    host.apply(scene(one, two))
    guest = guests(host, one)
    guest.lease()
    said = guest.run("busybox", "nslookup", "db.cumulet.internal", "10.0.0.2").stdout
    assert "10.0.0.11" in said


def test_metadata_is_reached_by_the_dhcp_port(host, guests):
    one = port(10)
    host.apply(scene(one))
    guest = guests(host, one)
    guest.lease()
    assert fetch_metadata(guest, host.sockets["net"]) == "10.0.0.10"


def test_metadata_is_reached_by_the_router_where_there_is_no_dhcp(host, guests):
    one = port(10)
    host.apply(scene(one, networks=(network(dhcp=False), EXTERNAL), routers=(router(),)))
    guest = guests(host, one, "10.0.0.10/24")
    assert fetch_metadata(guest, host.sockets["net"]) == "10.0.0.10"


def test_metadata_is_withdrawn_with_its_network(host):
    host.apply(scene(port(10)))
    assert set(host.sockets) == {"net"}
    host.apply(scene(networks=(EXTERNAL,)))
    assert host.sockets == {}


def test_slaac_gives_an_address_and_the_way_out(host, guests):
    one = port(10, fixed_ips=(FixedIp("s4", "10.0.0.10"), FixedIp("s6", "fd00:1::f816:3eff:fe00:a")))
    legs = (("net", "s4", "10.0.0.1"), ("net", "s6", "fd00:1::1"))
    networks = (network(one, subnets=(V4, V6)), EXTERNAL)
    assert host.apply(scene(one, networks=networks, routers=(router(legs=legs),))) == {}
    guest = guests(host, one)
    assert eventually(lambda: "fd00:1::f816:3eff:fe00:a/64" in guest.run("ip", "-6", "addr").stdout, 20)
    assert eventually(lambda: "default via fe80::" in guest.run("ip", "-6", "route").stdout)
    assert guest.pings("fd00:1::1")


def test_stateful_dhcpv6_is_announced_and_served(host, guests):
    subnet = Subnet(
        id="s6",
        cidr="fd00:2::/64",
        ip_version=6,
        gateway="fd00:2::1",
        ipv6_ra_mode="dhcpv6-stateful",
        ipv6_address_mode="dhcpv6-stateful",
    )
    one = port(10, fixed_ips=(FixedIp("s6", "fd00:2::10"),))
    net = network(one, subnets=(subnet,), server="fd00:2::2")
    assert host.apply(scene(one, networks=(net, EXTERNAL), routers=(router(legs=(("net", "s6", "fd00:2::1"),)),))) == {}
    guest = guests(host, one)
    eventually(lambda: "default via fe80::" in guest.run("ip", "-6", "route").stdout, 20)
    offered = eventually(lambda: namespaces.inside(guest.name, lambda: solicit(one.mac)))
    assert socket.inet_pton(socket.AF_INET6, "fd00:2::10") in offered


def solicit(mac: str) -> bytes:
    """Ask for an IPv6 address as a client does (RFC 8415); the server's whole answer, empty where there is none."""
    duid = struct.pack("!HHHH", 1, 10, 3, 1) + bytes.fromhex(mac.replace(":", ""))
    wanted = struct.pack("!HHIII", 3, 12, 1, 0, 0)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        try:
            index = socket.if_nametoindex("eth0")
            client.bind(("::", 546))
            client.sendto(b"\x01abc" + duid + wanted + struct.pack("!HHH", 8, 2, 0), ("ff02::1:2", 547, 0, index))
            return client.recv(2048)
        except OSError:
            return b""
