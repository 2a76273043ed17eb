from __future__ import annotations

import pytest
from network_calls import BASE, fault

LABELS, RULES = "/metering/metering-labels", "/metering/metering-label-rules"


@pytest.fixture
def manager(cloud):
    return cloud.caller(BASE, "manager", "member", "reader")


@pytest.fixture
def label(manager) -> dict:
    return create(manager, name="m", description="d").json()["metering_label"]


def create(caller, **values):
    return caller.post(LABELS, {"metering_label": values})


def rule(caller, label: dict, **values):
    wanted = {"metering_label_id": label["id"], "direction": "ingress"} | values
    return caller.post(RULES, {"metering_label_rule": wanted})


def test_labels(me, other, admin, manager, label):
    assert label == {"id": label["id"], "name": "m", "description": "d", "shared": False, "project_id": "p1", "tenant_id": "p1"}
    path = f"{LABELS}/{label['id']}"
    assert me.get(path).json() == {"metering_label": label} and me.get(LABELS).json() == {"metering_labels": [label]}
    assert admin.get(f"{LABELS}?id=33").json() == {"metering_labels": []} == other.get(LABELS).json()
    assert create(me, name="x").status_code == me.delete(path).status_code == 403
    assert fault(other.get(path), 404, "MeteringLabelNotFound") == f"Metering label '{label['id']}' does not exist."
    fault(create(manager, project_id="p2"), 400, "HTTPBadRequest")
    assert create(admin, project_id="p2", shared=True).json()["metering_label"]["shared"] is True
    assert manager.delete(path).status_code == 204 and me.get(path).status_code == 404


def test_rules(me, other, admin, manager, label):
    made = rule(manager, label, remote_ip_prefix="10.0.0.5/24").json()["metering_label_rule"]
    assert made == {
        "id": made["id"], "metering_label_id": label["id"], "direction": "ingress", "excluded": False, "remote_ip_prefix": "10.0.0.0/24",
        "source_ip_prefix": None, "destination_ip_prefix": None,
    }  # fmt: skip
    path = f"{RULES}/{made['id']}"
    assert me.get(path).json() == {"metering_label_rule": made} and me.get(RULES).json() == {"metering_label_rules": [made]}
    assert fault(other.get(path), 404, "MeteringLabelRuleNotFound") == f"Metering label rule '{made['id']}' does not exist."
    both = rule(manager, label, source_ip_prefix="fd00::1", destination_ip_prefix="fd00:1::/64", excluded=True).json()[
        "metering_label_rule"
    ]
    assert (both["source_ip_prefix"], both["destination_ip_prefix"], both["excluded"]) == ("fd00::1/128", "fd00:1::/64", True)
    assert rule(me, label, remote_ip_prefix="10.1.0.0/24").status_code == me.delete(path).status_code == 403
    assert admin.delete(path).status_code == 204 and me.get(path).status_code == 404
    manager.delete(f"{LABELS}/{label['id']}")
    assert me.get(RULES).json() == {"metering_label_rules": []}, "rules go with their label"


def test_what_is_no_rule(other, admin, manager, label):
    assert rule(manager, label, remote_ip_prefix="10.0.0.0/24").status_code == 201
    says = fault(rule(manager, label, remote_ip_prefix="10.0.0.128/25"), 409, "MeteringLabelRuleOverlaps")
    assert says == "Metering label rule with remote_ip_prefix '10.0.0.128/25' overlaps another."
    assert rule(manager, label, remote_ip_prefix="10.0.0.128/25", direction="egress").status_code == 201
    assert "at least one of" in fault(rule(manager, label), 400, "Invalid")
    assert "in conjunction" in fault(rule(manager, label, remote_ip_prefix="10.2.0.0/24", source_ip_prefix="10.3.0.0/24"), 400, "Invalid")
    assert "source_ip_prefix: here is invalid" in fault(rule(manager, label, source_ip_prefix="here"), 400, "Invalid")
    fault(rule(manager, label, remote_ip_prefix="10.4.0.0/24", direction="up"), 400, "HTTPBadRequest")
    theirs = create(admin, project_id="p2").json()["metering_label"]
    fault(rule(manager, theirs, remote_ip_prefix="10.0.0.0/24"), 404, "MeteringLabelNotFound")
