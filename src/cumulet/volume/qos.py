"""QoS specs: what hypervisors and back ends are asked to guarantee for the volumes of a type. They are kept and shown; the
file back end and the hypervisor do not act on them."""

from __future__ import annotations

import typing as t

from ..kernel.db import Row, Tx
from ..kernel.http import BadRequest, Body, NotFound, Page, Query, Request, View
from . import ADMIN, api
from .listing import ListQuery, page
from .tables import qos_specs, types
from .types import find_by_id
from .wire import Key, Text, links, truth

INDEX = api.rule("volume_extension:qos_specs_manage:get_all", ADMIN, "List QoS specs.")
SHOW = api.rule("volume_extension:qos_specs_manage:get", ADMIN, "Show QoS specs.")
CREATE = api.rule("volume_extension:qos_specs_manage:create", ADMIN, "Create QoS specs.")
UPDATE = api.rule("volume_extension:qos_specs_manage:update", ADMIN, "Change QoS specs.")
DELETE = api.rule("volume_extension:qos_specs_manage:delete", ADMIN, "Delete QoS specs.")

CONSUMERS = ("front-end", "back-end", "both")
PATH = "/qos-specs/{id}"


class Keys(Body):
    keys: list[Key]


class DeleteQuery(Query):
    force: str | None = None


class TypeQuery(Query):
    vol_type_id: str


class QosSpecs(View):
    id: str
    name: str
    consumer: str
    specs: dict[str, str]


class Association(View):
    id: str
    name: str
    association_type: str = "volume_type"


@api.op("POST", "/qos-specs", policy=CREATE, wrap="qos_specs", reply="", errors=(400, 409))
def create(tx: Tx, request: Request, body: dict[Key, Text]) -> dict:
    """Create QoS specs: `name`, `consumer`, and whatever else."""
    specs = dict(body)
    name, consumer = specs.pop("name", "").strip(), _consumer(specs.pop("consumer", "back-end"))
    if not name:
        raise BadRequest("Invalid input for field/attribute name: 'name' is a required property")
    return _answer(request, tx.insert(qos_specs, name=name, consumer=consumer, specs=specs))


@api.op("GET", "/qos-specs", policy=INDEX, reply="qos_specs")
def index(tx: Tx, request: Request, query: ListQuery) -> Page[QosSpecs]:
    """List QoS specs."""
    rows, marker, _ = page(tx, request, query, qos_specs, [])
    return Page([_view(row) for row in rows], marker)


@api.op("GET", PATH, policy=SHOW, errors=(404,))
def show(tx: Tx, request: Request, id: str) -> dict:
    """Show QoS specs."""
    return _answer(request, _find(tx, id))


@api.op("PUT", PATH, policy=UPDATE, wrap="qos_specs", errors=(400, 404))
def update(tx: Tx, request: Request, id: str, body: dict[Key, Text]) -> dict:
    """Set keys of QoS specs, or the consumer."""
    row, specs = _find(tx, id), dict(body)
    if not specs:
        raise BadRequest("Invalid input for field/attribute qos_specs: it must hold at least one key.")
    consumer = _consumer(specs.pop("consumer", row.consumer))
    if "name" in specs:
        raise BadRequest("Invalid input for field/attribute name: the name of QoS specs cannot be changed.")
    tx.update(qos_specs, row.id, consumer=consumer, specs=row.specs | specs)
    return body


@api.op("PUT", PATH + "/delete_keys", policy=UPDATE, status=202, errors=(400, 404))
def delete_keys(tx: Tx, request: Request, id: str, body: Keys) -> None:
    """Remove keys of QoS specs."""
    row = _find(tx, id)
    if missing := [key for key in body.keys if key not in row.specs]:
        raise BadRequest(f"Qos specs {id} has no spec with key {', '.join(missing)}.")
    tx.update(qos_specs, row.id, specs={key: value for key, value in row.specs.items() if key not in body.keys})


@api.op("DELETE", PATH, policy=DELETE, status=202, errors=(400, 404))
def delete(tx: Tx, request: Request, id: str, query: DeleteQuery) -> None:
    """Delete QoS specs that no volume type has; with `force`, whichever has them."""
    row = _find(tx, id)
    if not truth(query.force) and tx.rows(types, qos_specs_id=row.id):
        raise BadRequest(f"Qos Specs {id} is still associated with entities.")
    tx.update(types, {"qos_specs_id": row.id}, qos_specs_id=None)
    tx.delete(qos_specs, id=row.id)


# -- associations with volume types: changed by GET, as the API has it ---------------------------------------------


@api.op("GET", PATH + "/associations", policy=SHOW, reply="qos_associations", errors=(404,))
def associations(tx: Tx, request: Request, id: str) -> list[Association]:
    """List the volume types that have QoS specs."""
    return [Association(id=row.id, name=row.name) for row in tx.rows(types, qos_specs_id=_find(tx, id).id)]


@api.op("GET", PATH + "/associate", policy=UPDATE, write=True, status=202, errors=(400, 404))
def associate(tx: Tx, request: Request, id: str, query: TypeQuery) -> None:
    """Have a volume type have QoS specs."""
    row, kind = _find(tx, id), find_by_id(tx, request.context, query.vol_type_id)
    if kind.qos_specs_id not in (None, row.id):
        raise BadRequest(f"Type {kind.id} is already associated with another qos specs: {kind.qos_specs_id}.")
    tx.update(types, kind.id, qos_specs_id=row.id)


@api.op("GET", PATH + "/disassociate", policy=UPDATE, write=True, status=202, errors=(404,))
def disassociate(tx: Tx, request: Request, id: str, query: TypeQuery) -> None:
    """Have a volume type not have QoS specs any more."""
    row, kind = _find(tx, id), find_by_id(tx, request.context, query.vol_type_id)
    tx.update(types, {"id": kind.id, "qos_specs_id": row.id}, qos_specs_id=None)


@api.op("GET", PATH + "/disassociate_all", policy=UPDATE, write=True, status=202, errors=(404,))
def disassociate_all(tx: Tx, request: Request, id: str) -> None:
    """Have no volume type have QoS specs any more."""
    tx.update(types, {"qos_specs_id": _find(tx, id).id}, qos_specs_id=None)


def _find(tx: Tx, id: str) -> Row:
    row = tx.get(qos_specs, id=id)
    if row is None:
        raise NotFound(f"No such qos spec {id}.")
    return row


def _consumer(value: str) -> str:
    if value not in CONSUMERS:
        raise BadRequest(f"Invalid input for field/attribute consumer. Value: {value}. Valid consumers are {', '.join(CONSUMERS)}.")
    return value


def _view(row: Row) -> QosSpecs:
    return QosSpecs(id=row.id, name=row.name, consumer=row.consumer, specs=row.specs)


def _answer(request: Request, row: Row) -> dict[str, t.Any]:
    return {"qos_specs": _view(row), "links": links(request, "qos-specs", row.id)}
