"""Certificates for the tests: an authority, and whom it vouches for."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NAMES = {"CN": x509.NameOID.COMMON_NAME, "O": x509.NameOID.ORGANIZATION_NAME, "UID": x509.NameOID.USER_ID,
         "emailAddress": x509.NameOID.EMAIL_ADDRESS, "DC": x509.NameOID.DOMAIN_COMPONENT}  # fmt: skip
LOOPBACK = ipaddress.ip_address("127.0.0.1")


class Certificate(t.NamedTuple):
    der: bytes
    pem: str
    key: str

    @property
    def header(self) -> dict[str, str]:
        """As RFC 9440 has it."""
        return {"Client-Cert": f":{base64.b64encode(self.der).decode()}:"}


class Authority:
    def __init__(self, **subject: str):
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), _name(subject or {"CN": "The authority", "O": "Test"})
        self.own = self._certificate(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))

    def issue(self, **subject: str) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        return self._certificate(_name(subject), key, x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]))

    def _certificate(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> Certificate:
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1)).add_extension(extension, critical=False).sign(self._key, hashes.SHA256())
        )  # fmt: skip
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Certificate(made.public_bytes(Encoding.DER), made.public_bytes(Encoding.PEM).decode(), private)


def _name(subject: dict[str, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(NAMES[name], value) for name, value in subject.items()])
