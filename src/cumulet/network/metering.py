"""Metering labels and their rules: which traffic through a project's routers is to be counted together.

Here they are rows only; what counts by them reads them from here.
"""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from ..kernel.http import UNSET, BadRequest, Conflict, NotFound, Page, Reply, Request, UnsetType, View
from . import ipam
from .bodies import Attributes, Id, Json, ProjectId, Text, answer, one_or_many
from .resource import listed, own, owner, target
from .service import READER, api
from .tables import part_of

# -- tables --------------------------------------------------------------------------------------------------------

metering_labels = table(
    "metering_labels",
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(1024), nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
)
"""`shared`: it counts at every project's routers."""

metering_label_rules = table(
    "metering_label_rules",
    part_of("metering_labels"),
    sa.Column("project_id", sa.String(64), nullable=False, index=True),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("excluded", sa.Boolean, nullable=False),
    sa.Column("remote_ip_prefix", sa.String(64)),
    sa.Column("source_ip_prefix", sa.String(64)),
    sa.Column("destination_ip_prefix", sa.String(64)),
)
"""What goes in a direction and has these addresses counts, or (`excluded`) counts not. `project_id` is the label's."""

# -- wire ----------------------------------------------------------------------------------------------------------

Prefix = t.Annotated[str, msgspec.Meta(max_length=64)] | None


class LabelCreate(Attributes, kw_only=True):
    name: Text = ""
    description: t.Annotated[str, msgspec.Meta(max_length=1024)] = ""
    shared: bool = False
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class Label(View, kw_only=True):
    id: str
    name: str
    description: str
    shared: bool
    tenant_id: str
    project_id: str


class RuleCreate(Attributes, kw_only=True):
    metering_label_id: Id
    direction: t.Literal["ingress", "egress"]
    excluded: bool = False
    remote_ip_prefix: Prefix = None
    source_ip_prefix: Prefix = None
    destination_ip_prefix: Prefix = None
    tenant_id: ProjectId | UnsetType = UNSET
    project_id: ProjectId | UnsetType = UNSET


class Rule(View, kw_only=True):
    id: str
    metering_label_id: str
    direction: str
    excluded: bool
    remote_ip_prefix: str | None
    source_ip_prefix: str | None
    destination_ip_prefix: str | None


# -- policy --------------------------------------------------------------------------------------------------------

MANAGER = "(rule:admin_only) or (role:manager and project_id:%(project_id)s)"
CREATE = api.rule("create_metering_label", MANAGER, "Create a metering label.")
GET = api.rule("get_metering_label", READER, "Show a metering label.")
DELETE = api.rule("delete_metering_label", MANAGER, "Delete a metering label.")
CREATE_RULE = api.rule("create_metering_label_rule", MANAGER, "Create a metering label rule.")
GET_RULE = api.rule("get_metering_label_rule", READER, "Show a metering label rule.")
DELETE_RULE = api.rule("delete_metering_label_rule", MANAGER, "Delete a metering label rule.")

# -- operations on labels ------------------------------------------------------------------------------------------


@api.op("POST", "/metering/metering-labels", policy=CREATE, status=201)
def create(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Label | list[Label]]]:
    """Create a metering label, or several."""
    rows = [_create(tx, request, wanted) for wanted in one_or_many(body, "metering_label", "metering_labels", LabelCreate)]
    return Reply(answer(body, "metering_label", "metering_labels", _labels(rows)))


@api.op("GET", "/metering/metering-labels", policy=GET, reply="metering_labels")
def index(tx: Tx, request: Request) -> Page[Label]:
    """List the project's metering labels."""
    return listed(tx, request, metering_labels, "metering_labels", _labels, visible=own(request.context, metering_labels))


@api.op("GET", "/metering/metering-labels/{id}", policy=GET, reply="metering_label", errors=(404,))
def show(tx: Tx, request: Request, id: str) -> Label:
    """Show a metering label."""
    return _labels([_find(tx, request, id)])[0]


