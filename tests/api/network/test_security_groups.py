from __future__ import annotations

import pytest
from network_calls import fault, make

from cumulet.kernel.errors import BadRequest, Conflict
from cumulet.network.security_groups import named_groups


@pytest.fixture
def group(me) -> dict:
    return make(me, "security_group", name="web")


def add(caller, group, **values):
    rule = {"security_group_id": group["id"], "direction": "ingress"} | values
    return caller.post("/security-group-rules", {"security_group_rule": rule})


def test_every_project_has_a_default_group(me, other, admin):
    (mine,) = me.get("/security-groups").json()["security_groups"]
    rules = {(r["direction"], r["ethertype"], r["remote_group_id"], r["belongs_to_default_sg"]) for r in mine["security_group_rules"]}
    assert rules == {("egress", e, None, True) for e in ("IPv4", "IPv6")} | {("ingress", e, mine["id"], True) for e in ("IPv4", "IPv6")}
    assert mine["name"] == "default" and mine["project_id"] == "p1" and mine["stateful"] is True and mine["shared"] is False
    assert [g["id"] for g in me.get("/security-groups").json()["security_groups"]] == [mine["id"]]
    assert other.get("/security-groups").json()["security_groups"][0]["id"] != mine["id"]
    path = f"/security-groups/{mine['id']}"
    fault(me.delete(path), 409, "SecurityGroupCannotRemoveDefault")
    fault(me.put(path, {"security_group": {"name": "mine"}}), 409, "SecurityGroupCannotUpdateDefault")
    assert me.put(path, {"security_group": {"description": "d"}}).json()["security_group"]["description"] == "d"
    fault(me.post("/security-groups", {"security_group": {"name": "Default"}}), 409, "SecurityGroupDefaultAlreadyExists")
    assert admin.delete(path).status_code == 204
    assert me.get("/security-groups").json()["security_groups"][0]["id"] != mine["id"]


def test_a_group_from_making_to_deleting(me, other, group):
    assert {(r["direction"], r["ethertype"]) for r in group["security_group_rules"]} == {("egress", "IPv4"), ("egress", "IPv6")}
    path = f"/security-groups/{group['id']}"
    changed = me.put(path, {"security_group": {"name": "łódź", "description": "x", "stateful": False}}).json()["security_group"]
    assert (changed["name"], changed["description"], changed["stateful"]) == ("łódź", "x", False)
    assert changed["revision_number"] == group["revision_number"] + 1
    assert me.get(path).json()["security_group"] == changed
    for call in (other.get, other.delete):
        fault(call(path), 404, "SecurityGroupNotFound")
    fault(other.put(path, {"security_group": {"name": "y"}}), 404, "SecurityGroupNotFound")
    fault(add(other, group), 404, "SecurityGroupNotFound")
    assert me.delete(path).status_code == 204 and me.get(path).status_code == 404
    assert me.get("/security-groups/no-uuid").status_code == 404


def test_groups_are_filtered_paged_and_tagged(me, group):
    make(me, "security_group", name="db")
    names = lambda query: [g["name"] for g in me.get(f"/security-groups?{query}").json()["security_groups"]]
    assert names("name=web") == ["web"] and names("sort_key=name&sort_dir=desc") == ["web", "default", "db"]
    assert names("sort_key=name&sort_dir=asc&limit=2") == ["db", "default"] and names("shared=True") == []
    assert me.put(f"/security-groups/{group['id']}/tags/blue").status_code == 201 and names("tags=blue") == ["web"]


def test_a_group_in_use_stays(me, network, group):
    port = make(me, "port", network_id=network["id"], security_groups=[group["id"]])
    path = f"/security-groups/{group['id']}"
    assert fault(me.delete(path), 409, "SecurityGroupInUse") == f"Security Group {group['id']} in use."
    fault(me.put(path, {"security_group": {"stateful": False}}), 409, "SecurityGroupInUse")
    assert me.delete(f"/ports/{port['id']}").status_code == 204 and me.delete(path).status_code == 204


