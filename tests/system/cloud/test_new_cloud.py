"""What works in a new cloud before anybody has made anything."""

from __future__ import annotations

import ipaddress

STORES = """
[[image_stores]]
type = "file"
id = "fast"
default = true

[[image_stores]]
type = "file"
id = "slow"
directory = "slow"
"""


def test_file_stores_are_made_when_the_cloud_starts_and_go_with_it(cloud):
    (cloud.data / "cumulet.toml").write_text(STORES)
    cloud.up()
    me = cloud.connect()
    image = me.image.create_image(name="i", disk_format="raw", container_format="bare", use_import=True, all_stores=True, data=b"data")
    me.image.wait_for_status(image, "active", failures=["queued"], interval=0.2, wait=60)
    assert me.image.get(f"/images/{image.id}").json()["stores"] == "fast,slow"
    (kept,) = [path for path in (cloud.data / "slow").iterdir() if path.is_file()]
    assert kept.read_bytes() == b"data"

    cloud.down("--purge", "--yes")
    assert not cloud.data.exists()


def test_a_server_that_asks_for_a_network_gets_one(cloud):
    cloud.up()
    me, admin = cloud.connect(), cloud.connect("cumulet")
    image = me.image.create_image(name="empty", disk_format="raw", container_format="bare", data=b"\0" * 1024)
    flavor = me.compute.find_flavor("m1.tiny", ignore_missing=False)
    boot = lambda name: me.compute.create_server(name=name, image_id=image.id, flavor_id=flavor.id, networks="auto")

    assert me.network.validate_auto_allocated_topology().id == "dry-run=pass"
    assert [network.name for network in me.network.networks()] == ["public"]
    servers = [me.compute.wait_for_server(boot(name), interval=0.2, wait=60) for name in ("a", "b")]
    (pool,) = me.network.subnet_pools()
    for server in servers:
        (entry,) = server.addresses["auto_allocated_network"]
        assert ipaddress.ip_address(entry["addr"]) in ipaddress.ip_network(pool.prefixes[0])
    public = me.network.find_network("public", ignore_missing=False)
    port = next(iter(me.network.ports(device_id=servers[0].id)))
    floating = me.network.create_ip(floating_network_id=public.id, port_id=port.id)

    me.network.delete_ip(floating)
    for server in servers:
        me.compute.delete_server(server)
        me.compute.wait_for_delete(server, interval=0.2, wait=60)
    assert me.network.get_auto_allocated_topology().id == port.network_id
    me.network.delete_auto_allocated_topology(me.current_project_id)
    assert [network.name for network in me.network.networks()] == ["public"]
    assert list(me.network.routers()) == []

    admin.network.delete_subnet_pool(pool)
    cloud.down()
    cloud.up()
    assert list(cloud.connect().network.subnet_pools()) == [], "what its owner removes stays away"
