"""The options of an LDAP directory: names, types and defaults are the real service's (`[ldap]` of its configuration)."""

from __future__ import annotations

import typing as t

import msgspec


class LdapOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a domain's configuration may say of its directory. docs/ldap.md tells what each is for."""

    url: str = "ldap://localhost"
    user: str | None = None
    password: str | None = None
    suffix: str = "cn=example,cn=com"
    query_scope: t.Literal["one", "sub"] = "one"
    page_size: t.Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    alias_dereferencing: t.Literal["never", "searching", "always", "finding", "default"] = "default"
    debug_level: int | None = None
    chase_referrals: bool | None = None
    user_tree_dn: str | None = None
    user_filter: str | None = None
    user_objectclass: str = "inetOrgPerson"
    user_id_attribute: str = "cn"
    user_name_attribute: str = "sn"
    user_mail_attribute: str | None = "mail"
    user_description_attribute: str | None = "description"
    user_pass_attribute: str | None = "userPassword"
    user_enabled_attribute: str | None = "enabled"
    user_enabled_invert: bool = False
    user_enabled_mask: t.Annotated[int, msgspec.Meta(ge=0)] = 0
    user_enabled_default: str = "True"
    user_attribute_ignore: list[str] = msgspec.field(default_factory=lambda: ["default_project_id"])
    user_default_project_id_attribute: str | None = None
    user_enabled_emulation: bool = False
    user_enabled_emulation_dn: str | None = None
    user_enabled_emulation_use_group_config: bool = False
    user_additional_attribute_mapping: list[str] = msgspec.field(default_factory=list)
    group_tree_dn: str | None = None
    group_filter: str | None = None
    group_objectclass: str = "groupOfNames"
    group_id_attribute: str = "cn"
    group_name_attribute: str = "ou"
    group_members_are_ids: bool = False
    group_member_attribute: str = "member"
    group_desc_attribute: str | None = "description"
    group_attribute_ignore: list[str] = msgspec.field(default_factory=list)
    group_additional_attribute_mapping: list[str] = msgspec.field(default_factory=list)
    tls_cacertfile: str | None = None
    tls_cacertdir: str | None = None
    use_tls: bool = False
    tls_req_cert: t.Literal["demand", "never", "allow"] = "demand"
    use_pool: bool = True
    pool_size: t.Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    pool_retry_max: t.Annotated[int, msgspec.Meta(ge=1)] = 3
    pool_retry_delay: float = 0.1
    pool_connection_timeout: int = -1
    pool_connection_lifetime: t.Annotated[int, msgspec.Meta(ge=1)] = 600
    use_auth_pool: bool = True
    auth_pool_size: int = 100
    auth_pool_connection_lifetime: int = 60


SECRET = "password"
DEFAULTS = {name: value for name, value in msgspec.to_builtins(LdapOptions()).items() if name != SECRET}
"""As they are shown: without the one that never is."""
