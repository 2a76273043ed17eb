"""An OpenID provider, as this cloud asks it: its discovery document and its keys, which are kept for a while, and its endpoints.

It is given so long and so many bytes, no redirect is followed, and whatever is wrong with its answer is told to whoever logs
in, with 401: they, and their operator, are who can act.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
from pathlib import Path
from urllib.parse import quote

import msgspec

from ....kernel import files
from ....kernel.config import OpenIdProvider
from ....kernel.errors import Unauthorized
from ....kernel.log import get_logger
from ....kernel.runtime import Runtime
from ....kernel.trust import trusted

log = get_logger("openid")
PATIENCE, LARGEST = 10.0, 1 << 18
"""Seconds and bytes that an answer may take."""
FRESH, AGAIN = 3600.0, 30.0
"""Seconds for which documents are kept, and after which they are asked for anew where a key is missing in them."""
Json = dict[str, t.Any]


class Provider:
    def __init__(self, settings: OpenIdProvider, root: Path):
        self.settings = settings
        self._root = root
        self._kept: dict[str, tuple[float, Json]] = {}
        self._lock = asyncio.Lock()

    async def endpoint(self, name: str) -> str:
        """The URL of one of its endpoints. Raises Unauthorized where it has none."""
        url = (await self._metadata()).get(name)
        if not isinstance(url, str) or not url.startswith(self.settings.issuer.partition(":")[0] + "://"):
            raise self.failed(f"has no {name}")
        return url

    async def offers(self, name: str) -> bool:
        return name in await self._metadata()

    async def keys(self, *, anew: bool = False) -> list[Json]:
        """Its public keys. anew: as they are now, unless they were asked for a moment ago."""
        found = (await self._document(await self.endpoint("jwks_uri"), AGAIN if anew else FRESH)).get("keys")
        if not isinstance(found, list):
            raise self.failed("has a document of keys that is none")
        return [key for key in found if isinstance(key, dict)]

    async def ask(self, endpoint: str, form: dict[str, str]) -> Json:
        """What it answers to this cloud, which says who it is."""
        methods = (await self._metadata()).get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        mine, secret = {"client_id": self.settings.client_id}, self._secret()
        if secret is None:
            return await self._fetch("POST", endpoint, data=form | mine)
        if "client_secret_basic" not in methods and "client_secret_post" in methods:
            return await self._fetch("POST", endpoint, data=form | mine | {"client_secret": secret})
        return await self._fetch("POST", endpoint, data=form, auth=(quote(mine["client_id"], safe=""), quote(secret, safe="")))

    async def userinfo(self, access_token: str) -> Json:
        return await self._fetch("GET", await self.endpoint("userinfo_endpoint"), headers={"Authorization": f"Bearer {access_token}"})

    def failed(self, why: str) -> Unauthorized:
        return Unauthorized(f"The OpenID provider {self.settings.issuer} {why}.")

    async def _metadata(self) -> Json:
        document = await self._document(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration", FRESH)
        if document.get("issuer") != self.settings.issuer:
            raise self.failed(f"says that it is another one: {str(document.get('issuer'))[:200]}")
        return document

    async def _document(self, url: str, fresh: float) -> Json:
        async with self._lock:
            known = self._kept.get(url)
            if known is None or known[0] + fresh < time.monotonic():
                known = self._kept[url] = (time.monotonic(), await self._fetch("GET", url))
        return known[1]

    async def _fetch(self, method: str, url: str, **options: t.Any) -> Json:
        import httpx2

        options["headers"] = {"Accept": "application/json", "Accept-Encoding": "identity"} | options.get("headers", {})
        client = httpx2.AsyncClient(timeout=PATIENCE, verify=trusted())
        try:
            async with asyncio.timeout(PATIENCE), client, client.stream(method, url, **options) as answer:
                body = await self._read(answer)
        except TimeoutError:
            raise self.failed(f"takes longer than {PATIENCE:g} seconds to answer") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            log.warning("an OpenID provider cannot be asked", issuer=self.settings.issuer, url=url, error=repr(error))
            raise self.failed("cannot be reached") from None
        return self._understood(url, answer.status_code, body)

    async def _read(self, answer: t.Any) -> bytes:
        body = b""
        async for part in answer.aiter_raw():
            body += part
            if len(body) > LARGEST:
                raise self.failed(f"answers with more than {LARGEST} bytes")
        return body

    def _understood(self, url: str, status: int, body: bytes) -> Json:
        try:
            found = msgspec.json.decode(body, type=dict[str, t.Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found = None
        if status == 200 and found is not None:
            return found
        why = str((found or {}).get("error", "with what is no JSON object" if status == 200 else ""))[:200]
        log.warning("an OpenID provider refuses", issuer=self.settings.issuer, url=url, status=status, error=why)
        raise self.failed(f"answers {status} {why}".rstrip())

    def _secret(self) -> str | None:
        """This cloud's secret there. Raises Unauthorized where others could read its file, or this process cannot."""
        if not self.settings.client_secret_file:
            return None
        path = self._root / self.settings.client_secret_file
        try:
            return files.secret(path)
        except (OSError, UnicodeDecodeError) as error:
            log.error("the client secret cannot be used", issuer=self.settings.issuer, error=str(error))
            raise self.failed("cannot be asked: this cloud's client_secret_file cannot be used, its log says why") from None


def provider_of(runtime: Runtime, settings: OpenIdProvider) -> Provider:
    """This process's only one for these settings."""
    held: dict[tuple[str, str], Provider] = runtime.shared.setdefault("openid", {})
    return held.setdefault((settings.identity_provider, settings.protocol), Provider(settings, runtime.config.root))
