"""Namespaces, clouds and the guest image."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .world import Cloud, own_network

ROOT = Path(__file__).parents[3]
SIMULATED = ("--hypervisor", "simulated", "--network", "simulated")


@pytest.fixture(scope="module", autouse=True)
def namespace() -> Iterator[None]:
    """The tests of a module, and all that they start, are in a network namespace of their own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    with own_network():
        yield


@pytest.fixture(scope="session")
def guest_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest image: the one that `make` built, else built here, once for all test processes."""
    made = ROOT / "build/guest.qcow2"
    if not made.exists():
        made = tmp_path_factory.mktemp("guest") / "guest.qcow2"
        subprocess.run([sys.executable, ROOT / "guest/build.py", made], check=True, stdout=subprocess.DEVNULL)
    return made


@contextlib.contextmanager
def clouds() -> Iterator[Callable[..., Cloud]]:
    """A function that gives a cloud in a fresh directory, not started yet; the flags are those of `up`. All go at the end."""
    made: list[Cloud] = []

    def make(*flags: str, image: Path | None = None) -> Cloud:
        data = Path(tempfile.mkdtemp(prefix="cumulet-cloud-"))
        data.chmod(0o755)
        if image:
            shutil.copy(image, data / "guest.qcow2")
        made.append(Cloud(data, *flags))
        return made[-1]

    yield make
    for cloud in made:
        cloud.purge()
        shutil.rmtree(cloud.data, ignore_errors=True)


@pytest.fixture
def new_clouds(namespace: None) -> Iterator[Callable[..., Cloud]]:
    with clouds() as make:
        yield make


@pytest.fixture
def cloud(new_clouds: Callable[..., Cloud]) -> Cloud:
    """A cloud of simulated parts, not started yet."""
    return new_clouds(*SIMULATED)


@pytest.fixture(scope="module")
def real(namespace: None, guest_image: Path) -> Iterator[Cloud]:
    """A cloud of real guests and networks, up."""
    with clouds() as make:
        made = make(image=guest_image)
        made.up()
        yield made