@api.op("DELETE", "/metering/metering-labels/{id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, id: str) -> None:
    """Delete a metering label with its rules."""
    request.enforce(DELETE, target(_find(tx, request, id)))
    tx.delete(metering_labels, id=id)


# -- operations on rules -------------------------------------------------------------------------------------------


@api.op("POST", "/metering/metering-label-rules", policy=CREATE_RULE, status=201, errors=(404, 409))
def create_rule(tx: Tx, request: Request, body: Json) -> Reply[dict[str, Rule | list[Rule]]]:
    """Create a rule of a metering label, or several."""
    wanted = one_or_many(body, "metering_label_rule", "metering_label_rules", RuleCreate)
    rows = [_create_rule(tx, request, one) for one in wanted]
    return Reply(answer(body, "metering_label_rule", "metering_label_rules", _rules(rows)))


@api.op("GET", "/metering/metering-label-rules", policy=GET_RULE, reply="metering_label_rules")
def index_rules(tx: Tx, request: Request) -> Page[Rule]:
    """List the rules of the project's metering labels."""
    return listed(tx, request, metering_label_rules, "metering_label_rules", _rules, visible=own(request.context, metering_label_rules))


@api.op("GET", "/metering/metering-label-rules/{id}", policy=GET_RULE, reply="metering_label_rule", errors=(404,))
def show_rule(tx: Tx, request: Request, id: str) -> Rule:
    """Show a rule of a metering label."""
    return _rules([_find_rule(tx, request, id)])[0]


@api.op("DELETE", "/metering/metering-label-rules/{id}", policy=DELETE_RULE, status=204, errors=(404,))
def delete_rule(tx: Tx, request: Request, id: str) -> None:
    """Delete a rule of a metering label."""
    request.enforce(DELETE_RULE, target(_find_rule(tx, request, id)))
    tx.delete(metering_label_rules, id=id)


# -- helpers -------------------------------------------------------------------------------------------------------


def _find(tx: Tx, request: Request, id: str) -> Row:
    row = tx.first(sa.select(metering_labels).where(metering_labels.c.id == id, own(request.context, metering_labels)))
    if row is None:
        raise NotFound(f"Metering label '{id}' does not exist.", kind="MeteringLabelNotFound")
    return row


def _find_rule(tx: Tx, request: Request, id: str) -> Row:
    row = tx.first(sa.select(metering_label_rules).where(metering_label_rules.c.id == id, own(request.context, metering_label_rules)))
    if row is None:
        raise NotFound(f"Metering label rule '{id}' does not exist.", kind="MeteringLabelRuleNotFound")
    return row


def _create(tx: Tx, request: Request, wanted: LabelCreate) -> Row:
    given = wanted.given()
    project = owner(request, given)
    request.enforce(CREATE, {"project_id": project, "tenant_id": project})
    return tx.insert(metering_labels, **given, project_id=project)


def _create_rule(tx: Tx, request: Request, wanted: RuleCreate) -> Row:
    given = wanted.given()
    owner(request, given)
    label = _find(tx, request, wanted.metering_label_id)
    request.enforce(CREATE_RULE, target(label))
    given |= _prefixes(wanted)
    if given["remote_ip_prefix"]:
        _check_overlap(tx, given)
    return tx.insert(metering_label_rules, **given, project_id=label.project_id)


def _prefixes(wanted: RuleCreate) -> dict[str, str | None]:
    """Whose traffic a rule is about, in the notation of the table. Raises BadRequest."""
    given = {name: getattr(wanted, name) or None for name in ("remote_ip_prefix", "source_ip_prefix", "destination_ip_prefix")}
    if not any(given.values()):
        raise BadRequest("You must define at least one of the following parameters 'remote_ip_prefix', or 'source_ip_prefix' or "
                         "'destination_ip_prefix'.", kind="Invalid")  # fmt: skip
    if given["remote_ip_prefix"] and (given["source_ip_prefix"] or given["destination_ip_prefix"]):
        raise BadRequest("Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'.", kind="Invalid")
    return {name: _prefix(name, text) for name, text in given.items()}


def _prefix(name: str, text: str | None) -> str | None:
    """A prefix, of which a lone address is the longest."""
    if text is None:
        return None
    try:
        return str(ipam.network(text) if "/" in text else ipam.network(f"{text}/{ipam.BITS[ipam.address(text).version]}"))
    except ipam.Problem as problem:
        raise BadRequest(f"{name}: {text} is invalid [{problem.message}].", kind="Invalid") from None


def _check_overlap(tx: Tx, given: Json) -> None:
    """Raise Conflict where another rule of the label counts some of these remote addresses the same way already."""
    same = {name: given[name] for name in ("metering_label_id", "direction", "excluded")}
    wanted = ipam.network(given["remote_ip_prefix"])
    for row in tx.rows(metering_label_rules, **same):
        if row.remote_ip_prefix and wanted.overlaps(ipam.network(row.remote_ip_prefix)):
            raise Conflict(f"Metering label rule with remote_ip_prefix '{wanted}' overlaps another.", kind="MeteringLabelRuleOverlaps")


def _labels(rows: list[Row]) -> list[Label]:
    return [
        Label(id=row.id, name=row.name, description=row.description, shared=row.shared, tenant_id=row.project_id, project_id=row.project_id)
        for row in rows
    ]


def _rules(rows: list[Row]) -> list[Rule]:
    return [Rule(**{name: getattr(row, name) for name in Rule.__struct_fields__}) for row in rows]
