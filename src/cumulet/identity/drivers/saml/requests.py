"""What this cloud asks identity providers: who somebody is. Requests are signed where the provider wants that."""

from __future__ import annotations

import base64
import datetime as dt
import typing as t
import zlib
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from .documents import BINDING, NAMESPACES, Element, SamlError, instant, make, written
from .envelopes import NEXT
from .keys import SigningKey
from .metadata import Consumer, Issuer
from .signatures import placeholder, sign

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ACTOR = {"soap:actor": NEXT, "soap:mustUnderstand": "1"}


class Asked(t.NamedTuple):
    """A request: its id, who asks, who is asked, and when."""

    id: str
    consumer: Consumer
    issuer: Issuer
    at: dt.datetime


def redirect_url(asked: Asked, key: SigningKey) -> str:
    """Where a browser is sent to be asked who its user is (the binding HTTP-Redirect, whose signature is in the query).
    Raises SamlError for a provider that takes no browsers."""
    target = asked.issuer.sign_on
    if target is None or urlsplit(target).scheme not in ("http", "https"):
        raise SamlError(f"the metadata of {asked.issuer.entity} has no address for browsers (SingleSignOnService, HTTP-Redirect)")
    deflate = zlib.compressobj(wbits=-15)
    packed = deflate.compress(written(_request(asked, "HTTP-POST", asked.consumer.post, Destination=target))) + deflate.flush()
    query = urlencode({"SAMLRequest": base64.b64encode(packed).decode()} | ({"SigAlg": RSA_SHA256} if asked.issuer.wants_signed else {}))
    if asked.issuer.wants_signed:
        signature = key.private.sign(query.encode(), PKCS1v15(), hashes.SHA256())
        query += "&" + urlencode({"Signature": base64.b64encode(signature).decode()})
    return f"{target}{'&' if '?' in target else '?'}{query}"


def paos_request(asked: Asked, relay_state: str, key: SigningKey) -> Element:
    """What a client that is no browser hands on to its identity provider, with how to bring back the answer."""
    own = asked.consumer
    header = make(
        "soap:Header",
        make("paos:Request", responseConsumerURL=own.ecp, service=NAMESPACES["ecp"], **ACTOR),
        make("ecp:Request", make("saml:Issuer", own.entity), IsPassive="0", **ACTOR),
        make("ecp:RelayState", relay_state, **ACTOR),
    )
    request = _request(asked, "PAOS", own.ecp, signed=asked.issuer.wants_signed)
    return make("soap:Envelope", header, make("soap:Body", sign(request, key) if asked.issuer.wants_signed else request))


def _request(asked: Asked, binding: str, answer_to: str, *, signed: bool = False, **more: str) -> Element:
    return make(
        "samlp:AuthnRequest", make("saml:Issuer", asked.consumer.entity), *([placeholder()] if signed else []),
        make("samlp:NameIDPolicy", AllowCreate="true"),
        ID=asked.id, Version="2.0", IssueInstant=instant(asked.at), ProtocolBinding=BINDING + binding,
        AssertionConsumerServiceURL=answer_to, **more,
    )  # fmt: skip
