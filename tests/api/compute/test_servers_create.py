"""What `POST /servers` takes and refuses: disks, networks, hosts, numbers of servers; and where else a server goes whose host fails."""

from __future__ import annotations

import pytest

from cumulet.compute.drivers.simulated import Recipe, SimulatedDriver
from cumulet.compute.hosts import compute_hosts
from cumulet.kernel.recipe import Trouble
from world import World

NOTHING = "00000000-0000-4000-8000-000000000001"
EPHEMERAL = {"OS-FLV-EXT-DATA:ephemeral": 4}


@pytest.fixture
def post(world):
    """Asks for a server without networks; the answer."""
    image = world.image()

    def ask(by=None, hints=None, **values):
        body = {"name": "s", "flavorRef": world.flavor(), "imageRef": image, "networks": "none"} | values
        return (by or world.me).post("/servers", {"server": body, "os:scheduler_hints": hints or {}}, version="compute 2.90")

    ask.image = image
    return ask


def root(image: str, **more) -> dict:
    return {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0} | more


def blank(**more) -> dict:
    return {"source_type": "blank", "destination_type": "local", "boot_index": -1} | more


def disks(world, id: str) -> dict[str, int]:
    """The local disks of a server on its host, and their sizes in GiB."""
    [machine] = [host.compute._servers[id].machine for host in world.agent.hosts.values() if id in host.compute._servers]
    return {disk.id if disk.id in ("root", "swap") else "blank": disk.size_gib for disk in machine.roots}


def test_local_disks_are_of_the_flavors_sizes(world, post):
    flavor = world.flavor("big", disk=3, swap=2048, **EPHEMERAL)
    made = post(flavorRef=flavor, block_device_mapping_v2=[root(post.image), blank(), blank(guest_format="swap", volume_size=512)])
    assert made.status_code == 202, made.text
    world.settle()
    assert disks(world, made.json()["server"]["id"]) == {"root": 3, "blank": 4, "swap": 2}


@pytest.mark.parametrize(("more", "said"), [
    ([blank(volume_size=5)], "Ephemeral disks requested are larger"), ([blank(volume_size=2)] * 3, "Ephemeral disks requested are larger"),
    ([blank(guest_format="swap", volume_size=4096)], "Swap drive requested is larger"),
    ([blank(source_type="image", uuid=NOTHING)], "Mapping image to local is not supported"),
    ([blank(volume_size=-1)], "volume_size"), ([blank(boot_index=2**40)], "boot_index"), ([blank(delete_on_termination="x")], "delete_on"),
    ([{"source_type": "volume", "destination_type": "volume", "uuid": NOTHING}], NOTHING),
    ([{"source_type": "snapshot", "destination_type": "volume", "uuid": NOTHING}], NOTHING),
])  # fmt: skip
def test_disks_that_cannot_be(world, post, more, said):
    flavor = world.flavor("big", disk=3, swap=2048, **EPHEMERAL)
    refused = post(flavorRef=flavor, block_device_mapping_v2=[root(post.image), *more])
    assert refused.status_code == 400 and said in refused.text


def test_volumes_beyond_quotas(post):
    disk = {"source_type": "blank", "destination_type": "volume", "volume_size": 2000}
    refused = post(block_device_mapping_v2=[root(post.image), disk])
    assert refused.status_code == 403 and "Requested 2000G, quota is 1000G" in refused.text


def test_a_server_on_a_volume_shows_no_image(world, post):
    disk = root(post.image, destination_type="volume", volume_size=1)
    id = post(block_device_mapping_v2=[disk]).json()["server"]["id"]
    world.settle()
    assert (world.show(id)["status"], world.show(id)["image"]) == ("ACTIVE", "")


