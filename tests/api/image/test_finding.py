"""Lists find images by what they have now, whether few or most have it: both ways of looking find the same."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import event

from cumulet.image import terms

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
LONG = "x" * 1000


@pytest.fixture(params=[0, 2, 1000])
def few(request, monkeypatch) -> int:
    """How many images are few."""
    monkeypatch.setattr(terms, "FEW", request.param)
    return request.param


def make(who, **values) -> str:
    answer = who.post("/images", {"disk_format": "raw", "container_format": "bare", **values})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def found(who, query: str) -> list[str]:
    """Names, walked in pages of two."""
    names, path = [], f"/images?limit=2&{query}"
    while path:
        page = who.get(path.removeprefix("/v2")).json()
        names += [one["name"] for one in page["images"]]
        path = page.get("next")
    return names


def test_tags_and_properties_are_found_as_they_change(me, few):
    first = make(me, name="a", tags=["red", "blue"], os="linux", empty="")
    make(me, name="b", tags=["red"], os="linux", blue="red")
    assert found(me, "tag=red&sort=name:asc") == ["a", "b"] and found(me, "tag=blue") == ["a"] and found(me, "tag=bl") == []
    assert found(me, "tag=red&tag=blue") == ["a"] and found(me, "os=linux&blue=red") == ["b"] and found(me, "empty=") == ["a"]

    me.put(f"/images/{first}/tags/green")
    me.delete(f"/images/{first}/tags/red")
    changes = [{"op": "replace", "path": "/os", "value": "bsd"}, {"op": "remove", "path": "/empty"}]
    assert me.patch(f"/images/{first}", changes, headers=PATCH).status_code == 200
    assert found(me, "tag=red") == ["b"] and found(me, "tag=green") == ["a"]
    assert found(me, "os=linux") == ["b"] and found(me, "os=bsd") == ["a"] and found(me, "empty=") == []

    me.delete(f"/images/{first}")
    assert found(me, "tag=green") == [] and found(me, "os=bsd") == []


def test_long_values_are_told_apart_by_their_ends(me, few):
    for end in "12":
        make(me, name=end, path=LONG + end, **{"a=b": "c"})
    make(me, name="3", a="b=c")
    assert found(me, f"path={LONG}1") == ["1"] and found(me, f"path={LONG}") == []
    assert found(me, "a=b%3Dc") == ["3"] and found(me, "a%3Db=c&sort=name:asc") == ["1", "2"]


@pytest.mark.parametrize("length", [terms.LONGEST - 2, terms.LONGEST - 1, terms.LONGEST])
def test_values_are_told_apart_where_the_index_ends(me, few, length):
    value = "x" * (length - len("pos="))
    for end in ("", "1", "12"):
        make(me, name=f"x{end}", os=value + end)
    for end in ("", "1", "12"):
        assert found(me, f"os={value}{end}") == [f"x{end}"]
    assert found(me, f"os={value}2") == [] == found(me, f"os={value[1:]}")


def test_every_order_has_every_image_once(me, other, admin, few):
    for n, size in itertools.product(range(5), ("raw", "qcow2")):
        make(me if n % 2 else admin, name=f"{size}-{n % 3}", disk_format=size, visibility="shared" if n % 2 else "public")
    make(me, name=None, disk_format=None)
    make(other, name="of another")
    whole = found(me, "limit=100")
    assert len(whole) == 11
    for key, way in itertools.product(("name", "status", "disk_format", "container_format", "size", "id", "updated_at"), ("asc", "desc")):
        names = found(me, f"sort={key}:{way}")
        assert sorted(names, key=str) == sorted(whole, key=str), f"by {key}"
    assert found(me, "sort=name:asc")[0] is None and found(me, "sort=name:desc")[-1] is None


def test_what_is_hidden_shared_or_of_a_status_is_found(me, other, few):
    for n in range(4):
        make(me, name=f"{n}", os_hidden=n == 3)
    shared = make(other, name="shared")
    other.post(f"/images/{shared}/members", {"member": "p1"})
    assert found(me, "os_hidden=true") == ["3"] and len(found(me, "os_hidden=false")) == 3
    assert found(me, "member_status=pending&sort=name:asc") == ["0", "1", "2", "shared"]
    assert found(me, "visibility=shared&member_status=all&sort=name:desc") == ["shared", "2", "1", "0"]
    assert found(me, "visibility=public") == [] and found(me, "visibility=private") == []
    assert (
        len(found(me, "status=queued")) == 3 and found(me, "status=active") == [] and found(me, "status=in:active,queued&name=1") == ["1"]
    )


def test_what_is_asked_for_is_told_to_the_database_as_values(cloud, me):
    """Else it would make another statement of each name that somebody thinks of."""
    asked: set[str] = set()
    make(me, name="a", tags=["t"], os="linux")

    def ask(n: int) -> None:
        number = ",".join(f"i{m}" for m in range(n + 1))
        query = f"name=in:{number}&tag=t{n}&property-{n}=value-{n}&size_min={n}&created_at=gt:200{n % 10}-01-01T00:00:00Z"
        assert me.get(f"/images?limit={n + 1}&{query}").json()["images"] == []
        assert len(me.get(f"/images?limit={n + 1}&sort=name:asc").json()["images"]) == 1

    ask(0)
    note = lambda connection, cursor, statement, *more: asked.update([statement] if statement.startswith("SELECT") else [])
    event.listen(cloud.runtime.db.engine, "before_cursor_execute", note)
    ask(1)
    before = len(asked)
    for n in range(2, 20):
        ask(n)
    assert len(asked) == before
