from __future__ import annotations

import jsonschema
import pytest

NAMES = ("namespace", "namespaces", "resource_type", "resource_types", "object", "objects", "property", "properties", "tag", "tags")
TEXT = {"title": "T", "type": "string"}


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_one(me, name):
    schema = me.get(f"/schemas/metadefs/{name}").json()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["name"] == {"resource_type": "resource_type_association", "resource_types": "resource_type_associations"}.get(name, name)


def test_answers_are_as_the_schemas_say(admin):
    def matches(path: str, name: str) -> None:
        jsonschema.validate(admin.get(path).json(), admin.get(f"/schemas/metadefs/{name}").json())

    body = {
        "namespace": "n", "objects": [{"name": "o"}], "tags": [{"name": "t"}], "properties": {"p": TEXT},
        "resource_type_associations": [{"name": "r"}],
    }  # fmt: skip
    assert admin.post("/metadefs/namespaces", body).status_code == 201
    below = "/metadefs/namespaces/n"
    matches(below, "namespace")
    matches("/metadefs/namespaces", "namespaces")
    for kind, one, many in (("objects/o", "object", "objects"), ("properties/p", "property", "properties"), ("tags/t", "tag", "tags")):
        matches(f"{below}/{kind}", one)
        matches(f"{below}/{many}", many)
    matches(f"{below}/resource_types", "resource_types")


def test_a_stranger_fetches_none(cloud):
    assert cloud.send("GET", "/image/v2/schemas/metadefs/tag").status_code == 401
