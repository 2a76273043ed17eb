"""The wire: operations, versions, faults, paging, discovery, OpenAPI."""

from ..errors import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    NotImplementedHere,
    OverLimit,
    PreconditionFailed,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from .api import Api, Operation
from .dialects import Dialect, IdentityDialect, ImageDialect, KeyedDialect, NetworkDialect, OAuth2Dialect, PlacementDialect
from .paging import paged
from .request import Request
from .versions import since, until
from .wire import FORM, UNSET, Body, OpenBody, Page, Query, Reply, UnsetType, View

__all__ = [
    "FORM", "UNSET", "Api", "ApiError", "BadRequest", "Body", "Conflict", "Dialect", "Forbidden", "Gone", "IdentityDialect",
    "ImageDialect", "KeyedDialect", "NetworkDialect", "NotFound", "NotImplementedHere", "OAuth2Dialect", "OpenBody", "Operation",
    "OverLimit", "Page", "PlacementDialect", "PreconditionFailed", "Query", "Reply", "Request", "TooLarge",
    "Unauthorized", "Unavailable", "UnsetType", "UnsupportedMediaType", "View", "paged", "since", "until",
]  # fmt: skip
