"""Where an image's data is, as whoever patches the image says: locations are added, replaced and removed.

Only what is on the web can be named: no client makes this cloud read a file of its own, or another image's data.
"""

from __future__ import annotations

import asyncio
import hashlib
import typing as t

from ..kernel.db import Await, Row, Tx
from ..kernel.http import BadRequest, Conflict, Forbidden, Request
from ..kernel.http.dialects import DENIED
from . import locations, policy
from .attributes import limited
from .images import images
from .shapes import IMAGE, check
from .stores.base import StoreError
from .stores.http import HttpStore
from .stores.registry import Stores, stores

MOST = 10
"""Locations of an image."""
HASH = "sha512"
"""How the hash is made that every image has."""
Named = dict[str, t.Any]
"""A location as a client names it: `url`, `metadata`, perhaps `validation_data`."""


def place(tx: Tx, request: Request, row: Row, op: str, at: str | None, value: t.Any) -> Row:
    """Do one operation of a patch; the image as it is then. Raises BadRequest, Conflict, Forbidden, TooLarge; Await."""
    if op != "remove":
        check({"locations": value if op == "replace" else [value]}, IMAGE)
    if op == "replace" and not value:
        raise Forbidden("Cannot set locations to empty list.", kind=DENIED)
    rule, doing = (policy.DELETE_LOCATION, "remove") if op == "remove" else (policy.SET_LOCATION, "add" if op == "add" else "update")
    request.enforce(rule, policy.facts(request, row.owner, row.visibility))
    if not request.runtime.config.show_multiple_locations:
        raise Forbidden(f"It's not allowed to {doing} locations if locations are invisible.")
    if row.status not in (("active",) if op == "remove" else ("active", "queued")):
        raise Conflict(f"It's not allowed to {op} locations if image status is {row.status}.")
    there = locations.of(tx, row.id)
    match op:
        case "add":
            _add(tx, request, row, there, at or "", value)
        case "replace":
            _replace(tx, request, row, there, value)
        case _:
            _remove(tx, there, at or "")
    return tx.one(images, id=row.id)


def on_web(url: str, there: Stores) -> bool:
    """Whether a URL is of a kind that this cloud reads images from."""
    return there.web is not None and url.startswith(("http://", "https://"))


# -- operations ----------------------------------------------------------------------------------------------------


def _add(tx: Tx, request: Request, row: Row, there: list[Row], at: str, value: Named) -> None:
    hashes = _hashes(row, [value])
    position = len(there) if at == "-" else _number(at)
    if position is None:
        raise BadRequest("Invalid position for adding a location.")
    limited("locations", len(there) + 1, most=MOST)
    added = _new(tx, request, row, [value], there)
    _arrange(tx, [*there[:position], *added, *there[position:]])
    _activate(tx, request, row, hashes, value["url"])


def _replace(tx: Tx, request: Request, row: Row, there: list[Row], value: list[Named]) -> None:
    hashes = _hashes(row, value)
    limited("locations", len(value), most=MOST)
    if not there:
        added = _new(tx, request, row, value, [])
        _arrange(tx, added)
        _activate(tx, request, row, hashes, value[0]["url"])
        return
    shown = stores(request.runtime)
    left = [(shown.url(place), place) for place in there]
    if sorted(url for url, _ in left) != sorted(one["url"] for one in value):
        raise BadRequest(f"Original locations is not empty: {', '.join(url for url, _ in left)}")
    ordered: list[Row] = []
    for one in value:
        found = next(entry for entry in left if entry[0] == one["url"])
        left.remove(found)
        tx.update(locations.locations, found[1].id, metadata=_metadata(one))
        ordered.append(found[1])
    _arrange(tx, ordered)


