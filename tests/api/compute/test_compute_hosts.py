"""Services, hypervisors, aggregates, availability zones: what administrators see of hosts."""

from __future__ import annotations

import pytest
from compute_rows import add_server

from cumulet import placement
from cumulet.compute.hosts import compute_services, host_seen, service_seen

TOLD = {
    "vcpus": 4, "memory_mib": 4096, "disk_gib": 100, "hypervisor_type": "QEMU", "hypervisor_version": 7002000, "cpu_info": {"model": "x"},
    "traits": ["HW_CPU_X86_AVX2"], "boot_time": 0.0,
}  # fmt: skip
NEW = "compute 2.53"


@pytest.fixture
def admin(cloud):
    return cloud.caller("/compute/v2.1", "admin")


@pytest.fixture
def hosts(cloud):
    """Two hosts: name -> id of hypervisor and provider."""
    see = lambda name: cloud.transact(lambda tx: host_seen(tx, cloud.runtime.config, name, TOLD | {"hypervisor_hostname": f"{name}.lan"}))
    return {name: see(name) for name in ("h1", "h2")}


def act(admin, aggregate: int, name: str, **fields):
    return admin.post(f"/os-aggregates/{aggregate}/action", {name: fields})


def test_a_host_that_says_hello_again_changes_nothing(cloud, hosts):
    before = cloud.transact(placement.providers)
    cloud.transact(lambda tx: host_seen(tx, cloud.runtime.config, "h1", TOLD | {"hypervisor_hostname": "h1.lan"}))
    assert cloud.transact(placement.providers) == before
    provider = next(one for one in before if one.id == hosts["h1"])
    assert provider.name == "h1.lan" and provider.traits == {"HW_CPU_X86_AVX2", "COMPUTE_NODE", "OWNER_NOVA"}
    assert (provider.free("VCPU"), provider.largest("VCPU"), provider.free("MEMORY_MB"), provider.free("DISK_GB")) == (64, 4, 5376, 100)


def test_services_are_listed_disabled_and_forced_down(admin, hosts):
    service = admin.get("/os-services?host=h1").json()["services"][0]
    assert (service["id"], service["binary"], service["state"], service["status"], service["zone"]) == (
        1,
        "nova-compute",
        "up",
        "enabled",
        "nova",
    )
    named = {"host": "h1", "binary": "nova-compute"}
    assert admin.put("/os-services/disable", named).json()["service"] == named | {"status": "disabled"}
    assert admin.put("/os-services/disable-log-reason", named | {"disabled_reason": "why"}).json()["service"]["disabled_reason"] == "why"
    assert admin.put("/os-services/enable", named).json()["service"]["status"] == "enabled"
    assert admin.put("/os-services/force-down", named | {"forced_down": True}).status_code == 404
    down = admin.put("/os-services/force-down", named | {"forced_down": "true"}, version="compute 2.11")
    assert down.json()["service"] == named | {"forced_down": True}
    assert admin.get("/os-services?host=h1&binary=nova-compute").json()["services"][0]["state"] == "down"
    assert admin.put("/os-services/enable", named | {"host": "nope"}).status_code == 404
    assert admin.put("/os-services/enable", named | {"binary": "nova-scheduler"}).status_code == 400
    assert admin.get("/os-services?binary=nope").json() == {"services": []}


def test_services_by_uuid(admin, hosts):
    id = admin.get("/os-services?host=h1", version=NEW).json()["services"][0]["id"]
    put = lambda **body: admin.put(f"/os-services/{id}", body, version=NEW)
    changed = put(status="disabled", disabled_reason="why").json()["service"]
    assert (changed["status"], changed["disabled_reason"], changed["forced_down"]) == ("disabled", "why", False)
    assert put(status="enabled").json()["service"]["disabled_reason"] is None
    assert (
        put().status_code == 400
        and put(status="enabled", disabled_reason="x").status_code == 400
        and put(disabled_reason="x").status_code == 400
    )
    assert admin.put("/os-services/1", {"status": "enabled"}, version=NEW).status_code == 400
    assert admin.delete("/os-services/nope", version=NEW).status_code == 400


def test_a_silent_service_is_down(cloud, admin, hosts):
    import datetime as dt

    cloud.transact(lambda tx: tx.update(compute_services, {"host": "h1"}, last_seen=dt.datetime(2000, 1, 1)))
    assert {s["host"]: s["state"] for s in admin.get("/os-services").json()["services"]} == {"h1": "down", "h2": "up"}


def test_a_service_goes_with_its_host_unless_servers_are_there(cloud, admin, hosts):
    id = admin.get("/os-services?host=h1", version=NEW).json()["services"][0]["id"]
    server = add_server(cloud, host="h1")
    assert admin.delete(f"/os-services/{id}", version=NEW).status_code == 409
    server.remove()
    assert admin.delete(f"/os-services/{id}", version=NEW).status_code == 204
    assert [h["id"] for h in admin.get("/os-hypervisors", version=NEW).json()["hypervisors"]] == [hosts["h2"]]
    assert [p.id for p in cloud.transact(placement.providers)] == [hosts["h2"]]
    assert admin.delete(f"/os-services/{id}", version=NEW).status_code == 404


