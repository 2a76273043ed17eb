"""The files by which people reach a new cloud: `clouds.yaml` and `openrc`, with random passwords, for their owner alone."""

from __future__ import annotations

import json
import secrets
import typing as t

import yaml

from ..kernel.config import Config
from . import StartError
from .layout import Layout, uid_of, write_private

CLOUDS = {"cumulet": "admin", "cumulet-demo": "demo"}
"""Cloud of clouds.yaml -> its user and project."""


def write(config: Config, layout: Layout) -> None:
    """Write both files, and for the control plane what it makes the users with. Passwords of an earlier start stay, and so
    do other clouds that somebody added. Raises StartError for a clouds.yaml that cannot be read."""
    clouds = _clouds(layout)
    passwords = _kept(clouds) or _seeded(layout) or {user: secrets.token_urlsafe() for user in CLOUDS.values()}
    made = {cloud: _cloud(config, user, passwords[user]) for cloud, user in CLOUDS.items()}
    write_private(layout.clouds, yaml.safe_dump({"clouds": clouds | made}, sort_keys=False))
    auth = made["cumulet"]["auth"]
    lines = [f"export OS_{name.upper()}='{value}'" for name, value in auth.items()]
    lines += [f"export OS_REGION_NAME='{config.region}'", "export OS_IDENTITY_API_VERSION=3", "export OS_INTERFACE=public"]
    write_private(layout.openrc, "\n".join(lines) + "\n")
    write_private(layout.seed, json.dumps(passwords), uid_of(config.user))


def _cloud(config: Config, user: str, password: str) -> dict[str, t.Any]:
    return {
        "auth": {
            "auth_url": f"{config.url}/identity", "username": user, "password": password, "project_name": user,
            "user_domain_name": "Default", "project_domain_name": "Default",
        },
        "region_name": config.region, "identity_api_version": 3, "interface": "public",
    }  # fmt: skip


def _clouds(layout: Layout) -> dict[str, t.Any]:
    if not layout.clouds.exists():
        return {}
    try:
        clouds = yaml.safe_load(layout.clouds.read_text())["clouds"]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise StartError(f"{layout.clouds} cannot be read ({error}): mend it, or remove it to have it written again.") from None
    return clouds or {}


def _kept(clouds: dict[str, t.Any]) -> dict[str, str] | None:
    try:
        return {user: clouds[cloud]["auth"]["password"] for cloud, user in CLOUDS.items()}
    except (TypeError, KeyError):
        return None


def _seeded(layout: Layout) -> dict[str, str] | None:
    return json.loads(layout.seed.read_text()) if layout.seed.exists() else None
