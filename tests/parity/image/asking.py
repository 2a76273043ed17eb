"""The media types of requests to image."""

from __future__ import annotations

import typing as t

from parity.play import Asked

Names = dict[str, t.Any]


def octets(asked: Asked, names: Names) -> Asked:
    """Send the text as data."""
    asked["headers"]["Content-Type"] = "application/octet-stream"
    return asked


def patch(asked: Asked, names: Names) -> Asked:
    """Send the body as a JSON patch in the newest of the service's types."""
    return _typed(asked, "application/openstack-images-v2.1-json-patch")


def patch_2_0(asked: Asked, names: Names) -> Asked:
    return _typed(asked, "application/openstack-images-v2.0-json-patch")


def patch_rfc(asked: Asked, names: Names) -> Asked:
    return _typed(asked, "application/json-patch+json")


def _typed(asked: Asked, media: str) -> Asked:
    asked["headers"]["Content-Type"] = media
    return asked
