"""SAML 2.0: documents made, signed, read and checked. Nothing here knows a resource, or the database.

The libraries for XML and its signatures are loaded when the first document is made or read: most clouds never do.
"""

from ....kernel.exports import lazily

__getattr__ = lazily(
    __name__,
    assertions="Statement assertion_response",
    documents="SamlError parsed written",
    envelopes="ecp_envelope opened",
    keys="signing_key",
    metadata="Consumer Issuer idp_metadata read_issuer sp_metadata",
    requests="Asked paos_request redirect_url",
    responses="Said Wanted issuer_named read_response",
)
