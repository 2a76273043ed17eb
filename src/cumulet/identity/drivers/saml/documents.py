"""XML as SAML uses it: its namespaces, elements made and read.

What others send is parsed without a document type: there are no entities to expand or to fetch. It is read as text
without markup, so that a comment inside a value does not cut it short.
"""

from __future__ import annotations

import datetime as dt
import importlib
import typing as t
import uuid

from ....kernel import clock

etree: t.Any = importlib.import_module("lxml.etree")
"""It is compiled, and comes without types."""
Element: t.TypeAlias = t.Any

NAMESPACES = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ecp": "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp",
    "paos": "urn:liberty:paos:2003-08",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
}
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"


class SamlError(ValueError):
    """A document that is not taken; the text says why."""


def make(name: str, *inside: str | Element, **attributes: str) -> Element:
    """An element, `prefix:Name`, with text and elements inside. Attributes have no namespace unless their name has a prefix.
    Raises SamlError for a text with characters that XML has not."""
    try:
        node = etree.Element(_tag(name), {_tag(key): value for key, value in attributes.items()}, nsmap={_prefix(name): _space(name)})
        for one in inside:
            if isinstance(one, str):
                node.text = one
            else:
                node.append(one)
    except ValueError:
        texts = (one for one in (*inside, *attributes.values()) if isinstance(one, str))
        raise SamlError(f"XML cannot hold every character of {', '.join(map(repr, texts))}") from None
    return node


def written(node: Element) -> bytes:
    """A document in ASCII, with references for all other characters: nobody on its way can take its encoding for another."""
    return etree.tostring(node)


def parsed(raw: bytes) -> Element:
    """A document's root. Raises SamlError for what is no XML, and for any with a document type."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError as error:
        raise SamlError(f"it is not XML: {error}") from None
    if root.getroottree().docinfo.doctype or any(True for _ in root.iter(etree.Entity)):
        raise SamlError("it has a document type or entities")
    return root


def expect(node: Element, name: str) -> Element:
    """The node, which is a `prefix:Name`. Raises SamlError for another."""
    if node.tag != _tag(name):
        raise SamlError(f"it is no {name}")
    return node


def children(node: Element, path: str) -> list[Element]:
    """The elements at a path of `prefix:Name/...` below a node."""
    return node.findall(path, NAMESPACES)


def only(node: Element, path: str) -> Element:
    """The one element at a path. Raises SamlError where there is none, or are several."""
    found = children(node, path)
    if len(found) != 1:
        raise SamlError(f"it has {len(found) or 'no'} {path} where one is expected")
    return found[0]


def text(node: Element) -> str:
    return "".join(node.itertext()).strip()


def new_id() -> str:
    """An id that no other document has; it begins as XML's ids have to."""
    return f"_{uuid.uuid4().hex}"


def instant(moment: dt.datetime) -> str:
    """A moment as SAML writes it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(told: str | None) -> dt.datetime | None:
    """A moment as SAML writes it, naive UTC; None stays None. Raises SamlError."""
    try:
        return None if told is None else clock.parse(told)
    except (ValueError, OverflowError):
        raise SamlError(f"{told!r} is no moment") from None


def _prefix(name: str) -> str:
    return name.partition(":")[0]


def _space(name: str) -> str:
    return NAMESPACES[_prefix(name)]


def _tag(name: str) -> str:
    return f"{{{_space(name)}}}{name.partition(':')[2]}" if ":" in name else name
