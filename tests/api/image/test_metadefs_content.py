"""What namespaces have: objects, properties, tags, types of resources."""

from __future__ import annotations

import pytest

PATH = "/metadefs/namespaces/n"
TEXT = {"title": "T", "type": "string"}


@pytest.fixture(autouse=True)
def namespace(admin) -> None:
    assert admin.post("/metadefs/namespaces", {"namespace": "n", "visibility": "public"}).status_code == 201


# -- objects -------------------------------------------------------------------------------------------------------


def test_an_object(admin, me):
    body = {"name": "o", "description": "", "required": ["a"], "properties": {"a": TEXT | {"default": True}}}
    answer = admin.post(f"{PATH}/objects", body)
    assert answer.status_code == 201 and answer.json()["properties"] == {"a": TEXT | {"default": "True"}}
    shown = me.get(f"{PATH}/objects/o").json()
    assert shown == answer.json() and shown["description"] == "" and shown["self"] == "/v2/metadefs/namespaces/n/objects/o"
    assert me.get(f"{PATH}/objects").json() == {"objects": [shown], "schema": "v2/schemas/metadefs/objects"}
    again = admin.post(f"{PATH}/objects", {"name": "o"})
    assert again.status_code == 409 and "A metadata definition object with name=o already exists in namespace=n." in again.text


def test_an_object_is_replaced_whole(admin):
    for name in ("o", "taken"):
        admin.post(f"{PATH}/objects", {"name": name, "required": ["a"], "description": "d"})
    changed = admin.put(f"{PATH}/objects/o", {"name": "new"})
    assert changed.status_code == 200 and changed.json()["name"] == "new" and not {"description", "required"} & changed.json().keys()
    assert admin.get(f"{PATH}/objects/new").json()["required"] == []
    refused = admin.put(f"{PATH}/objects/new", {"name": "taken"})
    assert refused.status_code == 409 and "duplicate metadata definition object with the same name=taken in namespace=n" in refused.text
    assert admin.put(f"{PATH}/objects/o", {"name": "o"}).status_code == 404
    assert admin.delete(f"{PATH}/objects/new").status_code == 204
    gone = admin.get(f"{PATH}/objects/new")
    assert gone.status_code == 404 and "Could not find metadata object new" in gone.text
    assert admin.delete(f"{PATH}/objects").status_code == 204 and admin.get(f"{PATH}/objects").json()["objects"] == []


def test_objects_are_listed_whole_in_their_order(admin):
    for name in "bac":
        admin.post(f"{PATH}/objects", {"name": name})
    for query in ("", "?limit=1", "?marker=a", "?sort_key=name", "?visibility=shared"):
        assert [one["name"] for one in admin.get(f"{PATH}/objects{query}").json()["objects"]] == ["b", "a", "c"]
    for query in ("limit=0", "limit=-1", "limit=x", "sort_dir=up", "visibility=x"):
        assert admin.get(f"{PATH}/objects?{query}").status_code == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "schema 'object': 'name' is a required property"),
        ({"name": "o", "required": "a"}, "'a' is not of type 'array'"),
        ({"name": "o", "properties": {"a": {"type": "string"}}}, "schema 'object': 'title' is a required property"),
        (
            {"name": "o", "properties": {"a": TEXT | {"odd": 1}}},
            "schema 'property': Additional properties are not allowed ('odd' was unexpected)",
        ),
        ({"name": "o", "odd": 1}, "('odd' was unexpected)"),
    ],
)
def test_odd_objects(admin, body, words):
    admin.post(f"{PATH}/objects", {"name": "o"})
    for answer in (admin.post(f"{PATH}/objects", body), admin.put(f"{PATH}/objects/o", body)):
        assert answer.status_code == 400 and words in answer.text


# -- properties ----------------------------------------------------------------------------------------------------


def test_a_property(admin, me):
    body = {"name": "p", "title": "T", "type": "number", "minimum": 1.5, "maxLength": 2.0, "default": {"a": 1}, "enum": ["a", None]}
    kept = body | {"minimum": 1, "maxLength": 2, "default": None}
    answer = admin.post(f"{PATH}/properties", body)
    assert answer.status_code == 201 and answer.json() == kept
    assert me.get(f"{PATH}/properties/p").json() == kept and me.get(f"{PATH}/properties").json() == {"properties": {"p": kept}}
    again = admin.post(f"{PATH}/properties", body)
    assert again.status_code == 409 and "A metadata definition property with name=p already exists in namespace=n." in again.text


