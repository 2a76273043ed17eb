"""Fernet tokens: their keys on disk, and what is sealed in them.

A repository is a directory of numbered key files, mode 0600: the highest number is the primary key, which seals; 0 is
the staged key, the next primary; the others open what was sealed before. So a rotation can reach every host
before anything is sealed with a key that some host has not got.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import typing as t
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ..kernel import files

_HEX = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?")
METHODS = (
    "password", "token", "application_credential", "totp", "oauth1", "external", "mapped", "oauth2_credential", "saml2", "openid",
    "ec2credential",
)  # fmt: skip
VOUCHED = ("mapped", "saml2", "openid")
"""Of the methods, those by an identity provider's word."""
KEEP = 3
"""Keys that stay after a rotation, the staged one among them."""


Kind = t.Literal["u", "p", "d", "s"]
Where = tuple[Kind, str]
"""What a token is for: (kind, id); u is unscoped, p a project, d a domain, s the system."""


class NoKeys(Exception):
    """The repository has no key; the text names the directory."""


class BadToken(Exception):
    """A text that no key of ours sealed, or that holds something else than claims."""


class Federated(msgspec.Struct, frozen=True):
    """Who vouched for a token's user, and the groups they said the user is in."""

    provider_id: str
    protocol_id: str
    group_ids: list[str]


class Claims(msgspec.Struct, frozen=True):
    """What a token says. Times are microseconds since 1970 UTC; `audit` is the token's own id and its chain's."""

    methods: list[str]
    user_id: str
    scope: Where
    issued: int
    expires: int
    audit: list[str]
    trust_id: str | None = None
    app_credential_id: str | None = None
    access_token_id: str | None = None
    thumbprint: str | None = None
    """The certificate without which the token is good for nothing."""
    federated: Federated | None = None


class _Held(t.NamedTuple):
    """The keys as they were read: those on disk may be others by now."""

    names: list[int]
    primary: Fernet
    box: MultiFernet


class Repository:
    """The keys in a directory. They are looked at with every use, so that what others do there counts at once."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._held: _Held | None = None

    def setup(self) -> None:
        """Make the directory, a primary key and a staged one, where they are not there."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.turn():
            if not self._numbers():
                self._write(1, Fernet.generate_key())
            if 0 not in self._numbers():
                self._write(0, Fernet.generate_key())

    def rotate(self) -> None:
        """Make the staged key the primary one, stage a new one, and drop the oldest beyond KEEP. Raises NoKeys."""
        with self.turn():
            self.promote()
            self.drop()

    @contextlib.contextmanager
    def turn(self) -> t.Iterator[None]:
        """One at a time changes the keys, of all processes. Raises NoKeys where there is no directory."""
        if not self.directory.exists():
            raise self._no_keys()
        with files.turn(self.directory):
            yield

    def promote(self) -> None:
        """Make the staged key the primary one and stage a new one: nothing is dropped yet. Raises NoKeys. Of one that was
        killed half-way, the next does the other half."""
        numbers = self._numbers()
        if not numbers:
            raise self._no_keys()
        if 0 in numbers:
            os.replace(self.directory / "0", self.directory / str(numbers[-1] + 1))
        self._write(0, Fernet.generate_key())

    def drop(self) -> None:
        """Drop the oldest keys beyond KEEP."""
        for old in self._numbers()[1 : -(KEEP - 1)]:
            (self.directory / str(old)).unlink()

    @property
    def primary(self) -> int:
        """The number of the key that seals."""
        return self._open().names[-1]

    def seal(self, data: bytes) -> str:
        """Encrypt with the primary key; URL-safe text without padding."""
        return self._open().box.encrypt(data).rstrip(b"=").decode()

    def open(self, text: str) -> bytes:
        """What is sealed in a text. Raises BadToken, for another spelling of the same too: decoding passes over what is no
        letter of base 64, and does not look at the last bits."""
        try:
            return self._open().box.decrypt(_spelt(text))
        except (InvalidToken, ValueError):
            raise BadToken from None

    def renewed(self, text: str) -> str:
        """The same sealed with the primary key; the text itself where that sealed it. Raises BadToken."""
        try:
            self._open().primary.decrypt(_spelt(text))
        except InvalidToken:
            return self.seal(self.open(text))
        return text

    def _open(self) -> _Held:
        held = self._held
        while held is None or held.names != self._numbers():
            held = self._read() or held
        self._held = held
        return held

    def _read(self) -> _Held | None:
        """The keys that are there; None where one went in the meantime."""
        names = self._numbers()
        if not names:
            raise self._no_keys()
        try:
            keys = [Fernet((self.directory / str(number)).read_bytes()) for number in reversed(names)]
        except FileNotFoundError:
            return None
        return _Held(names, keys[0], MultiFernet(keys))

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(self.directory) if name.isdecimal())
        except FileNotFoundError:
            return []

    def _no_keys(self) -> NoKeys:
        return NoKeys(f"there are no keys in {self.directory}; `cumulet up` makes them")

    def _write(self, number: int, key: bytes) -> None:
        files.write(self.directory / str(number), key)


