"""Metadata: by what name, key and addresses a party to SAML is known to the others."""

from __future__ import annotations

import base64
import typing as t

from cryptography import x509

from .documents import BINDING, NAMESPACES, Element, SamlError, children, etree, expect, make, only, parsed, text
from .keys import SigningKey

TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
PROTOCOL = NAMESPACES["samlp"]


class Issuer(t.NamedTuple):
    """An identity provider as its metadata tells it. `sign_on`: where browsers are sent, if they may be. `wants_signed`: whether
    it takes signed requests alone."""

    entity: str
    certificates: list[x509.Certificate]
    sign_on: str | None
    wants_signed: bool


class Consumer(t.NamedTuple):
    """This cloud as a service provider: its name, and the URLs that take responses, of browsers and of other clients."""

    entity: str
    post: str
    ecp: str


def idp_metadata(entity: str, sign_on: str, key: SigningKey) -> Element:
    """This cloud as an identity provider for others."""
    described = make(
        "md:IDPSSODescriptor", _key(key), make("md:NameIDFormat", TRANSIENT),
        make("md:SingleSignOnService", Binding=f"{BINDING}URI", Location=sign_on),
        protocolSupportEnumeration=PROTOCOL,
    )  # fmt: skip
    return make("md:EntityDescriptor", described, entityID=entity)


def sp_metadata(consumer: Consumer, key: SigningKey) -> Element:
    """This cloud as a service provider, for identity providers."""
    ends = (("HTTP-POST", consumer.post), ("PAOS", consumer.ecp))
    services = (
        make("md:AssertionConsumerService", Binding=BINDING + binding, Location=url, index=str(index))
        for index, (binding, url) in enumerate(ends)
    )
    described = make(
        "md:SPSSODescriptor", _key(key), *services,
        WantAssertionsSigned="true", protocolSupportEnumeration=PROTOCOL,
    )  # fmt: skip
    return make("md:EntityDescriptor", described, entityID=consumer.entity)


def read_issuer(raw: bytes) -> Issuer:
    """The one identity provider that metadata tells of. Raises SamlError."""
    root = parsed(raw)
    one = root if etree.QName(root).localname == "EntityDescriptor" else only(root, ".//md:EntityDescriptor[md:IDPSSODescriptor]")
    described = only(expect(one, "md:EntityDescriptor"), "md:IDPSSODescriptor")
    entity = one.get("entityID")
    certificates = [
        _certificate(node) for key in _signing(described) for node in children(key, "ds:KeyInfo/ds:X509Data/ds:X509Certificate")
    ]
    if not entity or not certificates:
        raise SamlError("it has no entityID, or no certificate for signatures")
    signed = described.get("WantAuthnRequestsSigned") in ("true", "1")
    redirects = children(described, f"md:SingleSignOnService[@Binding='{BINDING}HTTP-Redirect']")
    return Issuer(entity, certificates, redirects[0].get("Location") if redirects else None, signed)


def _signing(described: Element) -> list[Element]:
    return [key for key in children(described, "md:KeyDescriptor") if key.get("use", "signing") == "signing"]


def _certificate(node: Element) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text(node)))
    except ValueError as error:
        raise SamlError(f"it has a certificate that is none: {error}") from None


def _key(key: SigningKey) -> Element:
    data = make("ds:X509Data", make("ds:X509Certificate", key.encoded))
    return make("md:KeyDescriptor", make("ds:KeyInfo", data), use="signing")
