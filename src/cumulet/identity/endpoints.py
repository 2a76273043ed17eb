"""Endpoints: the URLs of services, by region and by interface."""

from __future__ import annotations

import re
import typing as t

import msgspec
import sqlalchemy as sa

from ..kernel import ids
from ..kernel.db import Row, Tx, table
from ..kernel.errors import BadRequest
from ..kernel.http import OpenBody, Page, Request
from ..kernel.http.wire import UNSET, UnsetType
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, epoch
from .attributes import expecting, given, same_id, something, taken
from .entities import find, shown
from .listing import listed
from .regions import RegionCreate, RegionId, add, regions
from .services import services

# -- table ---------------------------------------------------------------------------------------------------------

endpoints = table(
    "identity_endpoints",
    sa.Column("service_id", sa.String(64), sa.ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=False),
    sa.Column("region_id", sa.String(255), sa.ForeignKey("identity_regions.id")),
    sa.Column("interface", sa.String(8), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
)

# -- wire ----------------------------------------------------------------------------------------------------------

Interface = t.Literal["admin", "internal", "public"]
Url = t.Annotated[str, msgspec.Meta(max_length=2048, pattern=r"^[a-zA-Z0-9+.-]+:.+")]
ServiceId = t.Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class EndpointCreate(OpenBody):
    interface: Interface
    service_id: ServiceId
    url: Url
    region: RegionId | None = None
    region_id: RegionId | None = None
    enabled: bool = True
    name: str | None = None


class EndpointUpdate(OpenBody):
    interface: Interface | UnsetType = UNSET
    service_id: ServiceId | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region: RegionId | None | UnsetType = UNSET
    region_id: RegionId | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_endpoint", ADMIN_OR_SYSTEM_READER, "Show an endpoint.")
LIST = api.rule("identity:list_endpoints", ADMIN_OR_SYSTEM_READER, "List endpoints.")
CREATE = api.rule("identity:create_endpoint", ADMIN, "Create an endpoint.")
UPDATE = api.rule("identity:update_endpoint", ADMIN, "Update an endpoint.")
DELETE = api.rule("identity:delete_endpoint", ADMIN, "Delete an endpoint.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("POST", "/endpoints", policy=CREATE, wrap="endpoint", status=201)
def create(tx: Tx, request: Request, body: dict[str, t.Any]) -> dict:
    """Create an endpoint, and its region where there is none of that name."""
    fields, extra = taken(body, EndpointCreate, "endpoint")
    _check(tx, given(fields))
    region = fields.region_id or fields.region
    _ensure_region(tx, fields.region)
    row = tx.insert(
        endpoints, id=ids.new_hex(), service_id=fields.service_id, region_id=region, interface=fields.interface,
        url=fields.url, enabled=fields.enabled, extra=extra | ({"name": fields.name} if fields.name else {}),
    )  # fmt: skip
    epoch.bump(tx, epoch.CATALOG)
    return view(request, row)


@api.op("GET", "/endpoints", policy=LIST, reply="endpoints")
def index(tx: Tx, request: Request) -> Page:
    """List endpoints."""
    return listed(tx, request, endpoints, lambda row: view(request, row), ("interface", "service_id", "region_id"))


@api.op("GET", "/endpoints/{endpoint_id}", policy=GET, reply="endpoint", errors=(404,))
def show(tx: Tx, request: Request, endpoint_id: str) -> dict:
    """Show an endpoint."""
    return view(request, find_endpoint(tx, endpoint_id))


@api.op("PATCH", "/endpoints/{endpoint_id}", policy=UPDATE, wrap="endpoint", errors=(404,))
def update(tx: Tx, request: Request, endpoint_id: str, body: dict[str, t.Any]) -> dict:
    """Change an endpoint."""
    row = find_endpoint(tx, endpoint_id)
    something(body, "endpoint")
    same_id(body, endpoint_id)
    fields, extra = taken(body, EndpointUpdate, "endpoint")
    values = given(fields, "region")
    _check(tx, values)
    if "region_id" not in values and fields.region is not UNSET:
        _ensure_region(tx, fields.region)
        values["region_id"] = fields.region
    tx.update(endpoints, row.id, **values, extra=row.extra | extra)
    epoch.bump(tx, epoch.CATALOG)
    return show(tx, request, endpoint_id)


@api.op("DELETE", "/endpoints/{endpoint_id}", policy=DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, endpoint_id: str) -> None:
    """Delete an endpoint."""
    tx.delete(endpoints, id=find_endpoint(tx, endpoint_id).id)
    epoch.bump(tx, epoch.CATALOG)


# -- helpers -------------------------------------------------------------------------------------------------------

_FORM = re.compile(r"[$%]\((\w+)\)s")
_KNOWN = {"tenant_id": "project_id", "project_id": "project_id", "user_id": "user_id"}


def url_for(url: str, project_id: str | None, user_id: str | None) -> str | None:
    """An endpoint's URL for a caller; None where it needs a project and there is none."""
    values = {"project_id": project_id, "user_id": user_id}
    if any(values[_KNOWN[name]] is None for name in _FORM.findall(url)):
        return None
    return _FORM.sub(lambda match: str(values[_KNOWN[match[1]]]), url)


def find_endpoint(tx: Tx, id: str) -> Row:
    return find(tx, endpoints, id, "endpoint")


def view(request: Request, row: Row) -> dict:
    return shown(request, "endpoints", row, "service_id", "region_id", "interface", "url", "enabled", region=row.region_id)


def _check(tx: Tx, values: dict) -> None:
    if "url" in values and (any(name not in _KNOWN for name in _FORM.findall(values["url"])) or _broken(values["url"])):
        raise BadRequest(f"Cannot create an endpoint with an invalid URL: {values['url']}.")
    if "service_id" in values and tx.get(services, id=values["service_id"]) is None:
        raise expecting("endpoint service_id", "service table")
    if values.get("region_id") and tx.get(regions, id=values["region_id"]) is None:
        raise expecting("endpoint region_id", "region table")


def _broken(url: str) -> bool:
    """Whether a substitution is begun and not ended."""
    return re.search(r"[$%]\(", _FORM.sub("", url)) is not None


def _ensure_region(tx: Tx, id: str | None) -> None:
    if id is not None and tx.get(regions, id=id) is None:
        add(tx, id, RegionCreate(), {})
