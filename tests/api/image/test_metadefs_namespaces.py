from __future__ import annotations

import pytest

PATH = "/metadefs/namespaces"
TEXT = {"title": "T", "type": "string"}
WHOLE = {
    "namespace": "OS::Whole",
    "display_name": "Whole",
    "description": "all of it",
    "visibility": "public",
    "owner": "p1",
    "resource_type_associations": [{"name": "OS::Image", "prefix": "hw_"}, {"name": "OS::Flavor", "properties_target": "x"}],
    "properties": {
        "cpu": {"title": "CPU", "type": "integer", "minimum": 1, "default": 1, "operators": ["<or>"]},
        "kinds": {"title": "Kinds", "type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "default": ["a"]},
    },
    "objects": [
        {"name": "o1", "required": ["size"], "properties": {"size": {"title": "S", "type": "number", "default": 1.5}}},
        {"name": "o2"},
    ],
    "tags": [{"name": "t1"}, {"name": "T2"}],
}


def made(who, name: str, **more) -> None:
    answer = who.post(PATH, {"namespace": name, **more})
    assert answer.status_code == 201, answer.text


def names(answer) -> list[str]:
    return [one["namespace"] for one in answer.json()["namespaces"]]


def walked(who, query: str) -> list[str]:
    """The names of every page, by the links from one to the next."""
    found, path = [], f"{PATH}?{query}"
    while path:
        page = who.get(path).json()
        found += [one["namespace"] for one in page["namespaces"]]
        path = page.get("next", "").removeprefix("/v2")
    return found


def test_a_namespace_with_everything_inside(admin, me):
    answer = admin.post(PATH, WHOLE)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == "http://cloud/image/v2/metadefs/namespaces/OS::Whole"
    shown = me.get(f"{PATH}/OS::Whole").json()
    assert shown == answer.json()
    assert shown["self"] == "/v2/metadefs/namespaces/OS::Whole" and shown["schema"] == "/v2/schemas/metadefs/namespace"
    assert shown["protected"] is False and shown["owner"] == "p1" and shown["created_at"] == shown["updated_at"]
    assert [(one["name"], one.get("prefix"), one.get("properties_target")) for one in shown["resource_type_associations"]] == [
        ("OS::Image", "hw_", None), ("OS::Flavor", None, "x"),
    ]  # fmt: skip
    assert shown["properties"]["cpu"] == WHOLE["properties"]["cpu"] | {"default": "1"}
    assert shown["properties"]["kinds"] == WHOLE["properties"]["kinds"] | {"default": None}, "as upstream: a default is text"
    first, second = shown["objects"]
    assert first["name"] == "o1" and first["required"] == ["size"] and first["properties"]["size"]["default"] == "1.5"
    assert second["name"] == "o2" and second["required"] == [] and second["properties"] == {}
    assert second["self"] == "/v2/metadefs/namespaces/OS::Whole/objects/o2" and second["schema"] == "/v2/schemas/metadefs/object"
    assert shown["tags"] == [{"name": "T2"}, {"name": "t1"}], "the newest first"


def test_properties_are_named_as_a_type_of_resources_has_them(admin, me):
    admin.post(PATH, WHOLE)
    shown = me.get(f"{PATH}/OS::Whole?resource_type=OS::Image").json()
    assert set(shown["properties"]) == {"hw_cpu", "hw_kinds"}
    assert set(shown["objects"][0]["properties"]) == {"hw_size"} and shown["objects"][0]["required"] == ["hw_size"]
    for other in ("OS::Flavor", "none", ""):
        assert set(me.get(f"{PATH}/OS::Whole?resource_type={other}").json()["properties"]) == {"cpu", "kinds"}


def test_nothing_stays_of_a_namespace_that_is_refused(admin):
    for inside in ("objects", "tags", "resource_type_associations"):
        assert admin.post(PATH, {"namespace": "n", inside: [{"name": "a"}, {"name": "a"}]}).status_code == 409
    assert admin.post(PATH, {"namespace": "n", "tags": [{"name": "a"}, {"name": "A"}]}).status_code == 409, "capitals make no difference"
    assert admin.get(f"{PATH}/n").status_code == 404
    assert admin.get("/metadefs/resource_types").json() == {"resource_types": []}
    made(admin, "n")
    again = admin.post(PATH, {"namespace": "n"})
    assert again.status_code == 409 and "The metadata definition namespace=n already exists." in again.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "'namespace' is a required property"),
        ({"namespace": 1}, "1 is not of type 'string' (instance['namespace'])"),
        ({"namespace": "x" * 81}, "is too long"),
        ({"namespace": ""}, "namespace: Expected `str` of length >= 1"),
        ({"namespace": "n", "visibility": "shared"}, "'shared' is not one of ['public', 'private']"),
        ({"namespace": "n", "protected": "yes"}, "'yes' is not of type 'boolean'"),
        ({"namespace": "n", "a": 1, "b": 2}, "Additional properties are not allowed ('a', 'b' were unexpected)"),
        ({"namespace": "n", "description": "d" * 501}, "is too long"),
        ({"namespace": "n", "owner": None}, "None is not of type 'string'"),
        ({"namespace": "n", "properties": {"p": {}}}, "'title' is a required property (instance['properties']['p'])"),
        ({"namespace": "n", "properties": {"p": {"title": "t", "type": "odd"}}}, "'odd' is not one of ['array', 'boolean', "),
        ({"namespace": "n", "properties": {"p": TEXT | {"minLength": -1}}}, "-1 is less than the minimum of 0"),
        ({"namespace": "n", "properties": {"p": TEXT | {"maxItems": 1.5}}}, "1.5 is not of type 'integer'"),
        ({"namespace": "n", "properties": {"p": TEXT | {"other": 1}}}, "'other' was unexpected"),
        ({"namespace": "n", "properties": {"p": TEXT | {"enum": [1]}}}, "Expected `str | null`, got `int`"),
        ({"namespace": "n", "properties": {"p": TEXT | {"items": {}}}}, "missing required field `type`"),
        ({"namespace": "n", "properties": {"p" * 81: TEXT}}, "in a name"),
        ({"namespace": "n", "objects": {}}, "{} is not of type 'array'"),
        ({"namespace": "n", "objects": [{}]}, "objects[0]: Object missing required field `name`"),
        ({"namespace": "n", "objects": [{"name": "o", "required": ["a", "a"]}]}, "['a', 'a'] has non-unique elements"),
        ({"namespace": "n", "tags": [{"name": "t" * 81}]}, "tags[0].name"),
        ([], "Unexpected body type"),
        (None, "Body expected in request."),
    ],
)
def test_what_is_wrong_with_a_namespace_is_said(admin, body, words):
    answer = admin.post(PATH, body)
    assert answer.status_code == 400
    assert words in answer.text.replace("&lt;", "<").replace("&gt;", ">")


