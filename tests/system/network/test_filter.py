"""Security groups and anti-spoofing, as guests feel them."""

from __future__ import annotations

import json
import os
import socket

import pytest
from network_scene import (
    EXTERNAL,
    OPEN,
    OUT,
    V4,
    V6,
    connect,
    eventually,
    mac,
    network,
    port,
    says,
    scene,
    still_echoes,
)

from cumulet.network.drivers.base import AddressPair, FixedIp, Group, Rule
from cumulet.network.drivers.linux import namespaces
from cumulet.network.drivers.linux.rules import PROTOCOLS

CLOSED = Group(id="closed", rules=OUT, members=())
SSH = Rule(direction="ingress", ethertype="IPv4", protocol="tcp", port_min=22, port_max=22)


def group(id: str, *rules: Rule, members: tuple[str, ...] = ()) -> Group:
    return Group(id=id, rules=rules, members=members)


@pytest.fixture
def pair(host, guests):
    """Two guests; the first may do everything, the second is in the group `closed`."""
    one, two = port(10), port(11, groups=("closed",))
    host.apply(scene(one, two, groups=(OPEN, CLOSED)))
    return guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")


def apply_rules(host, *rules: Rule) -> None:
    one, two = port(10), port(11, groups=("closed",))
    assert host.apply(scene(one, two, groups=(OPEN, group("closed", *OUT, *rules)))) == {}


def test_a_closed_port_opens_and_closes_again(host, pair, echoes):
    one, two = pair
    echoes(two.name, 22)
    echoes(two.name, 23)
    assert says(one.name, "10.0.0.11", 22) is None
    apply_rules(host, SSH)
    assert says(one.name, "10.0.0.11", 22) == b"hello"
    assert says(one.name, "10.0.0.11", 23) is None
    apply_rules(host)
    assert says(one.name, "10.0.0.11", 22) is None


def test_answers_come_in_where_nothing_else_may(host, pair, echoes):
    one, two = pair
    echoes(one.name, 80)
    assert says(two.name, "10.0.0.10", 80) == b"hello"


def test_a_removed_rule_ends_its_sessions_and_no_others(host, pair, echoes):
    one, two = pair
    echoes(two.name, 22)
    echoes(two.name, 23)
    telnet = Rule(direction="ingress", ethertype="IPv4", protocol="tcp", port_min=23, port_max=23)
    apply_rules(host, SSH, telnet)
    ssh_session, telnet_session = (connect(one.name, "10.0.0.11", number) for number in (22, 23))
    assert ssh_session and telnet_session
    with ssh_session, telnet_session:
        assert (ssh_session.recv(9), telnet_session.recv(9)) == (b"hello", b"hello")
        assert still_echoes(ssh_session)
        apply_rules(host, telnet)
        assert not still_echoes(ssh_session)
        assert still_echoes(telnet_session)


def test_a_guest_cannot_revive_a_session_that_was_ended(host, pair, echoes):
    one, two = pair
    server = namespaces.inside(two.name, lambda: socket.create_server(("", 22)))
    apply_rules(host, SSH)
    with server, connect(one.name, "10.0.0.11", 22) as client:
        accepted, _ = server.accept()
        with accepted:
            apply_rules(host)
            accepted.sendall(b"from inside")
            client.settimeout(2)
            with pytest.raises(TimeoutError):
                client.recv(64)


def test_icmp_by_type_and_egress_by_destination(host, guests):
    one = port(10, groups=("narrow",))
    two = port(11)
    ping = Rule(direction="ingress", ethertype="IPv4", protocol="icmp", port_min=8, port_max=0)
    out = Rule(direction="egress", ethertype="IPv4", remote_cidr="10.0.0.12/32")
    three = port(12)
    host.apply(scene(one, two, three, groups=(OPEN, group("narrow", ping, out))))
    first, second, _ = (guests(host, each, f"{each.fixed_ips[0].address}/24") for each in (one, two, three))
    assert second.pings("10.0.0.10")
    assert first.pings("10.0.0.12")
    assert not first.pings("10.0.0.11", 1)


def test_members_of_a_remote_group_come_and_go(host, guests, echoes):
    one, two = port(10), port(11, groups=("guarded",))
    rule = Rule(direction="ingress", ethertype="IPv4", remote_group="friends")

    def apply(*members: str) -> None:
        groups = (OPEN, group("guarded", *OUT, rule), group("friends", members=members))
        assert host.apply(scene(one, two, groups=groups)) == {}

    apply()
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    echoes(second.name, 80)
    assert says(first.name, "10.0.0.11", 80) is None
    apply("10.0.0.10")
    session = connect(first.name, "10.0.0.11", 80)
    assert session and session.recv(9) == b"hello"
    with session:
        apply("10.0.0.99")
        assert not still_echoes(session)
    assert says(first.name, "10.0.0.11", 80) is None


