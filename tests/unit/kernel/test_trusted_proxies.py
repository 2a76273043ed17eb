"""Which addresses are believed of whom they let in."""

from __future__ import annotations

import pytest

from cumulet.kernel.config import ConfigError, load


@pytest.mark.parametrize(
    ("proxies", "peer", "trusted"),
    [
        ("", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("10.0.0.0/8, 2001:db8::/32", "10.9.9.9", True),
        ("10.0.0.0/8, 2001:db8::/32", "2001:db8::1", True),
        ("10.0.0.0/8, 2001:db8::/32", "::1", False),
    ],
)
def test_who_is_believed(proxies, peer, trusted):
    assert load(environment={"CUMULET_TRUSTED_PROXIES": proxies}).trusts(peer) is trusted


@pytest.mark.parametrize("proxies", ["proxy.example.org", "10.0.0.1/8", "10.0.0.0/33", "1.2.3"])
def test_what_names_no_addresses_is_refused(proxies):
    with pytest.raises(ConfigError, match="trusted_proxies"):
        load(environment={"CUMULET_TRUSTED_PROXIES": proxies})
