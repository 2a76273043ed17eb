"""Fetching an image from somewhere on the web, or reading a part of it there: every hop is checked, and the connection is made
to the address that was checked, so that a name that means one thing now and another a moment later is of no use."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import typing as t
from urllib.parse import urljoin

from ..kernel.config_imports import ImageImport
from ..kernel.trust import trusted
from .addresses import Refused, Target, admit, admit_address, target
from .stores.remote import nothing, ranged

HOPS = 5
"""Redirects that are followed."""
CONNECT = 10.0
"""Seconds for finding a name's addresses, and for connecting to each."""
STRIDE = 64 << 10
"""Bytes that have to come within the seconds after which a download counts as stalled."""
REDIRECTS = {301, 302, 303, 307, 308}


class FetchFailed(Exception):
    """The image could not be fetched; the text says why."""


class NotThere(FetchFailed):
    """The server has no such image."""


class Answer(t.NamedTuple):
    """What a server sends. `size` is how many bytes it says it will be, None where it does not say."""

    size: int | None
    chunks: t.AsyncIterator[bytes]


async def check(url: str, rules: ImageImport) -> None:
    """Raise Refused for a URL from which nothing would be fetched, as far as that can be told before anything is asked there."""
    place = target(url)
    admit(place, rules)
    await addresses(place, rules)


async def addresses(place: Target, rules: ImageImport | None) -> list[str]:
    """All addresses of a host. Raises Refused where there are none, or a single one is not admitted."""
    try:
        async with asyncio.timeout(CONNECT):
            found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise Refused(f"the host {place.host} has no address that could be found") from None
    known = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if rules is not None:
        for address in known:
            admit_address(address, rules)
    return known


@contextlib.asynccontextmanager
async def fetched(url: str, rules: ImageImport, *, most: int) -> t.AsyncIterator[Answer]:
    """What a URL, or where it redirects to, has: `most` bytes at most. Raises Refused, FetchFailed; so does reading it."""
    async with _followed("GET", url, {}, rules) as answer:
        yield _understood(answer, most, rules.stall_seconds)


@contextlib.asynccontextmanager
async def part(url: str, rules: ImageImport, start: int, end: int | None, *, most: int) -> t.AsyncIterator[t.AsyncIterator[bytes]]:
    """What a URL has from byte `start` up to `end`, without it: of a server that gives no parts, out of all that it has, which may
    be `most` bytes. Raises Refused, FetchFailed; so does reading it."""
    async with _followed("GET", url, ranged(start, end), rules) as answer:
        if answer.status == 416:
            yield nothing()
        elif answer.status == 206:
            if not _headers(answer).get(b"content-range", "").startswith(f"bytes {start}-"):
                raise FetchFailed("the server sent another part than it was asked for")
            given = _understood(answer, most, rules.stall_seconds, status=206)
            yield _cut(given.chunks, 0, None if end is None else end - start)
        else:
            yield _cut(_understood(answer, most, rules.stall_seconds).chunks, start, end)


async def size(url: str, rules: ImageImport) -> int:
    """How many bytes a server says that a URL has, which are not read. Raises Refused, FetchFailed."""
    try:
        async with asyncio.timeout(rules.stall_seconds), _followed("HEAD", url, {}, rules) as answer:
            found = _understood(answer, most=2**63, stall=rules.stall_seconds).size
    except TimeoutError:
        raise _stalled(rules.stall_seconds) from None
    if not found:
        raise FetchFailed("the server does not say how many bytes it has there")
    return found


@contextlib.asynccontextmanager
async def asked(url: str, token: str, *, most: int, stall: float) -> t.AsyncIterator[Answer]:
    """What another cloud, which the catalog names and whose word counts so, answers to a token. No redirect is followed: the
    token is for nobody else. Raises FetchFailed; so does reading it."""
    try:
        place = target(url)
        async with _asked("GET", place, {"X-Auth-Token": token}, None, stall) as answer:
            yield _understood(answer, most, stall)
    except Refused as error:
        raise FetchFailed(f"the catalog's endpoint cannot be used: {error}") from None


