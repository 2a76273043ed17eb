"""Discovery, extensions, what is gone, usage, migrations."""

from __future__ import annotations

import datetime as dt

import pytest
from compute_rows import add_server

from cumulet.compute.migrations import start_migration
from cumulet.compute.servers.tables import servers


@pytest.fixture
def admin(cloud):
    return cloud.caller("/compute/v2.1", "admin")


def test_version_documents_link_to_each_other(cloud):
    stranger = cloud.stranger("")
    versions = stranger.get("/compute/").json()["versions"]
    assert [(v["id"], v["status"], v["version"], v["min_version"]) for v in versions] == [
        ("v2.0", "DEPRECATED", "", ""), ("v2.1", "CURRENT", "2.104", "2.1"),
    ]  # fmt: skip
    assert versions == stranger.get("/compute").json()["versions"]
    for version in versions:
        (link,) = version["links"]
        shown = stranger.get(link["href"].removeprefix("http://cloud")).json()["version"]
        assert shown["links"][0] == link and shown["id"] == version["id"] and shown["media-types"][0]["base"] == "application/json"


def test_extensions(me):
    listed = me.get("/extensions").json()["extensions"]
    assert len(listed) > 90 and set(listed[0]) == {"alias", "name", "description", "namespace", "updated", "links"}
    assert me.get("/extensions/os-keypairs").json()["extension"]["name"] == "Keypairs" and me.get("/extensions/nope").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "os-cells"),
        ("GET", "os-cells/x"),
        ("POST", "os-agents"),
        ("GET", "os-fping"),
        ("POST", "os-networks/x/action"),
        ("PUT", "os-cloudpipe/x"),
    ],
)
def test_what_was_removed_is_gone(me, method, path):
    answer = me(method, f"/{path}", {})
    assert answer.status_code == 410 and "removed" in answer.text


def test_bare_metal_is_elsewhere(admin):
    assert (
        admin.get("/os-baremetal-nodes").status_code == 501 and admin.get("/os-baremetal-nodes", version="compute 2.36").status_code == 404
    )


def test_usage_is_hours_times_size(cloud, admin, me):
    launched = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=5)
    add_server(cloud, launched_at=launched), add_server(cloud, launched_at=None), add_server(cloud, project_id="p2", launched_at=launched)
    start = (launched - dt.timedelta(hours=1)).isoformat(timespec="seconds")
    half = (launched + dt.timedelta(hours=2)).isoformat(timespec="microseconds")
    used = me.get(f"/os-simple-tenant-usage/p1?start={start}&end={half}").json()["tenant_usage"]
    assert (
        used["total_hours"] == pytest.approx(2)
        and used["total_vcpus_usage"] == pytest.approx(4)
        and used["total_memory_mb_usage"] == pytest.approx(128)
    )
    (server,) = used["server_usages"]
    assert server["flavor"] == "tiny" and server["ended_at"] is None and server["uptime"] in range(17995, 18100)
    every = admin.get(f"/os-simple-tenant-usage?start={start}").json()["tenant_usages"]
    assert {u["tenant_id"] for u in every} == {"p1", "p2"} and "server_usages" not in every[0]
    assert "server_usages" in admin.get(f"/os-simple-tenant-usage?start={start}&detailed=1").json()["tenant_usages"][0]
    paged = admin.get(f"/os-simple-tenant-usage?start={start}&limit=1", version="compute 2.40").json()
    assert len(paged["tenant_usages"]) == 1 and "marker=" in paged["tenant_usages_links"][0]["href"]
    assert me.get("/os-simple-tenant-usage").status_code == 403 == me.get("/os-simple-tenant-usage/p2").status_code
    assert (
        me.get("/os-simple-tenant-usage/p1?start=x").status_code == 400
        and me.get(f"/os-simple-tenant-usage/p1?start={half}&end={start}").status_code == 400
    )
    assert me.get("/os-simple-tenant-usage/p1?start=2001-01-01T00:00:00&end=2001-01-02T00:00:00").json() == {"tenant_usage": {}}


def test_migrations(cloud, admin, me):
    ids = [add_server(cloud, host="h1").id for _ in range(2)]
    for id, kind in zip(ids, ("resize", "live-migration"), strict=True):
        cloud.transact(lambda tx, id=id, kind=kind: start_migration(tx, tx.get(servers, id=id), kind, "h1"))
    old = admin.get("/os-migrations").json()["migrations"]
    assert [m["id"] for m in old] == [1, 2] and "migration_type" not in old[0] and "uuid" not in old[0] and old[0]["source_compute"] == "h1"
    new = admin.get("/os-migrations?limit=1", version="compute 2.80").json()
    assert new["migrations"][0]["id"] == 2 and new["migrations"][0]["project_id"] == "p1"
    rest = admin.get(new["migrations_links"][0]["href"].split("/v2.1")[1], version="compute 2.80").json()["migrations"]
    assert [m["migration_type"] for m in rest] == ["resize"]
    assert [m["id"] for m in admin.get(f"/os-migrations?instance_uuid={ids[1]}").json()["migrations"]] == [2]
    assert admin.get("/os-migrations?host=h2").json()["migrations"] == [] and me.get("/os-migrations").status_code == 403
    manager = cloud.caller("/compute/v2.1", "manager")
    assert manager.get("/os-migrations").status_code == 403
    assert manager.get("/os-migrations?project_id=p1").json()["migrations"][0]["source_compute"] is None
    for query in ("changes-since=x", "marker=nope", "changes-since=2026-02-01T00:00:00Z&changes-before=2026-01-01T00:00:00Z"):
        assert admin.get(f"/os-migrations?{query}", version="compute 2.66").status_code == 400, query
    assert admin.get("/os-migrations?changes-since=2999-01-01T00:00:00Z", version="compute 2.59").json()["migrations"] == []
