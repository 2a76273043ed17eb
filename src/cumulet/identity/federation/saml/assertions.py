"""This cloud as an identity provider: assertions about its users for the service providers that take its word."""

from __future__ import annotations

import asyncio
import json
import typing as t
from urllib.parse import quote

import msgspec
import sqlalchemy as sa
from starlette.responses import Response

from ....kernel import clock, ids
from ....kernel.db import Row, Tx
from ....kernel.errors import BadRequest, Forbidden
from ....kernel.http import Body, Request
from ... import api, assignments, tree
from ...drivers import saml
from ...groups import groups
from ...state import state
from ...tokens.operations import readable
from ...tokens.resolve import Resolved
from ..service_providers import find_provider

# -- wire ----------------------------------------------------------------------------------------------------------


class Reference(Body):
    id: t.Annotated[str, msgspec.Meta(max_length=8192)]


class ByToken(Body):
    token: Reference
    methods: list[t.Any] = []


class To(Body):
    service_provider: Reference


class AssertionWanted(Body):
    identity: ByToken
    scope: To


# -- operations ----------------------------------------------------------------------------------------------------

ISSUE = "/auth/OS-FEDERATION/saml2"
ERRORS = (403, 404)
URL = "%:/?#[]@!$&'()*+,;=~"
"""The characters that stay as they are in a URL in a header."""


@api.op("POST", ISSUE, policy=None, wrap="auth", write=False, errors=ERRORS)
async def create_assertion(request: Request, body: AssertionWanted) -> Response:
    """Say to a service provider whom a token for a project stands for."""
    return await _asserted(request, body, lambda _, response: response)


@api.op("POST", ISSUE + "/ecp", policy=None, wrap="auth", write=False, errors=ERRORS)
async def create_ecp_assertion(request: Request, body: AssertionWanted) -> Response:
    """Say the same in the envelope in which a client hands it on."""
    in_envelope = lambda provider, response: saml.ecp_envelope(response, provider.relay_state_prefix + ids.new_hex())
    return await _asserted(request, body, in_envelope)


@api.op("GET", "/OS-FEDERATION/saml2/metadata", policy=None)
async def show_metadata(request: Request) -> Response:
    """Show by what name and key service providers know this cloud."""
    own, keys = entity_id(request), state(request.runtime)
    document = await asyncio.to_thread(lambda: saml.written(saml.idp_metadata(own, own.removesuffix("idp") + "sso", keys.saml_key)))
    return Response(document, headers={"Content-Type": "text/xml"})


# -- helpers -------------------------------------------------------------------------------------------------------


def entity_id(request: Request) -> str:
    """The name by which others know this cloud. It is its configured URL, whatever name a client calls it by."""
    return f"{request.runtime.config.url}{request.api.prefix}{request.api.base}/OS-FEDERATION/saml2/idp"


async def _asserted(request: Request, body: AssertionWanted, form: t.Callable[[Row, t.Any], t.Any]) -> Response:
    """The answer to who asks for an assertion. form: makes of it what is handed out."""
    provider, said = await request.runtime.db.read(lambda tx: _stated(tx, request, body))
    made = lambda: saml.written(
        form(provider, saml.assertion_response(saml.Statement(*said), state(request.runtime).saml_key, clock.now()))
    )
    try:
        document = await asyncio.to_thread(made)
    except saml.SamlError as error:
        raise BadRequest(f"No assertion can be made for this token: {error}.") from None
    headers = {"Content-Type": "text/xml", "X-sp-url": quote(provider.sp_url, safe=URL), "X-auth-url": quote(provider.auth_url, safe=URL)}
    return Response(document, headers=headers)


def _stated(tx: Tx, request: Request, wanted: AssertionWanted) -> tuple[Row, tuple]:
    """The service provider, and what is to be told it. Raises NotFound, Forbidden."""
    provider = find_provider(tx, wanted.scope.service_provider.id)
    if not provider.enabled:
        raise Forbidden(f"Service Provider {provider.id} is disabled")
    subject = readable(tx, request, wanted.identity.token.id)
    project, domain = subject.project, subject.domain
    if project is None or domain is None:
        rule = "Use a project scoped token when attempting to create a SAML assertion"
        raise Forbidden(request.api.forbidden.format(rule=rule))
    attributes = {
        "openstack_user": [subject.user.name],
        "openstack_roles": [role.name for role in subject.roles],
        "openstack_project": [project.name],
        "openstack_project_domain": [domain.name],
        "openstack_user_domain": [subject.user_domain.name],
    }
    if told := _groups(tx, subject):
        attributes["openstack_groups"] = told
    return provider, (entity_id(request), provider.sp_url, subject.user.name, attributes)


def _groups(tx: Tx, subject: Resolved) -> list[str]:
    """The groups of a token's user, each in the form in which a mapping takes a group with its domain."""
    vouched = subject.claims.federated.group_ids if subject.claims.federated else []
    named = sa.select(groups.c.name, tree.projects.c.name.label("domain")).join(tree.projects, tree.projects.c.id == groups.c.domain_id)
    inside = groups.c.id.in_(assignments.OF_CALLER)
    rows = tx.all(named.where(inside).order_by(groups.c.name, groups.c.id), assignments.caller(subject.user.id, vouched))
    return [f"JSON:{json.dumps({'name': row.name, 'domain': {'name': row.domain}})}" for row in rows]
