"""Associations of policies with endpoints, with services, and with services in regions; and which policy an endpoint
has by them. Nothing in Cumulet decides by them."""

from __future__ import annotations

import hashlib
import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx, table
from ..kernel.errors import NotFound
from ..kernel.http import Page, Request
from . import ADMIN, ADMIN_OR_SYSTEM_READER, api, endpoints, policies
from .regions import find_region, regions
from .services import find_service

# -- table ---------------------------------------------------------------------------------------------------------

policy_associations = table(
    "identity_policy_associations",
    sa.Column("policy_id", sa.String(64), sa.ForeignKey("identity_policies.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("endpoint_id", sa.String(64), sa.ForeignKey("identity_endpoints.id", ondelete="CASCADE")),
    sa.Column("service_id", sa.String(64), sa.ForeignKey("identity_services.id", ondelete="CASCADE")),
    sa.Column("region_id", sa.String(255), sa.ForeignKey("identity_regions.id", ondelete="CASCADE")),
)
"""The row's id is made of all the rest but the policy, so that nothing has two policies."""


class Target(t.NamedTuple):
    """What has a policy: an endpoint, or a service, everywhere or in a region and those below it."""

    endpoint_id: str | None = None
    service_id: str | None = None
    region_id: str | None = None

    @property
    def id(self) -> str:
        return hashlib.sha256("\n".join(str(part) for part in self).encode()).hexdigest()


# -- policy --------------------------------------------------------------------------------------------------------


def _rules(target: str, noun: str) -> tuple[str, str, str]:
    """Of one kind of target, the rules to create, check and delete an association."""
    return (
        api.rule(f"identity:create_policy_association_for_{target}", ADMIN, f"Associate a policy with {noun}."),
        api.rule(f"identity:check_policy_association_for_{target}", ADMIN_OR_SYSTEM_READER, f"Check a policy's association with {noun}."),
        api.rule(f"identity:delete_policy_association_for_{target}", ADMIN, f"End a policy's association with {noun}."),
    )


ENDPOINT_CREATE, ENDPOINT_CHECK, ENDPOINT_DELETE = _rules("endpoint", "an endpoint")
SERVICE_CREATE, SERVICE_CHECK, SERVICE_DELETE = _rules("service", "a service")
REGION_CREATE, REGION_CHECK, REGION_DELETE = _rules("region_and_service", "a service in a region")
GET = api.rule("identity:get_policy_for_endpoint", ADMIN_OR_SYSTEM_READER, "Show the policy that an endpoint has.")
LIST = api.rule("identity:list_endpoints_for_policy", ADMIN_OR_SYSTEM_READER, "List the endpoints that a policy is associated with.")

# -- operations ----------------------------------------------------------------------------------------------------

ENDPOINTS = "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints"
ENDPOINT = ENDPOINTS + "/{endpoint_id}"
SERVICE = "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}"
REGION = SERVICE + "/regions/{region_id}"


@api.op("PUT", ENDPOINT, policy=ENDPOINT_CREATE, status=204, errors=(404,))
@api.op("PUT", SERVICE, policy=SERVICE_CREATE, status=204, errors=(404,))
@api.op("PUT", REGION, policy=REGION_CREATE, status=204, errors=(404,))
def create(tx: Tx, request: Request, policy_id: str, **path: str) -> None:
    """Associate a policy, in place of any other that is associated with the same."""
    target = _checked(tx, policy_id, path)
    if not tx.update(policy_associations, target.id, policy_id=policy_id):
        tx.insert(policy_associations, id=target.id, policy_id=policy_id, **target._asdict())


@api.op("GET", ENDPOINT, policy=ENDPOINT_CHECK, status=204, errors=(404,))
@api.op("GET", SERVICE, policy=SERVICE_CHECK, status=204, errors=(404,))
@api.op("GET", REGION, policy=REGION_CHECK, status=204, errors=(404,))
def check(tx: Tx, request: Request, policy_id: str, **path: str) -> None:
    """Check whether a policy is associated with this."""
    target = _checked(tx, policy_id, path)
    if tx.get(policy_associations, id=target.id, policy_id=policy_id) is None:
        raise NotFound("Could not find policy association.")


@api.op("DELETE", ENDPOINT, policy=ENDPOINT_DELETE, status=204, errors=(404,))
@api.op("DELETE", SERVICE, policy=SERVICE_DELETE, status=204, errors=(404,))
@api.op("DELETE", REGION, policy=REGION_DELETE, status=204, errors=(404,))
def delete(tx: Tx, request: Request, policy_id: str, **path: str) -> None:
    """End an association, where there is one."""
    target = _checked(tx, policy_id, path)
    tx.delete(policy_associations, id=target.id, policy_id=policy_id)


@api.op("GET", ENDPOINTS, policy=LIST, reply="endpoints", errors=(404,))
def index(tx: Tx, request: Request, policy_id: str) -> Page:
    """List the endpoints that a policy is associated with, by themselves, by their service or by it and their region."""
    policies.find_policy(tx, policy_id)
    table = endpoints.endpoints
    within = [_within(tx, row) for row in tx.rows(policy_associations, policy_id=policy_id)]
    rows = tx.all(sa.select(table).where(sa.or_(sa.false(), *within)).order_by(table.c.id))
    return Page([_without_region(endpoints.view(request, row)) for row in rows])


@api.op("GET", "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", policy=GET, reply="policy", errors=(404,))
def show(tx: Tx, request: Request, endpoint_id: str) -> dict:
    """Show the policy that an endpoint has.

    It is the endpoint's own, else its service's in its region or the nearest above, else its service's."""
    for target in _targets(tx, endpoints.find_endpoint(tx, endpoint_id)):
        if (found := tx.get(policy_associations, id=target.id)) is not None:
            return policies.view(request, policies.find_policy(tx, found.policy_id))
    raise NotFound(f"No policy is associated with endpoint {endpoint_id}.")


@api.op("GET", "/policies/{policy_id}/OS-ENDPOINT-POLICY/policy", policy=GET, reply="policy", errors=(404,))
def show_associated(tx: Tx, request: Request, policy_id: str) -> dict:
    """Show a policy that is associated with something: an endpoint, a service, or a service in a region.

    The API reference has this path, and HEAD on it to check an association, without saying with which endpoint; the real
    service has no route for it. With nothing to tell an endpoint by, it is read as asking whether there is any."""
    found = policies.find_policy(tx, policy_id)
    if not tx.rows(policy_associations, policy_id=policy_id):
        raise NotFound("Could not find policy association.")
    return policies.view(request, found)


# -- helpers -------------------------------------------------------------------------------------------------------


def _checked(tx: Tx, policy_id: str, path: dict[str, str]) -> Target:
    """What a path names. Raises NotFound for what is not there."""
    policies.find_policy(tx, policy_id)
    target = Target(**path)
    if target.endpoint_id is not None:
        endpoints.find_endpoint(tx, target.endpoint_id)
    if target.service_id is not None:
        find_service(tx, target.service_id)
    if target.region_id is not None:
        find_region(tx, target.region_id)
    return target


def _targets(tx: Tx, endpoint: Row) -> t.Iterator[Target]:
    """What an endpoint may have its policy by, the nearest first."""
    yield Target(endpoint_id=endpoint.id)
    region = endpoint.region_id
    while region is not None:
        yield Target(service_id=endpoint.service_id, region_id=region)
        region = find_region(tx, region).parent_region_id
    yield Target(service_id=endpoint.service_id)


def _within(tx: Tx, association: Row) -> sa.ColumnElement[bool]:
    """Which endpoints an association reaches."""
    columns = endpoints.endpoints.c
    if association.endpoint_id is not None:
        return columns.id == association.endpoint_id
    if association.region_id is None:
        return columns.service_id == association.service_id
    return sa.and_(columns.service_id == association.service_id, columns.region_id.in_(_and_below(tx, association.region_id)))


def _and_below(tx: Tx, region_id: str) -> list[str]:
    """A region and all below it."""
    found = [region_id]
    for one in found:
        found += (row.id for row in tx.rows(regions, parent_region_id=one))
    return found


def _without_region(endpoint: dict) -> dict:
    """An endpoint as this list alone shows it: without the old name of its region."""
    return {name: value for name, value in endpoint.items() if name != "region"}
