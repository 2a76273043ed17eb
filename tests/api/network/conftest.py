from __future__ import annotations

import pytest
from network_calls import BASE, make

from cumulet.kernel import services
from cumulet.kernel.db import Tx, metadata
from cumulet.kernel.testing.cloud import Caller, Cloud


@pytest.fixture(scope="module")
def one_cloud(database_url: str, tmp_path_factory):
    made = Cloud(database_url, str(tmp_path_factory.mktemp("cloud")), services.load("network"))
    yield made
    made.close()


@pytest.fixture
def cloud(one_cloud: Cloud):
    """A cloud without a row; its tables are made once for a file of tests, which takes longer than most tests do."""
    yield one_cloud

    def empty(tx: Tx) -> None:
        for table in reversed(metadata.sorted_tables):
            tx.execute(table.delete())

    one_cloud.transact(empty)


@pytest.fixture
def me(cloud: Cloud) -> Caller:
    return cloud.caller(BASE)


@pytest.fixture
def other(cloud: Cloud) -> Caller:
    """Somebody of another project."""
    return cloud.caller(BASE, project="p2", user="u2")


@pytest.fixture
def admin(cloud: Cloud) -> Caller:
    return cloud.caller(BASE, "admin", project="admins", user="root")


@pytest.fixture
def network(me: Caller) -> dict:
    return make(me, "network", name="n")


@pytest.fixture
def subnet(me: Caller, network: dict) -> dict:
    """10.0.0.0/24 on `network`, with DHCP."""
    return make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")


@pytest.fixture
def public(admin: Caller) -> dict:
    """An external network, 172.24.4.0/24."""
    made = make(admin, "network", name="public", **{
        "router:external": True, "provider:network_type": "flat", "provider:physical_network": "public",
    })  # fmt: skip
    make(admin, "subnet", network_id=made["id"], ip_version=4, cidr="172.24.4.0/24", enable_dhcp=False)
    return made
