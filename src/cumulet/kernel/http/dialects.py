"""How each family of OpenStack APIs words its faults, names its version header and links its pages.

The forms are those of the released services; clients match on them.
"""

from __future__ import annotations

import html
import re
import typing as t

import msgspec

from ..errors import ApiError, BadRequest, NotAcceptable
from .versions import Version, version
from .wire import Page

if t.TYPE_CHECKING:
    from .request import Request

JSON, HTML = "application/json", "text/html; charset=UTF-8"
_NUMBER, _TEXT = {"type": "integer"}, {"type": "string"}


class Dialect:
    """The neutral form: a fault is `{"error": {"code", "message", "title"}}`, as identity writes it."""

    version_service: str | None = None
    """The service's name in `OpenStack-API-Version`, where it has microversions."""
    legacy_version_header: str | None = None
    request_id_header: str | None = None
    empty_names: bool = False
    """Whether a path that ends in a slash names something whose id is empty (which nothing has), or is the one without it."""
    ending_slash: bool = True
    """Whether a path that ends in a slash may be the one without it."""
    login = "/identity"
    """Where a caller without a good token is told to get one, below the cloud's address."""
    guards_paths = True
    """Whether a path that does not exist is told only to those with a token, as by the middleware before most services."""
    words_logins = False
    """Whether a caller without a good token is told so in the service's own form, not in the neutral one."""
    picks_fields = False
    """Whether `fields` in a GET's query picks attributes out of the answer."""

    def fault(self, request: Request, error: ApiError) -> tuple[str, bytes]:
        """The media type and body of an error."""
        body = {"code": error.status, "message": error.message, "title": error.title}
        return JSON, msgspec.json.encode({"error": body})

    def fault_schema(self) -> tuple[str, dict]:
        """The media type of an error's body, and its JSON schema."""
        return JSON, _holding(error=_holding(code=_NUMBER, message=_TEXT, title=_TEXT))

    def refuse(self, body: t.Any) -> None:
        """Raise for a body that the API refuses in words of its own, whatever the operation takes."""

    def page(self, request: Request, name: str, page: Page, body: dict) -> None:
        """Add to a list's body what tells the client how to go on."""
        if page.marker is not None:
            body[f"{name}_links"] = [{"rel": "next", "href": request.link_to_page(page.marker)}]

    def present(self, request: Request, body: t.Any) -> t.Any:
        """The last word on a success's body."""
        return body

    def negotiate(self, request: Request, low: Version, high: Version) -> Version:
        """The microversion that the request asks for. Raises BadRequest for what is none, NotAcceptable for
        what is outside the range."""
        asked = self._asked(request)
        if asked is None:
            return low
        if asked == "latest":
            return high
        try:
            found = version(asked)
        except ValueError:
            raise BadRequest(f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum.") from None
        if not low <= found <= high:
            raise NotAcceptable(f"Version {asked} is not supported by the API. Minimum is {_text(low)} and maximum is {_text(high)}.")
        return found

    def version_headers(self, at: Version) -> dict[str, str]:
        if self.version_service is None:
            return {}
        headers = {"OpenStack-API-Version": f"{self.version_service} {_text(at)}", "Vary": "OpenStack-API-Version"}
        if self.legacy_version_header:
            headers[self.legacy_version_header] = _text(at)
            headers["Vary"] += f", {self.legacy_version_header}"
        return headers

    def _asked(self, request: Request) -> str | None:
        if self.version_service is None:
            return None
        for entry in request.headers.get("openstack-api-version", "").split(","):
            service, _, asked = entry.strip().partition(" ")
            if service == self.version_service:
                return asked.strip()
        if self.legacy_version_header:
            return request.headers.get(self.legacy_version_header.lower())
        return None


class IdentityDialect(Dialect):
    """Identity: every list has links, and a method that a path does not have is told in the framework's own form."""

    login = "/identity/v3"
    guards_paths = False

    def fault(self, request: Request, error: ApiError) -> tuple[str, bytes]:
        if error.status == 405:
            return JSON, msgspec.json.encode({"message": error.message})
        return super().fault(request, error)

    def version_headers(self, at: Version) -> dict[str, str]:
        return {"Vary": "X-Auth-Token"}

    def page(self, request: Request, name: str, page: Page, body: dict) -> None:
        next_link = request.link_to_page(page.marker) if page.marker is not None else None
        body["links"] = {"next": next_link, "self": request.url, "previous": None}


class OAuth2Dialect(Dialect):
    """Where OAuth 2.0 has the word (RFC 6749, 5.2): `{"error": "invalid_client", "error_description"}`."""

    KINDS = {400: "invalid_request", 401: "invalid_client"}

    def fault(self, request: Request, error: ApiError) -> tuple[str, bytes]:
        kind = error.kind or self.KINDS.get(error.status, "other_error")
        return JSON, msgspec.json.encode({"error": kind, "error_description": error.message})

    def fault_schema(self) -> tuple[str, dict]:
        return JSON, _holding(error=_TEXT, error_description=_TEXT)


class KeyedDialect(Dialect):
    """Compute and volume: `{"itemNotFound": {"code", "message"}}`."""

    empty_names = True

    KEYS = {
        400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
        409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit",
        501: "notImplemented", 503: "serviceUnavailable",
    }  # fmt: skip

    def __init__(self, service: str, default: str, legacy: str | None = None, request_id: str | None = None):
        self.version_service, self._default = service, default
        self.legacy_version_header, self.request_id_header = legacy, request_id

    def fault(self, request: Request, error: ApiError) -> tuple[str, bytes]:
        key = self.KEYS.get(error.status, self._default)
        return JSON, msgspec.json.encode({key: {"code": error.status, "message": error.message}})

    def fault_schema(self) -> tuple[str, dict]:
        one = _holding(code=_NUMBER, message=_TEXT)
        return JSON, {"type": "object", "additionalProperties": one, "minProperties": 1, "maxProperties": 1}


class NetworkDialect(Dialect):
    """Network: `{"NeutronError": {"type", "message", "detail"}}`, and `fields` picked from each answer."""

    TYPES = {400: "HTTPBadRequest", 401: "HTTPUnauthorized", 403: "PolicyNotAuthorized", 404: "HTTPNotFound",
             405: "HTTPMethodNotAllowed", 409: "Conflict", 500: "HTTPInternalServerError"}  # fmt: skip
    picks_fields = True

    def fault(self, request: Request, error: ApiError) -> tuple[str, bytes]:
        kind = error.kind or self.TYPES.get(error.status, "HTTPError")
        return JSON, msgspec.json.encode({"NeutronError": {"type": kind, "message": error.message, "detail": ""}})

    def fault_schema(self) -> tuple[str, dict]:
        return JSON, _holding(NeutronError=_holding(type=_TEXT, message=_TEXT, detail=_TEXT))

    def present(self, request: Request, body: t.Any) -> t.Any:
        wanted = {value for key, value in request.query if key == "fields" and value}
        if not wanted or request.method != "GET" or not isinstance(body, dict):
            return body
        pick = lambda one: {k: v for k, v in one.items() if k in wanted} if isinstance(one, dict) else one
        return {
            name: [pick(one) for one in value] if isinstance(value, list) and not name.endswith("_links") else pick(value)
            for name, value in body.items()
        }


class PlacementDialect(Dialect):
    """Placement: `{"errors": [{"status", "title", "detail", "code", "request_id"}]}`."""

    version_service = "placement"

    def fault(self, request: Request, error: ApiError) -> tuple[str, bytes]:
        body: dict[str, t.Any] = {"status": error.status, "title": error.title, "detail": error.message}
        body["code"] = error.kind or "placement.undefined_code"
        body["request_id"] = request.id
        if error.status == 406:
            body["max_version"], body["min_version"] = _text(request.api.high), _text(request.api.low)
        return JSON, msgspec.json.encode({"errors": [body]})

    def fault_schema(self) -> tuple[str, dict]:
        one = _holding(status=_NUMBER, title=_TEXT, detail=_TEXT, code=_TEXT, request_id=_TEXT)
        return JSON, _holding(errors={"type": "array", "items": one})


DENIED = "Access was denied to this resource."
"""What image says before why, where an error is of this kind."""


class ImageDialect(Dialect):
    """Image: faults are small HTML pages, and a list names its next page by a path of its own."""

    words_logins, ending_slash = True, False
    SAID = {
        401: "This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong "
             "credentials (e.g., bad password), or your browser does not understand how to supply the credentials required.",
        405: "The method {method} is not allowed for this resource. ",
    }  # fmt: skip

    def fault(self, request: Request, error: ApiError) -> tuple[str, bytes]:
        title = f"{error.status} {error.title}"
        fixed = self.SAID.get(error.status)
        said = fixed.format(method=request.method) if fixed else error.message
        said, end = html.escape(said, quote=False), "\n\n" if error.status == 405 else "\n\n\n\n"
        if error.kind == DENIED:
            said, end = DENIED, f"\n{said}\n\n\n"
        page = (
            f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {said}<br /><br />{end} </body>\n</html>"
        )
        return HTML, page.encode()

    def fault_schema(self) -> tuple[str, dict]:
        return HTML, _TEXT

    def refuse(self, body: t.Any) -> None:
        if body is None:
            raise BadRequest("Body expected in request.")
        if not isinstance(body, dict | list):
            raise BadRequest("Unexpected body type. Expected list/dict.")

    def page(self, request: Request, name: str, page: Page, body: dict) -> None:
        local = re.compile(r"^https?://[^/]+/[^/]+")
        first = request.link_to_page(None)
        body["first"] = local.sub("", first)
        if page.marker is not None:
            body["next"] = local.sub("", request.link_to_page(page.marker))


def _text(at: Version) -> str:
    return f"{at[0]}.{at[1]}"


def _holding(**properties: dict) -> dict:
    """The schema of an object with these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}
