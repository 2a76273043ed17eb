from __future__ import annotations

import pytest
from network_calls import fault, make


@pytest.fixture
def port(me, network) -> dict:
    return make(me, "port", network_id=network["id"])


def bind(admin, port: dict, host: str, **values):
    return admin.post(f"/ports/{port['id']}/bindings", {"binding": {"host": host} | values})


def bindings(admin, port: dict) -> list[tuple[str, str]]:
    return [(b["host"], b["status"]) for b in admin.get(f"/ports/{port['id']}/bindings").json()["bindings"]]


def test_a_port_moves_along_its_bindings(me, admin, port):
    path = f"/ports/{port['id']}/bindings"
    assert bindings(admin, port) == []
    first = bind(admin, port, "h1").json()["binding"]
    assert first == {
        "host": "h1", "status": "ACTIVE", "vif_type": "bridge", "vif_details": {"port_filter": True, "connectivity": "l2"},
        "vnic_type": "normal", "profile": {}, "project_id": "p1",
    }  # fmt: skip
    assert admin.get(f"/ports/{port['id']}").json()["port"]["binding:host_id"] == "h1"
    assert bind(admin, port, "h2", profile={"migrating_to": "h2"}).json()["binding"]["status"] == "INACTIVE"
    assert bindings(admin, port) == [("h1", "ACTIVE"), ("h2", "INACTIVE")]
    for host in ("h1", "h2"):
        fault(bind(admin, port, host), 409, "PortBindingAlreadyExists")
    moved = admin.put(f"{path}/h2/activate").json()["binding"]
    assert (moved["host"], moved["status"], moved["profile"]) == ("h2", "ACTIVE", {"migrating_to": "h2"})
    shown = admin.get(f"/ports/{port['id']}").json()["port"]
    assert (shown["binding:host_id"], shown["status"]) == ("h2", "DOWN") and bindings(admin, port) == [("h2", "ACTIVE"), ("h1", "INACTIVE")]
    fault(admin.put(f"{path}/h2/activate"), 409, "PortBindingAlreadyActive")
    assert admin.delete(f"{path}/h2").status_code == 204 and bindings(admin, port) == [("h1", "INACTIVE")]
    assert admin.put(f"{path}/h1/activate").status_code == 200 and bindings(admin, port) == [("h1", "ACTIVE")]


def test_changing_and_losing_bindings(me, admin, port):
    path = f"/ports/{port['id']}/bindings"
    bind(admin, port, "h1")
    bind(admin, port, "h2")
    for host in ("h1", "h2"):
        changed = admin.put(f"{path}/{host}", {"binding": {"vnic_type": "direct", "profile": {"a": 1}}}).json()["binding"]
        assert (changed["vnic_type"], changed["profile"]) == ("direct", {"a": 1})
    assert admin.put(f"{path}/h2", {"binding": {"profile": None}}).json()["binding"]["profile"] == {}
    assert admin.delete(f"{path}/h2").status_code == 204
    for answer in (admin.delete(f"{path}/h2"), admin.put(f"{path}/h2/activate"), admin.put(f"{path}/h2", {"binding": {}})):
        says = fault(answer, 404, "PortBindingNotFound")
        assert says == f"Binding for port {port['id']} for host h2 could not be found."
    bind(admin, port, "h2")
    assert me.delete(f"/ports/{port['id']}").status_code == 204
    fault(admin.get(path), 404, "PortNotFound")


def test_bindings_are_not_for_everybody(me, admin, port):
    path = f"/ports/{port['id']}/bindings"
    assert me.get(path).status_code == bind(me, port, "h1").status_code == 403
    assert me.put(f"{path}/h1/activate").status_code == me.delete(f"{path}/h1").status_code == 403
    fault(bind(admin, port, ""), 400, "HTTPBadRequest")
    fault(bind(admin, port, "h1", vnic_type="odd"), 400, "HTTPBadRequest")
