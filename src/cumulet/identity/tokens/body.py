"""The body with which a token is asked for."""

from __future__ import annotations

import typing as t

import msgspec

from ...kernel.http import OpenBody
from ..passwords import LONGEST

Short = t.Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00]*$")]
Secret = t.Annotated[str, msgspec.Meta(max_length=LONGEST)]


class NamedDomain(OpenBody):
    id: Short | None = None
    name: Short | None = None


class NamedUser(OpenBody):
    """Who logs in: by id, or by name and domain."""

    id: Short | None = None
    name: Short | None = None
    domain: NamedDomain | None = None
    password: Secret | None = None
    passcode: t.Annotated[str, msgspec.Meta(max_length=64)] | None = None


class ByPassword(OpenBody):
    user: NamedUser


class ByPasscode(OpenBody):
    user: NamedUser


class ByToken(OpenBody):
    id: t.Annotated[str, msgspec.Meta(max_length=8192)]


class ByApplicationCredential(OpenBody):
    """By id, or by name and user."""

    id: Short | None = None
    name: Short | None = None
    user: NamedUser | None = None
    secret: Secret | None = None


class ByProxy(OpenBody):
    """Nothing: who it is, a trusted proxy says in a header."""


class ByFederation(OpenBody):
    """A token that an identity provider's word was good for. The word itself goes to OS-FEDERATION's own path."""

    id: t.Annotated[str, msgspec.Meta(max_length=8192)] | None = None
    identity_provider: Short | None = None
    protocol: Short | None = None


class Identity(OpenBody):
    methods: list[str]
    password: ByPassword | None = None
    token: ByToken | None = None
    application_credential: ByApplicationCredential | None = None
    oauth1: dict | None = None
    totp: ByPasscode | None = None
    external: ByProxy | None = None
    mapped: ByFederation | None = None
    saml2: ByFederation | None = None
    openid: ByFederation | None = None


class NamedProject(OpenBody):
    id: Short | None = None
    name: Short | None = None
    domain: NamedDomain | None = None


class NamedTrust(OpenBody):
    id: Short | None = None


class AllOfSystem(OpenBody):
    all: bool = False


class Scope(OpenBody):
    """What the token is to be for: one of these."""

    project: NamedProject | None = None
    domain: NamedDomain | None = None
    system: AllOfSystem | None = None
    trust: NamedTrust | None = msgspec.field(name="OS-TRUST:trust", default=None)
    unscoped: dict | None = None


class Auth(OpenBody):
    identity: Identity
    scope: Scope | str | None = None
