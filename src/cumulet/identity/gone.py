"""What was there for signed tokens, which are no more: certificates, and the list of revoked tokens. Nobody needs a token
to be told so."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.errors import Forbidden, Gone
from ..kernel.http import Request
from . import api


@api.op("GET", "/OS-SIMPLE-CERT/ca", policy=None, errors=(410,))
@api.op("GET", "/OS-SIMPLE-CERT/certificates", policy=None, errors=(410,))
def certificates(tx: Tx, request: Request) -> None:
    """Answer that there are no certificates any more."""
    raise Gone("This API is no longer available due to the removal of support for PKI tokens.")


@api.op("GET", "/auth/tokens/OS-PKI/revoked", policy=None, errors=(403,))
def revoked(tx: Tx, request: Request) -> None:
    """Refuse: tokens are not stored, so that there is no list of them.

    The real service answers 403 too, and 410 only where revoking single tokens is switched off."""
    raise Forbidden("You are not authorized to perform the requested action.")
