"""Signed images: data is kept only where it is what somebody signed whose certificate the operator has put there.

Four properties tell of the signature, as upstream's do: `img_signature` (base 64), `img_signature_hash_method`,
`img_signature_key_type`, `img_signature_certificate_uuid`. An image without all of them is not a signed one. Certificates are
files `UUID.pem` in the directory `image-certificates` of the data directory. RSA-PSS is with MGF1 of the same hash, and the
longest salt that there is room for.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import typing as t

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ..kernel import clock, ids
from ..kernel.db import Row
from ..kernel.log import get_logger
from ..kernel.runtime import Runtime
from .formats import UnsafeImage
from .stores.base import Accept

if t.TYPE_CHECKING:
    from .formats import Inspected

log = get_logger("image")
PROPERTIES = ("img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid")
HASHES = {"SHA-224": hashes.SHA224(), "SHA-256": hashes.SHA256(), "SHA-384": hashes.SHA384(), "SHA-512": hashes.SHA512()}
CURVES = ("SECT571K1", "SECT409K1", "SECT571R1", "SECT409R1", "SECP521R1", "SECP384R1")
KEY_TYPES: dict[str, type] = {"RSA-PSS": rsa.RSAPublicKey, "DSA": dsa.DSAPublicKey} | {
    f"ECC_{name}": ec.EllipticCurvePublicKey for name in CURVES if hasattr(ec, name)
}
"""The library has SECT curves no more from its version 47 on, and nor has upstream then."""
Chunks = t.AsyncIterator[bytes]


class SignatureRefused(UnsafeImage):
    """The image's signature is not its data's, or cannot be checked; the text says why."""


class _Unverified(Exception):
    pass


def verified(runtime: Runtime, row: Row, chunks: Chunks, accept: Accept) -> tuple[Chunks, Accept]:
    """An image's data and what looks at it before it is kept, so that a signed one's signature is checked too; another one's stay
    what they are. Raises SignatureRefused, as what looks at it then does."""
    if not row.properties.keys() >= set(PROPERTIES):
        return chunks, accept
    try:
        check, method = _check(runtime, *(row.properties[name] for name in PROPERTIES))
    except _Unverified as error:
        raise _refused(row, f"Signature verification for the image failed: {error}.") from None
    digest = hashlib.new(method.name)

    async def digested() -> Chunks:
        async for chunk in chunks:
            await asyncio.to_thread(digest.update, chunk)
            yield chunk

    def accepted(inspected: Inspected) -> None:
        accept(inspected)
        try:
            check(digest.digest())
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            raise _refused(row, "Signature verification failed") from None

    return digested(), accepted


def _refused(row: Row, why: str) -> SignatureRefused:
    return SignatureRefused(f"Signature verification failed for image {row.id}: {why}")


def _check(runtime: Runtime, text: str, method: str, kind: str, certificate: str) -> tuple[t.Callable[[bytes], None], hashes.HashAlgorithm]:
    """What checks a digest, and the digest's kind. Raises _Unverified."""
    try:
        signature = base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise _Unverified("The signature data was not properly encoded using base64") from None
    if method not in HASHES:
        raise _Unverified(f"Invalid signature hash method: {method}")
    if kind not in KEY_TYPES:
        raise _Unverified(f"Invalid signature key type: {kind}")
    key, algorithm = _certificate(runtime, certificate).public_key(), HASHES[method]
    if not isinstance(key, KEY_TYPES[kind]):
        raise _Unverified(f"Invalid public key type for signature key type: {kind}")
    if not signature:
        raise _Unverified("Error occurred while creating the verifier")
    return _checking(key, signature, algorithm), algorithm


def _checking(key: t.Any, signature: bytes, algorithm: hashes.HashAlgorithm) -> t.Callable[[bytes], None]:
    prehashed = Prehashed(algorithm)
    if isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.MAX_LENGTH)
        return lambda digest: key.verify(signature, digest, pss, prehashed)
    if isinstance(key, dsa.DSAPublicKey):
        return lambda digest: key.verify(signature, digest, prehashed)
    return lambda digest: key.verify(signature, digest, ec.ECDSA(prehashed))


def _certificate(runtime: Runtime, id: str) -> x509.Certificate:
    path = runtime.config.root / "image-certificates" / f"{id}.pem"
    try:
        if not ids.is_uuid(id):
            raise FileNotFoundError
        found = x509.load_pem_x509_certificate(path.read_bytes())
        found.public_key()
    except FileNotFoundError:
        raise _Unverified(f"Certificate not found with ID: {id}") from None
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        log.error("an image's certificate cannot be used", file=str(path), reason=str(error))
        raise _Unverified(f"Unable to retrieve certificate with ID: {id}") from None
    begins, ends = (moment.replace(tzinfo=None) for moment in (found.not_valid_before_utc, found.not_valid_after_utc))
    if not begins <= clock.now() <= ends:
        raise _Unverified("The certificate is outside its valid date range")
    return found