def _remove(tx: Tx, there: list[Row], at: str) -> None:
    if len(there) == 1:
        raise Forbidden("Cannot remove last location in the image.")
    position = len(there) - 1 if at == "-" else _number(at)
    if position is None or position >= len(there):
        raise BadRequest("Invalid position for removing a location.")
    locations.forget(tx, there[position].id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


def _metadata(value: Named) -> dict[str, t.Any]:
    """What a client says of a location. The store is known without."""
    found = {name: said for name, said in value["metadata"].items() if name != "store"}
    if not _is_text(found):
        raise BadRequest("Invalid location: its metadata can be texts, and lists and objects of texts.")
    return found


def _is_text(value: t.Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_text, value.values()))
    return all(map(_is_text, value)) if isinstance(value, list) else isinstance(value, str)


def _new(tx: Tx, request: Request, row: Row, values: list[Named], there: list[Row]) -> list[Row]:
    """Locations that were not there. Raises BadRequest for what is no place of data, or was named already; Await."""
    if not row.disk_format or not row.container_format:
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    store, taken = stores(request.runtime).web or "", [(place.key, place.metadata) for place in there]
    for value in values:
        url, metadata = value["url"], _metadata(value)
        if not on_web(url, stores(request.runtime)):
            raise BadRequest("Invalid location: it is none of http or https, or this cloud has no store for these.")
        if (url, metadata) in taken:
            raise BadRequest(f"The location {url} already exists")
        taken.append((url, metadata))
    _sizes(request, [value["url"] for value in values])
    return [locations.add(tx, row.id, store, value["url"], _metadata(value)) for value in values]


def _sizes(request: Request, urls: list[str]) -> list[int]:
    """How many bytes there are at each URL. Raises BadRequest, Await."""
    there, found = stores(request.runtime), request.awaited

    async def one(url: str) -> None:
        try:
            found[url] = await t.cast(HttpStore, there[there.web or ""]).size(url)
        except StoreError as error:
            found[url] = error

    async def each() -> None:
        await asyncio.gather(*map(one, unknown))

    if unknown := {url for url in urls if url not in found}:
        raise Await(each)
    for url in urls:
        if isinstance(found[url], StoreError):
            raise BadRequest(f"Invalid location: {found[url]}")
    return [found[url] for url in urls]


def _arrange(tx: Tx, ordered: list[Row]) -> None:
    for position, place in enumerate(ordered):
        tx.update(locations.locations, place.id, position=position)


def _activate(tx: Tx, request: Request, row: Row, hashes: dict[str, str], url: str) -> None:
    """Have a queued image that was given a location be of use."""
    if row.status == "queued":
        tx.update(images, row.id, status="active", size=_sizes(request, [url])[0], **hashes)


def _hashes(row: Row, values: list[Named]) -> dict[str, str]:
    """What clients say that the data's hashes are, and the image does not have yet. Raises Conflict."""
    said: dict[str, str] = {}
    for name, value in (entry for one in values for entry in one.get("validation_data", {}).items()):
        if said.setdefault(name, value) != value:
            raise Conflict(f"Conflicting values for {name}")
    for name, value in said.items():
        if getattr(row, name) not in (None, value):
            raise Conflict(f"{name} is already set with a different value")
    new = {name: value for name, value in said.items() if getattr(row, name) is None}
    if new and row.status != "queued":
        raise Conflict(f"New value(s) for {', '.join(new)} may only be provided when image status is 'queued'")
    if not new:
        return {}
    if "checksum" in new and len(_bytes("checksum", new["checksum"])) != 16:
        raise Conflict(f"checksum ({new['checksum']}) is not the correct size for md5 (should be 16 bytes)")
    if new.get("os_hash_algo") != HASH:
        raise Conflict(f"os_hash_algo must be {HASH}, not {new.get('os_hash_algo')}")
    if len(_bytes("os_hash_value", new["os_hash_value"])) != hashlib.new(HASH).digest_size:
        raise Conflict(f"os_hash_value ({new['os_hash_value']}) is not the correct size for {HASH} (should be 64 bytes)")
    return new


def _bytes(name: str, value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise Conflict(f"{name} ({value}) is not a valid hexadecimal value") from None