def test_what_is_read_only_is_refused(admin):
    for name in ("self", "schema", "created_at", "updated_at"):
        answer = admin.post(PATH, {"namespace": "n", name: "x"})
        assert answer.status_code == 403 and f"Attribute '{name}' is read-only." in answer.text


def test_what_is_private_is_not_there_for_others(admin, me, other, reader):
    made(admin, "mine", owner="p1")
    made(admin, "theirs", owner="p2")
    made(admin, "all", visibility="public")
    for who in (me, reader):
        assert who.get(f"{PATH}/mine").status_code == 200
        assert names(who.get(PATH)) == ["all", "mine"]
        assert names(who.get(f"{PATH}?visibility=private")) == ["mine"]
    assert names(other.get(PATH)) == ["all", "theirs"] and names(admin.get(PATH)) == ["all", "theirs", "mine"]
    hidden, missing = other.get(f"{PATH}/mine"), other.get(f"{PATH}/none")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace("mine", "none") == missing.text, "nothing tells that it is there"
    for method, below in (
        ("PUT", ""), ("DELETE", ""), ("GET", "/objects"), ("POST", "/objects"), ("DELETE", "/objects"), ("GET", "/objects/x"),
        ("GET", "/properties"), ("POST", "/properties"), ("DELETE", "/properties"), ("GET", "/properties/x"), ("GET", "/tags"),
        ("POST", "/tags"), ("POST", "/tags/x"), ("DELETE", "/tags"), ("GET", "/tags/x"), ("GET", "/resource_types"),
        ("POST", "/resource_types"), ("DELETE", "/resource_types/x"),
    ):  # fmt: skip
        assert other(method, f"{PATH}/mine{below}", {"namespace": "mine", "name": "x"}).status_code == 404, (method, below)
    assert other.get(f"{PATH}?marker=mine").status_code == 404


def test_only_administrators_write(admin, me, reader):
    made(admin, "mine", owner="p1")
    assert me.post(PATH, {"namespace": "n"}).status_code == 403
    for who in (me, reader):
        refused = who.put(f"{PATH}/mine", {"namespace": "mine"})
        assert refused.status_code == 403 and "You are not authorized to complete modify_metadef_namespace action." in refused.text
        assert who.delete(f"{PATH}/mine").status_code == 403


def test_somebody_without_a_role_does_not_see_even_public_ones(admin, cloud):
    made(admin, "all", visibility="public")
    nobody = cloud.caller("/image/v2", "guest")
    assert nobody.get(f"{PATH}/all").status_code == 404
    assert nobody.get(PATH).status_code == 404
    assert nobody.get("/schemas/metadefs/namespace").status_code == 200