def test_what_is_not_there_makes_a_bad_request(world, post):
    world.me.post("/os-keypairs", {"keypair": {"name": "k"}})
    for value in (
        {"networks": [{"uuid": NOTHING}]}, {"networks": [{"port": NOTHING}]}, {"imageRef": NOTHING}, {"flavorRef": "nope"},
        {"key_name": "nope"}, {"security_groups": [{"name": "nope"}], "networks": [{"uuid": world.network()}]},
        {"networks": [{"uuid": world.network("10.1.0.0/24", "theirs", project="p2")}]},
    ):  # fmt: skip
        assert post(**value).status_code == 400, value


def test_what_is_made_belongs_to_a_project(world, post):
    """An administrator's token may be for no project."""
    nobody = world.caller("/compute/v2.1", "admin", project=None, system=True)
    group = {"server_group": {"name": "g", "policy": "affinity"}}
    for refused in (post(by=nobody), nobody.post("/os-server-groups", group, version="compute 2.90")):
        assert refused.status_code == 400 and "for no project" in refused.text
    assert nobody.get("/servers").json()["servers"] == nobody.get("/os-security-groups").json()["security_groups"] == []


@pytest.mark.parametrize("group", [["x"], {"a": 1}, 5, "", NOTHING])
def test_groups_that_are_none(post, group):
    refused = post(hints={"group": group})
    assert refused.status_code == 400 and "Instance group" in refused.text


def test_a_host_by_its_names(world, post):
    world.transact(lambda tx: tx.update(compute_hosts, {"host": "host-1"}, hypervisor_hostname="node-1"))
    for named in ({"host": "nope"}, {"hypervisor_hostname": "nope"}, {"host": "host-1", "hypervisor_hostname": "nope"}):
        refused = post(by=world.admin, **named)
        assert refused.status_code == 400 and "could not be found" in refused.text
    for named in ({"host": "host-1"}, {"hypervisor_hostname": "node-1"}, {"host": "host-1", "hypervisor_hostname": "node-1"}):
        made = post(by=world.admin, **named)
        assert world.show(made.json()["server"]["id"])["OS-EXT-SRV-ATTR:host"] == "host-1"
    assert post(host="host-1").status_code == 403


def test_as_many_as_quotas_allow(world, post):
    world.admin.put("/os-quota-sets/p1", {"quota_set": {"cores": 3}})
    refused = post(min_count=4, max_count=5)
    assert refused.status_code == 403 and "Quota exceeded for cores: Requested 4, but already used 0 of 3 cores" in refused.text
    assert post(min_count=2, max_count=5).status_code == 202
    assert {one["name"] for one in world.me.get("/servers").json()["servers"]} == {"s-1", "s-2", "s-3"}
    assert post(min_count=1, max_count=2).status_code == 403


def test_a_flavor_that_asks_for_no_amount(world, post):
    world.flavor("odd")
    for value, code in (("abc", 400), ("-1", 400), ("2", 202)):
        assert world.admin.post("/flavors/odd/os-extra_specs", {"extra_specs": {"resources:VCPU": value}}).status_code == 200
        assert post(flavorRef="odd").status_code == code


def test_what_only_some_hosts_have(database_url, tmp_path):
    world = World(database_url, str(tmp_path), hosts=3)
    try:
        placement = world.caller("/placement", "admin")
        host = world.transact(lambda tx: tx.one(compute_hosts, host="host-2")).id
        placement.put("/resource_classes/CUSTOM_CARD", None, version="placement 1.39")
        generation = placement.get(f"/resource_providers/{host}", version="placement 1.39").json()["generation"]
        cards = {"resource_provider_generation": generation, "resource_class": "CUSTOM_CARD", "total": 1}
        answer = placement.post(f"/resource_providers/{host}/inventories", cards, version="placement 1.39")
        assert answer.status_code == 201, answer.text
        world.flavor("carded")
        world.admin.post("/flavors/carded/os-extra_specs", {"extra_specs": {"resources:CUSTOM_CARD": "1"}})
        network = world.network()
        id = world.boot(flavorRef="carded", networks=[{"uuid": network}])
        assert world.show(id)["OS-EXT-SRV-ATTR:host"] == "host-2"
        second = world.boot(flavorRef="carded", networks=[{"uuid": network}], wait=False)
        assert world.show(second)["fault"]["message"] == "No valid host was found. other resources rejected 3 of 3."
    finally:
        world.close()


