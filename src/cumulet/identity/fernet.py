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
import tempfile
import threading
import typing as t
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_HEX = re.compile(r"[0-9a-f]{32}")
METHODS = ("password", "token", "application_credential", "totp", "oauth1", "external", "mapped")
KEEP = 3
"""Keys that stay after a rotation, the staged one among them."""


Kind = t.Literal["u", "p", "d", "s"]
Where = tuple[Kind, str]
"""What a token is for: (kind, id); u is unscoped, p a project, d a domain, s the system."""


class NoKeys(Exception):
    """The repository has no key; the text names the directory."""


class BadToken(Exception):
    """A text that no key of ours sealed, or that holds something else than claims."""


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


class Repository:
    """The keys in a directory."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._lock = threading.Lock()
        self._names: list[int] = []
        self._box: MultiFernet | None = None

    def setup(self) -> None:
        """Make the directory, a primary key and a staged one, where they are not there."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._numbers():
            self._write(1, Fernet.generate_key(), os.link)
        if 0 not in self._numbers():
            self._write(0, Fernet.generate_key(), os.link)

    def rotate(self) -> None:
        """Make the staged key the primary one, stage a new one, and drop the oldest beyond KEEP."""
        numbers = self._numbers()
        if not numbers:
            raise NoKeys(f"there are no keys in {self.directory}")
        if 0 in numbers:
            os.replace(self.directory / "0", self.directory / str(numbers[-1] + 1))
        self._write(0, Fernet.generate_key())
        for old in self._numbers()[1 : -(KEEP - 1)]:
            (self.directory / str(old)).unlink()

    def seal(self, data: bytes) -> str:
        """Encrypt with the primary key; URL-safe text without padding."""
        return self._open_box().encrypt(data).rstrip(b"=").decode()

    def open(self, text: str) -> bytes:
        """What is sealed in a text. Raises BadToken, for another spelling of the same too: decoding passes over what is no
        letter of base 64, and does not look at the last bits."""
        try:
            sealed = text.encode("ascii") + b"=" * (-len(text) % 4)
            spelt = base64.urlsafe_b64encode(base64.urlsafe_b64decode(sealed))
        except ValueError:
            raise BadToken from None
        if spelt != sealed:
            raise BadToken
        try:
            return self._open_box().decrypt(sealed)
        except InvalidToken:
            if not self._stale():
                raise BadToken from None
        try:
            return self._open_box().decrypt(sealed)
        except InvalidToken:
            raise BadToken from None

    def _open_box(self) -> MultiFernet:
        box = self._box
        if box is None:
            with self._lock:
                self._names = self._numbers()
                if not self._names:
                    raise NoKeys(f"there are no keys in {self.directory}; `cumulet up` makes them")
                keys = [(self.directory / str(number)).read_bytes() for number in reversed(self._names)]
                box = self._box = MultiFernet([Fernet(key) for key in keys])
        return box

    def _stale(self) -> bool:
        """Whether the keys on disk are others than those in use; then they are read anew."""
        if self._numbers() == self._names:
            return False
        self._box = None
        return True

    def _numbers(self) -> list[int]:
        return sorted(int(entry.name) for entry in self.directory.glob("*") if entry.name.isdecimal())

    def _write(self, number: int, key: bytes, place: t.Callable[[Path, Path], None] = os.replace) -> None:
        """All or nothing: a half-written key would never be read. Placed by `os.link`, it does not go over another's of the
        same moment."""
        descriptor, name = tempfile.mkstemp(prefix=".", dir=self.directory)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            place(temporary, self.directory / str(number))
        temporary.unlink(missing_ok=True)


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


_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder(_Sealed)
VERSION = 1


def issue(keys: Repository, claims: Claims) -> str:
    """The token of these claims."""
    kind, target = claims.scope
    sealed = _Sealed(
        VERSION, sum(1 << METHODS.index(method) for method in claims.methods), _short(claims.user_id), kind, _short(target),
        claims.issued, claims.expires, [base64.urlsafe_b64decode(one + "==") for one in claims.audit],
        _short(claims.trust_id or ""), _short(claims.app_credential_id or ""), _short(claims.access_token_id or ""),
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
    return Claims(
        [method for bit, method in enumerate(METHODS) if sealed.methods >> bit & 1], _long(sealed.user),
        (sealed.kind, _long(sealed.target)), sealed.issued, sealed.expires, [audit_id(one) for one in sealed.audit],
        _long(sealed.trust) or None, _long(sealed.credential) or None, _long(sealed.access) or None,
    )  # fmt: skip


def audit_id(random: bytes) -> str:
    """An audit id as tokens show it: sixteen random bytes in URL-safe base 64, without padding."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def _short(id: str) -> bytes:
    """An id of 32 hex digits as `h` and its 16 bytes, another as `t` and its text."""
    return b"h" + bytes.fromhex(id) if _HEX.fullmatch(id) else b"t" + id.encode()


def _long(short: bytes) -> str:
    return short[1:].hex() if short[:1] == b"h" else short[1:].decode()
