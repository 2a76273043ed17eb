"""Where the keys of a cloud are, below its data directory: those that tokens are sealed with, and stored credentials."""

from __future__ import annotations

from ..kernel.config import Config
from .fernet import Repository


def token_keys(config: Config) -> Repository:
    return Repository(config.root / "control" / "fernet-keys")


def credential_keys(config: Config) -> Repository:
    return Repository(config.root / "control" / "credential-keys")


def setup(config: Config) -> None:
    """Make the keys that are not there."""
    token_keys(config).setup()
    credential_keys(config).setup()
