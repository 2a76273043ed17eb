"""Metadata definitions as files: loading, unloading and exporting them without the API.

A file is JSON, an object as `POST /v2/metadefs/namespaces` takes one. The Image API's own project publishes the usual definitions in
this form, a namespace in each file.
"""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.http import wire
from .bodies import NamespaceBody, given
from .namespaces import attributes, detailed, fill, within
from .resource_types import know
from .tables import KEYS, add, content, namespaces

OWNER = "admin"
"""Whom a namespace belongs to whose file does not say it, as with upstream's tool."""
MADE = ("self", "schema", "created_at", "updated_at")
"""What the API tells of things and does not take."""
Outcome = t.Literal["new", "changed", "unchanged"]


def parse_namespace(raw: bytes) -> NamespaceBody:
    """What is in a file. Raises BadRequest that says what is wrong with it."""
    return wire.load(wire.decode(raw), NamespaceBody, (0, 0))


def load_namespace(tx: Tx, body: NamespaceBody) -> Outcome:
    """Have a namespace be as a file says. What it has besides stays. Raises Conflict for what the file has twice."""
    row = tx.get(namespaces, namespace=body.namespace)
    if row is None:
        now = clock.now()
        fill(tx, tx.insert(namespaces, created_at=now, updated_at=now, **attributes(body, given(body.owner, OWNER))), body)
        return "new"
    values = attributes(body, given(body.owner, row.owner))
    changed = any(getattr(row, name) != value for name, value in values.items())
    if changed:
        tx.update(namespaces, row.id, **values)
    return "changed" if _merge(tx, row, body) or changed else "unchanged"


def unload_namespace(tx: Tx, body: NamespaceBody) -> bool:
    """Delete the namespace of a file with all that it has, be it protected; whether it was there."""
    return tx.delete(namespaces, namespace=body.namespace) > 0


def exported_namespaces(tx: Tx) -> dict[str, bytes]:
    """Every namespace by its name, as a file that can be loaded."""
    rows = tx.rows(namespaces, order=namespaces.c.namespace)
    told = {row.namespace: msgspec.to_builtins(detailed(tx, row)) for row in rows}
    return {name: _file({field: _taken(value) for field, value in one.items() if field not in MADE}) for name, one in told.items()}


# -- helpers -------------------------------------------------------------------------------------------------------


def _merge(tx: Tx, row: Row, body: NamespaceBody) -> bool:
    """Add what a namespace does not have, and change what it has otherwise; whether there was any."""
    know(tx, given(body.resource_type_associations, []))
    any_other = False
    for table, taken, wanted in within(body):
        key = KEYS[table]
        there = {getattr(one, key): one for one in content(tx, table, row)}
        fresh = [one for one in wanted if one[key] not in there]
        other = [one for one in wanted if one[key] in there and any(getattr(there[one[key]], name) != one[name] for name in one)]
        for one in other:
            tx.update(table, there[one[key]].id, **one)
        any_other = any_other or bool(fresh or other)
        add(tx, table, row, taken, fresh)
    return any_other


def _file(value: dict[str, t.Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=4) + b"\n"


def _taken(value: t.Any) -> t.Any:
    """What the API tells of a namespace, without what it does not take of the things in it."""
    if not isinstance(value, list):
        return value
    return [{name: inner for name, inner in one.items() if name not in MADE} for one in value]
