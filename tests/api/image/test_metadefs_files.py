"""`cumulet image metadefs`: definitions from files and to files."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from cumulet import image
from cumulet.cli import main
from cumulet.kernel import services
from cumulet.kernel.db.engine import create_engine
from cumulet.run.control import SERVICES
from cumulet.run.migrate import upgrade

DISK = {
    "namespace": "Test::Disk",
    "display_name": "Disk",
    "description": "how a disk is reached",
    "protected": True,
    "visibility": "public",
    "resource_type_associations": [{"name": "OS::Test::Image", "prefix": "hw_"}],
    "properties": {"bus": {"title": "Bus", "description": "b", "type": "string", "enum": ["virtio", "scsi"]}},
    "objects": [{"name": "limits", "properties": {"self": {"title": "I", "type": "integer", "minimum": 0, "confidential": True}}}],
    "tags": [{"name": "fast"}],
}
NET = {"namespace": "Test/Net", "visibility": "public"}
Run = t.Callable[..., Result]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "definitions"
    made.mkdir()
    (made / "disk.json").write_text(json.dumps(DISK))
    (made / "net.json").write_text(json.dumps(NET))
    (made / "README.txt").write_text("no definition")
    return made


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    """The command, on a migrated database with nothing in it."""
    services.load(*SERVICES)
    engine, found = create_engine(database_url), sa.MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()
    upgrade(database_url)

    def run(command: str, directory: Path) -> Result:
        return CliRunner().invoke(
            main, ["image", "metadefs", command, "--data", str(tmp_path), "--database", database_url, str(directory)]
        )  # fmt: skip

    return run


def exported(run: Run, into: Path) -> dict[str, dict]:
    result = run("export", into)
    assert result.exit_code == 0, result.output
    return {file.name: json.loads(file.read_text()) for file in into.glob("*.json")}


def test_definitions_are_loaded_again_and_again(run, directory, tmp_path):
    result = run("load", directory)
    assert result.exit_code == 0 and result.output == "2 namespaces are there: 2 new, 0 changed, 0 unchanged.\n"
    assert run("load", directory).output == "2 namespaces are there: 0 new, 0 changed, 2 unchanged.\n"
    found = exported(run, tmp_path / "out")
    assert found["test-disk.json"] == {
        **DISK, "owner": "admin", "objects": [{"required": [], **DISK["objects"][0]}],
    }  # fmt: skip
    assert found["test-net.json"] == NET | {"owner": "admin", "protected": False}
    assert run("load", tmp_path / "out").output == "2 namespaces are there: 0 new, 0 changed, 2 unchanged.\n"


def test_what_a_namespace_has_besides_its_file_stays(run, directory, tmp_path):
    run("load", directory)
    (directory / "net.json").unlink()
    changed = {
        "namespace": "Test::Disk", "visibility": "public", "resource_type_associations": [{"name": "OS::Test::Image", "prefix": "disk_"}],
        "properties": {"cache": {"title": "Cache", "type": "string"}}, "tags": [{"name": "FAST"}, {"name": "slow"}],
    }  # fmt: skip
    (directory / "disk.json").write_text(json.dumps(changed))
    assert run("load", directory).output == "1 namespaces are there: 0 new, 1 changed, 0 unchanged.\n"
    found = exported(run, tmp_path / "out")["test-disk.json"]
    assert found["properties"].keys() == {"bus", "cache"} and [one["name"] for one in found["objects"]] == ["limits"]
    assert sorted(one["name"] for one in found["tags"]) == ["FAST", "slow"]
    assert found["resource_type_associations"] == [{"name": "OS::Test::Image", "prefix": "disk_"}]
    assert found["protected"] is False and "display_name" not in found and found["owner"] == "admin"


def test_nothing_is_loaded_where_one_file_is_wrong(run, directory, tmp_path):
    for wrong, words in (
        ("{", "Malformed request body"), ("", "Body expected"), ('{"namespace": "x", "odd": 1}', "('odd' was unexpected)"),
        ('{"namespace": "x", "tags": [{"name": "a"}, {"name": "a"}]}', "already exists"),
    ):  # fmt: skip
        (directory / "wrong.json").write_text(wrong)
        result = run("load", directory)
        assert result.exit_code == 1 and "wrong.json: " in result.output and words in result.output
    assert exported(run, tmp_path / "out") == {}


def test_definitions_are_unloaded(run, directory, tmp_path):
    run("load", directory)
    (tmp_path / "one").mkdir()
    (directory / "disk.json").rename(tmp_path / "one" / "disk.json")
    for gone in (1, 0):
        assert run("unload", tmp_path / "one").output == f"{gone} namespaces were deleted.\n"
    assert exported(run, tmp_path / "out").keys() == {"test-net.json"}


def test_a_directory_without_definitions(run, tmp_path):
    result = run("load", tmp_path)
    assert result.exit_code == 1 and "There is no file" in result.output


def test_namespaces_of_like_names_have_a_file_each(run, directory, tmp_path):
    for name, namespace in (("a", "Test/Disk"), ("b", "Ü"), ("c", "Ä")):
        (directory / f"{name}.json").write_text(json.dumps({"namespace": namespace}))
    run("load", directory)
    found = exported(run, tmp_path / "out")
    assert {one["namespace"] for one in found.values()} == {"Test::Disk", "Test/Disk", "Test/Net", "Ü", "Ä"}


def test_clients_see_what_was_loaded(cloud, me):
    with cloud.runtime.db.begin(write=True) as tx:
        assert image.load_namespace(tx, image.parse_namespace(json.dumps(DISK).encode())) == "new"
    shown = me.get("/metadefs/namespaces/Test::Disk?resource_type=OS::Test::Image").json()
    assert shown["protected"] is True and shown["properties"] == {"hw_bus": DISK["properties"]["bus"]}
