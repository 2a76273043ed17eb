"""SOAP envelopes of the profile for clients that are no browsers (Enhanced Client or Proxy, ECP)."""

from __future__ import annotations

from .documents import Element, children, expect, make, only, text

NEXT = "http://schemas.xmlsoap.org/soap/actor/next"


def ecp_envelope(response: Element, relay_state: str) -> Element:
    """A response as a client hands it to a service provider."""
    state = make("ecp:RelayState", relay_state, **{"soap:actor": NEXT, "soap:mustUnderstand": "1"})
    return make("soap:Envelope", make("soap:Header", state), make("soap:Body", response))


def opened(envelope: Element) -> tuple[Element, str | None]:
    """The response in an envelope, and its relay state. Raises SamlError."""
    response = only(expect(envelope, "soap:Envelope"), "soap:Body/samlp:Response")
    states = children(envelope, "soap:Header/ecp:RelayState")
    return response, text(states[0]) if states else None