def test_a_property_is_replaced_whole(admin):
    for name in ("p", "taken"):
        admin.post(f"{PATH}/properties", TEXT | {"name": name, "description": "d"})
    changed = admin.put(f"{PATH}/properties/p", {"name": "new", "title": "N", "type": "integer"})
    assert changed.status_code == 200 and changed.json() == {"name": "new", "title": "N", "type": "integer"}
    assert admin.put(f"{PATH}/properties/new", TEXT | {"name": "taken"}).status_code == 409
    assert admin.put(f"{PATH}/properties/p", TEXT | {"name": "p"}).status_code == 404
    assert admin.delete(f"{PATH}/properties/new").status_code == 204
    gone = admin.delete(f"{PATH}/properties/new")
    assert gone.status_code == 404 and "Could not find property new" in gone.text
    assert admin.delete(f"{PATH}/properties").status_code == 204 and admin.get(f"{PATH}/properties").json() == {"properties": {}}


def test_a_property_by_the_name_that_a_resource_has_it_by(admin, me):
    admin.post(f"{PATH}/properties", TEXT | {"name": "p"})
    admin.post(f"{PATH}/resource_types", {"name": "OS::Image", "prefix": "hw_"})
    admin.post(f"{PATH}/resource_types", {"name": "OS::Plain"})
    admin.post("/metadefs/namespaces", {"namespace": "m", "resource_type_associations": [{"name": "OS::Other"}]})
    assert me.get(f"{PATH}/properties/hw_p?resource_type=OS::Image").json()["name"] == "p"
    assert me.get(f"{PATH}/properties/p?resource_type=OS::Plain").json()["name"] == "p"
    for name, kind, words in (
        ("p", "OS::Image", "does not start with the expected resource type association prefix of 'hw_'"),
        ("p", "none", "The metadata definition resource-type with name=none, was not found."),
        ("p", "OS::Other", "resource-type=OS::Other to namespace=n, was not found."),
    ):
        answer = me.get(f"{PATH}/properties/{name}?resource_type={kind}")
        assert answer.status_code == 404 and words in answer.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (TEXT, "schema 'property': 'name' is a required property"),
        ({"name": "p"}, "'type' is a required property"),
        (TEXT | {"name": "p", "type": None}, "None is not of type 'string'"),
        (TEXT | {"name": "p", "minimum": True}, "True is not of type 'number'"),
        (TEXT | {"name": "p", "minimum": 1e300}, "minimum"),
        (TEXT | {"name": "p", "required": []}, "[] should be non-empty"),
        (TEXT | {"name": "p", "required": ["a"]}, "'required' was unexpected"),
        (TEXT | {"name": "p", "confidential": True}, "'confidential' was unexpected"),
        (TEXT | {"name": "x" * 81}, "is too long"),
        (TEXT | {"name": ""}, "name"),
    ],
)
def test_odd_properties(admin, body, words):
    answer = admin.post(f"{PATH}/properties", body)
    assert answer.status_code == 400 and words in answer.text


# -- types of resources --------------------------------------------------------------------------------------------


def test_types_of_resources(admin, me):
    body = {"name": "OS::Image", "prefix": "hw_", "properties_target": "image"}
    answer = admin.post(f"{PATH}/resource_types", body)
    assert answer.status_code == 201 and {name: answer.json()[name] for name in body} == body
    assert me.get(f"{PATH}/resource_types").json() == {"resource_type_associations": [answer.json()]}
    again = admin.post(f"{PATH}/resource_types", {"name": "OS::Image"})
    assert again.status_code == 409 and "association of resource-type=OS::Image to namespace=n already exists." in again.text
    assert admin.delete(f"{PATH}/resource_types/OS::Image").status_code == 204
    gone = admin.delete(f"{PATH}/resource_types/OS::Image")
    assert gone.status_code == 404 and "Failed to find resource type OS::Image to delete" in gone.text
    assert [one["name"] for one in me.get("/metadefs/resource_types").json()["resource_types"]] == ["OS::Image"], "types stay"
    refused = admin.post(f"{PATH}/resource_types", {"name": "x", "prefix": None})
    assert refused.status_code == 400 and "schema 'resource_type_association': None is not of type 'string'" in refused.text


# -- tags ----------------------------------------------------------------------------------------------------------


def names(answer) -> list[str]:
    return [one["name"] for one in answer.json()["tags"]]


