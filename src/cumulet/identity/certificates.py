"""The certificate of a client, as the proxy that ends TLS in front of this service hands it on, and what is bound to it.

The header is `Client-Cert` of RFC 9440 (`:` base 64 of the DER `:`). Proxies that cannot write it send the PEM instead, quoted
as in a URL (nginx: `$ssl_client_escaped_cert`) or with spaces for its line breaks (Apache: `%{SSL_CLIENT_CERT}s`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from urllib.parse import unquote

from cryptography import x509

from ..kernel.http import Request

HEADER = "client-cert"
_MARKS = re.compile(r"-----(?:BEGIN|END) CERTIFICATE-----|\s|^:|:$")


class NoCertificate(Exception):
    """What a proxy handed on is no certificate, or one that says what cannot be gone by."""


def of_request(request: Request) -> bytes | None:
    """The DER of the caller's certificate; None where they have none that a trusted proxy vouches for. Raises NoCertificate."""
    text = request.told_by_proxy(HEADER)
    if text is None:
        return None
    try:
        return base64.b64decode(_MARKS.sub("", unquote(text)), validate=True)
    except (binascii.Error, ValueError):
        raise NoCertificate from None


def thumbprint(der: bytes) -> str:
    """What a token says of the certificate that it is bound to: SHA-256 of its PEM, in base 64.

    RFC 8705 has that of the DER; this is what the real service writes there, and what services compare."""
    return base64.urlsafe_b64encode(hashlib.sha256(ssl.DER_cert_to_PEM_cert(der).encode()).digest()).decode()


def assertion(der: bytes) -> dict[str, str]:
    """Subject and issuer for a mapping's rules: `SSL_CLIENT_SUBJECT_DN_CN`, `SSL_CLIENT_ISSUER_DN_O` and so on, of several
    of one name the last. Raises NoCertificate, also where there is a semicolon, by which rules would tell several values
    apart."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        said = {
            f"SSL_CLIENT_{part}_DN_{_named(attribute)}": str(attribute.value)
            for part, name in (("SUBJECT", certificate.subject), ("ISSUER", certificate.issuer))
            for attribute in name
        }
    except ValueError:
        raise NoCertificate from None
    if any(";" in value for value in said.values()):
        raise NoCertificate
    return said


def _named(attribute: x509.NameAttribute) -> str:
    return "EMAILADDRESS" if attribute.oid == x509.NameOID.EMAIL_ADDRESS else attribute.rfc4514_attribute_name.upper()
