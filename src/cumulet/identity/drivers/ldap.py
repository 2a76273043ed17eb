"""Users and groups of an LDAP directory. Read only, as the real service's driver is."""

# pyright: reportAttributeAccessIssue=false
# python-ldap makes its names at run time.

from __future__ import annotations

import typing as t
import uuid

import ldap
import ldap.dn
from ldap.filter import escape_filter_chars

from ...kernel.log import get_logger
from .base import DirectoryError, GroupEntry, UserEntry
from .ldap_connections import Connections
from .ldap_options import LdapOptions

log = get_logger("ldap")
LONGEST = 255
"""Characters of an id or a name that are kept."""
AT_ONCE = 200
"""Entries asked for by one filter."""
SCOPES = {"one": ldap.SCOPE_ONELEVEL, "sub": ldap.SCOPE_SUBTREE}
DN_ALONE = ["1.1"]
"""What is asked of an entry of which no attribute is wanted (RFC 4511, 4.5.1.8)."""

Attributes = dict[str, list[str]]
"""By their names in small letters: servers answer in a case of their own."""


class LdapDirectory:
    """The directory that a domain's options describe. Raises DirectoryError for options that contradict each other."""

    def __init__(self, options: LdapOptions):
        self._options = options
        self._connections = Connections(options)
        self._scope = SCOPES[options.query_scope]
        self._users_at = options.user_tree_dn or f"ou=Users,{options.suffix}"
        self._groups_at = options.group_tree_dn or f"ou=UserGroups,{options.suffix}"
        self._user_extra = _mapping(options.user_additional_attribute_mapping)
        self._group_extra = _mapping(options.group_additional_attribute_mapping)

    def close(self) -> None:
        self._connections.close()

    # -- users -------------------------------------------------------------------------------------------------------

    def users(self, name: str | None = None) -> list[UserEntry]:
        return self._users("" if name is None else _equal(self._options.user_name_attribute, name))

    def user(self, id: str) -> UserEntry | None:
        return next(iter(self._users(_equal(self._options.user_id_attribute, id))), None)

    def right(self, id: str | None, password: str) -> bool:
        nobody = uuid.uuid4().hex
        user = self.user(nobody if id is None else id)
        return self._connections.binds(user.at if user else f"cn={nobody},{self._users_at}", password)

    def _users(self, clause: str) -> list[UserEntry]:
        o = self._options
        filter = f"(&{clause}{o.user_filter or ''}{_equal('objectClass', o.user_objectclass)}({o.user_id_attribute}=*))"
        return self._as_users(self._entries(self._users_at, self._scope, filter, self._wanted_of_users()))

    def _wanted_of_users(self) -> list[str]:
        o = self._options
        known = (o.user_id_attribute, o.user_name_attribute, o.user_mail_attribute, o.user_description_attribute,
                 o.user_enabled_attribute, o.user_default_project_id_attribute)  # fmt: skip
        return [*filter(None, known), *self._user_extra]

    def _as_users(self, entries: list[tuple[str, Attributes]]) -> list[UserEntry]:
        o = self._options
        named = [(dn, held, *names) for dn, held in entries if (names := _names(dn, held, o.user_id_attribute, o.user_name_attribute))]
        enabled = self._enabled_by_group([(dn, id) for dn, _, id, _ in named]) if self._emulates else None
        return [self._as_user(dn, held, id, name, dn in enabled if enabled is not None else self._enabled(held))
                for dn, held, id, name in named]  # fmt: skip

    def _as_user(self, dn: str, held: Attributes, id: str, name: str, enabled: bool) -> UserEntry:
        o, ignored = self._options, self._options.user_attribute_ignore
        extra = {mine: value for theirs, mine in self._user_extra.items() if (value := _first(held, theirs))}
        for mine, theirs in (("email", o.user_mail_attribute), ("description", o.user_description_attribute),
                             ("default_project_id", o.user_default_project_id_attribute)):  # fmt: skip
            if mine not in ignored and (value := _first(held, theirs)):
                extra[mine] = value
        return UserEntry(id, name, dn, enabled, extra.pop("description", None), extra.pop("default_project_id", None), extra)

    # -- enabled -----------------------------------------------------------------------------------------------------

    @property
    def _emulates(self) -> bool:
        return self._options.user_enabled_emulation and "enabled" not in self._options.user_attribute_ignore

    def _enabled(self, held: Attributes) -> bool:
        """By the attribute: a bit of a number that disables, or TRUE and FALSE, or these inverted."""
        o = self._options
        said = None if "enabled" in o.user_attribute_ignore else _first(held, o.user_enabled_attribute)
        if o.user_enabled_mask:
            number = _number(o.user_enabled_default if said is None else said)
            return number & o.user_enabled_mask != o.user_enabled_mask
        if "enabled" in o.user_attribute_ignore:
            return True
        return ((o.user_enabled_default if said is None else said).lower() in ("true", "1")) != o.user_enabled_invert

    def _enabled_by_group(self, users: list[tuple[str, str]]) -> set[str]:
        """The DNs of those of these users (DN, id) that are in the group of the enabled ones: one of them is asked for by name,
        for several the whole group is read."""
        o, as_groups = self._options, self._options.user_enabled_emulation_use_group_config
        at = o.user_enabled_emulation_dn or f"cn=enabled_users,{self._users_at}"
        attribute = o.group_member_attribute if as_groups else "member"
        keys = {dn: id if as_groups and o.group_members_are_ids else dn for dn, id in users}
        if len(users) == 1:
            dn, key = next(iter(keys.items()))
            return {dn} if self._entries(at, ldap.SCOPE_BASE, _equal(attribute, key), DN_ALONE) else set()
        found = self._entries(at, ldap.SCOPE_BASE, "(objectClass=*)", [attribute])
        inside = {_folded(member) for _, held in found for member in held.get(attribute.lower(), [])}
        return {dn for dn, key in keys.items() if _folded(key) in inside}

    # -- groups ------------------------------------------------------------------------------------------------------

    def groups(self, name: str | None = None) -> list[GroupEntry]:
        return self._groups("" if name is None else _equal(self._options.group_name_attribute, name))

    def group(self, id: str) -> GroupEntry | None:
        return next(iter(self._groups(_equal(self._options.group_id_attribute, id))), None)

    def groups_of(self, user: UserEntry) -> list[GroupEntry]:
        key = user.id if self._options.group_members_are_ids else user.at
        return self._groups(_equal(self._options.group_member_attribute, key))

    def members(self, group: GroupEntry) -> list[UserEntry]:
        o = self._options
        found = self._entries(group.at, ldap.SCOPE_BASE, "(objectClass=*)", [o.group_member_attribute])
        named = [member for _, held in found for member in held.get(o.group_member_attribute.lower(), [])]
        ids = named if o.group_members_are_ids else list(filter(None, map(self._id_of, named)))
        users: dict[str, UserEntry] = {}
        for start in range(0, len(ids), AT_ONCE):
            either = "".join(_equal(o.user_id_attribute, id) for id in ids[start : start + AT_ONCE])
            users |= {user.id: user for user in self._users(f"(|{either})")}
        return list(users.values())

    def _id_of(self, dn: str) -> str | None:
        """The id of the user at a DN: part of it, or else an attribute of what is there."""
        attribute = self._options.user_id_attribute
        try:
            (name, value, _), *_ = ldap.dn.str2dn(dn)[0]
        except (ldap.DECODING_ERROR, IndexError):
            return None
        if name.lower() == attribute.lower():
            return value
        found = self._entries(dn, ldap.SCOPE_BASE, "(objectClass=*)", [attribute])
        return _first(found[0][1], attribute) if found else None

    def _groups(self, clause: str) -> list[GroupEntry]:
        o = self._options
        filter = f"(&{clause}{o.group_filter or ''}{_equal('objectClass', o.group_objectclass)}({o.group_id_attribute}=*))"
        wanted = [o.group_id_attribute, o.group_name_attribute, *([o.group_desc_attribute] if o.group_desc_attribute else [])]
        found = self._entries(self._groups_at, self._scope, filter, [*wanted, *self._group_extra])
        return [group for dn, held in found if (group := self._as_group(dn, held))]

    def _as_group(self, dn: str, held: Attributes) -> GroupEntry | None:
        o = self._options
        names = _names(dn, held, o.group_id_attribute, o.group_name_attribute)
        if names is None:
            return None
        extra = {mine: value for theirs, mine in self._group_extra.items() if (value := _first(held, theirs))}
        if "description" not in o.group_attribute_ignore and (value := _first(held, o.group_desc_attribute)):
            extra["description"] = value
        return GroupEntry(*names, dn, extra.pop("description", ""), extra)

    # -- entries -----------------------------------------------------------------------------------------------------

    def _entries(self, base: str, scope: int, filter: str, attributes: list[str]) -> list[tuple[str, Attributes]]:
        found = self._connections.search(base, scope, filter, attributes)
        return [(dn, {name.lower(): [_text(one) for one in values] for name, values in held.items()}) for dn, held in found]