def test_hypervisors_in_detail_count_what_is_used(cloud, admin, hosts):
    server = add_server(cloud, host="h1", task_state="spawning")
    cloud.transact(lambda tx: placement.claim(tx, server.id, hosts["h1"], {"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 10}, "p", "u"))
    shown = admin.get("/os-hypervisors/1").json()["hypervisor"]
    assert {k: shown[k] for k in ("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb_used", "free_disk_gb", "running_vms", "current_workload")} == {
        "vcpus": 4, "vcpus_used": 2, "memory_mb": 4096, "memory_mb_used": 1536, "free_ram_mb": 2560, "local_gb_used": 10, "free_disk_gb": 90,
        "running_vms": 1, "current_workload": 1,
    }  # fmt: skip
    assert shown["cpu_info"] == '{"model": "x"}' and shown["service"] == {"id": 1, "host": "h1", "disabled_reason": None}
    new = admin.get(f"/os-hypervisors/{hosts['h1']}?with_servers=true", version="compute 2.88").json()["hypervisor"]
    assert new["servers"] == [{"uuid": server.id, "name": "s"}] and " up " in new["uptime"] and "vcpus" not in new and "cpu_info" not in new
    assert admin.get("/os-hypervisors/detail", version="compute 2.28").json()["hypervisors"][0]["cpu_info"] == {"model": "x"}
    assert "servers" not in admin.get(f"/os-hypervisors/{hosts['h1']}", version=NEW).json()["hypervisor"]


def test_hypervisors_are_found_paged_and_summed(admin, hosts):
    names = lambda answer: [h["hypervisor_hostname"] for h in answer.json()["hypervisors"]]
    assert names(admin.get("/os-hypervisors")) == ["h1.lan", "h2.lan"] == names(admin.get("/os-hypervisors/lan/search"))
    assert names(admin.get("/os-hypervisors/h2/servers")) == ["h2.lan"] and admin.get("/os-hypervisors/%25/search").status_code == 404
    assert names(admin.get("/os-hypervisors?hypervisor_hostname_pattern=h2", version=NEW)) == ["h2.lan"]
    assert admin.get("/os-hypervisors?hypervisor_hostname_pattern=h2&limit=1", version=NEW).status_code == 400
    page = admin.get("/os-hypervisors?limit=1", version="compute 2.33")
    assert names(page) == ["h1.lan"] and page.json()["hypervisors_links"][0]["href"].endswith("marker=1")
    assert names(admin.get("/os-hypervisors?limit=1&marker=1", version="compute 2.33")) == ["h2.lan"]
    assert names(admin.get(f"/os-hypervisors?marker={hosts['h1']}", version=NEW)) == ["h2.lan"]
    total = admin.get("/os-hypervisors/statistics").json()["hypervisor_statistics"]
    assert (total["count"], total["vcpus"], total["memory_mb_used"]) == (2, 8, 1024)
    assert "uptime" in admin.get("/os-hypervisors/1/uptime").json()["hypervisor"]
    for path, version, status in [
        ("1", NEW, 400),
        ("nope", "compute 2.1", 404),
        ("99999999999", "compute 2.1", 404),
        ("statistics", "compute 2.88", 404),
    ]:
        assert admin.get(f"/os-hypervisors/{path}", version=version).status_code == status, path


def test_old_hosts(admin, hosts):
    assert admin.get("/os-hosts").json()["hosts"][0] == {"host_name": "h1", "service": "compute", "zone": "nova"}
    assert admin.get("/os-hosts?zone=nope").json() == {"hosts": []} and admin.get("/os-hosts", version="compute 2.43").status_code == 404
    total = admin.get("/os-hosts/h1").json()["host"][0]["resource"]
    assert total == {"host": "h1", "project": "(total)", "cpu": 4, "memory_mb": 4096, "disk_gb": 100}
    assert admin.get("/os-hosts/nope").status_code == 404 and admin.get("/os-hosts/h1/reboot").status_code == 501


def test_a_host_whose_resource_provider_was_removed_is_shown_with_nothing_used(cloud, admin, hosts):
    cloud.transact(lambda tx: placement.forget_provider(tx, hosts["h1"]))
    shown = admin.get("/os-hypervisors/detail", version=NEW).json()["hypervisors"]
    assert [(one["hypervisor_hostname"], one["vcpus"], one["vcpus_used"]) for one in shown] == [("h1.lan", 4, 0), ("h2.lan", 4, 0)]
    assert admin.get(f"/os-hypervisors/{hosts['h1']}", version=NEW).json()["hypervisor"]["memory_mb_used"] == 0
    assert admin.get("/os-hypervisors/statistics").json()["hypervisor_statistics"]["vcpus_used"] == 0
    assert admin.get("/os-hosts/h1").json()["host"][1]["resource"]["cpu"] == 0


def test_aggregates(admin, hosts):
    made = admin.post("/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "z"}}, version="compute 2.41").json()["aggregate"]
    assert made["id"] == 1 and made["availability_zone"] == "z" and len(made["uuid"]) == 36 and "hosts" not in made
    assert admin.post("/os-aggregates", {"aggregate": {"name": "a"}}).status_code == 409
    assert act(admin, 1, "add_host", host="h1").json()["aggregate"]["hosts"] == ["h1"]
    assert act(admin, 1, "add_host", host="h1").status_code == 409 and act(admin, 1, "add_host", host="nope").status_code == 404
    assert act(admin, 1, "set_metadata", metadata={"ssd": "yes"}).json()["aggregate"]["metadata"] == {
        "availability_zone": "z",
        "ssd": "yes",
    }
    assert act(admin, 1, "set_metadata", metadata={"ssd": None}).json()["aggregate"]["metadata"] == {"availability_zone": "z"}
    assert admin.put("/os-aggregates/1", {"aggregate": {"name": "b"}}).json()["aggregate"]["name"] == "b"
    assert "uuid" not in admin.get("/os-aggregates/1").json()["aggregate"] and admin.get("/os-aggregates").json()["aggregates"][0][
        "hosts"
    ] == ["h1"]
    assert admin.delete("/os-aggregates/1").status_code == 400
    assert (
        act(admin, 1, "remove_host", host="h1").json()["aggregate"]["hosts"] == []
        and act(admin, 1, "remove_host", host="h1").status_code == 404
    )
    assert admin.delete("/os-aggregates/1").status_code == 200 and admin.get("/os-aggregates/1").status_code == 404


@pytest.mark.parametrize("name", ["", " a", "a\0", "x" * 256, None, 1])
def test_a_bad_aggregate_is_refused(admin, name):
    assert admin.post("/os-aggregates", {"aggregate": {"name": name}}).status_code == 400
    assert admin.get("/os-aggregates/x").status_code == 400 and admin.get("/os-aggregates/9999999999").status_code == 404


def test_a_host_is_in_one_zone_and_zones_do_not_change_under_servers(cloud, admin, hosts):
    for name in ("a", "b"):
        admin.post("/os-aggregates", {"aggregate": {"name": name, "availability_zone": name}})
    assert act(admin, 1, "add_host", host="h1").status_code == 200
    assert act(admin, 2, "add_host", host="h1").status_code == 409
    add_server(cloud, host="h1"), add_server(cloud, host="h2")
    assert act(admin, 2, "add_host", host="h2").status_code == 409 and act(admin, 1, "remove_host", host="h1").status_code == 409
    assert admin.put("/os-aggregates/1", {"aggregate": {"availability_zone": "c"}}).status_code == 400
    assert act(admin, 1, "set_metadata", metadata={"availability_zone": "c"}).status_code == 400
    assert admin.put("/os-aggregates/2", {"aggregate": {"availability_zone": "a:b"}}).status_code == 400


def test_availability_zones(admin, me, hosts):
    admin.post("/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "z"}})
    act(admin, 1, "add_host", host="h1")
    zones = me.get("/os-availability-zone").json()["availabilityZoneInfo"]
    assert zones == [{"zoneName": name, "zoneState": {"available": True}, "hosts": None} for name in ("nova", "z")]
    admin.put("/os-services/disable", {"host": "h1", "binary": "nova-compute"})
    detail = admin.get("/os-availability-zone/detail").json()["availabilityZoneInfo"][1]
    assert detail["zoneState"] == {"available": False} and detail["hosts"]["h1"]["nova-compute"]["available"] is True
    assert me.get("/os-availability-zone/detail").status_code == 403
    assert admin.get("/os-services?host=h1").json()["services"][0]["zone"] == "z"


def test_services_that_run_no_servers_are_in_a_zone_of_their_own(cloud, admin, me, hosts):
    cloud.transact(lambda tx: service_seen(tx, "control", "nova-scheduler"))
    assert (
        admin.get("/os-services?host=control").json()["services"][0]["zone"]
        == "internal"
        == admin.get("/os-hosts").json()["hosts"][2]["zone"]
    )
    zones = lambda caller, path: [zone["zoneName"] for zone in caller.get(path).json()["availabilityZoneInfo"]]
    assert zones(me, "/os-availability-zone") == ["nova"] and zones(admin, "/os-availability-zone/detail") == ["internal", "nova"]


def test_users_see_nothing_of_hosts(me, hosts):
    for path in ("os-services", "os-hypervisors", "os-hypervisors/detail", "os-aggregates", "os-hosts", "os-instance_usage_audit_log"):
        assert me.get(f"/{path}").status_code == 403, path


def test_usage_audits_never_ran(admin, hosts):
    log = admin.get("/os-instance_usage_audit_log").json()["instance_usage_audit_logs"]
    assert log["hosts_not_run"] == ["h1", "h2"] and log["num_hosts_done"] == 0
    assert (
        admin.get("/os-instance_usage_audit_log/2026-03-15%2000:00:00").json()["instance_usage_audit_log"]["period_beginning"]
        == "2026-02-01 00:00:00"
    )
    assert admin.get("/os-instance_usage_audit_log/nope").status_code == 400
