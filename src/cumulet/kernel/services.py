"""Finding the services and their modules: whatever is in their folders, with nothing to register."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import typing as t

from .http.api import Api
from .runtime import Runtime

HOST_SIDE = {"agent", "drivers"}
"""Folders of a service that run on hosts and know nothing of resources."""


def load(*names: str) -> dict[str, Api]:
    """Import every resource, workflow and reconciler of these services; their APIs by name."""
    apis = {}
    for name in names:
        package = importlib.import_module(f"cumulet.{name}")
        for module in _modules(package):
            importlib.import_module(module)
        apis[name] = package.api
    return apis


def listen(runtime: Runtime) -> None:
    """Let every service that has a `host_event` hear what hosts say of themselves."""
    for name in runtime.apis:
        hear = getattr(importlib.import_module(f"cumulet.{name}"), "host_event", None)
        if hear is not None:
            runtime.bus.on_event(functools.partial(hear, runtime))


def _modules(package: t.Any) -> t.Iterator[str]:
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if found.name.rsplit(".", 1)[-1] in HOST_SIDE:
            continue
        yield found.name
        if found.ispkg:
            yield from _modules(importlib.import_module(found.name))
