"""The files by which people reach a new cloud: `clouds.yaml` and `openrc`, with random passwords, for their owner alone."""

from __future__ import annotations

import typing as t

import yaml

from ..kernel.config import Config
from .layout import Layout, write_private


def write(config: Config, layout: Layout, password: t.Callable[[], str]) -> dict[str, str]:
    """Write both files, keeping the passwords of earlier ones; the passwords, by user."""
    passwords = _kept(layout) or {"admin": password(), "demo": password()}
    clouds = {"cumulet": _cloud(config, "admin", passwords), "cumulet-demo": _cloud(config, "demo", passwords)}
    write_private(layout.clouds, yaml.safe_dump({"clouds": clouds}, sort_keys=False))
    auth = clouds["cumulet"]["auth"]
    lines = [f"export OS_{name.upper()}='{value}'" for name, value in auth.items()]
    lines += [f"export OS_REGION_NAME='{config.region}'", "export OS_IDENTITY_API_VERSION=3", "export OS_INTERFACE=public"]
    write_private(layout.openrc, "\n".join(lines) + "\n")
    return passwords


def _cloud(config: Config, user: str, passwords: dict[str, str]) -> dict[str, t.Any]:
    return {
        "auth": {
            "auth_url": f"{config.url}/identity", "username": user, "password": passwords[user], "project_name": user,
            "user_domain_name": "Default", "project_domain_name": "Default",
        },
        "region_name": config.region, "identity_api_version": 3, "interface": "public",
    }  # fmt: skip


def _kept(layout: Layout) -> dict[str, str] | None:
    if not layout.clouds.exists():
        return None
    clouds = yaml.safe_load(layout.clouds.read_text())["clouds"]
    return {name: clouds[cloud]["auth"]["password"] for name, cloud in (("admin", "cumulet"), ("demo", "cumulet-demo"))}
