"""Tags of images, one at a time."""

from __future__ import annotations

from ..kernel.db import Tx
from ..kernel.http import NotFound, Request
from . import api, policy
from .attributes import checked, limited
from .images import NOT_FOUND, images, visible


def _target(tx: Tx, request: Request, id: str, tag: str) -> dict:
    return policy.against(request, visible(tx, request, id, NOT_FOUND))


@api.op("PUT", "/images/{id}/tags/{tag}", policy=policy.MODIFY, target=_target, status=204, errors=(400, 404, 413))
def add(tx: Tx, request: Request, id: str, tag: str) -> None:
    """Give an image a tag."""
    row = visible(tx, request, id)
    checked("tags", [tag])
    tags = {*row.tags, tag}
    limited("tags", len(tags), told=f"Image tag limit exceeded for image {id}: {{}}:")
    tx.update(images, id, tags=sorted(tags))


@api.op("DELETE", "/images/{id}/tags/{tag}", policy=policy.MODIFY, target=_target, status=204, errors=(404,))
def remove(tx: Tx, request: Request, id: str, tag: str) -> None:
    """Take a tag from an image."""
    row = visible(tx, request, id)
    if tag not in row.tags:
        raise NotFound(f"Tag {tag} not found on image {id}")
    tx.update(images, id, tags=[other for other in row.tags if other != tag])
