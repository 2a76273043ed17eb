"""What a package offers, imported when it is first asked for.

A service's folder holds what runs in the control plane and what runs on hosts. An agent that imports the latter must not
bring the API, the database and every resource with it, so a service's `__init__` imports nothing by itself.
"""

from __future__ import annotations

import importlib
import sys
import typing as t


def lazily(package: str, **names: str) -> t.Callable[[str], t.Any]:
    """A package's `__getattr__`. names: a module of the package (`a__b` for `a.b`) -> what is offered of it, between spaces."""
    where = {name: module for module, listed in names.items() for name in listed.split()}

    def find(name: str) -> t.Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{where[name].replace('__', '.')}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
