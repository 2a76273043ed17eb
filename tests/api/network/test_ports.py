from __future__ import annotations

import asyncio
import uuid

import httpx2
import pytest
from network_calls import fault, make


@pytest.fixture
def port(me, network, subnet) -> dict:
    return make(me, "port", network_id=network["id"], name="p")


@pytest.fixture
def slaac(me, network) -> dict:
    return make(
        me,
        "subnet",
        network_id=network["id"],
        ip_version=6,
        cidr="fd00::/64",
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )


def ips(port: dict) -> list[str]:
    return sorted(ip["ip_address"] for ip in port["fixed_ips"])


def test_a_port_as_its_project_and_as_an_administrator_see_it(me, admin, network, subnet, port):
    assert port["status"] == "DOWN" and port["mac_address"].startswith("fa:16:3e:") and port["device_id"] == port["device_owner"] == ""
    (address,) = port["fixed_ips"]
    assert address["subnet_id"] == subnet["id"] and address["ip_address"].startswith("10.0.0.")
    assert len(port["security_groups"]) == 1 and port["port_security_enabled"] is True and port["binding:vnic_type"] == "normal"
    assert "binding:host_id" not in port
    host = "host-" + address["ip_address"].replace(".", "-")
    assert port["dns_assignment"] == [{"ip_address": address["ip_address"], "hostname": host, "fqdn": f"{host}.openstacklocal."}]
    seen = admin.get(f"/ports/{port['id']}").json()["port"]
    assert seen["binding:vif_type"] == "unbound" and seen["binding:host_id"] == "" and seen["binding:vif_details"] == {}
    bound = admin.put(f"/ports/{port['id']}", {"port": {"binding:host_id": "h1", "binding:profile": {"a": 1}}}).json()["port"]
    assert bound["binding:vif_type"] == "bridge" and bound["binding:host_id"] == "h1" and bound["binding:profile"] == {"a": 1}
    assert [p["id"] for p in admin.get("/ports?binding:host_id=h1").json()["ports"]] == [port["id"]]


def test_addresses_as_asked_for(me, network, subnet):
    second = make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.1.0.0/24")
    make_port = lambda *wanted: make(me, "port", network_id=network["id"], fixed_ips=list(wanted))
    assert ips(make_port({"ip_address": "10.1.0.9"})) == ["10.1.0.9"]
    assert make_port({"subnet_id": second["id"]})["fixed_ips"][0]["subnet_id"] == second["id"]
    both = make_port({"subnet_id": subnet["id"], "ip_address": "10.0.0.9"}, {"subnet_id": second["id"]}, {"subnet_id": second["id"]})
    assert len(both["fixed_ips"]) == 3 and "10.0.0.9" in ips(both)
    assert make_port()["fixed_ips"] == []


