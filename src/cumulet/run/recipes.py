"""The recipes of the simulated drivers, as the setting `simulated` has them."""

from __future__ import annotations

import typing as t

import msgspec

from ..compute.drivers.simulated import Recipe as ComputeRecipe
from ..kernel.config import Config
from ..kernel.recipe import Recipe, Trouble
from ..network.drivers.simulated import Recipe as NetworkRecipe
from ..volume.drivers.simulated import Recipe as VolumeRecipe
from . import StartError


class Recipes(msgspec.Struct, frozen=True, kw_only=True):
    """What befalls all simulated hosts of a cloud: they are counted together."""

    compute: ComputeRecipe = ComputeRecipe()
    network: NetworkRecipe = NetworkRecipe()
    volume: VolumeRecipe = VolumeRecipe()


CHOSEN_BY = {"compute": "hypervisor", "network": "network", "volume": "hypervisor"}
"""Recipe -> the setting by which its drivers are simulated ones."""


def read(config: Config) -> Recipes:
    """The recipes of a cloud. Raises StartError, which says what is wrong with which key, and what it takes."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(Recipes)}
    for name, table in config.simulated.items():
        if name not in kinds:
            raise _wrong(name, f"there is no such recipe, but {_listed(kinds)}")
        if getattr(config, CHOSEN_BY[name]) != "simulated":
            raise _wrong(name, f'it needs {CHOSEN_BY[name]} = "simulated": set that, or remove the recipe')
        _check(name, table, kinds[name])
    return msgspec.convert(config.simulated, Recipes)


def _check(name: str, table: dict[str, t.Any], kind: type[Recipe]) -> None:
    """Raise StartError for a table that is no recipe. Each call is looked at by itself, so that the error can name it."""
    calls, known = table.get("calls", {}), _calls(kind)
    for call, trouble in calls.items() if isinstance(calls, dict) else ():
        if call not in known:
            raise _wrong(f"{name}.calls.{call}", f"there is no such call, but {_listed(known)}")
        _must_be(Trouble, f"{name}.calls.{call}", trouble)
    _must_be(kind, name, table)


def _must_be(kind: type[msgspec.Struct], key: str, value: t.Any) -> None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _wrong(key, f"{error}; it takes {_listed(kind.__struct_fields__)}") from None


def _calls(kind: type[Recipe]) -> list[str]:
    """The names of calls that a recipe takes."""
    named, rest = t.get_args(t.get_args(t.get_type_hints(kind)["calls"])[0])
    return [*t.get_args(named), *t.get_args(rest)]


def _listed(names: t.Iterable[str]) -> str:
    return ", ".join(names)


def _wrong(key: str, why: str) -> StartError:
    return StartError(f"The setting simulated.{key} cannot be used: {why}. docs/simulated.md tells what recipes are.")
