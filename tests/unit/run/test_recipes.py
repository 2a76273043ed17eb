"""Recipes of simulated hosts in the settings: what is taken, and how people are told what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cumulet.kernel.config import Config, load
from cumulet.kernel.recipe import Trouble
from cumulet.run import StartError, needs, recipes
from cumulet.run.state import environment


def settings(path: Path, text: str) -> Config:
    (path / "cumulet.toml").write_text(f'hypervisor = "simulated"\n{text}')
    return load(path / "cumulet.toml", {}, data=str(path))


def test_a_table_gives_each_driver_its_recipe(tmp_path: Path):
    made = recipes.read(settings(tmp_path, """
network = "simulated"

[simulated.compute]
vcpus = 4
seed = 7

[simulated.compute.calls.start]
latency = 2
spread = 0.5
every = 3
message = "no memory left"

[simulated.network.calls."*"]
chance = 0.5

[simulated.volume]
total_gib = 10
file = "/run/steering.json"
"""))  # fmt: skip
    assert (made.compute.vcpus, made.compute.disk_gib, made.compute.seed) == (4, 10_240, 7)
    assert made.compute.calls == {"start": Trouble(latency=2, spread=0.5, every=3, message="no memory left")}
    assert made.network.calls == {"*": Trouble(chance=0.5)}
    assert (made.volume.total_gib, made.volume.file) == (10, "/run/steering.json")


def test_without_a_table_nothing_befalls_anything():
    made = recipes.read(Config())
    assert made.compute.calls == made.network.calls == made.volume.calls == {}


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("[simulated.hypervisor]", "simulated.hypervisor", "compute, network, volume"),
        ("[simulated.compute]\nprocessors = 1", "simulated.compute", "vcpus"),
        ("[simulated.compute]\nvcpus = 0", "simulated.compute", "vcpus"),
        ("[simulated.volume.calls.creat]", "simulated.volume.calls.creat", "create, delete"),
        ("[simulated.compute.calls]\nstart = 2", "simulated.compute.calls.start", "latency, spread"),
        ("[simulated.compute.calls.start]\nlatence = 2", "simulated.compute.calls.start", "latency, spread"),
        ("[simulated.compute.calls.start]\nchance = 30", "simulated.compute.calls.start", "$.chance"),
        ("[simulated.compute.calls.start]\nwhile_file = 'flag'", "simulated.compute.calls.start", "$.while_file"),
        ("[simulated.network.calls.apply]\nevery = 2", "simulated.network", 'network = "simulated"'),
    ],
)
def test_what_cannot_be_used_is_told_by_its_key_with_the_remedy(tmp_path: Path, text: str, key: str, remedy: str):
    config = settings(tmp_path, text)
    with pytest.raises(StartError) as raised:
        recipes.read(config)
    assert f"The setting {key} cannot be used" in str(raised.value) and remedy in str(raised.value)
    (found,) = [finding for finding in needs.missing(config) if "simulated" in finding.sentence and "setting" in finding.sentence]
    assert found.sentence == str(raised.value) and str(tmp_path / "cumulet.toml") in found.command


def test_a_child_process_is_told_them_by_its_environment(tmp_path: Path):
    config = settings(
        tmp_path,
        '[simulated.compute.calls.start]\nmessage = "no \\"room\\""\n[security_compliance]\npassword_regex = "é|\\""'
        '\n[[image_stores]]\ntype = "file"\nid = "one"\ndefault = true',
    )
    assert load(None, environment(config), data=str(tmp_path)) == config
