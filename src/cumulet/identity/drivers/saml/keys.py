"""The key that this cloud signs its SAML documents with, and the certificate in which others find its public part."""

from __future__ import annotations

import datetime as dt
import functools
import os
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BITS, DAYS = 3072, 3650


class SigningKey(t.NamedTuple):
    private: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def encoded(self) -> str:
        """The certificate as metadata has it: base 64 without its frame."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return "".join(line for line in pem.splitlines() if not line.startswith("-"))


@functools.lru_cache(8)
def signing_key(path: Path) -> SigningKey:
    """The key and certificate in a file, mode 0600, which is made where it is not there. Raises OSError, ValueError."""
    if not path.exists():
        _make(path)
    pem = path.read_bytes()
    private = serialization.load_pem_private_key(pem, None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ValueError(f"{path} has a key that is none of RSA")
    return SigningKey(private, x509.load_pem_x509_certificate(pem))


def _make(path: Path) -> None:
    """Whole or not at all, and once, whoever else makes it at the same time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_new())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _new() -> bytes:
    key = rsa.generate_private_key(65537, BITS)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "Cumulet SAML")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=DAYS))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + dated.sign(key, hashes.SHA256()).public_bytes(pem)
