"""Directories for tests: entries as LDIF, domains whose users they have, and a certificate."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import typing as t
from pathlib import Path

import ldap
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cumulet.kernel.testing.cloud import Caller
from cumulet.kernel.testing.engines import Slapd

READER, READER_PASSWORD = "cn=reader", "reader-pw"
"""The entry, below the suffix, as which the directory is asked."""


def ldif(dn: str, **attributes: str | list[str]) -> str:
    """One entry; values in base 64, so that none means anything."""
    lines = [f"dn:: {base64.b64encode(dn.encode()).decode()}"]
    for name, values in attributes.items():
        lines += [f"{name}:: {base64.b64encode(v.encode()).decode()}" for v in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n\n"


def tree(suffix: str) -> str:
    """The top of a directory."""
    name = suffix.partition(",")[0].removeprefix("dc=")
    reader = ldif(
        f"{READER},{suffix}", objectClass=["organizationalRole", "simpleSecurityObject"], cn="reader", userPassword=READER_PASSWORD
    )
    units = "".join(ldif(f"ou={unit},{suffix}", objectClass="organizationalUnit", ou=unit) for unit in ("people", "teams"))
    return ldif(suffix, objectClass=["dcObject", "organization"], dc=name, o=name) + reader + units


def person(suffix: str, uid: str, password: str | None = None, **more: str | list[str]) -> str:
    attributes = {"objectClass": "inetOrgPerson", "uid": uid, "cn": uid, "sn": uid.title(), "userPassword": password or f"{uid}-pw"}
    return ldif(f"uid={ldap.dn.escape_dn_chars(uid)},ou=people,{suffix}", **attributes | more)


def team(suffix: str, name: str, *uids: str, **more: str) -> str:
    members = [f"uid={ldap.dn.escape_dn_chars(uid)},ou=people,{suffix}" for uid in uids]
    return ldif(
        f"cn={ldap.dn.escape_dn_chars(name)},ou=teams,{suffix}", **{"objectClass": "groupOfNames", "cn": name, "member": members} | more
    )


def options(server: Slapd, **more: t.Any) -> dict[str, t.Any]:
    """The options of a domain for a directory of these people and teams."""
    return {
        "url": server.url, "user": f"{READER},{server.suffix}", "password": READER_PASSWORD, "suffix": server.suffix,
        "user_tree_dn": f"ou=people,{server.suffix}", "user_id_attribute": "uid", "user_name_attribute": "uid",
        "group_tree_dn": f"ou=teams,{server.suffix}", "group_name_attribute": "cn", "user_attribute_ignore": ["enabled"],
    } | more  # fmt: skip


def domain_of(admin: Caller, server: Slapd, name: str, **more: t.Any) -> str:
    """The id of a new domain whose users and groups a directory has."""
    id = admin.post("/domains", {"domain": {"name": name}}).json()["domain"]["id"]
    config = {"identity": {"driver": "ldap"}, "ldap": options(server, **more)}
    assert admin.put(f"/domains/{id}/config", {"config": config}).status_code == 201
    return id


class Editor:
    """Changes a directory, as those whose it is do."""

    def __init__(self, server: Slapd):
        self._server = server

    def __enter__(self) -> ldap.ldapobject.LDAPObject:
        self._connection = ldap.initialize(self._server.url)
        self._connection.simple_bind_s(self._server.admin, self._server.password)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.unbind_s()


def add(server: Slapd, text: str) -> None:
    """Add entries, as `person` and `team` tell them."""
    with Editor(server) as at:
        for entry in text.strip().split("\n\n"):
            lines = [line.partition(":: ") for line in entry.splitlines()]
            (_, _, dn), *rest = [(name, colons, base64.b64decode(value)) for name, colons, value in lines]
            values: dict[str, list[bytes]] = {}
            for name, _, value in rest:
                values.setdefault(name, []).append(value)
            at.add_s(dn.decode(), list(values.items()))


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    files = directory / "certificate.pem", directory / "key.pem"
    encoding = serialization.Encoding.PEM
    files[0].write_bytes(made.public_bytes(encoding))
    files[1].write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files
