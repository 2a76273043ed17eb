from __future__ import annotations

import asyncio

from network_calls import BASE, fault, make


def test_defaults_as_the_real_service_has_them(me):
    quota = me.get("/quotas/p1").json()["quota"]
    assert quota["network"] == 100 and quota["subnet"] == 100 and quota["port"] == 500 and quota["subnetpool"] == -1
    assert quota == me.get("/quotas/p1/default").json()["quota"]


def test_a_quota_bounds_what_a_project_has(me, admin, network):
    assert admin.put("/quotas/p1", {"quota": {"network": 2, "port": 1}}).json()["quota"]["network"] == 2
    make(me, "network")
    message = fault(me.post("/networks", {"network": {}}), 409, "OverQuota")
    assert message == "Quota exceeded for resources: ['network']."
    make(me, "port", network_id=network["id"])
    fault(me.post("/ports", {"port": {"network_id": network["id"]}}), 409, "OverQuota")
    assert me.delete(f"/networks/{network['id']}").status_code == 409
    assert admin.delete("/quotas/p1").status_code == 204
    make(me, "network")


def test_many_at_once_are_counted_together(me, admin):
    admin.put("/quotas/p1", {"quota": {"network": 3}})
    fault(me.post("/networks", {"networks": [{}] * 4}), 409, "OverQuota")
    assert me.get("/networks").json()["networks"] == []
    assert me.post("/networks", {"networks": [{}] * 3}).status_code == 201


def test_many_requests_at_once_do_not_pass_the_quota_together(cloud, me, admin):
    admin.put("/quotas/p1", {"quota": {"network": 3}})

    async def send() -> int:
        """As clients do, again where the database was too busy."""
        while True:
            body, headers = {"network": {}}, {"X-Auth-Token": me.token}
            answer = await cloud._client.post(f"{BASE}/networks", json=body, headers=headers)
            if answer.status_code != 503:
                return answer.status_code

    async def many() -> list[int]:
        return await asyncio.gather(*(send() for _ in range(8)))

    assert sorted(cloud.portal.call(many)) == [201] * 3 + [409] * 5
    assert len(me.get("/networks").json()["networks"]) == 3


def test_use_is_counted(me, subnet):
    details = me.get("/quotas/p1/details.json").json()["quota"]
    assert details["network"] == {"limit": 100, "used": 1, "reserved": 0}
    assert details["subnet"]["used"] == 1 and details["port"]["used"] == 1
    assert me.get("/quotas/p1/details").json()["quota"] == details


def test_who_may(me, other, admin):
    assert other.get("/quotas/p1").status_code == 403 and other.get("/quotas/p1/details.json").status_code == 403
    assert me.put("/quotas/p1", {"quota": {"network": 1000}}).status_code == 403
    assert me.delete("/quotas/p1").status_code == 403 and me.get("/quotas").status_code == 403
    admin.put("/quotas/p9", {"quota": {"port": 7}})
    (listed,) = admin.get("/quotas").json()["quotas"]
    assert listed["project_id"] == listed["tenant_id"] == "p9" and listed["port"] == 7 and listed["network"] == 100


def test_bad_quotas(admin):
    for wrong in ({"network": "x"}, {"network": -2}, {"network": 2**40}, {"network": None}, {"nothing": 5}):
        assert admin.put("/quotas/p1", {"quota": wrong}).status_code == 400
    assert admin.put("/quotas/p1", {"quota": {"network": "12"}}).json()["quota"]["network"] == 12
    assert admin.put("/quotas/p1", {}).status_code == 400
    fault(admin.delete("/quotas/p5"), 404, "TenantQuotaNotFound")
