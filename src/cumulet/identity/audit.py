"""What identity's operations do, as audit events name it. An operation's rule says it (`identity:create_user`: a user was
created); where upstream's consumers know another name, it is here."""

from __future__ import annotations

import typing as t

from ..kernel import audit
from ..kernel.audit import Noted
from ..kernel.db import Row, Tx
from ..kernel.http import Reply, Request
from ..kernel.http.api import Operation
from .services import services

ACTIONS = {"create": "created", "add": "created", "update": "updated", "delete": "deleted", "remove": "deleted", "revoke": "deleted"}
TYPES = {
    "group": "group", "project": "project", "role": "role", "user": "account/user", "domain": "domain", "region": "region",
    "endpoint": "endpoint", "service": "service", "policy": "policy", "OS-TRUST:trust": "trust", "credential": "credential",
    "application_credential": "credential", "OS-OAUTH1:consumer": "account", "OS-OAUTH1:access_token": "credential",
    "OS-OAUTH1:request_token": "credential",
}  # fmt: skip
"""The CADF type of each resource, below `data/security`; of others it is `unknown`, as upstream."""
RESOURCES = {
    "trust": "OS-TRUST:trust", "consumer": "OS-OAUTH1:consumer", "access_token": "OS-OAUTH1:access_token", "domain_role": "role",
    "grant": "role_assignment", "system_grant_for_user": "role_assignment", "system_grant_for_group": "role_assignment",
    "registered_limits": "registered_limit", "limits": "limit", "project_tags": "project tag", "project_tag": "project tag",
    "tokens_for_user": "token", "endpoint_group_to_project": "endpoint_group_in_project", "endpoint_to_project": "endpoint_in_project",
    "endpoint_group_from_project": "endpoint_group_in_project", "endpoint_from_project": "endpoint_in_project",
}  # fmt: skip
BY_RULE = {
    "identity:add_user_to_group": ("group", "updated"), "identity:remove_user_from_group": ("group", "updated"),
    "identity:ec2_create_credential": ("credential", "created"), "identity:ec2_delete_credential": ("credential", "deleted"),
    "identity:authorize_request_token": ("OS-OAUTH1:request_token", "updated"),
}  # fmt: skip
BY_PATH = {
    "/users/{user_id}/password": ("user", "updated"), "/OS-OAUTH1/request_token": ("OS-OAUTH1:request_token", "created"),
    "/OS-OAUTH1/access_token": ("OS-OAUTH1:access_token", "created"),
}  # fmt: skip
"""Operations that are for anyone and have no rule."""
NOTHING = {
    "/auth/tokens", "/OS-OAUTH2/token", "/ec2tokens", "/s3tokens",
    "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth",
    "/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso", "/auth/OS-FEDERATION/websso/{protocol_id}",
    "/auth/OS-FEDERATION/saml2", "/auth/OS-FEDERATION/saml2/ecp",
}  # fmt: skip
"""Where somebody proves who they are, or has it said to others: what came of it is noted there, by `authenticated` or `logged_in`."""
BETWEEN = {"role_assignment", "implied_role", "endpoint_in_project", "endpoint_group_in_project"}
GRANTS = {"identity:create_grant", "identity:revoke_grant"}
OF_GROUP = {"identity:add_user_to_group": "added", "identity:remove_user_from_group": "removed"}


def note(request: Request, operation: Operation, path: dict[str, str], tx: Tx, result: t.Any) -> None:
    """Record what an operation did, in its own transaction."""
    named = named_by(operation)
    if named is None:
        return
    resource, action = named
    kind = f"data/security/{TYPES[resource]}" if resource in TYPES else "unknown"
    for id in _ids(resource, path, result):
        more = _more(operation, path)
        audit.record(tx, request, Noted(resource, action, kind, id, more), _observer(tx), operation.status_at(request.version))


async def authenticated(request: Request, user_id: str | None, outcome: str, status: int) -> None:
    """Record what came of a request for a token, where events are wanted."""
    if request.runtime.config.audit != "off":
        await request.runtime.db.write(lambda tx: audit.authentication(tx, request, user_id, outcome, _observer(tx), status))


def logged_in(tx: Tx, request: Request, user_id: str, outcome: str = "success", status: int = 201) -> None:
    """Record, where events are wanted, that somebody proved who they are, in the transaction that found it so."""
    if request.runtime.config.audit != "off":
        audit.authentication(tx, request, user_id, outcome, _observer(tx), status)


def named_by(operation: Operation) -> tuple[str, str] | None:
    """Which resource an operation does what to; None where it does nothing that is told."""
    if operation.path in NOTHING:
        return None
    if operation.policy is None:
        return BY_PATH.get(operation.path)
    if operation.policy in BY_RULE:
        return BY_RULE[operation.policy]
    verb, _, noun = operation.policy.removeprefix("identity:").partition("_")
    return (RESOURCES.get(noun, noun), ACTIONS[verb]) if verb in ACTIONS else None


def _ids(resource: str, path: dict[str, str], result: t.Any) -> list[str | None]:
    """The ids of what was made, or of what the path names last. What is between things has none."""
    if resource in BETWEEN:
        return [None]
    if resource == "domain_config":
        return [path["domain_id"]]
    result = result.body if isinstance(result, Reply) else result
    made = result if isinstance(result, list) else [result]
    found = [one.id if isinstance(one, Row) else one.get("id") or one.get("access") for one in made if isinstance(one, Row | dict)]
    return found if any(found) else [list(path.values())[-1] if path else None]


def _more(operation: Operation, path: dict[str, str]) -> dict[str, t.Any]:
    """All that the path names, where that is more than one thing; of an assignment, whether it is inherited; of a group's
    user, whether they came or went."""
    parts: dict[str, t.Any] = {name.removesuffix("_id"): id for name, id in path.items()} if len(path) > 1 else {}
    if operation.policy in GRANTS:
        parts["inherited_to_projects"] = operation.path.startswith("/OS-INHERIT")
    if operation.policy in OF_GROUP:
        parts |= {"resource_info": path["group_id"], "actor_operation": OF_GROUP[operation.policy]}
    return parts


def _observer(tx: Tx) -> str | None:
    """The id of this service in the catalog."""
    return next((row.id for row in tx.rows(services, type="identity", order=services.c.id)), None)
