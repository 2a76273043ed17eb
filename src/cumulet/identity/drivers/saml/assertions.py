"""What this cloud says of its users to other clouds: a response with one signed assertion, as Keystone words it."""

from __future__ import annotations

import datetime as dt
import typing as t

from .documents import BEARER, SUCCESS, Element, instant, make, new_id
from .keys import SigningKey
from .signatures import placeholder, sign

LASTS = dt.timedelta(hours=1)
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"


class Statement(t.NamedTuple):
    """Who says it, to whom (the URL that takes it), and what: the values of each attribute."""

    issuer: str
    recipient: str
    user: str
    attributes: dict[str, list[str]]


def assertion_response(said: Statement, key: SigningKey, now: dt.datetime) -> Element:
    """A successful response to nobody's request, with a signed assertion."""
    return make(
        "samlp:Response", _issuer(said), make("samlp:Status", make("samlp:StatusCode", Value=SUCCESS)),
        sign(_assertion(said, now), key),
        Destination=said.recipient, ID=new_id(), IssueInstant=instant(now), Version="2.0",
    )  # fmt: skip


def _assertion(said: Statement, now: dt.datetime) -> Element:
    return make(
        "saml:Assertion", _issuer(said), placeholder(), _subject(said, now), _login(said, now),
        make("saml:AttributeStatement", *(_attribute(name, values) for name, values in said.attributes.items())),
        ID=new_id(), IssueInstant=instant(now), Version="2.0",
    )  # fmt: skip


def _issuer(said: Statement) -> Element:
    return make("saml:Issuer", said.issuer, Format=ENTITY)


def _subject(said: Statement, now: dt.datetime) -> Element:
    bound = make("saml:SubjectConfirmationData", NotOnOrAfter=instant(now + LASTS), Recipient=said.recipient)
    return make("saml:Subject", make("saml:NameID", said.user), make("saml:SubjectConfirmation", bound, Method=BEARER))


def _login(said: Statement, now: dt.datetime) -> Element:
    context = make("saml:AuthnContext", make("saml:AuthnContextClassRef", PASSWORD), make("saml:AuthenticatingAuthority", said.issuer))
    return make(
        "saml:AuthnStatement", context,
        AuthnInstant=instant(now), SessionIndex=new_id(), SessionNotOnOrAfter=instant(now + LASTS),
    )  # fmt: skip


def _attribute(name: str, values: list[str]) -> Element:
    return make("saml:Attribute", *(make("saml:AttributeValue", value) for value in values), Name=name)
