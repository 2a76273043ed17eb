"""A store in a bucket of S3 (Amazon's, MinIO, Ceph, Swift): an object a key, sent in parts.

Of the protocol it uses what every server of that kind has: "Amazon S3 API Reference", multipart uploads and range reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import typing as t
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from ...kernel import aws4, clock, files
from ...kernel.config_images import S3Table
from .base import Accept, Stored, StoreError
from .remote import Remote, nothing, ranged
from .streaming import Digest, pass_on

if t.TYPE_CHECKING:
    import httpx2

ATTEMPTS, PAUSE = 3, 0.5
"""How often what a server was too busy for is asked, and the seconds before the second time; before the third it is twice."""
BUSY = {500, 502, 503, 504}
NO_ROOM = {"QuotaExceeded", "EntityTooLarge", "InsufficientStorage", "XMinioStorageFull"}
"""What Ceph, Swift and MinIO say where there is no more of it for this user, or for anybody."""
PARTS = 10_000
"""Most parts of an object."""


class S3Store(Remote):
    """Each upload holds two parts in memory: one that is sent, one that is gathered."""

    def __init__(self, table: S3Table, root: Path):
        self._table, self._secret = table, root / table.secret_key_file
        self._endpoint = urlsplit(table.endpoint.rstrip("/"))
        self.who = f"S3 at {self._endpoint.netloc}"
        self.properties = {
            "s3_store_large_object_size": table.part_mib, "s3_store_large_object_chunk_size": table.part_mib, "s3_store_thread_pools": 1,
        }  # fmt: skip

    def url(self, key: str) -> str:
        return f"s3+{self._endpoint.scheme}://{self._endpoint.netloc}{self._path(key)}"

    async def put(self, key: str, chunks: AsyncIterator[bytes], accept: Accept | None = None) -> Stored:
        digest = Digest()
        async with self.whole_or_nothing(key), self.client() as client:
            upload = _text(await self._ask(client, "POST", key, {"uploads": ""}), "UploadId")
            tags: list[str] = []

            async def take(batch: bytes) -> None:
                await asyncio.gather(digest.feed(batch), self._send(client, key, upload, tags, batch))

            await pass_on(chunks, take, self._table.part_mib << 20)
            stored = digest.finish(accept)
            await self._complete(client, key, upload, tags)
            return stored

    async def open(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if end is not None and start >= end:
            return nothing()
        url, headers = self._signed("GET", key, {}, b"")
        return await self.streamed(url, headers | ranged(start, end), f"to give {key}")

    async def delete(self, key: str) -> None:
        async with self.client() as client:
            await self._ask(client, "DELETE", key, {})
            under_way = await self._ask(client, "GET", None, {"uploads": "", "prefix": self._name(key)})
            for one in under_way.iterfind("{*}Upload"):
                if one.findtext("{*}Key") == self._name(key):
                    await self._ask(client, "DELETE", key, {"uploadId": one.findtext("{*}UploadId", "")})

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _name(self, key: str) -> str:
        return self._table.prefix + key

    def _path(self, key: str | None) -> str:
        name = "" if key is None else "/" + self._name(key)
        return self._endpoint.path + quote(f"/{self._table.bucket}{name}")

    async def _send(self, client: httpx2.AsyncClient, key: str, upload: str, tags: list[str], batch: bytes) -> None:
        if len(tags) == PARTS:
            raise StoreError(f"{self.who} takes {PARTS} parts of {self._table.part_mib} MiB: raise part_mib of store {self._table.id}")
        query = {"partNumber": str(len(tags) + 1), "uploadId": upload}
        tags.append((await self._answer(client, "PUT", key, query, batch)).headers.get("ETag", ""))

    async def _complete(self, client: httpx2.AsyncClient, key: str, upload: str, tags: list[str]) -> None:
        if not tags:
            await self._ask(client, "PUT", key, {})
            await self._ask(client, "DELETE", key, {"uploadId": upload})
            return
        parts = ElementTree.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for number, tag in enumerate(tags, 1):
            part = ElementTree.SubElement(parts, "Part")
            ElementTree.SubElement(part, "PartNumber").text = str(number)
            ElementTree.SubElement(part, "ETag").text = tag
        done = await self._ask(client, "POST", key, {"uploadId": upload}, ElementTree.tostring(parts))
        if not done.tag.endswith("CompleteMultipartUploadResult"):  # an error may come with 200
            raise self.refused(500, " ".join(done.itertext()), f"to keep {key}")

    async def _ask(self, client: httpx2.AsyncClient, method: str, key: str | None, query: dict[str, str], body: bytes = b"") -> t.Any:
        """The document that is answered; an empty one where there is none."""
        answer = await self._answer(client, method, key, query, body)
        try:
            return ElementTree.fromstring(answer.content or b"<Nothing/>")
        except ElementTree.ParseError:
            raise self.refused(answer.status_code, answer.text, "to answer with XML") from None

    async def _answer(self, client: httpx2.AsyncClient, method: str, key: str | None, query: dict[str, str], body: bytes) -> t.Any:
        for attempt in range(1, ATTEMPTS + 1):
            with self.reached():
                url, headers = self._signed(method, key, query, body)
                answer = await client.request(method, url, headers=headers, content=body or None)
            if answer.status_code not in BUSY or attempt == ATTEMPTS:
                break
            await asyncio.sleep(PAUSE * attempt)
        if answer.status_code // 100 == 2 or (method == "DELETE" and _code(answer) in ("NoSuchKey", "NoSuchUpload")):
            return answer
        raise self._refusal(answer, f"{method} {self._path(key)}")

    def _signed(self, method: str, key: str | None, query: dict[str, str], body: bytes) -> tuple[str, dict[str, str]]:
        """A request's URL and headers."""
        try:
            secret = files.secret(self._secret)
        except OSError as error:
            raise StoreError(f"{self.who} cannot be asked: {error}") from None
        moment = clock.now().strftime("%Y%m%dT%H%M%SZ")
        scope = (moment[:8], self._table.region, "s3", "aws4_request")
        told = {"host": self._endpoint.netloc, "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), "x-amz-date": moment}
        asked, path = aws4.canonical_query(query), self._path(key)
        names = ";".join(told)
        lines = "".join(f"{name}:{value}\n" for name, value in told.items())
        canonical = "\n".join((method, path, asked, lines, names, told["x-amz-content-sha256"]))
        proof = aws4.signature(aws4.signing_key(secret, scope), moment, scope, canonical)
        credential = f"{self._table.access_key}/{'/'.join(scope)}"
        told["authorization"] = f"{aws4.ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={proof}"
        return f"{self._endpoint.scheme}://{self._endpoint.netloc}{path}{'?' if asked else ''}{asked}", told

    def _refusal(self, answer: t.Any, what: str) -> StoreError:
        code = _code(answer)
        if code == "NoSuchBucket":
            return StoreError(f"{self.who} has no bucket {self._table.bucket}: make it there, for this cloud alone or with a prefix")
        status = 507 if code in NO_ROOM else answer.status_code
        return self.refused(status, f"{code} {_message(answer)}", what)


def _code(answer: t.Any) -> str:
    return _found(answer, "Code")


def _message(answer: t.Any) -> str:
    return _found(answer, "Message")


def _found(answer: t.Any, name: str) -> str:
    try:
        return ElementTree.fromstring(answer.content).findtext(name, "")
    except ElementTree.ParseError:
        return ""


def _text(document: t.Any, name: str) -> str:
    return document.findtext(f"{{*}}{name}", "")
