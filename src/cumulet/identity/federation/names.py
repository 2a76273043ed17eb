"""By what unique ids identity providers know a user: a user's attribute `federated`, and the filters of lists of users by it."""

from __future__ import annotations

import typing as t

import msgspec
import sqlalchemy as sa

from ...kernel.db import Tx
from ...kernel.errors import BadRequest
from ...kernel.http import OpenBody, Request
from .tables import federated_names, identity_providers, protocols

# -- wire ----------------------------------------------------------------------------------------------------------

Named = t.Annotated[str, msgspec.Meta(max_length=64)]
UniqueId = t.Annotated[str, msgspec.Meta(max_length=255)]


class Known(OpenBody):
    protocol_id: Named
    unique_id: UniqueId


class Federated(OpenBody):
    """What one identity provider knows a user by, with each of its protocols."""

    idp_id: Named
    protocols: t.Annotated[list[Known], msgspec.Meta(min_length=1)]


# -- what users have -----------------------------------------------------------------------------------------------


def of_user(tx: Tx, user_id: str) -> list[dict]:
    """A user's names, in the form of the attribute `federated`."""
    found: dict[str, list[dict]] = {}
    for row in tx.rows(federated_names, user_id=user_id, order=federated_names.c.created_at):
        found.setdefault(row.provider_id, []).append({"protocol_id": row.protocol_id, "unique_id": row.unique_id})
    return [{"idp_id": id, "protocols": known} for id, known in found.items()]


def set_all(tx: Tx, user_id: str, wanted: list[Federated]) -> None:
    """Give a user these names and no others. Raises BadRequest for a provider or protocol that there is not."""
    tx.delete(federated_names, user_id=user_id)
    for one in wanted:
        if tx.get(identity_providers, id=one.idp_id) is None:
            raise BadRequest(f"Could not find Identity Provider: {one.idp_id}")
        for known in one.protocols:
            if tx.get(protocols, provider_id=one.idp_id, id=known.protocol_id) is None:
                raise BadRequest(f"Could not find federated protocol {known.protocol_id} for Identity Provider: {one.idp_id}.")
            names = {"provider_id": one.idp_id, "protocol_id": known.protocol_id, "unique_id": known.unique_id}
            tx.insert(federated_names, user_id=user_id, **names)


FILTERS = {"idp_id": "provider_id", "protocol_id": "protocol_id", "unique_id": "unique_id"}


def asked_for(request: Request, user_id: sa.ColumnElement[str]) -> list[sa.ColumnElement[bool]]:
    """What a query of users asks of their names: one of them is to have all of it."""
    where = [federated_names.c[FILTERS[key]] == value for key, value in request.query if key in FILTERS]
    return [user_id.in_(sa.select(federated_names.c.user_id).where(*where))] if where else []