# -- hosts that fail -----------------------------------------------------------------------------------------------

BROKEN = Recipe(calls={"start": Trouble(nth=tuple(range(1, 99)), message="no luck")})


def broken(*names: str):
    """Makes hypervisors of which these start nothing."""
    return lambda name, recipe, root: SimulatedDriver(name, BROKEN if name in names else recipe, root)


def hosts_with(world: World, id: str) -> list[str]:
    return [name for name, host in world.agent.hosts.items() if id in host.compute._servers]


@pytest.mark.parametrize(
    ("failing", "ends_on"), [(("host-1",), {"host-2", "host-3", "host-4"}), (("host-1", "host-2"), {"host-3", "host-4"})]
)
def test_a_boot_goes_to_another_host_where_one_fails(database_url, tmp_path, failing, ends_on):
    world = World(database_url, str(tmp_path), hosts=4, compute=broken(*failing))
    try:
        network = world.network()
        for _ in range(4):
            id = world.boot(networks=[{"uuid": network}])
            shown = world.show(id)
            assert (shown["status"], shown["OS-EXT-SRV-ATTR:host"] in ends_on) == ("ACTIVE", True) and "fault" not in shown
            assert hosts_with(world, id) == [shown["OS-EXT-SRV-ATTR:host"]]
            [card] = world.admin.get(f"/servers/{id}/os-interface").json()["interfaceAttachments"]
            port = world.caller("/network/v2.0", "admin").get(f"/ports/{card['port_id']}").json()["port"]
            assert (port["binding:host_id"], port["status"]) == (shown["OS-EXT-SRV-ATTR:host"], "ACTIVE")
        assert world.me.get("/limits").json()["limits"]["absolute"]["totalInstancesUsed"] == 4
    finally:
        world.close()


def test_a_boot_is_given_up_after_three_hosts(database_url, tmp_path):
    world = World(database_url, str(tmp_path), hosts=4, compute=broken("host-1", "host-2", "host-3", "host-4"))
    try:
        id = world.boot(wait=False)
        world.settle()
        shown = world.show(id)
        assert (shown["status"], shown["OS-EXT-SRV-ATTR:host"]) == ("ERROR", None) and world.machines() == []
        tried, _, why = (
            shown["fault"]["message"].removeprefix("Exceeded maximum number of retries: it failed on ").partition(", there because: ")
        )
        assert len(set(tried.split(", "))) == 3 and why == f"start on {tried.split(', ')[-1]}: no luck"
    finally:
        world.close()


def test_a_boot_stays_where_it_was_asked_for(database_url, tmp_path):
    world = World(database_url, str(tmp_path), hosts=2, compute=broken("host-1"))
    try:
        for where in ({"host": "host-1"}, {"availability_zone": "nova:host-1"}):
            id = world.boot(world.admin, wait=False, version="compute 2.90", networks="none", **where)
            world.settle()
            assert (world.show(id)["status"], world.show(id)["fault"]["message"]) == ("ERROR", "start on host-1: no luck")
    finally:
        world.close()


def test_a_volume_that_cannot_be_made_is_no_hosts_fault(database_url, tmp_path):
    world = World(database_url, str(tmp_path), hosts=2)
    try:
        volume = world.volume()
        disk = {"source_type": "volume", "destination_type": "volume", "uuid": volume, "boot_index": -1}
        id = world.boot(wait=False, networks=[], imageRef=(image := world.image()), block_device_mapping_v2=[root(image), disk])
        world.caller("/volume/v3", "admin").post(f"/volumes/{volume}/action", {"os-reset_status": {"status": "error"}})
        world.settle()
        assert world.show(id)["fault"]["message"] == f"Volume {volume} could not be made: its status is error."
    finally:
        world.close()
