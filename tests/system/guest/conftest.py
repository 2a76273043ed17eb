"""The guest image, built once for all tests here, and keys to log in with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[3] / "guest/build.py"


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly built image."""
    output = tmp_path_factory.mktemp("image") / "guest.qcow2"
    subprocess.run([sys.executable, BUILD, output], check=True)
    return output


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A private key of each type; the public one beside it ends in .pub."""
    directory = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "rsa", "ecdsa"):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", directory / kind], check=True)
    return {kind: directory / kind for kind in ("ed25519", "rsa", "ecdsa")}


@pytest.fixture(scope="session")
def overlay(image: Path) -> Callable[[Path], Path]:
    """Makes a disk of 1 GiB on the image."""

    def make(path: Path) -> Path:
        argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", path, "1G"]
        subprocess.run(argv, check=True)
        return path

    return make
