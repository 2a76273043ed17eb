"""Signed tokens (JWS, RFC 7515, with ES256): whoever has the public keys reads them and sees that they are genuine, without
asking. Names in the payload are upstream's. `openstack_roles`, which upstream has not, is for those who do not ask: this
service itself never goes by it.

A repository has two directories of numbered keys in PEM, `private` (0600) and `public`. The private key before the newest
signs; the newest is the next to, so that its public part can be everywhere by then.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key
from jwt.types import Options

from ..kernel import files
from .fernet import KEEP, BadToken, Claims, Federated, Kind, NoKeys

ALGORITHM = "ES256"
UNTIMED: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
"""How old a token may be is seen to by whoever asks for its claims, in one way for all kinds."""
Names = tuple[list[int], list[int]]


class _Held(t.NamedTuple):
    """The keys as they were read: those on disk may be others by now."""

    names: Names
    private: t.Any
    public: list[str]


class SigningKeys:
    """The keys in a directory. They are looked at with every use, so that what others do there counts at once."""

    def __init__(self, directory: Path):
        self.directory, self.private, self.public = directory, directory / "private", directory / "public"
        self._held: _Held | None = None

    def setup(self) -> None:
        """Make the directories, a key that signs and a next one, where they are not there."""
        for directory in (self.directory, self.private, self.public):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.turn(self.directory):
            while len(_numbers(self.private)) < 2:
                self._add()

    def rotate(self) -> int:
        """Sign with the next key, make another next one, and drop what is older than the key before. The number of the key
        that signs. Raises NoKeys."""
        if not self.directory.exists():
            raise self._no_keys()
        with files.turn(self.directory):
            self._add()
            newest = _numbers(self.private)[-1]
            for directory, kept in ((self.private, 2), (self.public, KEEP)):
                for number in _numbers(directory):
                    if number <= newest - kept:
                        (directory / f"{number}.pem").unlink()
        return newest - 1

    def sign(self, payload: dict[str, t.Any]) -> str:
        """The token of a payload. Raises NoKeys."""
        held = self._open()
        if held.private is None:
            raise self._no_keys()
        return jwt.encode(payload, held.private, ALGORITHM)

    def verified(self, token: str) -> dict[str, t.Any]:
        """The payload of a token that one of the keys signed. Raises BadToken."""
        for key in self._open().public:
            try:
                return jwt.decode(token, key, [ALGORITHM], UNTIMED)
            except jwt.PyJWTError:
                continue
        raise BadToken

    def _add(self) -> None:
        """A new key. Its public part is there before it is; with its private part, the one before it signs."""
        number, key = max(_numbers(self.private), default=0) + 1, ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        files.write(self.public / f"{number}.pem", public, 0o644)
        files.write(self.private / f"{number}.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def _open(self) -> _Held:
        held = self._held
        while held is None or held.names != self._names():
            held = self._read() or held
        self._held = held
        return held

    def _names(self) -> Names:
        return _numbers(self.private), _numbers(self.public)

    def _read(self) -> _Held | None:
        """The keys that are there; None where one went in the meantime."""
        private, public = self._names()
        try:
            signing = load_pem_private_key((self.private / f"{private[-2]}.pem").read_bytes(), None) if len(private) > 1 else None
            return _Held((private, public), signing, [(self.public / f"{number}.pem").read_text() for number in reversed(public)])
        except FileNotFoundError:
            return None

    def _no_keys(self) -> NoKeys:
        return NoKeys(f"there are no keys in {self.directory}; `cumulet up` makes them where `token_provider` is jws")


def _numbers(directory: Path) -> list[int]:
    try:
        return sorted(int(name[:-4]) for name in os.listdir(directory) if name.endswith(".pem") and name[:-4].isdecimal())
    except FileNotFoundError:
        return []


# -- tokens --------------------------------------------------------------------------------------------------------

NAMED = {"user_id": "sub", "issued": "iat", "expires": "exp", "audit": "openstack_audit_ids", "app_credential_id": "openstack_app_cred_id"}
"""Names of claims that are not `openstack_` and the claim's own."""
SCOPES: dict[Kind, str] = {"p": "openstack_project_id", "d": "openstack_domain_id", "s": "openstack_system"}
FEDERATED = ("openstack_idp_id", "openstack_protocol_id", "openstack_group_ids")
"""Who vouched for the user, by which protocol, and the groups that the user is in by that."""
SECOND = 1_000_000


def is_one(token: str) -> bool:
    """Whether a text has the form of a signed token."""
    return token.count(".") == 2


def issue(keys: SigningKeys, claims: Claims, roles: list[str] | None) -> str:
    """The token of these claims. roles: what the holder may pass for with whoever does not ask; None: they have to.
    Raises NoKeys."""
    kind, target = claims.scope
    said = msgspec.to_builtins(claims) | {"issued": _seconds(claims.issued), "expires": _seconds(claims.expires), "roles": roles}
    del said["scope"], said["federated"]
    payload = {NAMED.get(name, f"openstack_{name}"): value for name, value in said.items() if value is not None}
    if federated := claims.federated:
        payload |= dict(zip(FEDERATED, (federated.provider_id, federated.protocol_id, federated.group_ids), strict=True))
    return keys.sign(payload | ({SCOPES[kind]: target} if kind in SCOPES else {}))


def read(keys: SigningKeys, token: str) -> Claims:
    """A token's claims, whether or not they still hold. Raises BadToken."""
    payload = keys.verified(token)
    scope = next(((kind, payload[name]) for kind, name in SCOPES.items() if name in payload), ("u", ""))
    said: dict[str, t.Any] = {name: payload.get(NAMED.get(name, f"openstack_{name}")) for name in Claims.__struct_fields__}
    try:
        times = {name: round(said[name] * SECOND) for name in ("issued", "expires")}
        vouched = [payload[name] for name in FEDERATED] if FEDERATED[0] in payload else None
        claims = msgspec.convert(said | times | {"scope": scope, "federated": vouched and Federated(*vouched)}, Claims)
    except (LookupError, TypeError, ValueError, OverflowError, msgspec.ValidationError):
        raise BadToken from None
    if not claims.audit:
        raise BadToken
    return claims


def _seconds(micros: int) -> int | float:
    """A time as JWTs have it (RFC 7519): seconds, of which a fraction is allowed. Doubles have room for the microseconds."""
    return micros // SECOND if micros % SECOND == 0 else micros / SECOND
