"""Two clouds on one machine: nothing of one is the other's, and one goes without the other."""

from __future__ import annotations

import ipaddress
import subprocess

import pytest

from .world import Cloud, eventually, host, output, tag_of

FLAGS = ("--hypervisor", "simulated", "--network", "linux")


@pytest.fixture
def pair(new_clouds) -> list[Cloud]:
    clouds = [new_clouds(*FLAGS, "--listen", f"127.0.0.1:{port}") for port in (5000, 5001)]
    for cloud in clouds:
        cloud.up()
    return clouds


def test_two_clouds_have_nothing_in_common_and_one_goes_alone(pair):
    before = [used(cloud) for cloud in pair]
    for cloud in pair:
        populate(cloud)
    publics = [public_of(cloud) for cloud in pair]
    assert not publics[0].overlaps(publics[1])
    for public in publics:
        subprocess.run(["ping", "-c", "1", "-W", "2", str(next(public.hosts()))], check=True, stdout=subprocess.DEVNULL)
    assert all(used(cloud) > was for cloud, was in zip(pair, before, strict=True))
    first, second = pair
    kept = host(second.data)["namespaces"], used(second)

    first.down("--purge", "--yes")
    assert not first.data.exists()
    eventually("nothing of the first", lambda: not used(first), 10)
    assert (host(second.data)["namespaces"], used(second)) == kept
    assert [s.status for s in second.connect().compute.servers()] == ["ACTIVE"]
    assert second.good("doctor") == "Nothing is wrong.\n"


def test_settings_of_the_first_start_are_kept_and_a_new_address_is_told_to_clients(new_clouds):
    cloud: Cloud = new_clouds("--hypervisor", "simulated", "--network", "simulated")
    cloud.up("--listen", "127.0.0.1:5007", "--hosts", "3")
    assert len(list(cloud.connect("cumulet").compute.hypervisors())) == 3
    cloud.down()
    assert "http://127.0.0.1:5007" in Cloud(cloud.data).up()
    cloud.down()
    said = cloud.up("--listen", "127.0.0.1:5008")
    assert "This time listen is 127.0.0.1:5008" in said
    assert "http://127.0.0.1:5008" in cloud.good("status")
    admin = cloud.connect("cumulet")
    assert {urls for urls in (e.url.split("/")[2] for e in admin.identity.endpoints())} == {"127.0.0.1:5008"}
    assert admin.compute.find_flavor("m1.tiny")


def public_of(cloud: Cloud) -> ipaddress.IPv4Network:
    """The addresses of a cloud's external network."""
    admin = cloud.connect("cumulet")
    network = admin.network.find_network("public", ignore_missing=False)
    return ipaddress.IPv4Network(admin.network.get_subnet(network.subnet_ids[0]).cidr)


def populate(cloud: Cloud) -> None:
    """A server on a network behind a router."""
    me = cloud.connect()
    net = me.network.create_network(name="net")
    subnet = me.network.create_subnet(network_id=net.id, ip_version=4, cidr="10.5.0.0/24")
    public = me.network.find_network("public", ignore_missing=False)
    router = me.network.create_router(name="router", external_gateway_info={"network_id": public.id})
    me.network.add_interface_to_router(router, subnet_id=subnet.id)
    image = me.image.create_image(name="empty", disk_format="raw", container_format="bare", data=b"\0" * 1024, allow_duplicates=True)
    flavor = me.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = me.compute.create_server(name="s", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": net.id}])
    me.compute.wait_for_server(server, wait=60)


def used(cloud: Cloud) -> set[str]:
    """The links and filter tables of a cloud."""
    tag = f"c{tag_of(cloud.data)}"
    return {line for line in output("nft", "list", "tables") if tag in line} | {
        line.split(": ")[1].partition("@")[0] for line in output("ip", "-o", "link") if f": {tag}" in line
    }