def test_rules_go_with_the_group_that_they_name(me, group):
    friends = make(me, "security_group", name="friends")
    rule = add(me, group, remote_group_id=friends["id"], protocol="tcp", port_range_min=80, port_range_max=80)
    path = f"/security-group-rules/{rule.json()['security_group_rule']['id']}"
    assert me.get(path).json()["security_group_rule"]["remote_group_id"] == friends["id"]
    assert me.delete(f"/security-groups/{friends['id']}").status_code == 204 and me.get(path).status_code == 404


def test_a_rule_from_making_to_deleting(me, other, group):
    made = add(me, group, protocol="TCP", port_range_min="22", port_range_max=22, remote_ip_prefix="10.1.2.3/8", description="ssh")
    rule = made.json()["security_group_rule"]
    assert made.status_code == 201 and rule["protocol"] == "tcp" and rule["port_range_min"] == 22 and rule["ethertype"] == "IPv4"
    assert rule["remote_ip_prefix"] == "10.1.2.3/8" and rule["normalized_cidr"] == "10.0.0.0/8" and rule["description"] == "ssh"
    assert rule["belongs_to_default_sg"] is False and rule["tenant_id"] == "p1" and rule["remote_address_group_id"] is None
    path = f"/security-group-rules/{rule['id']}"
    assert me.get(path).json()["security_group_rule"] == rule
    assert rule in me.get(f"/security-groups/{group['id']}").json()["security_group"]["security_group_rules"]
    found = me.get(f"/security-group-rules?security_group_id={group['id']}&protocol=tcp").json()["security_group_rules"]
    assert found == [rule] and rule["id"] not in [r["id"] for r in other.get("/security-group-rules").json()["security_group_rules"]]
    assert other.get(path).status_code == other.delete(path).status_code == 404
    assert me.delete(path).status_code == 204 and me.get(path).status_code == 404


@pytest.mark.parametrize(("asked", "kept"), [
    ({"protocol": "any"}, {"protocol": None}),
    ({"protocol": 6, "port_range_min": 1, "port_range_max": 65535}, {"protocol": "6", "port_range_min": None, "port_range_max": None}),
    ({"protocol": "icmp", "ethertype": "ipv6"}, {"protocol": "ipv6-icmp", "ethertype": "IPv6"}),
    ({"protocol": "1", "ethertype": "IPv6"}, {"protocol": "58"}),
    ({"protocol": "icmp", "port_range_min": 0}, {"port_range_min": 0, "port_range_max": None}),
    ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}, {"port_range_min": 8, "port_range_max": 0}),
    ({"remote_ip_prefix": "10.0.0.7"}, {"remote_ip_prefix": "10.0.0.7/32"}),
    ({"remote_ip_prefix": ""}, {"remote_ip_prefix": None}),
    ({"protocol": 255}, {"protocol": "255"}),
])  # fmt: skip
def test_rules_are_kept_in_one_form(me, group, asked, kept):
    answer = add(me, group, **asked)
    assert answer.status_code == 201, answer.text
    assert answer.json()["security_group_rule"].items() >= kept.items()


@pytest.mark.parametrize(("asked", "kind", "says"), [
    ({"protocol": "bad"}, "SecurityGroupRuleInvalidProtocol", "bad not supported"),
    ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol", "256"),
    ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType", "IPv5"),
    ({"port_range_min": 1, "port_range_max": 2}, "SecurityGroupProtocolRequiredWithPorts", "protocol"),
    ({"protocol": "tcp", "port_range_min": -16, "port_range_max": 80}, "SecurityGroupInvalidPortValue", "Invalid value for port -16"),
    ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 2**40}, "SecurityGroupInvalidPortValue", str(2**40)),
    ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, "SecurityGroupInvalidPortValue", "port 0"),
    ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 79}, "SecurityGroupInvalidPortRange", "must be <= port_range_max"),
    ({"protocol": "tcp", "port_range_max": 6}, "SecurityGroupInvalidPortRange", "must be <= port_range_max"),
    ({"protocol": "icmp", "port_range_min": 1, "port_range_max": 256}, "SecurityGroupInvalidIcmpValue", "Invalid value for ICMP code"),
    ({"protocol": "icmp", "port_range_min": 300, "port_range_max": 1}, "SecurityGroupInvalidIcmpValue", "Invalid value for ICMP type"),
    ({"protocol": "icmp", "port_range_max": 6}, "SecurityGroupMissingIcmpType", "ICMP type (port-range-min) is missing"),
    ({"protocol": "gre", "port_range_min": 1, "port_range_max": 2}, "SecurityGroupInvalidProtocolForPort", "protocol 47"),
    ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol", "IPv4"),
    ({"remote_ip_prefix": "192.168.1./24"}, "InvalidCIDR", "192.168.1./24"),
    ({"remote_ip_prefix": "256"}, "InvalidCIDR", "256"),
    ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict", "Conflicting value ethertype IPv4 for CIDR fd00::/64"),
    ({"direction": "sideways"}, "HTTPBadRequest", "direction"),
    ({"colour": "red"}, "HTTPBadRequest", "colour"),
    ({"description": "\0"}, "HTTPBadRequest", "NUL"),
])  # fmt: skip
def test_rules_that_are_none(me, group, asked, kind, says):
    assert says in fault(add(me, group, **asked), 400, kind)