def test_a_tag(admin, me):
    answer = admin.post(f"{PATH}/tags/Tag")
    assert answer.status_code == 201 and answer.json().keys() == {"name", "created_at", "updated_at"}
    assert me.get(f"{PATH}/tags/tAG").json() == answer.json(), "capitals make no difference"
    again = admin.post(f"{PATH}/tags/TAG")
    assert again.status_code == 409 and "A metadata tag with name=TAG already exists in namespace=n." in again.text
    assert admin.put(f"{PATH}/tags/tag", {"name": "TAG"}).json()["name"] == "TAG"
    admin.post(f"{PATH}/tags/other")
    assert admin.put(f"{PATH}/tags/tag", {"name": "Other"}).status_code == 409
    assert admin.put(f"{PATH}/tags/none", {"name": "x"}).status_code == 404
    assert admin.delete(f"{PATH}/tags/tag").status_code == 204
    gone = admin.get(f"{PATH}/tags/tag")
    assert gone.status_code == 404 and "Could not find metadata tag tag" in gone.text
    long = admin.post(f"{PATH}/tags/{'x' * 81}")
    assert long.status_code == 400 and "schema 'tag'" in long.text and "is too long" in long.text


def test_several_tags_replace_those_that_were_or_are_added(admin):
    def post(*tags: str, **headers: str):
        return admin.post(f"{PATH}/tags", {"tags": [{"name": tag} for tag in tags]}, headers=headers)

    assert post("a", "b").status_code == 201 and names(admin.get(f"{PATH}/tags")) == ["b", "a"]
    assert post("c").json() == {"tags": [{"name": "c"}]} and names(admin.get(f"{PATH}/tags")) == ["c"]
    assert post("d", **{"X-Openstack-Append": "True"}).status_code == 201 and names(admin.get(f"{PATH}/tags")) == ["d", "c"]
    assert post("C", **{"X-Openstack-Append": "True"}).status_code == 409
    assert post("e", "e").status_code == 409 and names(admin.get(f"{PATH}/tags")) == ["d", "c"], "those stay where none come"
    assert post().status_code == 201 and names(admin.get(f"{PATH}/tags")) == ["d", "c"]
    assert admin.delete(f"{PATH}/tags").status_code == 204 and names(admin.get(f"{PATH}/tags")) == []


def test_pages_of_tags(admin):
    admin.post(f"{PATH}/tags", {"tags": [{"name": name} for name in ("b", "A", "c")]})
    assert names(admin.get(f"{PATH}/tags?limit=2")) == ["c", "A"] and names(admin.get(f"{PATH}/tags?marker=a")) == ["b"]
    assert names(admin.get(f"{PATH}/tags?sort_key=name&sort_dir=asc")) == ["A", "b", "c"]
    assert names(admin.get(f"{PATH}/tags?sort_key=name&sort_dir=asc&marker=a&limit=1")) == ["b"]
    assert names(admin.get(f"{PATH}/tags?limit=0")) == [] and len(names(admin.get(f"{PATH}/tags?limit="))) == 3
    for query in ("limit=-1", "limit=x", "sort_dir=up", "sort_key=odd", "visibility=x"):
        assert admin.get(f"{PATH}/tags?{query}").status_code == 400, query
    assert admin.get(f"{PATH}/tags?marker=none").status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "`tags`"),
        ({"tags": [{}]}, "schema 'tags': 'name' is a required property"),
        ({"tags": [{"name": "x", "odd": 1}]}, "('odd' was unexpected)"),
        ({"tags": ["x"]}, "'x' is not of type 'object'"),
        ({"tags": [{"name": "x" * 81}]}, "tags[0].name"),
    ],
)
def test_odd_tags(admin, body, words):
    answer = admin.post(f"{PATH}/tags", body)
    assert answer.status_code == 400 and words in answer.text


def test_members_read_and_do_not_write(admin, me):
    admin.post(f"{PATH}/tags/t")
    for method, path, rule in (
        ("POST", "/objects", "add_metadef_object"), ("PUT", "/objects/x", "modify_metadef_object"),
        ("DELETE", "/objects/x", "delete_metadef_object"), ("DELETE", "/objects", "delete_metadef_namespace"),
        ("POST", "/properties", "add_metadef_property"), ("PUT", "/properties/x", "modify_metadef_property"),
        ("DELETE", "/properties/x", "remove_metadef_property"), ("POST", "/tags/x", "add_metadef_tag"), ("POST", "/tags", "add_metadef_tags"),
        ("PUT", "/tags/t", "modify_metadef_tag"), ("DELETE", "/tags/t", "delete_metadef_tag"),
        ("POST", "/resource_types", "add_metadef_resource_type_association"),
        ("DELETE", "/resource_types/x", "remove_metadef_resource_type_association"),
    ):  # fmt: skip
        answer = me(method, PATH + path, {"name": "x"})
        assert answer.status_code == 403 and f"You are not authorized to complete {rule} action." in answer.text, (method, path)