def _spelt(text: str) -> bytes:
    """A text with its padding. Raises ValueError for another spelling than ours."""
    sealed = text.encode("ascii") + b"=" * (-len(text) % 4)
    if base64.urlsafe_b64encode(base64.urlsafe_b64decode(sealed)).rstrip(b"=") != text.encode():
        raise ValueError("there is padding, or there are letters that are none, or bits that say nothing")
    return sealed


class _Sealed(msgspec.Struct, array_like=True):
    """Claims as they are sealed: short, for a token is sent with every request."""

    version: int
    methods: int
    user: bytes
    kind: Kind
    target: bytes
    issued: int
    expires: int
    audit: list[bytes]
    trust: bytes
    credential: bytes
    access: bytes = b"t"
    thumbprint: bytes = b"t"
    provider: bytes = b"t"
    protocol: bytes = b"t"
    groups: list[bytes] = []


_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder(_Sealed)
VERSION = 1


def issue(keys: Repository, claims: Claims) -> str:
    """The token of these claims."""
    kind, target = claims.scope
    federated = claims.federated or Federated("", "", [])
    sealed = _Sealed(
        VERSION, sum(1 << METHODS.index(method) for method in claims.methods), _short(claims.user_id), kind, _short(target),
        claims.issued, claims.expires, [base64.urlsafe_b64decode(one + "==") for one in claims.audit],
        _short(claims.trust_id or ""), _short(claims.app_credential_id or ""), _short(claims.access_token_id or ""),
        _short(claims.thumbprint or ""),
        _short(federated.provider_id), _short(federated.protocol_id), [_short(id) for id in federated.group_ids],
    )  # fmt: skip
    return keys.seal(_pack.encode(sealed))


def read(keys: Repository, token: str) -> Claims:
    """A token's claims, whether or not they still hold. Raises BadToken."""
    try:
        sealed = _unpack.decode(keys.open(token))
    except msgspec.MsgspecError:
        raise BadToken from None
    if sealed.version != VERSION or not sealed.audit:
        raise BadToken
    provider = _long(sealed.provider)
    federated = Federated(provider, _long(sealed.protocol), [_long(id) for id in sealed.groups]) if provider else None
    return Claims(
        [method for bit, method in enumerate(METHODS) if sealed.methods >> bit & 1], _long(sealed.user),
        (sealed.kind, _long(sealed.target)), sealed.issued, sealed.expires, [audit_id(one) for one in sealed.audit],
        _long(sealed.trust) or None, _long(sealed.credential) or None, _long(sealed.access) or None, _long(sealed.thumbprint) or None,
        federated,
    )  # fmt: skip


def audit_id(random: bytes) -> str:
    """An audit id as tokens show it: sixteen random bytes in URL-safe base 64, without padding."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def _short(id: str) -> bytes:
    """An id of 32 or 64 hex digits as `h` and its bytes, another as `t` and its text."""
    return b"h" + bytes.fromhex(id) if _HEX.fullmatch(id) else b"t" + id.encode()


def _long(short: bytes) -> str:
    return short[1:].hex() if short[:1] == b"h" else short[1:].decode()