def test_a_rule_has_one_remote_that_is_there(me, other, group):
    theirs = make(other, "security_group", name="theirs")
    both = add(me, group, remote_ip_prefix="10.0.0.0/8", remote_group_id=group["id"])
    fault(both, 400, "SecurityGroupMultipleRemoteEntites")
    for id in ("bad_group_id", theirs["id"]):
        fault(add(me, group, remote_group_id=id), 404, "SecurityGroupNotFound")


@pytest.mark.parametrize("again", [
    {"protocol": "6"}, {"protocol": "tcp", "remote_ip_prefix": "0.0.0.0/0"}, {"protocol": "tcp", "description": "other words"},
])  # fmt: skip
def test_a_rule_is_there_once(me, group, again):
    ports = {"port_range_min": 66, "port_range_max": 67}
    first = add(me, group, protocol="tcp", **ports).json()["security_group_rule"]
    assert first["id"] in fault(add(me, group, **ports, **again), 409, "SecurityGroupRuleExists")


def test_several_rules_at_once(me, group):
    rules = [{"security_group_id": group["id"], "direction": "ingress", "protocol": p} for p in ("tcp", "udp")]
    made = me.post("/security-group-rules", {"security_group_rules": rules})
    assert made.status_code == 201 and [r["protocol"] for r in made.json()["security_group_rules"]] == ["tcp", "udp"]
    twice = me.post("/security-group-rules", {"security_group_rules": [rules[0] | {"protocol": "sctp"}] * 2})
    fault(twice, 409, "DuplicateSecurityGroupRuleInPost")
    second = make(me, "security_group", name="b")
    across = me.post("/security-group-rules", {"security_group_rules": [rules[0], rules[1] | {"security_group_id": second["id"]}]})
    fault(across, 400, "SecurityGroupNotSingleGroupRules")


def test_quotas(me, admin, group):
    admin.put("/quotas/p1", {"quota": {"security_group": 2, "security_group_rule": 7}})
    fault(me.post("/security-groups", {"security_group": {"name": "one more"}}), 409, "OverQuota")
    assert add(me, group, protocol="tcp").status_code == 201
    fault(add(me, group, protocol="udp"), 409, "OverQuota")


def test_readers_only_read(cloud, group):
    reader = cloud.caller("/network/v2.0", "reader")
    assert reader.get(f"/security-groups/{group['id']}").status_code == 200
    assert reader.get("/security-group-rules").status_code == 200
    assert add(reader, group, protocol="tcp").status_code == 403
    assert reader.delete(f"/security-groups/{group['id']}").status_code == 403


def test_groups_by_name_as_servers_ask_for_them(cloud, me, other, group):
    theirs = make(other, "security_group", name="theirs")
    ask = lambda *names: cloud.transact(lambda tx: named_groups(tx, "p1", list(names)))
    (default,) = ask()
    assert ask("web", "default", group["id"]) == [group["id"], default]
    for unknown in ("nothing", theirs["id"], "theirs"):
        with pytest.raises(BadRequest, match=f"Security group {unknown} not found for project p1"):
            ask(unknown)
    make(me, "security_group", name="web")
    with pytest.raises(Conflict, match="Multiple security groups found matching 'web'"):
        ask("web")
