"""Lists of every kind: what they cost, how they are paged and sorted, and what they refuse."""

from __future__ import annotations

import contextlib
import typing as t
from urllib.parse import parse_qsl, urlsplit

import pytest
from network_calls import make, plug
from sqlalchemy import event

KINDS = [
    "networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules", "subnetpools",
    "address-scopes", "rbac-policies", "network-ip-availabilities", "metering/metering-labels", "metering/metering-label-rules",
    "quotas", "agents",
]  # fmt: skip


@contextlib.contextmanager
def statements(cloud) -> t.Iterator[list[str]]:
    """What the database is asked meanwhile."""
    asked: list[str] = []

    def note(connection, cursor, statement, *rest) -> None:
        asked.append(statement)

    engine = cloud.runtime.db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def fill(cloud, me, admin, public, first: int, count: int) -> None:
    """Some of everything, as a project has it."""
    for n in range(first, first + count):
        network = make(me, "network", name=f"n{n}")
        subnet = make(me, "subnet", network_id=network["id"], ip_version=4, cidr=f"10.{n}.0.0/24")
        router = make(me, "router", external_gateway_info={"network_id": public["id"]})
        plug(me, router, subnet_id=subnet["id"])
        port = make(me, "port", network_id=network["id"])
        make(me, "floatingip", floating_network_id=public["id"], port_id=port["id"])
        make(me, "security_group", name=f"g{n}")
        scope = me.post("/address-scopes", {"address_scope": {"name": f"s{n}", "ip_version": 4}}).json()["address_scope"]
        pool = {"name": f"p{n}", "prefixes": [f"172.{n}.0.0/16"], "address_scope_id": scope["id"]}
        me.post("/subnetpools", {"subnetpool": pool})
        share = {"object_type": "network", "object_id": network["id"], "action": "access_as_shared", "target_tenant": f"{n:032x}"}
        assert me.post("/rbac-policies", {"rbac_policy": share}).status_code == 201
        label = admin.post("/metering/metering-labels", {"metering_label": {"name": f"m{n}"}}).json()["metering_label"]
        rule = {"metering_label_id": label["id"], "direction": "ingress", "remote_ip_prefix": "10.0.0.0/8"}
        assert admin.post("/metering/metering-label-rules", {"metering_label_rule": rule}).status_code == 201
        for kind in ("networks", "ports", "routers", "floatingips", "security-groups", "subnets"):
            for one in me.get(f"/{kind}").json()[kind.replace("-", "_")]:
                me.put(f"/{kind}/{one['id']}/tags/t{n}")
        assert admin.put(f"/quotas/{n:032x}", {"quota": {"network": n}}).status_code == 200


def test_no_list_asks_more_of_the_database_for_more_rows(cloud, me, admin, public):
    def costs() -> dict[str, int]:
        found = {}
        for kind in KINDS:
            with statements(cloud) as asked:
                assert admin.get(f"/{kind}").status_code == 200
            found[kind] = len(asked)
        return found

    admin.get("/security-groups")  # the first time, it makes the project's own
    fill(cloud, me, admin, public, 1, 2)
    few = costs()
    fill(cloud, me, admin, public, 3, 6)
    assert costs() == few


def walk(me, query: str) -> list[list[str]]:
    """The pages of a list of networks by the `next` links, and back again by the `previous` ones."""
    pages, path = [], f"/networks?{query}"
    for rel in ("next", "previous"):
        while True:
            answer = me.get(path).json()
            pages.append([network["name"] for network in answer["networks"]])
            link = next((link["href"] for link in answer.get("networks_links", ()) if link["rel"] == rel), None)
            if link is None:
                break
            address = urlsplit(link)
            asked = parse_qsl(address.query)
            assert len({name for name, _ in asked}) == len(asked), link
            path = address.path.removeprefix("/network/v2.0") + "?" + address.query
    return pages