# -- helpers -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _followed(method: str, url: str, headers: dict[str, str], rules: ImageImport) -> t.AsyncIterator[t.Any]:
    """What is answered where a URL leads to in the end."""
    for _ in range(HOPS + 1):
        place = target(url)
        admit(place, rules)
        async with _asked(method, place, headers, rules, rules.stall_seconds) as answer:
            where = _headers(answer).get(b"location")
            if answer.status not in REDIRECTS or where is None:
                yield answer
                return
            url = urljoin(url, where)
    raise FetchFailed(f"the server redirects more than {HOPS} times")


@contextlib.asynccontextmanager
async def _asked(method: str, place: Target, headers: dict[str, str], rules: ImageImport | None, stall: float) -> t.AsyncIterator[t.Any]:
    import httpcore2

    url = httpcore2.URL(scheme=place.scheme, host=place.host, port=place.port, target=place.path)
    told = {"Host": place.authority, "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "cumulet"} | headers
    timeouts = {"connect": CONNECT, "read": stall, "write": stall, "pool": stall}
    try:
        async with _pool(place, rules) as pool, pool.stream(method, url, headers=told, extensions={"timeout": timeouts}) as answer:
            yield answer
    except httpcore2.TimeoutException:
        raise _stalled(stall) from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
        raise FetchFailed(f"{place.authority} could not be read from: {error or type(error).__name__}") from None


def _pool(place: Target, rules: ImageImport | None) -> t.Any:
    """A connection for one request, which is made to no address that was not looked at here, at this moment."""
    import httpcore2

    connections = t.cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    class Pinned(httpcore2.AsyncNetworkBackend):
        async def connect_tcp(self, host: str, port: int, *positional: t.Any, **options: t.Any) -> httpcore2.AsyncNetworkStream:
            last: Exception | None = None
            for address in await addresses(place, rules):
                try:
                    return await connections.connect_tcp(address, port, *positional, **options)
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                    last = error
            raise last or httpcore2.ConnectError(f"{host} has no address")

    return httpcore2.AsyncConnectionPool(ssl_context=trusted(), network_backend=Pinned(), max_connections=1)


def _understood(answer: t.Any, most: int, stall: float, *, status: int = 200) -> Answer:
    """Raises FetchFailed for what is no image: an error, something encoded, too much of it."""
    headers = _headers(answer)
    if answer.status != status:
        raise (NotThere if answer.status in (404, 410) else FetchFailed)(f"the server answered {answer.status}")
    if (encoding := headers.get(b"content-encoding", "identity")).lower() != "identity":
        raise FetchFailed(f"the server sent it encoded ({encoding}), which it was not asked for")
    length = headers.get(b"content-length", "")
    size = int(length) if length.isdecimal() and len(length) < 19 else None
    if size is not None and size > most:
        raise FetchFailed(f"it has {size} bytes, and the limit is {most}")
    return Answer(size, _limited(answer, most, stall))


async def _limited(answer: t.Any, most: int, stall: float) -> t.AsyncIterator[bytes]:
    """The body in pieces of STRIDE bytes and more, each within so many seconds."""
    parts, size, ended = answer.aiter_stream(), 0, False
    while not ended:
        held = bytearray()
        try:
            async with asyncio.timeout(stall):
                while len(held) < STRIDE and not ended:
                    part = await anext(parts, None)
                    ended = part is None
                    held += part or b""
        except TimeoutError:
            raise _stalled(stall) from None
        size += len(held)
        if size > most:
            raise FetchFailed(f"it has more bytes than the limit of {most}")
        if held:
            yield bytes(held)


async def _cut(chunks: t.AsyncIterator[bytes], start: int, end: int | None) -> t.AsyncIterator[bytes]:
    """The bytes from `start` up to `end`, without it. What comes behind is not read."""
    at = 0
    async for chunk in chunks:
        if piece := chunk[max(0, start - at) : None if end is None else max(0, end - at)]:
            yield piece
        at += len(chunk)
        if end is not None and at >= end:
            return


def _headers(answer: t.Any) -> dict[bytes, str]:
    return {name.lower(): value.decode("latin-1") for name, value in answer.headers}


def _stalled(stall: float) -> FetchFailed:
    return FetchFailed(f"the server did not answer, or hardly sent anything, for {stall:g} seconds")