def test_pages(admin):
    for name in "abcde":
        made(admin, name)
    assert walked(admin, "limit=2") == list("edcba")
    assert walked(admin, "limit=2&sort_key=namespace&sort_dir=asc") == list("abcde")
    assert names(admin.get(f"{PATH}?marker=c")) == ["b", "a"] and names(admin.get(f"{PATH}?limit=0")) == []
    page = admin.get(f"{PATH}?limit=2").json()
    assert page["first"] == "/v2/metadefs/namespaces?limit=2" and page["next"] == "/v2/metadefs/namespaces?limit=2&marker=d"
    assert page["schema"] == "/v2/schemas/metadefs/namespaces"
    assert "next" not in admin.get(f"{PATH}?limit=5").json()


def test_a_page_has_25_where_nobody_asks_for_more(admin):
    for i in range(26):
        made(admin, f"n{i}")
    assert len(names(admin.get(PATH))) == 25 and len(walked(admin, "")) == 26 and len(names(admin.get(f"{PATH}?limit=26"))) == 26


def test_those_for_some_types_of_resources(admin):
    admin.post(PATH, WHOLE)
    made(admin, "image", resource_type_associations=[{"name": "OS::Image"}])
    made(admin, "none")
    assert names(admin.get(f"{PATH}?resource_types=OS::Image")) == ["image", "OS::Whole"]
    assert names(admin.get(f"{PATH}?resource_types=OS::Flavor,OS::Other")) == ["OS::Whole"]
    assert names(admin.get(f"{PATH}?resource_types=OS::Image&visibility=private")) == ["image"]
    assert names(admin.get(f"{PATH}?resource_types=")) == []
    listed = admin.get(f"{PATH}?resource_types=OS::Flavor").json()["namespaces"][0]
    assert [one["name"] for one in listed["resource_type_associations"]] == ["OS::Image", "OS::Flavor"] and "objects" not in listed


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("limit=-1", 400, "limit param must be positive"),
        ("limit=x", 400, "limit param must be an integer"),
        ("sort_dir=up", 400, "Invalid sort direction: up"),
        ("sort_key=odd", 400, "Invalid sort key odd"),
        ("visibility=shared", 400, "Invalid visibility value: shared"),
        ("marker=none", 404, "Metadata definition namespace=none was not found."),
    ],
)
def test_odd_lists(admin, query, status, words):
    answer = admin.get(f"{PATH}?{query}")
    assert answer.status_code == status and words in answer.text


def test_an_update_replaces_attributes_and_keeps_what_is_inside(admin):
    admin.post(PATH, WHOLE)
    made(admin, "taken")
    changed = admin.put(f"{PATH}/OS::Whole", {"namespace": "renamed", "display_name": "R"}).json()
    assert changed["namespace"] == "renamed" and changed["display_name"] == "R" and "description" not in changed
    assert changed["visibility"] == "private" and changed["owner"] == "admin" and "objects" not in changed
    assert admin.get(f"{PATH}/OS::Whole").status_code == 404
    assert len(admin.get(f"{PATH}/renamed").json()["objects"]) == 2
    refused = admin.put(f"{PATH}/renamed", {"namespace": "taken"})
    assert refused.status_code == 409 and "duplicate metadata definition namespace with the same name of taken" in refused.text
    assert admin.put(f"{PATH}/none", {"namespace": "none"}).status_code == 404


def test_what_is_protected_is_not_deleted(admin):
    admin.post(PATH, WHOLE | {"protected": True})
    for below, words in (
        ("", "namespace OS::Whole"), ("/objects", "namespace OS::Whole"), ("/properties", "namespace OS::Whole"),
        ("/tags", "namespace OS::Whole"), ("/objects/o1", "object o1"), ("/properties/cpu", "property cpu"), ("/tags/t1", "tag t1"),
        ("/resource_types/OS::Image", "resource-type-association OS::Image"),
    ):  # fmt: skip
        answer = admin.delete(f"{PATH}/OS::Whole{below}")
        assert answer.status_code == 403 and f"{words} is protected and cannot be deleted." in answer.text, below
    assert admin.delete(f"{PATH}/OS::Whole/objects/none").status_code == 404
    assert admin.put(f"{PATH}/OS::Whole", {"namespace": "OS::Whole"}).status_code == 200
    assert admin.delete(f"{PATH}/OS::Whole").status_code == 204


def test_all_below_goes_with_a_namespace(admin):
    admin.post(PATH, WHOLE)
    assert admin.delete(f"{PATH}/OS::Whole").status_code == 204
    assert admin.get(f"{PATH}/OS::Whole").status_code == 404
    made(admin, "OS::Whole")
    shown = admin.get(f"{PATH}/OS::Whole").json()
    assert not {"objects", "properties", "tags", "resource_type_associations"} & shown.keys()


def test_any_name_can_be_reached(admin):
    made(admin, "a/b ü")
    shown = admin.get(f"{PATH}/a%2Fb%20%C3%BC").json()
    assert shown["namespace"] == "a/b ü" and shown["self"] == "/v2/metadefs/namespaces/a%2Fb%20%C3%BC"
    assert admin.delete(f"{PATH}/a%2Fb%20%C3%BC").status_code == 204
