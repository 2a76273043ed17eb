"""The page that shows a guest's screen in a browser: noVNC's, served as it is installed."""

from __future__ import annotations

import contextlib
import mimetypes
import sys
import typing as t
from pathlib import Path

from starlette.responses import HTMLResponse, PlainTextResponse, Response

BELOW, PAGE = "/console/vnc/", "vnc_lite.html"
"""Where noVNC's files are, and which of them connects at once to what `path` in its query says."""
PLACES = (Path(sys.prefix) / "share" / "novnc", Path("/usr/share/novnc"))
"""Where `make setup` unpacks noVNC, and where Debian's package has it."""
ABSENT = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>noVNC is not installed</title>
<p>The page with a guest's screen is part of noVNC, which is not installed where this cloud runs.
Its operator can run <code>apt-get install novnc</code> there; then open this address again.</p>
<p>A websocket client needs no page: it connects to this same address, with <code>ws</code> in the place of <code>http</code>.</p>
</html>
"""

_files: dict[str, bytes] = {}


def page(scope: t.MutableMapping[str, t.Any]) -> Response:
    """The answer to a request below `/console/`."""
    if scope["method"] not in ("GET", "HEAD"):
        return PlainTextResponse("Method not allowed.", 405, {"Allow": "GET, HEAD"})
    files, name = read(), scope["path"].removeprefix(BELOW)
    if name in files:
        return Response(files[name], media_type=mimetypes.guess_type(name)[0])
    if name == PAGE:
        return HTMLResponse(ABSENT, 404)
    return PlainTextResponse("There is no such page. The address of a console is made by the compute API.", 404)


def read() -> dict[str, bytes]:
    """noVNC's files by their path, once it is installed. They are kept, for this process may later be a user's that cannot
    read the place they are from."""
    for place in PLACES if not _files else ():
        with contextlib.suppress(OSError):
            _files.update({str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()})
    return _files


read()
