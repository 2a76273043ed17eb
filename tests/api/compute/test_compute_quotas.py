from __future__ import annotations

import pytest
from compute_rows import add_server

from cumulet.compute.quotas import check_quota
from cumulet.kernel.errors import OverLimit


@pytest.fixture
def admin(cloud):
    return cloud.caller("/compute/v2.1", "admin", project="admins")


def put(admin, version: str | None = None, path: str = "p1", **limits):
    return admin.put(f"/os-quota-sets/{path}", {"quota_set": limits}, version=version)


def check(cloud, **wanted):
    cloud.transact(lambda tx: check_quota(tx, "p1", "u1", **wanted))


def test_quotas_are_shown_as_each_microversion_has_them(me):
    old = me.get("/os-quota-sets/p1").json()["quota_set"]
    assert old == {
        "id": "p1", "instances": 10, "cores": 20, "ram": 51200, "fixed_ips": -1, "floating_ips": -1, "metadata_items": 128,
        "injected_files": 5, "injected_file_content_bytes": 10240, "injected_file_path_bytes": 255, "security_groups": -1,
        "security_group_rules": -1, "key_pairs": 100, "server_groups": 10, "server_group_members": 10,
    }  # fmt: skip
    assert "fixed_ips" not in me.get("/os-quota-sets/p1", version="compute 2.36").json()["quota_set"]
    assert set(me.get("/os-quota-sets/p1", version="compute 2.57").json()["quota_set"]) == {
        "id", "instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups", "server_group_members",
    }  # fmt: skip
    assert me.get("/os-quota-sets/p2").status_code == 403 and me.get("/os-quota-sets/p2/defaults").json()["quota_set"]["cores"] == 20


def test_quotas_are_set_and_put_back(admin, me):
    assert put(admin, cores=30, ram="-1").json()["quota_set"]["cores"] == 30
    shown = me.get("/os-quota-sets/p1").json()["quota_set"]
    assert (shown["cores"], shown["ram"], shown["instances"]) == (30, -1, 10) and me.get("/os-quota-sets/p1/defaults").json()["quota_set"][
        "cores"
    ] == 20
    assert put(me, cores=1).status_code == 403
    assert admin.delete("/os-quota-sets/p1").status_code == 202 and me.get("/os-quota-sets/p1").json()["quota_set"]["cores"] == 20


@pytest.mark.parametrize("limits", [{"cores": -2}, {"cores": "x"}, {"cores": 1 << 40}, {"nothing": 1}, {"cores": None}, {"cores": True}])
def test_a_bad_quota_is_refused(admin, limits):
    assert put(admin, **limits).status_code == 400
    assert put(admin, "compute 2.36", fixed_ips=1).status_code == 400 and put(admin, "compute 2.57", injected_files=1).status_code == 400
    assert put(admin, path="x" * 80, cores=1).status_code == 400


def test_a_limit_is_not_put_below_what_is_used_unless_forced(cloud, admin):
    add_server(cloud)
    refused = put(admin, cores=1)
    assert refused.status_code == 400 and "already used and reserved 2" in refused.json()["badRequest"]["message"]
    assert put(admin, cores=1, force=True).status_code == 200
    used = admin.get("/os-quota-sets/p1/detail").json()["quota_set"]
    assert used["cores"] == {"in_use": 2, "limit": 1, "reserved": 0} and used["instances"]["in_use"] == 1 and used["ram"]["in_use"] == 64


def test_users_have_quotas_within_their_projects(cloud, admin):
    assert put(admin, path="p1?user_id=u1", cores=4).json()["quota_set"]["cores"] == 4
    assert put(admin, path="p1?user_id=u1", cores=21).status_code == 400 and put(admin, path="p1?user_id=u1", cores=-1).status_code == 400
    assert admin.get("/os-quota-sets/p1").json()["quota_set"]["cores"] == 20
    assert admin.get("/os-quota-sets/p1?user_id=u1").json()["quota_set"]["cores"] == 4
    with pytest.raises(OverLimit, match="cores"):
        check(cloud, cores=5)
    admin.delete("/os-quota-sets/p1?user_id=u1")
    check(cloud, cores=5)


def test_checks_count_rows_and_name_what_is_over(cloud, admin):
    add_server(cloud), add_server(cloud, project_id="p2")
    put(admin, instances=2, cores=3)
    check(cloud, instances=1, cores=1, ram=1)
    with pytest.raises(OverLimit) as over:
        check(cloud, instances=2, cores=2, ram=1)
    assert over.value.message == "Quota exceeded for cores,instances: Requested 2,2, but already used 2,1 of 3,2 cores,instances"
    put(admin, instances=1, force=True)
    with pytest.raises(OverLimit) as over:
        check(cloud, instances=1)
    assert over.value.message == "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
    put(admin, instances=-1)
    check(cloud, instances=1000)


def test_the_default_class_is_every_projects(admin, me):
    old = admin.get("/os-quota-class-sets/default").json()["quota_class_set"]
    assert old["id"] == "default" and "server_groups" not in old and "fixed_ips" in old
    assert "server_groups" in admin.get("/os-quota-class-sets/x", version="compute 2.50").json()["quota_class_set"]
    changed = admin.put("/os-quota-class-sets/default", {"quota_class_set": {"cores": 7}}).json()["quota_class_set"]
    assert changed["cores"] == 7 and "id" not in changed and me.get("/os-quota-sets/p1").json()["quota_set"]["cores"] == 7
    assert admin.put("/os-quota-class-sets/default", {"quota_class_set": {"server_groups": 7}}).status_code == 400
    assert me.get("/os-quota-class-sets/default").status_code == 403


def test_limits_tell_quotas_and_use(cloud, admin, me):
    add_server(cloud)
    old = me.get("/limits").json()["limits"]
    assert old["rate"] == [] and old["absolute"]["totalCoresUsed"] == 2 and old["absolute"]["maxTotalCores"] == 20
    assert {"maxImageMeta", "maxSecurityGroups", "totalFloatingIpsUsed", "maxPersonality"} <= set(old["absolute"])
    new = me.get("/limits", version="compute 2.57").json()["limits"]["absolute"]
    assert not {"maxImageMeta", "maxSecurityGroups", "totalFloatingIpsUsed", "maxPersonality"} & set(new) and new["maxServerMeta"] == 128
    assert me.get("/limits?tenant_id=p2").status_code == 403
    assert admin.get("/limits?tenant_id=p1").json()["limits"]["absolute"]["totalInstancesUsed"] == 1


def test_racing_for_the_last_server_group_gives_one(cloud, admin, me):
    put(admin, server_groups=1)

    async def race():
        import asyncio

        body = {"server_group": {"name": "g", "policies": ["affinity"]}}
        send = lambda: cloud._client.post("/compute/v2.1/os-server-groups", json=body, headers={"X-Auth-Token": me.token})
        return await asyncio.gather(*(send() for _ in range(6)))

    assert sorted(answer.status_code for answer in cloud.portal.call(race)) == [200, 403, 403, 403, 403, 403]
    assert (
        "server_groups"
        in me.post("/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}}).json()["forbidden"]["message"]
    )
