"""A store in a container of OpenStack's object store: a static large object a key, its segments in a container beside it.

Of the protocol: "Object Storage API", static large objects and range reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import typing as t
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from ...kernel import clock, files
from ...kernel.config_images import SwiftTable
from .base import Accept, Stored, StoreError
from .remote import Remote, nothing, ranged
from .streaming import Digest, batches

if t.TYPE_CHECKING:
    import httpx2

Batches = AsyncGenerator[bytes, None]
SEGMENTS = 1000
"""Segments of an object that every Swift takes."""
EARLY = dt.timedelta(minutes=10)
"""How long a token has to be good for to be used yet."""


class Login(t.NamedTuple):
    token: str
    url: str
    """Of the account."""
    until: dt.datetime


class SwiftStore(Remote):
    """Each upload holds a batch in memory, however large a segment is."""

    def __init__(self, table: SwiftTable, root: Path):
        self._table, self._password = table, root / table.password_file
        self._login: Login | None = None
        self._made = False
        self.who = f"Swift ({table.auth_url})"
        self.properties = {
            "container": table.container, "large_object_size": table.segment_mib, "large_object_chunk_size": table.segment_mib,
        }  # fmt: skip

    def url(self, key: str) -> str:
        return f"swift+{self._table.auth_url}/{self._table.container}/{key}"

    async def put(self, key: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        digest = Digest()
        async with self.whole_or_nothing(key), self.client() as client, contextlib.aclosing(batches(chunks)) as gathered:
            await self._make_containers(client)
            segments = await self._put_segments(client, key, gathered, digest)
            stored = digest.finish(accept)
            if segments:
                await self._ask(client, "PUT", key, {"multipart-manifest": "put"}, content=msgspec.json.encode(segments))
            else:
                await self._ask(client, "PUT", key)
            return stored

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and start >= end:
            return nothing()
        async with self.client() as client:
            login = await self._logged_in(client)
        headers = {"X-Auth-Token": login.token} | ranged(start, end)
        return await self.streamed(self._at(login, self._path(key)), headers, f"to give {key}")

    async def delete(self, key: str) -> None:
        async with self.client() as client:
            for name in await self._segments(client, key):
                await self._ask(client, "DELETE", None, path=f"/{self._table.container}_segments/{name}", missing=True)
            await self._ask(client, "DELETE", key, missing=True)

    # -- segments --------------------------------------------------------------------------------------------------

    async def _put_segments(
        self, client: httpx2.AsyncClient, key: str, gathered: AsyncGenerator[bytes, None], digest: Digest
    ) -> list[dict]:
        segments: list[dict[str, t.Any]] = []
        batch = await anext(gathered, None)
        while batch is not None:
            if len(segments) == SEGMENTS:
                raise StoreError(f"{self.who} takes {SEGMENTS} segments of {self._table.segment_mib} MiB: "
                                 f"raise segment_mib of store {self._table.id}")  # fmt: skip
            segment = _Segment(batch, gathered, digest, self._table.segment_mib << 20)
            path = f"/{self._table.container}_segments/{key}/{len(segments):08}"
            answer = await self._ask(client, "PUT", None, path=path, content=segment.bytes())
            if answer.headers.get("ETag", "").strip('"') != segment.md5.hexdigest():
                raise StoreError(f"{self.who} has kept another segment than it was sent")
            segments.append({"path": path, "etag": segment.md5.hexdigest(), "size_bytes": segment.size})
            batch = segment.next
        return segments

    async def _segments(self, client: httpx2.AsyncClient, key: str) -> set[str]:
        """By the manifest and by the container's list, each of which may know some that the other does not yet."""
        listed = await self._ask(client, "GET", None, {"format": "json", "prefix": f"{key}/"}, path=f"/{self._table.container}_segments",
                                 missing=True)  # fmt: skip
        manifest = await self._ask(client, "GET", key, {"multipart-manifest": "get", "format": "raw"}, missing=True)
        found = {one["name"] for one in _json(listed)}
        return found | {one["path"].split("/", 2)[2] for one in _json(manifest) if "path" in one}

    async def _make_containers(self, client: httpx2.AsyncClient) -> None:
        if not self._made:
            for name in (self._table.container, f"{self._table.container}_segments"):
                await self._ask(client, "PUT", None, path=f"/{name}")
            self._made = True

    def refused(self, status: int, said: str, what: str) -> StoreError:
        if status == 401:
            self._login = None  # it was taken back; the next one to ask logs in anew
        return super().refused(status, said, what)

    # -- asking ----------------------------------------------------------------------------------------------------

    def _path(self, key: str) -> str:
        return f"/{self._table.container}/{key}"

    def _at(self, login: Login, path: str) -> str:
        return login.url + quote(path)

    async def _ask(self, client: httpx2.AsyncClient, method: str, key: str | None, query: dict[str, str] | None = None, *,
                   path: str = "", content: t.Any = None, missing: bool = False) -> httpx2.Response:  # fmt: skip
        """missing: 404 is an answer as good as any."""
        login, path = await self._logged_in(client), path or self._path(key or "")
        with self.reached():
            answer = await client.request(
                method, self._at(login, path), params=query, content=content, headers={"X-Auth-Token": login.token}
            )
        if answer.status_code // 100 != 2 and not (missing and answer.status_code == 404):
            raise self.refused(answer.status_code, answer.text, f"{method} {path}")
        return answer

    async def _logged_in(self, client: httpx2.AsyncClient) -> Login:
        if self._login is None or self._login.until - EARLY < clock.now():
            try:
                password = files.secret(self._password)
            except OSError as error:
                raise StoreError(f"{self.who} cannot be asked: {error}") from None
            with self.reached():
                self._login = await (self._by_keystone if self._table.auth == "v3" else self._by_headers)(client, password)
        return self._login

    async def _by_headers(self, client: httpx2.AsyncClient, password: str) -> Login:
        answer = await client.get(self._table.auth_url, headers={"X-Auth-User": self._table.user, "X-Auth-Key": password})
        if answer.status_code // 100 != 2 or not {"X-Auth-Token", "X-Storage-Url"} <= {name.title() for name in answer.headers}:
            raise self.refused(answer.status_code, answer.text, f"the login of {self._table.user}")
        good = int(answer.headers.get("X-Auth-Token-Expires", "3600"))
        return Login(answer.headers["X-Auth-Token"], answer.headers["X-Storage-Url"].rstrip("/"), clock.now() + dt.timedelta(seconds=good))

    async def _by_keystone(self, client: httpx2.AsyncClient, password: str) -> Login:
        table = self._table
        user = {"name": table.user, "domain": {"name": table.user_domain}, "password": password}
        scope = {"project": {"name": table.project, "domain": {"name": table.project_domain}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        answer = await client.post(f"{table.auth_url.rstrip('/')}/auth/tokens", json=body)
        if answer.status_code != 201:
            raise self.refused(answer.status_code, answer.text, f"the login of {table.user}")
        token = answer.json()["token"]
        endpoints = [one for service in token.get("catalog", []) if service["type"] == "object-store" for one in service["endpoints"]]
        for one in endpoints:
            if one["interface"] == table.interface and table.region in ("", one["region"]):
                return Login(answer.headers["X-Subject-Token"], one["url"].rstrip("/"), clock.parse(token["expires_at"]))
        raise StoreError(
            f"{self.who} has no {table.interface} endpoint of an object store" + (f" in region {table.region}" if table.region else "")
        )


class _Segment:
    """What one segment takes of the batches: up to `most` bytes and a little more. `next` is the first batch that is not its."""

    def __init__(self, first: bytes, gathered: Batches, digest: Digest, most: int):
        self._gathered, self._digest, self._most = gathered, digest, most
        self.md5, self.size = hashlib.md5(usedforsecurity=False), 0
        self.next: bytes | None = first

    async def bytes(self) -> AsyncIterator[bytes]:
        while self.next is not None and self.size < self._most:
            batch = self.next
            await asyncio.gather(self._digest.feed(batch), asyncio.to_thread(self.md5.update, batch))
            self.size += len(batch)
            yield batch
            self.next = await anext(self._gathered, None)


def _json(answer: httpx2.Response) -> list[dict[str, t.Any]]:
    """The list that is answered; an empty one where there is none, or something else stands in its place."""
    if answer.status_code != 200:
        return []
    try:
        return msgspec.json.decode(answer.content, type=list[dict[str, t.Any]])
    except msgspec.MsgspecError:
        return []
