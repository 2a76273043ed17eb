"""Where the keys of a cloud are, below its data directory: those that tokens are sealed with, and stored credentials, and those
that tokens are signed with."""

from __future__ import annotations

from ..kernel.config import Config
from .fernet import Repository
from .jws import SigningKeys


def token_keys(config: Config) -> Repository:
    return Repository(config.root / "control" / "fernet-keys")


def credential_keys(config: Config) -> Repository:
    return Repository(config.root / "control" / "credential-keys")


def signing_keys(config: Config) -> SigningKeys:
    return SigningKeys(config.root / "control" / "jws-keys")


def setup(config: Config) -> None:
    """Make the keys that are not there and are needed."""
    token_keys(config).setup()
    credential_keys(config).setup()
    if config.token_provider == "jws":
        signing_keys(config).setup()
