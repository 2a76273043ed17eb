"""A SAML identity provider for tests, a process of its own: pysaml2's, which shares no code with what it is to log in to.

Usage: python saml_idp.py DIRECTORY

In the directory: `key.pem`, `cert.pem`, `sp.xml` (the service provider's metadata), and `people.json`: login name ->
`{"password": ..., "said": {attribute: [values]}}`. Writes `idp.xml`, its own metadata, and says `ready` on its output once it
listens. People log in by HTTP Basic: at `/ecp` clients that are no browsers, at `/sso` browsers, which get a form to send on.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from lxml import etree
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, BINDING_PAOS, BINDING_SOAP
from saml2.authn_context import PASSWORD
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_UNSPECIFIED, NameID
from saml2.server import Server

SIGNED = {"relay_state": "RelayState", "sigalg": "SigAlg", "signature": "Signature"}
ALGORITHM, DIGEST = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"


ENVELOPE = (
    '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header><ecp:Response S:mustUnderstand="1" '
    'xmlns:ecp="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp" S:actor="http://schemas.xmlsoap.org/soap/actor/next" '
    'AssertionConsumerServiceURL="{consumer}"/></S:Header><S:Body>{response}</S:Body></S:Envelope>'
)


class Idp:
    def __init__(self, directory: Path, url: str):
        self.people = json.loads((directory / "people.json").read_text())
        config = IdPConfig().load({
            "entityid": f"{url}/metadata", "key_file": str(directory / "key.pem"), "cert_file": str(directory / "cert.pem"),
            "metadata": {"local": [str(directory / "sp.xml")]}, "xmlsec_binary": "/usr/bin/xmlsec1",
            "service": {"idp": {
                "endpoints": {"single_sign_on_service": [(f"{url}/sso", BINDING_HTTP_REDIRECT), (f"{url}/ecp", BINDING_SOAP)]},
                "want_authn_requests_signed": True,
                "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None, "fail_on_missing_requested": False}},
            }},
        })  # fmt: skip
        self.server = Server(config=config)
        (directory / "idp.xml").write_text(str(entity_descriptor(config)))

    def by_browser(self, name: str, query: dict[str, list[str]]) -> tuple[str, str]:
        """The response to a request in a query, and where it is to be sent."""
        told = {key: query[parameter][0] for key, parameter in SIGNED.items() if parameter in query}
        asked = self.server.parse_authn_request(query["SAMLRequest"][0], BINDING_HTTP_REDIRECT, **told)
        said, args = self._said(name, asked.message, BINDING_HTTP_POST)
        return str(self.server.create_authn_response(said, **args)), args["destination"]

    def by_client(self, name: str, envelope: bytes) -> str:
        """The response to a request in an envelope. pysaml2 writes anew what it finds in one, which no signature outlives; so
        it is handed the request as if it came by a form."""
        request = etree.tostring(etree.fromstring(envelope).find(".//{urn:oasis:names:tc:SAML:2.0:protocol}AuthnRequest"))
        asked = self.server.parse_authn_request(base64.b64encode(request).decode(), BINDING_HTTP_POST)
        said, args = self._said(name, asked.message, BINDING_PAOS)
        response = etree.fromstring(str(self.server.create_authn_response(said, **args)).encode())
        return ENVELOPE.format(consumer=args["destination"], response=etree.tostring(response).decode())

    def _said(self, name: str, message: t.Any, binding: str) -> tuple[t.Any, dict[str, t.Any]]:
        args = self.server.response_args(message, [binding])
        answer = {key: args[key] for key in ("in_response_to", "destination", "sp_entity_id")}
        person = {"userid": name, "name_id": NameID(format=NAMEID_FORMAT_UNSPECIFIED, text=name), "authn": {"class_ref": PASSWORD}}
        how = {"sign_response": True, "sign_assertion": True, "sign_alg": ALGORITHM, "digest_alg": DIGEST}
        return self.people[name]["said"], answer | person | how


class Handler(BaseHTTPRequestHandler):
    idp: Idp

    def do_GET(self) -> None:
        name, query = self._who(), parse_qs(urlsplit(self.path).query)
        if name is None:
            return
        document, target = self.idp.by_browser(name, query)
        fields = {"SAMLResponse": base64.b64encode(document.encode()).decode()}
        self._send(200, "application/json", json.dumps({"action": target, "fields": fields}))

    def do_POST(self) -> None:
        name, request = self._who(), self.rfile.read(int(self.headers["Content-Length"]))
        if name is not None:
            self._send(200, "text/xml", self.idp.by_client(name, request))

    def _who(self) -> str | None:
        try:
            told = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        except (binascii.Error, UnicodeDecodeError):
            told = ""
        name, _, password = told.partition(":")
        if self.idp.people.get(name, {}).get("password") == password:
            return name
        self._send(401, "text/plain", "who are you?")
        return None

    def _send(self, status: int, media: str, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def main(directory: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.idp = Idp(directory, f"http://127.0.0.1:{server.server_port}")
    print("ready", server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main(Path(sys.argv[1]))