@pytest.mark.parametrize(("wanted", "status", "kind"), [
    ([{"ip_address": "10.9.0.9"}], 400, "InvalidIpForNetwork"),
    ([{"subnet_id": "SUBNET", "ip_address": "10.9.0.9"}], 400, "InvalidIpForSubnet"),
    ([{"subnet_id": "SUBNET", "ip_address": "10.0.0.255"}], 400, "InvalidIpForSubnet"),
    ([{"subnet_id": str(uuid.UUID(int=5))}], 400, "InvalidInput"),
    ([{"subnet_id": "SUBNET", "ip_address": "ten"}], 400, "HTTPBadRequest"),
    ([{}], 400, "InvalidInput"),
    ([{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9"}], 400, "HTTPBadRequest"),
    ([{"subnet_id": "SUBNET"}] * 6, 400, "InvalidInput"),
    ([{"ip": "10.0.0.9"}], 400, "HTTPBadRequest"),
])  # fmt: skip
def test_addresses_that_cannot_be(me, network, subnet, wanted, status, kind):
    wanted = [{key: subnet["id"] if value == "SUBNET" else value for key, value in one.items()} for one in wanted]
    fault(me.post("/ports", {"port": {"network_id": network["id"], "fixed_ips": wanted}}), status, kind)


def test_an_address_is_given_once(me, network, port):
    (taken,) = ips(port)
    again = me.post("/ports", {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": taken}]}})
    assert taken in fault(again, 409, "IpAddressAlreadyAllocated")
    fault(
        me.post("/ports", {"port": {"network_id": network["id"], "mac_address": port["mac_address"]}}),
        409,
        "MacAddressInUse",
    )


def test_addresses_run_out(me, network):
    make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.2.0.0/29", enable_dhcp=False)
    got = {ips(make(me, "port", network_id=network["id"]))[0] for _ in range(5)}
    assert got == {f"10.2.0.{n}" for n in range(2, 7)}
    message = fault(me.post("/ports", {"port": {"network_id": network["id"]}}), 409, "IpAddressGenerationFailure")
    assert message == f"No more IP addresses available on network {network['id']}."
    make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.3.0.0/29", enable_dhcp=False)
    assert ips(make(me, "port", network_id=network["id"]))[0].startswith("10.3.")


def test_many_ports_at_once_never_share_an_address(cloud, me, network):
    make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.2.0.0/27", enable_dhcp=False)
    answers = []

    async def send() -> httpx2.Response:
        """As clients do, again where the database was too busy."""
        while True:
            body, headers = {"port": {"network_id": network["id"]}}, {"X-Auth-Token": me.token}
            answer = await cloud._client.post("/network/v2.0/ports", json=body, headers=headers)
            if answer.status_code != 503:
                return answer

    async def many() -> None:
        answers.extend(await asyncio.gather(*(send() for _ in range(32))))

    cloud.portal.call(many)
    made = [answer.json()["port"] for answer in answers if answer.status_code == 201]
    assert len(made) == 29 and len({ips(port)[0] for port in made}) == 29 and len({port["mac_address"] for port in made}) == 29
    assert {answer.status_code for answer in answers} == {201, 409}


def test_automatic_addresses_come_with_every_port(me, admin, network, subnet, slaac):
    mac = "fa:16:3e:12:34:56"
    only = make(me, "port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.9"}])
    assert len(only["fixed_ips"]) == 2
    port = make(me, "port", network_id=network["id"], mac_address=mac.upper())
    assert port["mac_address"] == mac and ips(port)[1] == "fd00::f816:3eff:fe12:3456" and ips(port)[0].startswith("10.0.0.")
    chosen = me.post("/ports", {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "fd00::5"}]}})
    fault(chosen, 400, "AllocationOnAutoAddressSubnet")
    fault(me.put(f"/ports/{port['id']}", {"port": {"mac_address": "fa:16:3e:00:00:01"}}), 403, "PolicyNotAuthorized")
    changed = admin.put(f"/ports/{port['id']}", {"port": {"mac_address": "fa:16:3e:00:00:01"}}).json()["port"]
    assert ips(changed) == [ips(port)[0], "fd00::f816:3eff:fe00:1"]


def test_stateful_addresses_come_from_the_pool(me, network):
    pool = [{"start": "fd01::10", "end": "fd01::1f"}]
    make(
        me,
        "subnet",
        network_id=network["id"],
        ip_version=6,
        cidr="fd01::/64",
        ipv6_address_mode="dhcpv6-stateful",
        allocation_pools=pool,
    )
    assert ips(make(me, "port", network_id=network["id"]))[0].startswith("fd01::1")


def test_subnets_for_the_ports_of_some_devices(me, admin, network):
    special = {"service_types": ["network:floatingip_agent_gateway"]}
    wanted = {"network_id": network["id"], "ip_version": 4, "cidr": "10.4.0.0/24", "enable_dhcp": False, **special}
    fault(me.post("/subnets", {"subnet": wanted}), 403, "PolicyNotAuthorized")
    made = make(admin, "subnet", **wanted)
    fault(me.put(f"/subnets/{made['id']}", {"subnet": {"service_types": []}}), 403, "PolicyNotAuthorized")
    fault(me.post("/ports", {"port": {"network_id": network["id"]}}), 409, "IpAddressGenerationFailureNoMatchingSubnet")
    make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.5.0.0/24", enable_dhcp=False)
    assert ips(make(me, "port", network_id=network["id"]))[0].startswith("10.5.")