def _equal(attribute: str, value: str) -> str:
    """The filter for an attribute's value, in which no character of the value means anything (RFC 4515)."""
    return f"({attribute}={escape_filter_chars(value)})"


def _text(value: bytes) -> str:
    """An attribute's value. Sixteen bytes that are no text are a GUID as Active Directory has it; what else is none has its
    odd bytes replaced."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return str(uuid.UUID(bytes_le=value)) if len(value) == 16 else value.decode(errors="replace")


def _names(dn: str, held: Attributes, id_attribute: str, name_attribute: str) -> tuple[str, str] | None:
    """An entry's id and name. One without them, or with ones that are longer than what is kept, is left out. Of several ids, the
    one in the DN counts, for their order does not."""
    ids, name = held.get(id_attribute.lower(), []), _first(held, name_attribute)
    if len(ids) > 1:
        ids = [value for attribute, value, _ in ldap.dn.str2dn(dn)[0] if attribute.lower() == id_attribute.lower()]
    if not ids or not ids[0] or not name or not name.strip():
        return None
    if len(ids[0]) > LONGEST or len(name) > LONGEST or "\0" in ids[0] + name:
        log.warning("an entry of a directory has an id or a name that cannot be kept", dn=dn)
        return None
    return ids[0], name


def _first(held: Attributes, attribute: str | None) -> str | None:
    values = held.get(attribute.lower()) if attribute else None
    return values[0].replace("\0", "") if values else None


def _folded(member: str) -> str:
    """A member for comparison, a DN or an id: letters' case and how a DN is written say nothing."""
    try:
        parts = ldap.dn.str2dn(member)
    except ldap.DECODING_ERROR:
        return member.casefold()
    return ldap.dn.dn2str([sorted((name.lower(), value.casefold(), 1) for name, value, _ in part) for part in parts])


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise DirectoryError(f"user_enabled_mask is for numbers, and a user's attribute or user_enabled_default is {text!r}") from None


def _mapping(pairs: t.Iterable[str]) -> dict[str, str]:
    """`theirs:mine` pairs. Raises DirectoryError for another form, and for attributes that are not the directory's to say."""
    found: dict[str, str] = {}
    for pair in pairs:
        theirs, _, mine = pair.partition(":")
        if not theirs or not mine or mine in ("id", "domain_id", "name", "enabled", "options", "password", "links"):
            raise DirectoryError(f"additional attribute mapping {pair!r}: <attribute of the directory>:<attribute of the API> is expected")
        found[theirs] = mine
    return found