def test_without_groups_only_dhcp_and_neighbours_pass(host, guests):
    bare, other = port(10, groups=()), port(11)
    host.apply(scene(bare, other))
    guest = guests(host, bare)
    assert guest.lease()
    peer = guests(host, other, "10.0.0.11/24")
    assert not guest.pings("10.0.0.11", 1)
    assert not peer.pings("10.0.0.10", 1)


def test_ipv6_rules(host, guests, echoes):
    fixed = {number: (FixedIp("s6", f"fd00:1::{number}"),) for number in (10, 11)}
    one, two = port(10, fixed_ips=fixed[10]), port(11, groups=("closed",), fixed_ips=fixed[11])
    web = Rule(direction="ingress", ethertype="IPv6", protocol="tcp", port_min=80, port_max=89)
    ping = Rule(direction="ingress", ethertype="IPv6", protocol="icmpv6", port_min=128)
    networks = (network(one, two, subnets=(V6, V4), server="fd00:1::2"), EXTERNAL)
    assert host.apply(scene(one, two, networks=networks, groups=(OPEN, CLOSED))) == {}
    first, second = guests(host, one, "fd00:1::10/64", None), guests(host, two, "fd00:1::11/64", None)
    server = namespaces.inside(second.name, lambda: socket.create_server(("::", 80), family=socket.AF_INET6))
    with server:
        assert connect(first.name, "fd00:1::11", 80) is None
        assert not first.pings("fd00:1::11", 1)
        host.apply(scene(one, two, networks=networks, groups=(OPEN, group("closed", *OUT, web, ping))))
        assert first.pings("fd00:1::11")
        for guest in (first, second):
            guest.run("ip", "link", "set", "eth0", "mtu", "1450", check=True)
        assert first.run("ping", "-c", "1", "-W", "5", "-s", "4000", "fd00:1::11").returncode == 0, "honest fragments are stopped"
        connection = connect(first.name, "fd00:1::11", 80)
        assert connection
        connection.close()


def test_a_guest_cannot_speak_for_another(host, guests):
    one, two = port(10), port(11)
    host.apply(scene(one, two))
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    assert first.pings("10.0.0.11")
    first.address("10.0.0.66/24")
    assert first.run("busybox", "ping", "-c1", "-W1", "-I", "10.0.0.66", "10.0.0.11").returncode != 0
    second.run("ip", "neigh", "flush", "all")
    first.run("busybox", "arping", "-U", "-c", "2", "-I", "eth0", "-s", "10.0.0.66", "10.0.0.66")
    assert "10.0.0.66" not in second.run("ip", "neigh").stdout


def test_a_guest_cannot_change_its_mac(host, guests):
    one, two = port(10), port(11)
    host.apply(scene(one, two))
    first, _ = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    assert first.pings("10.0.0.11")
    first.run("ip", "link", "set", "eth0", "address", "fa:16:3e:99:99:99")
    assert not first.pings("10.0.0.11", 1)


def test_an_address_pair_lets_a_guest_use_more(host, guests):
    pairs = (AddressPair("10.0.0.64/26", port(10).mac), AddressPair("10.0.0.200", port(10).mac))
    one, two = port(10, pairs=pairs), port(11)
    host.apply(scene(one, two))
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    for address in ("10.0.0.66", "10.0.0.200"):
        first.address(f"{address}/24")
        assert second.pings(address)
    first.address("10.0.0.67/32")
    first.address("10.0.0.150/24")
    assert second.pings("10.0.0.67")
    assert not second.pings("10.0.0.150", 1)


def send_frame(guest, frame: bytes) -> None:
    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind(("eth0", 0))
            link.send(frame)

    namespaces.inside(guest.name, send)


class Sniffer:
    """What arrives at a guest's card from one sender."""

    def __init__(self, guest, sender: str):
        self.sender = bytes.fromhex(sender.replace(":", ""))
        self.link = namespaces.inside(guest.name, self._open)

    def _open(self) -> socket.socket:
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        link.bind(("eth0", 3))
        link.setblocking(False)
        return link

    def until(self, marker: bytes) -> list[bytes]:
        """The frames before the one that holds `marker`."""
        seen: list[bytes] = []

        def look() -> bool:
            try:
                while True:
                    frame = self.link.recv(2048)
                    if marker in frame:
                        return True
                    if frame[6:12] == self.sender:
                        seen.append(frame)
            except BlockingIOError:
                return False

        assert eventually(look), "the frame that is allowed did not arrive"
        self.link.close()
        return seen