@pytest.mark.parametrize("query", ["page_reverse=false&limit=2&sort_key=name&sort_dir=asc", "limit=2&sort_key=name&sort_dir=asc"])
def test_links_lead_through_a_list_and_back(me, query):
    for name in "abcde":
        make(me, "network", name=name)
    assert walk(me, query) == [["a", "b"], ["c", "d"], ["e"], ["e"], ["c", "d"], ["a", "b"]]
    last = me.get(f"/networks?{query.replace('page_reverse=false&', '')}&page_reverse=true").json()["networks"]
    assert [network["name"] for network in last] == ["d", "e"]


@pytest.fixture
def everything(me, public) -> dict[str, dict]:
    """One of each kind of a project's things, with a field that can be changed, by the path of its kind."""
    network = make(me, "network")
    subnet = make(me, "subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    group = make(me, "security_group")
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    return {
        "networks": network, "subnets": subnet, "ports": make(me, "port", network_id=network["id"]), "routers": make(me, "router"),
        "floatingips": make(me, "floatingip", floating_network_id=public["id"]), "security-groups": group,
        "security-group-rules": make(me, "security_group_rule", **rule),
        "subnetpools": make(me, "subnetpool", name="p", prefixes=["10.0.0.0/8"]),
        "address-scopes": make(me, "address_scope", name="s", ip_version=4),
        "rbac-policies": me.post("/rbac-policies", {"rbac_policy": {
            "object_type": "network", "object_id": network["id"], "action": "access_as_shared", "target_tenant": "9" * 32,
        }}).json()["rbac_policy"],
    }  # fmt: skip


SINGULAR = {"rbac-policies": "rbac_policy"}
UNCHANGED = {"security-group-rules"}


def key(kind: str) -> str:
    return SINGULAR.get(kind) or kind.replace("-", "_").removesuffix("s")


def test_what_is_anothers_is_not_there(other, everything):
    for kind, thing in everything.items():
        path = f"/{kind}/{thing['id']}"
        answers = [other.get(path), other.delete(path), *([] if kind in UNCHANGED else [other.put(path, {key(kind): {"name": "x"}})])]
        assert [answer.status_code for answer in answers] == [404] * len(answers), kind
        assert thing["id"] not in {one["id"] for one in other.get(f"/{kind}").json()[kind.replace("-", "_")]}, kind
        assert other.get(f"{path}/tags").status_code == other.put(f"{path}/tags/t").status_code == 404, kind


def test_a_change_for_another_revision_is_refused(me, everything):
    past = {"If-Match": "revision_number=99"}
    for kind, thing in reversed(everything.items()):
        if "revision_number" not in thing:
            continue
        path, field = f"/{kind}/{thing['id']}", "description" if "description" in thing else "name"
        now = me.get(path).json()[key(kind)]["revision_number"]
        if kind not in UNCHANGED:
            assert me.put(path, {key(kind): {field: "x"}}, headers=past).status_code == 412, kind
            changed = me.put(path, {key(kind): {field: "x"}}, headers={"If-Match": f"revision_number={now}"})
            assert changed.json()[key(kind)]["revision_number"] == now + 1, kind
        assert me.delete(path, headers=past).status_code == 412, kind
        assert me.get(path).status_code == 200, kind


def test_unknown_parts_of_requests_are_refused(me, everything):
    for kind, thing in everything.items():
        assert me.get(f"/{kind}?no_such=1").status_code == 400, kind
        assert me.get(f"/{kind}?sort_key=no_such").status_code == 400, kind
        assert me.get(f"/{kind}?limit=-1").status_code == me.get(f"/{kind}?marker={'0' * 8}").status_code == 400, kind
        (only,) = {frozenset(one) for one in me.get(f"/{kind}?fields=id").json()[kind.replace("-", "_")]}
        assert only == {"id"}, kind
        assert me.post(f"/{kind}", {key(kind): {"no_such": 1}}).status_code == 400, kind
        if kind not in UNCHANGED:
            assert me.put(f"/{kind}/{thing['id']}", {key(kind): {"no_such": 1}}).status_code == 400, kind
