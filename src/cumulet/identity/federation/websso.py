"""Web single sign-on: which dashboards a browser may bring a token to, and the page by which it does."""

from __future__ import annotations

import base64
import hashlib
import html
import typing as t
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from ...kernel.errors import BadRequest, Unauthorized
from ...kernel.http import Reply, Request
from ..listing import asked

SCRIPT = 'document.forms["sso"].submit()'
_DIGEST = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY = f"default-src 'none'; script-src 'sha256-{_DIGEST}'; base-uri 'none'; frame-ancestors 'none'"
"""Of the page nothing but this script may run, and nobody may frame it."""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Single sign-on</title></head><body>
<form id="sso" name="sso" action="{origin}" method="post">
<input type="hidden" name="token" id="token" value="{token}">
<noscript><input type="submit" value="Go on to the dashboard"></noscript>
</form>
<script>{script}</script>
</body></html>
"""


def origin_of(request: Request) -> str:
    """The dashboard that a request names, as the setting has it. Raises BadRequest without one, Unauthorized for one that is not
    among the trusted."""
    origin = asked(request, "origin")
    if origin is None:
        raise BadRequest("Request must have an origin query parameter")
    for trusted in request.runtime.config.federation.trusted_dashboards:
        if _lowered(origin) == _lowered(trusted):
            return trusted
    raise Unauthorized(f"{origin[:200]} is not a trusted dashboard host")


def handed_over(origin: str, login: t.Any) -> Response:
    """The page that brings a login's token to a dashboard; what is no token is answered as it is."""
    if not isinstance(login, Reply):
        return login
    token = (login.headers or {})["X-Subject-Token"]
    page = PAGE.format(origin=html.escape(origin), token=html.escape(token), script=SCRIPT)
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
               "X-Content-Type-Options": "nosniff"}  # fmt: skip
    return HTMLResponse(page, headers=headers)


def cookies(request: Request) -> dict[str, str]:
    """The cookies of a browser's request; of what are none, none."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(request.headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _lowered(url: str) -> str:
    """A URL, in which the host's name may be written in capitals."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.lower()).geturl()
    except ValueError:
        return url
