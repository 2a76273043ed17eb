"""Which URLs and addresses images may be fetched from, whatever is tried."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.image.addresses import Refused, Target, admit, admit_address, target
from cumulet.kernel.config_imports import ImageImport

ANY = ImageImport()
INSIDE = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/29", "192.0.2.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
    "::/96", "::1/128", "::ffff:127.0.0.0/104", "::ffff:10.0.0.0/104", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001:db8::/32",
    "2001::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


def in_network(cidr: str) -> st.SearchStrategy[str]:
    network = ipaddress.ip_network(cidr)
    return st.integers(0, network.num_addresses - 1).map(lambda at: str(network[at]))


@given(st.sampled_from(INSIDE).flatmap(in_network))
def test_no_address_that_is_not_everybodys_is_admitted(address):
    with pytest.raises(Refused):
        admit_address(address, ANY)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address):
    admit_address(address, ANY)


def test_a_scope_does_not_hide_an_address():
    with pytest.raises(Refused):
        admit_address("fe80::1%eth0", ANY)


@given(st.ip_addresses(v=4))
def test_an_address_in_another_form_is_the_same_address(address):
    def admitted(text: str) -> bool:
        try:
            admit_address(text, ANY)
            return True
        except Refused:
            return False

    assert admitted(str(address)) == admitted(f"::ffff:{address}")


def test_the_settings_may_admit_a_network():
    rules = ImageImport(allowed_networks=["10.1.0.0/16", "fd00::/8"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        admit_address(address, rules)
    for address in ("10.2.0.1", "127.0.0.1", "fe80::1"):
        with pytest.raises(Refused):
            admit_address(address, rules)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://Example.org", Target("http", "example.org", 80, "/")),
        ("HTTPS://example.org./a%20b?c=d#e", Target("https", "example.org", 443, "/a%20b?c=d")),
        ("http://[2001:DB8::1]:8080/x", Target("http", "2001:db8::1", 8080, "/x")),
    ],
)
def test_what_a_url_means(url, found):
    assert target(url) == found


@pytest.mark.parametrize("url", [
    "", "x", "//example.org/x", "http:/x", "http://", "http:///x", "file:///etc/passwd", "ftp://example.org/", "gopher://example.org/",
    "http://user@example.org/", "http://user:password@example.org/", "http://@example.org/", "http://example.org:0/", "http://example.org:99999/",
    "http://example.org:x/", "http://exa mple.org/", "http://example.org/a b", "http://example.org\\@127.0.0.1/", "http://example.org/\r\nHost: x",
    "http://example.org/\x00", "http://ex\u00e4mple.org/", "http://[::1", "http://example.org/" + "x" * 2048, "http://./x",
])  # fmt: skip
def test_urls_that_are_refused(url):
    with pytest.raises(Refused):
        target(url)


@given(st.text(max_size=60) | st.from_regex(r"https?://[\w.:@\[\]\\/%-]{1,30}", fullmatch=True))
def test_any_text_is_a_target_or_refused(text):
    try:
        found = target(text)
    except Refused:
        return
    assert found.scheme in ("http", "https") and found.host and "@" not in found.host and 0 < found.port < 65536
    assert found.path.startswith("/") and found.path.isascii() and found.path.isprintable()


def test_lists_of_what_is_allowed_go_before_those_of_what_is_not():
    here = target("http://images.example.org:8080/x")

    def admitted(**settings) -> bool:
        try:
            admit(here, ImageImport(**settings))
            return True
        except Refused:
            return False

    assert not admitted()
    assert admitted(allowed_ports=[8080]) and admitted(allowed_ports=[])
    assert not admitted(allowed_ports=[], disallowed_ports=[8080])
    assert admitted(allowed_ports=[8080], disallowed_ports=[8080])
    assert not admitted(allowed_ports=[], allowed_hosts=["example.org"])
    assert admitted(allowed_ports=[], allowed_hosts=["IMAGES.example.org."], disallowed_hosts=["images.example.org"])
    assert not admitted(allowed_ports=[], disallowed_hosts=["images.example.org"])
    assert not admitted(allowed_ports=[], allowed_schemes=["https"])
    assert not admitted(allowed_ports=[], allowed_schemes=[], disallowed_schemes=["http"])


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost"])
def test_what_the_system_takes_for_this_machine_is_refused(host):
    """The addresses that are checked are those that the system finds, whatever it reads as one."""
    for *_, address in socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM):
        with pytest.raises(Refused):
            admit_address(str(address[0]), ANY)
