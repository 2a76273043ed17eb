"""Who speaks SAML here: the identity providers that the settings have metadata of, and this cloud as their service provider."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

from ....kernel.config import Config, SamlProvider
from ....kernel.errors import Unauthorized
from ....kernel.log import get_logger
from ...drivers import saml

log = get_logger("saml")
BASE = "/Shibboleth.sso"
"""Where a service provider's own addresses are: as its web server's module has them where the Identity API runs behind one."""
SPEAKS_AS = "Shib-Identity-Provider"
"""The name under which mappings find the entity id of who said something."""


class Speaker(t.NamedTuple):
    """An identity provider with its metadata."""

    settings: SamlProvider
    issuer: t.Any


def consumer(config: Config) -> t.Any:
    """This cloud, as its metadata tells it to identity providers."""
    return saml.Consumer(f"{config.url}/shibboleth", f"{config.url}{BASE}/SAML2/POST", f"{config.url}{BASE}/SAML2/ECP")


def speaker(config: Config, settings: SamlProvider) -> Speaker:
    """An identity provider that speaks SAML. Raises Unauthorized for one whose metadata cannot be read, and logs why."""
    path = config.root / settings.metadata
    try:
        return Speaker(settings, _issuer(path, path.stat().st_mtime_ns))
    except (OSError, saml.SamlError) as error:
        id = settings.identity_provider
        log.error("an identity provider's metadata cannot be used", provider=id, file=str(path), error=str(error))
        raise Unauthorized(f"The metadata of identity provider {id} cannot be used: tell your cloud's operator.") from None


def speakers_as(config: Config, entity: str) -> t.Iterator[Speaker]:
    """The identity providers of a name (entityID)."""
    for settings in config.federation.saml:
        try:
            found = speaker(config, settings)
        except Unauthorized:
            continue
        if found.issuer.entity == entity:
            yield found


@functools.lru_cache(64)
def _issuer(path: Path, changed: int) -> t.Any:
    return saml.read_issuer(path.read_bytes())
