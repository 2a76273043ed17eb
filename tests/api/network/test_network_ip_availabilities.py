from __future__ import annotations

from network_calls import fault, make


def test_addresses_are_counted(me, admin, network, subnet):
    six = make(me, "subnet", network_id=network["id"], ip_version=6, cidr="fd00::/64", enable_dhcp=False)
    make(me, "port", network_id=network["id"])
    bare = make(me, "network", name="bare")
    path = "/network-ip-availabilities"
    one = admin.get(f"{path}/{network['id']}").json()["network_ip_availability"]
    assert (one["network_id"], one["network_name"], one["project_id"], one["tenant_id"]) == (network["id"], "n", "p1", "p1")
    assert one["subnet_ip_availability"] == [
        {"subnet_id": subnet["id"], "subnet_name": "", "ip_version": 4, "cidr": "10.0.0.0/24", "total_ips": 253, "used_ips": 2},
        {"subnet_id": six["id"], "subnet_name": "", "ip_version": 6, "cidr": "fd00::/64", "total_ips": 2**64 - 2, "used_ips": 1},
    ]
    assert (one["total_ips"], one["used_ips"]) == (2**64 - 2 + 253, 3)
    listed = {n["network_id"]: n for n in admin.get(path).json()["network_ip_availabilities"]}
    assert listed[network["id"]] == one and (listed[bare["id"]]["total_ips"], listed[bare["id"]]["subnet_ip_availability"]) == (0, [])
    (four,) = admin.get(f"{path}?ip_version=4").json()["network_ip_availabilities"]
    assert [s["ip_version"] for s in four["subnet_ip_availability"]] == [4] and four["total_ips"] == 253
    assert [n["network_id"] for n in admin.get(f"{path}?network_name=bare").json()["network_ip_availabilities"]] == [bare["id"]]
    assert admin.get(f"{path}?network_id={bare['id']}&tenant_id=p2").json()["network_ip_availabilities"] == []
    fault(admin.get(f"{path}?ip_version=four"), 400, "InvalidInput")
    fault(admin.get(f"{path}/{subnet['id']}"), 404, "NetworkNotFound")
    assert me.get(path).status_code == me.get(f"{path}/{network['id']}").status_code == 403