def test_changing_addresses_keeps_those_that_stay(me, network, subnet, port):
    second = make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.1.0.0/24")
    path, before = f"/ports/{port['id']}", ips(port)
    wanted = [{"subnet_id": subnet["id"]}, {"subnet_id": second["id"]}]
    more = me.put(path, {"port": {"fixed_ips": wanted}}).json()["port"]
    assert len(more["fixed_ips"]) == 2 and before[0] in ips(more)
    assert ips(me.put(path, {"port": {"fixed_ips": wanted[:1]}}).json()["port"]) == before
    assert ips(me.put(path, {"port": {"name": "q"}}).json()["port"]) == before
    assert ips(me.put(path, {"port": {"fixed_ips": [{"ip_address": "10.0.0.200"}]}}).json()["port"]) == ["10.0.0.200"]


def test_filters_by_address_group_and_mac(me, network, subnet, port):
    other = make(me, "port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.123"}])
    found = lambda query: {p["id"] for p in me.get(f"/ports?device_owner=&{query}").json()["ports"]}
    assert found("fixed_ips=ip_address%3D10.0.0.123") == {other["id"]}
    assert found("fixed_ips=ip_address_substr%3D.0.123") == {other["id"]} and found("fixed_ips=ip_address_substr%3D%25") == set()
    assert found(f"fixed_ips=subnet_id%3D{subnet['id']}") == {other["id"], port["id"]}
    assert found(f"fixed_ips=subnet_id%3D{subnet['id']}&fixed_ips=ip_address%3D{ips(port)[0]}") == {port["id"]}
    assert found(f"security_groups={port['security_groups'][0]}&name=p") == {port["id"]}
    assert found(f"mac_address={port['mac_address'].upper()}") == {port["id"]}
    assert me.get("/ports?fixed_ips=x%3D1").status_code == 400


def test_port_security_and_groups_go_together(me, network, port):
    path = f"/ports/{port['id']}"
    fault(me.put(path, {"port": {"port_security_enabled": False}}), 409, "PortSecurityPortHasSecurityGroup")
    bare = me.put(path, {"port": {"port_security_enabled": False, "security_groups": []}}).json()["port"]
    assert bare["port_security_enabled"] is False and bare["security_groups"] == []
    fault(
        me.put(path, {"port": {"security_groups": port["security_groups"]}}),
        400,
        "PortSecurityAndIPRequiredForSecurityGroups",
    )
    fault(
        me.put(path, {"port": {"allowed_address_pairs": [{"ip_address": "10.0.0.1"}]}}),
        409,
        "AddressPairAndPortSecurityRequired",
    )
    fault(me.put(path, {"port": {"security_groups": [str(uuid.UUID(int=9))]}}), 404, "SecurityGroupNotFound")
    open_network = make(me, "network", port_security_enabled=False)
    assert make(me, "port", network_id=open_network["id"])["security_groups"] == []


def test_address_pairs(me, network, port):
    path = f"/ports/{port['id']}"
    pairs = [{"ip_address": "10.0.0.0/24"}, {"ip_address": "10.1.0.5", "mac_address": "FA:16:3E:00:00:02"}]
    made = me.put(path, {"port": {"allowed_address_pairs": pairs}}).json()["port"]["allowed_address_pairs"]
    assert made == [
        {"ip_address": "10.0.0.0/24", "mac_address": port["mac_address"]},
        {"ip_address": "10.1.0.5", "mac_address": "fa:16:3e:00:00:02"},
    ]
    fault(
        me.put(path, {"port": {"allowed_address_pairs": [{"mac_address": port["mac_address"]}]}}),
        400,
        "AllowedAddressPairsMissingIP",
    )
    fault(me.put(path, {"port": {"allowed_address_pairs": pairs[:1] * 2}}), 400, "DuplicateAddressPairInRequest")
    fault(
        me.put(path, {"port": {"allowed_address_pairs": [{"ip_address": f"10.0.0.{n}"} for n in range(11)]}}),
        400,
        "AllowedAddressPairExhausted",
    )
    assert me.put(path, {"port": {"allowed_address_pairs": [{"ip_address": "10.0.0.300"}]}}).status_code == 400


