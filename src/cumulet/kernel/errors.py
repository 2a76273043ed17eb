"""What a handler raises to answer with an error; the service's dialect gives it its body."""

from __future__ import annotations

from http import HTTPStatus


class ApiError(Exception):
    """An answer other than success. `kind` is the field's own name for it, where a service's faults carry one
    (`NetworkNotFound` of the network service, `placement.concurrent_update` of placement)."""

    status = 500

    def __init__(self, message: str, *, kind: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.message, self.kind, self.headers = message, kind, headers or {}

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase


class BadRequest(ApiError):
    status = 400


class Unauthorized(ApiError):
    status = 401


class Forbidden(ApiError):
    status = 403


class NotFound(ApiError):
    status = 404


class MethodNotAllowed(ApiError):
    status = 405


class NotAcceptable(ApiError):
    status = 406


class Conflict(ApiError):
    status = 409


class Gone(ApiError):
    status = 410


class PreconditionFailed(ApiError):
    status = 412


class TooLarge(ApiError):
    status = 413


class UnsupportedMediaType(ApiError):
    status = 415


class RangeNotSatisfiable(ApiError):
    status = 416


class OverLimit(ApiError):
    """A quota or rate limit; 413 in the volume and old compute APIs, so the status is the caller's."""

    status = 403


class NotImplementedHere(ApiError):
    status = 501


class Unavailable(ApiError):
    """Something that this request needs is away for now: an agent, a message server, disk space."""

    status = 503
