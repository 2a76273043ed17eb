"""Signatures: put into what is said here, and verified in what others say.

Of a signed document only what the signature covers is ever read, as the verifier hands it back; where in the document it was
makes no difference then. SHA-1 is taken from those alone who are said to have nothing better.
"""

from __future__ import annotations

import typing as t

from cryptography import x509
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from .documents import Element, SamlError, children, etree, make
from .keys import SigningKey

METHODS = frozenset(one for one in SignatureMethod if one.name.startswith(("RSA_", "ECDSA_", "SHA")) and not one.name.endswith("SHA1"))
DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
XMLVerifier.schemas()  # reads a file, which this process may not be able to later


def placeholder() -> Element:
    """Where in a node its signature is to be."""
    return make("ds:Signature", Id="placeholder")


def sign(node: Element, key: SigningKey) -> Element:
    """A node with its signature, in the place where it has a `placeholder`."""
    signer = XMLSigner(c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0)
    return signer.sign(node, key=key.private, cert=[key.certificate], reference_uri=f"#{node.get('ID')}", id_attribute="ID")


def verified(node: Element, certificates: t.Sequence[x509.Certificate], *, sha1: bool = False) -> Element:
    """What of a node its own signature covers, which is all of it, as a document of its own. Raises SamlError."""
    if len(children(node, "ds:Signature")) != 1:
        raise SamlError("it has no signature of its own, or several")
    reasons = []
    for certificate in certificates:
        try:
            return _verified(node, certificate, sha1)
        except Exception as error:  # whatever the verifier stumbles over, it has verified nothing
            reasons.append(str(error) or type(error).__name__)
    raise SamlError(f"its signature is not good: {'; '.join(dict.fromkeys(reasons)) or 'no certificate is known'}")


def _verified(node: Element, certificate: x509.Certificate, sha1: bool) -> Element:
    methods = METHODS | {SignatureMethod.RSA_SHA1} if sha1 else METHODS
    digests = DIGESTS | {DigestAlgorithm.SHA1} if sha1 else DIGESTS
    expected = SignatureConfiguration(location="./", signature_methods=methods, digest_algorithms=digests)
    raw = etree.tostring(node, with_tail=False)
    result = XMLVerifier().verify(raw, x509_cert=certificate, expect_config=expected, id_attribute="ID")
    found: t.Any = result.signed_xml if isinstance(result, VerifyResult) else None
    if found is None or found.tag != node.tag or found.get("ID") != node.get("ID"):
        raise SamlError("its signature is of something else")
    return found