def test_dhcp_options_are_changed_one_by_one(me, network, port):
    path = f"/ports/{port['id']}"
    put = lambda *options: me.put(path, {"port": {"extra_dhcp_opts": list(options)}}).json()["port"]["extra_dhcp_opts"]
    assert put({"opt_name": "tftp-server", "opt_value": "1.2.3.4"}) == [
        {"opt_name": "tftp-server", "opt_value": "1.2.3.4", "ip_version": 4}
    ]
    assert len(put({"opt_name": "bootfile-name", "opt_value": "pxe"})) == 2
    assert [one["opt_name"] for one in put({"opt_name": "tftp-server", "opt_value": None})] == ["bootfile-name"]


def test_ports_of_routers_are_not_deleted_by_hand(admin, network, subnet):
    port = make(admin, "port", network_id=network["id"], device_id="r", device_owner="network:router_interface")
    message = fault(admin.delete(f"/ports/{port['id']}"), 409, "ServicePortInUse")
    assert message == f"Port {port['id']} cannot be deleted directly via the port API: has device owner network:router_interface."
    assert port["security_groups"] == [] and port["port_security_enabled"] is False


def test_on_others_networks(me, other, admin, network, subnet, port):
    assert other.get(f"/ports/{port['id']}").status_code == other.delete(f"/ports/{port['id']}").status_code == 404
    assert other.post("/ports", {"port": {"network_id": network["id"]}}).status_code == 404
    shared = make(admin, "network", shared=True)
    make(admin, "subnet", network_id=shared["id"], ip_version=4, cidr="10.7.0.0/24")
    mine = make(other, "port", network_id=shared["id"])
    wanted = {"network_id": shared["id"], "fixed_ips": [{"ip_address": "10.7.0.77"}]}
    fault(other.post("/ports", {"port": wanted}), 403, "PolicyNotAuthorized")
    fault(
        other.post("/ports", {"port": {"network_id": shared["id"], "mac_address": "fa:16:3e:00:00:09"}}),
        403,
        "PolicyNotAuthorized",
    )
    fault(
        other.post("/ports", {"port": {"network_id": shared["id"], "device_owner": "network:dhcp"}}),
        403,
        "PolicyNotAuthorized",
    )
    fault(other.post("/ports", {"port": {"network_id": shared["id"], "binding:host_id": "h"}}), 403, "PolicyNotAuthorized")
    fault(other.put(f"/ports/{mine['id']}", {"port": {"fixed_ips": []}}), 403, "PolicyNotAuthorized")
    external = make(admin, "network", **{"router:external": True})
    fault(other.post("/ports", {"port": {"network_id": external["id"]}}), 403, "PolicyNotAuthorized")
    assert [p["id"] for p in other.get("/ports").json()["ports"]] == [mine["id"]]
    assert make(admin, "port", network_id=network["id"], project_id="p1")["project_id"] == "p1"
    assert other.delete(f"/ports/{mine['id']}").status_code == 204


def test_the_owner_of_a_network_sees_and_removes_all_ports_on_it(me, admin, network):
    foreign = make(admin, "port", network_id=network["id"])
    assert me.get(f"/ports/{foreign['id']}").status_code == 200
    assert me.put(f"/ports/{foreign['id']}", {"port": {"name": "x"}}).status_code == 403
    assert me.delete(f"/ports/{foreign['id']}").status_code == 204


def test_many_at_once_or_none(me, network, subnet):
    bodies = [{"network_id": network["id"], "name": name, "admin_state_up": name == "a"} for name in "ab"]
    made = me.post("/ports", {"ports": bodies}).json()["ports"]
    assert [p["admin_state_up"] for p in made] == [True, False]
    clash = [{"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.222"}]}] * 2
    assert me.post("/ports", {"ports": clash}).status_code == 409
    assert len(me.get("/ports?device_owner=").json()["ports"]) == 2
    assert (
        me.post("/ports", {"port": {"name": "x"}})
        .json()["NeutronError"]["message"]
        .endswith("Required attribute 'network_id' not specified")
    )
