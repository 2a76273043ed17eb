"""From what an identity provider says of somebody to a token. Whoever checked that the provider said so (OpenID Connect, SAML)
hands over the assertion: names and values, as a web server's module for the protocol has them in its variables."""

from __future__ import annotations

import os
import typing as t

from ...kernel import clock
from ...kernel.db import Row, Tx
from ...kernel.errors import Forbidden, Unauthorized
from ...kernel.http import Request
from .. import audit, times
from ..fernet import METHODS, VOUCHED, Claims, Federated, audit_id
from ..groups import groups
from ..tokens import receipts
from ..tokens.body import NamedDomain, NamedUser
from ..tokens.methods import enough, named_domain, named_in_domain
from ..tokens.operations import issue
from ..tokens.resolve import denied, enabled_user
from ..tokens.scope import UNSCOPED, default
from ..users import users
from . import shadows
from .identity_providers import enabled_provider
from .mappings import find_mapping
from .protocols import find_protocol
from .rules import Assertion, Json, Mapped, RuleError, evaluate
from .tables import remote_ids


def protocol_of(tx: Tx, provider_id: str, protocol_id: str) -> tuple[Row, Row]:
    """An identity provider and its protocol. Raises NotFound, or Forbidden for a provider that is disabled."""
    return enabled_provider(tx, provider_id), find_protocol(tx, provider_id, protocol_id)


def log_in(tx: Tx, request: Request, provider_id: str, protocol_id: str, said: Assertion, speaks_as: str | None) -> t.Any:
    """The answer with a token for whom the mapping of a provider's protocol makes of an assertion: a Reply, or a receipt's
    Response where an administrator asks more of the user.

    speaks_as: the name in the assertion whose value is the remote id that the provider speaks as, where its protocol does not
    say another. Raises Unauthorized for an assertion that the rules make nobody of, Forbidden for another provider's, NotFound
    for a provider, protocol, mapping, domain or role that there is not.
    """
    provider, protocol = protocol_of(tx, provider_id, protocol_id)
    _check_storable(said)
    _check_remote_id(tx, provider, protocol.remote_id_attribute or speaks_as, said)
    mapping = find_mapping(tx, protocol.mapping_id)
    try:
        mapped = evaluate(mapping.rules, said, mapping.schema_version)
    except RuleError as error:
        raise Unauthorized(str(error)) from None
    group_ids = _group_ids(tx, mapped)
    if mapped.user["type"] == "local":
        user, federated = _local(tx, mapped.user), None
    else:
        user = shadows.shadow(tx, provider, protocol_id, mapped, group_ids, _text(said.get("REMOTE_USER")))
        shadows.provision(tx, provider, user, mapped.projects, exactly=float(mapping.schema_version) >= 3)
        federated = Federated(provider_id, protocol_id, group_ids)
    return _token(tx, request, user.id, protocol_id, federated)


# -- helpers -------------------------------------------------------------------------------------------------------


def _text(said: str | list[str] | None) -> str | None:
    """What is said under a name, as one text."""
    return ";".join(said) if isinstance(said, list) else said


def _check_storable(said: Assertion) -> None:
    """Raise Unauthorized for what no database keeps: NUL characters, and halves of characters."""
    for name, values in said.items():
        value = _text(values) or ""
        if "\0" in value or value.encode(errors="replace").decode() != value:
            raise Unauthorized(f"The identity provider's {name} has characters that are none")


def _check_remote_id(tx: Tx, provider: Row, attribute: str | None, said: Assertion) -> None:
    """Raise where a provider that has remote ids speaks as none of them."""
    known = {row.remote_id for row in tx.rows(remote_ids, provider_id=provider.id)}
    if attribute is None or not known:
        return
    if attribute not in said:
        raise Unauthorized(f"Could not find Identity Provider identifier in environment: {attribute}")
    if _text(said[attribute]) not in known:
        raise Forbidden("Incoming identity provider identifier not included among the accepted identifiers.")


def _group_ids(tx: Tx, mapped: Mapped) -> list[str]:
    """The groups that a mapping puts somebody in. One told by name counts where there is one; one told by id has to be there."""
    for id in mapped.group_ids:
        if tx.get(groups, id=id) is None:
            raise Unauthorized(f"Group {id} returned by the mapping was not found in the backend.")
    found = dict.fromkeys(mapped.group_ids)
    for named in mapped.groups:
        domain = _domain(tx, named["domain"])
        row = tx.get(groups, domain_id=domain.id, name=named["name"]) if domain else None
        found |= {row.id: None} if row else {}
    return list(found)


def _domain(tx: Tx, told: Json) -> Row | None:
    return named_domain(tx, NamedDomain(id=told.get("id"), name=told.get("name")))


def _local(tx: Tx, told: Json) -> Row:
    """The user of this cloud that a mapping names."""
    domain = told.get("domain")
    named = NamedUser(told.get("id"), told.get("name"), NamedDomain(domain.get("id"), domain.get("name")) if domain else None)
    row = named_in_domain(tx, users, named, "user")
    if row is None:
        raise denied()
    return row


def _token(tx: Tx, request: Request, user_id: str, protocol_id: str, federated: Federated | None) -> t.Any:
    user, domain = enabled_user(tx, user_id)
    used = [protocol_id if protocol_id in VOUCHED else "mapped"]
    used = [method for method in METHODS if method in {*used, *receipts.methods_before(request, user.id)}]
    if not enough(user, used):
        audit.logged_in(tx, request, user.id, "pending", 401)
        return receipts.answer(request, user, domain, used)
    audit.logged_in(tx, request, user.id)
    now = times.micros(clock.now())
    ends = now + int(request.runtime.config.token_hours * 3600e6)
    where = UNSCOPED if federated else default(tx, user)
    return issue(tx, request, Claims(used, user.id, where, now, ends, [audit_id(os.urandom(16))], federated=federated))