def udp(source: str, destination: str, source_port: int, destination_port: int, body: bytes) -> bytes:
    """An IPv4 packet without a UDP checksum."""
    payload = b"".join(n.to_bytes(2, "big") for n in (source_port, destination_port, 8 + len(body), 0)) + body
    head = bytearray(b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0")
    head += socket.inet_aton(source) + socket.inet_aton(destination)
    total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    head[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(head) + payload


def test_frames_that_no_guest_may_send(host, guests):
    one, two = port(10), port(11)
    host.apply(scene(one, two))
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    sniffer = Sniffer(second, one.mac)
    everyone, own = b"\xff" * 6, bytes.fromhex(one.mac.replace(":", ""))
    ip, tagged = b"\x08\x00", b"\x81\x00\x00\x05\x08\x00"
    good = udp("10.0.0.10", "10.0.0.255", 9, 9, b"the good one")
    tagged_body = udp("10.0.0.10", "10.0.0.255", 9, 9, b"x" * 40)
    forbidden = {
        "an answer of a DHCP server": everyone + own + ip + udp("10.0.0.10", "255.255.255.255", 67, 68, b"x" * 40),
        "a VLAN tag": everyone + own + tagged + tagged_body,
        "another protocol": everyone + own + b"\x88\xb5" + os.urandom(46),
        "another's IPv4 address": everyone + own + ip + udp("10.0.0.66", "10.0.0.255", 9, 9, b"x" * 40),
        "no IPv4 address": everyone + own + ip + udp("0.0.0.0", "10.0.0.255", 9, 9, b"x" * 40),
        "a router advertisement": everyone + own + b"\x86\xdd" + router_advertisement(own),
        "an advertisement of another's address": everyone + own + b"\x86\xdd" + neighbour_advertisement(own),
    }
    for frame in forbidden.values():
        send_frame(first, frame)
    send_frame(first, everyone + own + ip + good)
    arrived = sniffer.until(b"the good one")
    assert [name for name, frame in forbidden.items() if frame in arrived] == []


def icmp6(mac: bytes, body: bytes) -> bytes:
    """An ICMPv6 packet to all nodes from the link-local address of a MAC."""
    source = b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    target = socket.inet_pton(socket.AF_INET6, "ff02::1")
    data = source + target + len(body).to_bytes(4, "big") + b"\0\0\0\x3a" + body
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + (~total & 0xFFFF).to_bytes(2, "big") + body[4:]
    return b"\x60\0\0\0" + len(body).to_bytes(2, "big") + b"\x3a\xff" + source + target + body


def router_advertisement(mac: bytes) -> bytes:
    return icmp6(mac, b"\x86\0\0\0\x40\0\x07\x08" + bytes(8))


def neighbour_advertisement(mac: bytes) -> bytes:
    return icmp6(mac, b"\x88\0\0\0\x20\0\0\0" + socket.inet_pton(socket.AF_INET6, "fd00:1::66") + b"\x02\x01" + mac)


def in_two(packet: bytes) -> list[bytes]:
    """An IPv6 packet in fragments, of which the first has nothing but extension headers (RFC 7113, 2.2): a routing header and
    most of an options header, which another follows. Such, and of 1280 octets, Linux puts together on a bridge."""
    options = b"\x3c\x9b" + (b"\x01\xfd" + bytes(253)) * 4 + b"\x01\xe0" + bytes(224) + packet[6:7] + b"\0\x01\x04" + bytes(4)
    whole, first = b"\x3c" + bytes(7) + options + packet[40:], 1240
    parts = [b"\x2b\0\0\x01" + b"frag" + whole[:first], b"\x2b\0" + first.to_bytes(2, "big") + b"frag" + whole[first:]]
    head = packet[:40]
    return [head[:4] + len(part).to_bytes(2, "big") + b"\x2c" + head[7:] + part for part in parts]


@pytest.mark.parametrize("secured", [True, False])
@pytest.mark.parametrize("what", ["router", "neighbour"])
def test_advertisements_in_fragments_are_stopped_too(host, guests, secured, what):
    one, two = port(10, port_security=secured, groups=("open",) if secured else ()), port(11)
    host.apply(scene(one, two))
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    sniffer = Sniffer(second, one.mac)
    everyone, own = b"\xff" * 6, bytes.fromhex(one.mac.replace(":", ""))
    packet = router_advertisement(own) if what == "router" else neighbour_advertisement(own)
    for part in in_two(packet):
        send_frame(first, everyone + own + b"\x86\xdd" + part)
    send_frame(first, everyone + own + b"\x08\x00" + udp("10.0.0.10", "10.0.0.255", 9, 9, b"the good one"))
    arrived = any(packet[40:] in frame for frame in sniffer.until(b"the good one"))
    assert arrived is not secured


def test_the_frames_of_these_tests_do_arrive_where_port_security_is_off(host, guests):
    one, two = port(10, port_security=False), port(11, port_security=False)
    host.apply(scene(one, two))
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    sniffer = Sniffer(second, one.mac)
    everyone, own = b"\xff" * 6, bytes.fromhex(one.mac.replace(":", ""))
    sent = [
        everyone + own + b"\x88\xb5" + os.urandom(46),
        everyone + own + b"\x08\x00" + udp("10.0.0.66", "10.0.0.255", 9, 9, b"x" * 40),
        everyone + own + b"\x86\xdd" + router_advertisement(own),
        everyone + own + b"\x86\xdd" + neighbour_advertisement(own),
    ]
    for frame in sent:
        send_frame(first, frame)
    send_frame(first, everyone + own + b"\x08\x00" + udp("10.0.0.10", "10.0.0.255", 9, 9, b"the good one"))
    arrived = sniffer.until(b"the good one")
    assert [sent.index(frame) for frame in arrived if frame in sent] == [0, 1, 2, 3]


def test_a_port_that_is_down_passes_nothing(host, guests):
    one, two = port(10), port(11)
    host.apply(scene(one, two))
    first, _ = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    assert first.pings("10.0.0.11")
    host.apply(scene(port(10, up=False), two))
    assert not first.pings("10.0.0.11", 1)
    host.apply(scene(one, two))
    assert first.pings("10.0.0.11")


def test_no_guest_reaches_the_host_by_its_bridge(host, guests):
    one = port(10)
    host.apply(scene(one))
    host.run("ip", "addr", "add", "192.168.77.1/32", "dev", "lo", check=True)
    guest = guests(host, one, "10.0.0.10/24")
    guest.run("ip", "route", "add", "192.168.77.1", "dev", "eth0", check=True)
    assert not guest.pings("192.168.77.1", 1)


def test_a_rule_that_cannot_be_is_told_and_harms_no_one_else(host, guests, echoes):
    one, two = port(10), port(11, groups=("broken",))
    broken = group("broken", *OUT, Rule(direction="ingress", ethertype="IPv4", protocol="nonsense"))
    assert "nonsense" in host.apply(scene(one, two, groups=(OPEN, broken)))["broken"]
    first, second = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    assert not second.pings("10.0.0.10", 1)
    assert first.pings("10.0.0.2")


def test_rules_are_left_alone_where_nothing_changed(host):
    one = port(10)
    host.apply(scene(one))
    before = host.run("nft", "-a", "list", "ruleset").stdout
    host.apply(scene(one))
    assert host.run("nft", "-a", "list", "ruleset").stdout == before


def test_every_protocol_and_form_of_a_rule_is_understood(host):
    rules = [
        Rule(direction=direction, ethertype=ethertype, protocol=protocol, port_min=low, port_max=high)
        for direction in ("ingress", "egress")
        for ethertype in ("IPv4", "IPv6")
        for protocol, low, high in (
            *((name, None, None) for name in PROTOCOLS),
            *((name, 1, 65535) for name in ("tcp", "udp", "sctp", "dccp", "udplite", "6")),
            *((("icmp", 8, None), ("icmp", 3, 4), ("0", None, None), ("255", None, None))),
        )
    ]
    pairs = (
        AddressPair("0.0.0.0/0", mac(10)),
        AddressPair("10.0.0.0/24", mac(10)),
        AddressPair("10.0.0.128/25", mac(99)),
        AddressPair("::/0", mac(10)),
        AddressPair("fd00::/64", mac(99)),
    )
    many = port(10, groups=("all",), pairs=pairs, fixed_ips=())
    members = ("10.0.0.0/24", "10.0.0.7", "fd00::7", "0.0.0.0/0")
    assert host.apply(scene(many, port(11), groups=(OPEN, group("all", *rules, members=members)))) == {}


def test_counters_are_the_guests(host, guests):
    one, two = port(10), port(11)
    host.apply(scene(one, two))
    first, _ = guests(host, one, "10.0.0.10/24"), guests(host, two, "10.0.0.11/24")
    assert first.pings("10.0.0.11")
    shown = json.loads(first.run("ip", "-j", "-s", "link", "show", "eth0").stdout)[0]["stats64"]
    counted = host.loop.run(host.driver.port_statistics(one.id))
    assert counted["tx_packets"] >= 2 and shown["tx"]["packets"] >= counted["tx_packets"]
    assert shown["rx"]["packets"] <= counted["rx_packets"]
