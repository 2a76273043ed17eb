"""What identity providers answer: read and checked, by the rules of SAML's profiles for browsers and other clients.

Nothing is taken from a response but what a signature of the provider covers; it has to be for this cloud, at this address,
now, and an answer to what was asked, where anything was.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from .documents import BEARER, NAMESPACES, SUCCESS, Element, SamlError, children, expect, moment, only, text
from .metadata import Issuer
from .signatures import verified

SKEW = dt.timedelta(seconds=60)
"""How far apart the clocks of two parties may be."""
CONDITIONS = {f"{{{NAMESPACES['saml']}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}


class Said(t.NamedTuple):
    """What an assertion says. `ends`: from when on it is worth nothing (naive UTC)."""

    id: str
    issuer: str
    name_id: str | None
    attributes: dict[str, list[str]]
    ends: dt.datetime


class Wanted(t.NamedTuple):
    """For whom a response has to be: this cloud's name and the URL that took it; the id of the request that it answers,
    None for one that nobody asked for."""

    entity: str
    url: str
    answers: str | None
    now: dt.datetime


def issuer_named(response: Element) -> str:
    """Who a response claims to be from: nothing but where to look for the key. Raises SamlError."""
    return text(
        only(expect(response, "samlp:Response"), "saml:Issuer" if children(response, "saml:Issuer") else "saml:Assertion/saml:Issuer")
    )


def read_response(response: Element, issuer: Issuer, wanted: Wanted, *, sha1: bool = False) -> Said:
    """What a provider says in a response. Raises SamlError for one that is not to be believed."""
    if response.get("Destination", wanted.url) != wanted.url:
        raise SamlError(f"it is for {response.get('Destination')}, not for {wanted.url}")
    _check_status(only(response, "samlp:Status"))
    assertion = _assertion(response, issuer, sha1)
    if text(only(assertion, "saml:Issuer")) != issuer.entity:
        raise SamlError(f"its issuer is not {issuer.entity}")
    if assertion.get("Version") != "2.0" or not assertion.get("ID"):
        raise SamlError("its assertion is not of version 2.0, or has no ID")
    ends = _subject_ends(only(assertion, "saml:Subject"), wanted)
    _check_conditions(assertion, wanted)
    _check_login(assertion, wanted.now)
    names = children(assertion, "saml:Subject/saml:NameID")
    return Said(assertion.get("ID"), issuer.entity, text(names[0]) if names else None, _attributes(assertion), ends)


def _check_status(status: Element) -> None:
    code = only(status, "samlp:StatusCode")
    if code.get("Value") != SUCCESS:
        told = [text(one) for one in children(status, "samlp:StatusMessage")]
        codes = [one.get("Value", "").rpartition(":")[2] for one in code.iter() if isinstance(one.tag, str)]
        raise SamlError(f"the provider refused: {' '.join([*codes, *told])}"[:400])


def _assertion(response: Element, issuer: Issuer, sha1: bool) -> Element:
    """The one assertion of a response, out of what a signature covers: the response's own, or else the assertion's."""
    if children(response, "saml:EncryptedAssertion"):
        raise SamlError("its assertion is encrypted, which is not taken: TLS keeps it from others")
    assertion = only(response, "saml:Assertion")
    if children(response, "ds:Signature"):
        return only(verified(response, issuer.certificates, sha1=sha1), "saml:Assertion")
    return verified(assertion, issuer.certificates, sha1=sha1)


def _subject_ends(subject: Element, wanted: Wanted) -> dt.datetime:
    """When the subject's confirmation as the bearer of the assertion ends. Raises SamlError where there is none that holds."""
    reasons = []
    for one in children(subject, f"saml:SubjectConfirmation[@Method='{BEARER}']/saml:SubjectConfirmationData"):
        try:
            return _confirmed(one, wanted)
        except SamlError as error:
            reasons.append(str(error))
    raise SamlError("; ".join(reasons) or "its subject is not confirmed as its bearer")


def _confirmed(data: Element, wanted: Wanted) -> dt.datetime:
    ends = moment(data.get("NotOnOrAfter"))
    if ends is None:
        raise SamlError("its confirmation has no end")
    _check_time(moment(data.get("NotBefore")), ends, wanted.now)
    if data.get("Recipient") != wanted.url:
        raise SamlError(f"its recipient is {data.get('Recipient')}, not {wanted.url}")
    if data.get("InResponseTo") != wanted.answers:
        raise SamlError("it answers another request" if wanted.answers else "it answers a request that was not made here")
    return ends + SKEW


def _check_time(begins: dt.datetime | None, ends: dt.datetime | None, now: dt.datetime) -> None:
    if begins is not None and now + SKEW < begins:
        raise SamlError(f"it is not good before {begins} UTC, and here it is {now}")
    if ends is not None and now - SKEW >= ends:
        raise SamlError(f"it ended at {ends} UTC, and here it is {now}")


def _check_conditions(assertion: Element, wanted: Wanted) -> None:
    for conditions in children(assertion, "saml:Conditions"):
        _check_time(moment(conditions.get("NotBefore")), moment(conditions.get("NotOnOrAfter")), wanted.now)
        if unknown := [one.tag for one in conditions if one.tag not in CONDITIONS]:
            raise SamlError(f"it has a condition that is not known: {unknown[0]}")
        for restriction in children(conditions, "saml:AudienceRestriction"):
            audience = [text(one) for one in children(restriction, "saml:Audience")]
            if wanted.entity not in audience:
                raise SamlError(f"its audience is {', '.join(audience) or 'nobody'}, not {wanted.entity}")


def _check_login(assertion: Element, now: dt.datetime) -> None:
    logins = children(assertion, "saml:AuthnStatement")
    if not logins:
        raise SamlError("it does not say that its subject logged in")
    for login in logins:
        _check_time(None, moment(login.get("SessionNotOnOrAfter")), now)


def _attributes(assertion: Element) -> dict[str, list[str]]:
    """The values of each attribute, by its name, and by its friendly name where no other has that for a name."""
    nodes = children(assertion, "saml:AttributeStatement/saml:Attribute")
    found: dict[str, list[str]] = {}
    for key in ("Name", "FriendlyName"):
        named = {node.get(key) for node in nodes if node.get(key) and (key == "Name" or node.get(key) not in found)}
        for name in t.cast("set[str]", named):
            found[name] = [text(value) for node in nodes if node.get(key) == name for value in children(node, "saml:AttributeValue")]
    return found
