"""Property protections as clients see them: in creating, changing, showing and listing images, through compute's old API too."""

from __future__ import annotations

import os

import pytest

from cumulet.image import RulesError, in_force
from cumulet.kernel import services
from cumulet.kernel.testing.cloud import Cloud

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
RULES = """
[^x_billing]
create = admin
read = admin, member
update = billing
delete = !
[^x_secret$]
create = admin
read = admin
update = admin
delete = admin
[^x_own]
create = @
read = @
update = @
delete = @
"""


@pytest.fixture
def cloud(database_url: str, tmp_path):
    (tmp_path / "protections.conf").write_text(RULES)
    config = {"image_property_protections": "protections.conf"}
    made = Cloud(database_url, str(tmp_path), services.load("image", "compute"), config=config)
    yield made
    made.close()


@pytest.fixture
def protected(admin) -> str:
    body = {"name": "i", "visibility": "community", "x_billing_code": "7", "x_secret": "s", "x_own": "o", "owner": "p1"}
    answer = admin.post("/images", body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def patch(who, id, op: str, name: str, value: str | None = None):
    operation = {"op": op, "path": f"/{name}"} | ({} if value is None else {"value": value})
    return who.patch(f"/images/{id}", [operation], headers=PATCH)


def properties(answer) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if name.startswith("x_")}


@pytest.mark.parametrize("name", ["x_billing_code", "x_secret", "unmatched"])
def test_who_may_not_create_a_property_makes_no_image_with_it(me, name):
    answer = me.post("/images", {"name": "i", name: "v"})
    assert answer.status_code == 403 and f"Attribute '{name}' is reserved." in answer.text
    assert me.get("/images").json()["images"] == []


def test_administrators_are_no_exception(admin, protected):
    assert admin.post("/images", {"name": "i", "unmatched": "v"}).status_code == 403
    assert patch(admin, protected, "replace", "x_billing_code", "8").status_code == 403
    assert patch(admin, protected, "remove", "x_billing_code").status_code == 403


def test_what_may_not_be_read_is_not_shown_not_listed_and_not_found_by(me, admin, reader, protected):
    assert properties(me.get(f"/images/{protected}")) == {"x_billing_code": "7", "x_own": "o"}
    assert properties(reader.get(f"/images/{protected}")) == {"x_own": "o"}
    assert properties(admin.get(f"/images/{protected}")) == {"x_billing_code": "7", "x_own": "o", "x_secret": "s"}
    assert "x_secret" not in me.get("/images").json()["images"][0]
    assert [len(me.get(f"/images?{query}").json()["images"]) for query in ("x_own=o", "x_secret=s", "x_secret=t")] == [1, 0, 0]


def test_changing(cloud, me, protected):
    for op, name, value in (("replace", "x_billing_code", "8"), ("add", "x_billing_code", "8"), ("add", "x_billing_more", "1"),
                            ("remove", "x_billing_code", None), ("add", "unmatched", "v")):  # fmt: skip
        answer = patch(me, protected, op, name, value)
        assert answer.status_code == 403 and f"Attribute '{name}' is reserved." in answer.text, (op, name)
    for op in ("replace", "remove"):
        assert patch(me, protected, op, "x_secret", "t" if op == "replace" else None).status_code == 409
    biller = cloud.caller("/image/v2", "member", "billing")
    assert properties(patch(biller, protected, "replace", "x_billing_code", "8"))["x_billing_code"] == "8"


def test_what_somebody_cannot_see_outlives_their_changes(me, admin, protected):
    assert properties(patch(me, protected, "replace", "x_own", "mine")) == {"x_billing_code": "7", "x_own": "mine"}
    assert properties(patch(me, protected, "remove", "x_own")) == {"x_billing_code": "7"}
    assert properties(admin.get(f"/images/{protected}")) == {"x_billing_code": "7", "x_secret": "s"}


def test_through_the_old_compute_api(cloud, admin, protected):
    me = cloud.caller("/compute/v2.1")
    path = f"/images/{protected}/metadata"
    assert me.get(path).json()["metadata"] == {"x_billing_code": "7", "x_own": "o"}
    assert me.get(f"{path}/x_secret").status_code == 404 and me.delete(f"{path}/x_secret").status_code == 404
    assert me.put(f"{path}/x_billing_code", {"meta": {"x_billing_code": "8"}}).status_code == 403
    assert me.delete(f"{path}/x_billing_code").status_code == 403
    assert me.post(path, {"metadata": {"unmatched": "v"}}).status_code == 403
    assert me.put(path, {"metadata": {"x_own": "only"}}).status_code == 403
    assert me.put(path, {"metadata": {"x_own": "new", "x_billing_code": "7"}}).status_code == 200
    assert me.get(f"/images/{protected}").json()["image"]["metadata"] == {"x_billing_code": "7", "x_own": "new"}
    assert properties(admin.get(f"/images/{protected}"))["x_secret"] == "s"


def test_a_changed_file_counts_at_once_and_one_of_no_use_changes_nothing(cloud, me, protected, tmp_path):
    file = tmp_path / "protections.conf"
    file.write_text("[.*]\ncreate = @\nread = @\nupdate = @\ndelete = @\n")
    assert properties(me.get(f"/images/{protected}"))["x_secret"] == "s"
    file.write_text("[(]\n")
    assert properties(me.get(f"/images/{protected}"))["x_secret"] == "s"
    file.unlink()
    assert properties(me.get(f"/images/{protected}"))["x_secret"] == "s"
    file.write_text(RULES)
    assert "x_secret" not in properties(me.get(f"/images/{protected}"))


def test_rules_of_policy_in_the_place_of_roles(me, admin, protected, tmp_path):
    rules = "[DEFAULT]\nproperty_protection_rule_format = policies\n[^x_]\ncreate = publicize_image\nread = @\nupdate = !\ndelete = !\n"
    (tmp_path / "protections.conf").write_text(rules)
    assert properties(me.get(f"/images/{protected}"))["x_secret"] == "s"
    assert patch(me, protected, "add", "x_more", "1").status_code == 403
    assert properties(patch(admin, protected, "add", "x_more", "1"))["x_more"] == "1"
    assert patch(admin, protected, "replace", "x_more", "2").status_code == 403


@pytest.mark.parametrize("text", [None, "[x]\ncreate = @"])
def test_a_cloud_does_not_begin_with_a_file_of_no_use(cloud, tmp_path, text):
    file = tmp_path / "protections.conf"
    os.unlink(file) if text is None else file.write_text(text)
    with pytest.raises(RulesError, match=f"image_property_protections: {file}"):
        in_force(cloud.runtime)
