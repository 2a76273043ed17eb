"""The token as clients see it."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.db import Row, Tx
from ...kernel.http import Reply, Request
from .. import access_rules, times
from ..catalog import catalog_of
from ..federation import service_providers
from ..state import state
from .resolve import Resolved


def rendered(tx: Tx, request: Request, resolved: Resolved) -> dict[str, t.Any]:
    """What clients are shown of a token, but the catalog."""
    claims = resolved.claims
    body: dict[str, t.Any] = {
        "methods": claims.methods,
        "user": {"id": resolved.user.id, "name": resolved.user.name, "domain": _named(resolved.user_domain)} | _of_user(resolved),
        "audit_ids": claims.audit,
        "expires_at": times.iso(times.moment(claims.expires)),
        "issued_at": times.iso(times.moment(claims.issued)),
    }
    body |= _scope(resolved)
    if resolved.trust is not None:
        body["OS-TRUST:trust"] = _trust(resolved.trust)
        body.pop("is_domain", None)
    if resolved.app_credential is not None:
        body["application_credential"] = _app_credential(tx, resolved.app_credential)
    if resolved.access_token is not None:
        body["OS-OAUTH1"] = {"access_token_id": resolved.access_token.id, "consumer_id": resolved.access_token.consumer_id}
    if providers := service_providers.in_token(tx, request):
        body["service_providers"] = providers
    if claims.thumbprint is not None:
        body["oauth2_credential"] = {"x5t#S256": claims.thumbprint}
    return body


def answer(tx: Tx, request: Request, token: str, resolved: Resolved, body: dict[str, t.Any]) -> Reply:
    """A token as the answer to a request: with the catalog, unless the query says not to."""
    if resolved.scope != "u" and not any(key == "nocatalog" for key, _ in request.query):
        project_id = resolved.project.id if resolved.project else None
        body = body | {"catalog": catalog_of(tx, state(request.runtime), project_id, resolved.user.id)}
    headers = {"X-Subject-Token": token, "Vary": "X-Auth-Token"}
    return Reply(msgspec.Raw(msgspec.json.encode({"token": body})), headers=headers)


def _of_user(resolved: Resolved) -> dict:
    """Who vouched for the user, or, of one who logged in here, until when their password is good."""
    federated = resolved.claims.federated
    if federated is None:
        return {"password_expires_at": times.iso(resolved.user.password_expires_at, zone="")}
    groups = [{"id": id} for id in federated.group_ids]
    return {
        "OS-FEDERATION": {"groups": groups, "identity_provider": {"id": federated.provider_id}, "protocol": {"id": federated.protocol_id}}
    }


def _scope(resolved: Resolved) -> dict:
    if resolved.scope == "u":
        return {}
    shown = _whole if resolved.trust is not None else _named
    body: dict[str, t.Any] = {"roles": [shown(role) for role in resolved.roles]}
    if resolved.scope == "s":
        body["system"] = {"all": True}
    elif resolved.scope == "d" and resolved.domain is not None:
        body["domain"] = _named(resolved.domain)
    elif resolved.project is not None and resolved.domain is not None:
        body["project"] = _named(resolved.project) | {"domain": _named(resolved.domain)}
        body["is_domain"] = resolved.project.is_domain
    return body


def _trust(trust: Row) -> dict:
    return {
        "id": trust.id, "impersonation": trust.impersonation, "trustor_user": {"id": trust.trustor_user_id},
        "trustee_user": {"id": trust.trustee_user_id},
    }  # fmt: skip


def _app_credential(tx: Tx, row: Row) -> dict:
    body = {"id": row.id, "name": row.name, "restricted": not row.unrestricted}
    rules = access_rules.of_credentials(tx, [row.id])[row.id]
    return body | ({"access_rules": rules} if rules else {})


def _named(row: Row) -> dict:
    return {"id": row.id, "name": row.name}


def _whole(role: Row) -> dict:
    """A role as a trust's token has it."""
    return {name: getattr(role, name) for name in ("id", "name", "domain_id", "description", "options")}
