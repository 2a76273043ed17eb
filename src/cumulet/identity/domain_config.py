"""Domain configuration: which driver a domain's users and groups are by, and its options, sealed where they are secrets.
`domain_drivers` goes by them."""

from __future__ import annotations

import contextlib
import typing as t

import msgspec

from ..kernel.db import Row, Tx
from ..kernel.errors import Conflict, Forbidden, NotFound
from ..kernel.http import OpenBody, Reply, Request
from . import ADMIN, ADMIN_OR_SYSTEM_READER, SCOPES, api, domain_drivers, mirror
from .credentials import seal
from .domain_drivers import domain_options
from .drivers import ldap_options
from .tree import DEFAULT_DOMAIN, find_domain

# -- options -------------------------------------------------------------------------------------------------------

DEFAULTS: dict[str, dict[str, t.Any]] = {"identity": {"driver": "sql", "list_limit": None}, "ldap": ldap_options.DEFAULTS}
"""The options that may be set and shown, with the values that the real service has where nobody set them."""
SENSITIVE = {("ldap", ldap_options.SECRET)}
"""Options that may be set and are never shown."""
COMPLIANCE = ("password_regex", "password_regex_description")
"""What users may know of the demands on their passwords."""

# -- policy --------------------------------------------------------------------------------------------------------

GET = api.rule("identity:get_domain_config", ADMIN_OR_SYSTEM_READER, "Show a domain's configuration.")
GET_COMPLIANCE = api.rule("identity:get_security_compliance_domain_config", "", "Show what is demanded of passwords.", scopes=SCOPES)
GET_DEFAULT = api.rule("identity:get_domain_config_default", ADMIN_OR_SYSTEM_READER, "Show the defaults of domains' configuration.")
CREATE = api.rule("identity:create_domain_config", ADMIN, "Set a domain's configuration.")
UPDATE = api.rule("identity:update_domain_config", ADMIN, "Change a domain's configuration.")
DELETE = api.rule("identity:delete_domain_config", ADMIN, "Delete a domain's configuration.")

# -- operations ----------------------------------------------------------------------------------------------------

Config = dict[str, t.Any]


class Sent(OpenBody):
    """A body without a configuration is one with an empty one, for which there is an answer."""

    config: Config = msgspec.field(default_factory=dict)


ALL = "/domains/{domain_id}/config"
GROUP = ALL + "/{group}"
OPTION = GROUP + "/{option}"


@api.op("PUT", ALL, policy=CREATE, reply="config", status=201, errors=(200, 404, 409))
def create(tx: Tx, request: Request, domain_id: str, body: Sent | None) -> Reply:
    """Set a domain's configuration, in place of any that it has."""
    find_domain(tx, domain_id)
    config = body.config if body else {}
    _check(config)
    with _switching(tx, domain_id):
        before = tx.delete(domain_options, domain_id=domain_id)
        _set(tx, request, domain_id, config)
    return Reply(_shown(_rows(tx, domain_id)), 200 if before else 201)


@api.op("GET", ALL, policy=GET, reply="config", errors=(404,))
@api.op("GET", GROUP, policy=GET, reply="config", errors=(404,))
@api.op("GET", OPTION, policy=GET, reply="config", errors=(404,))
def show(tx: Tx, request: Request, domain_id: str, group: str | None = None, option: str | None = None) -> dict:
    """Show a domain's configuration, or a group or an option of it."""
    _check_known(group, option)
    config = _shown(_rows(tx, domain_id, group, option))
    if not config:
        raise _missing(domain_id, group, option)
    return config[group] if group and option else config


@api.op("PATCH", ALL, policy=UPDATE, reply="config", errors=(404, 409))
@api.op("PATCH", GROUP, policy=UPDATE, reply="config", errors=(404, 409))
@api.op("PATCH", OPTION, policy=UPDATE, reply="config", errors=(404, 409))
def update(tx: Tx, request: Request, domain_id: str, body: Sent | None, group: str | None = None, option: str | None = None) -> dict:
    """Change a domain's configuration, or a group or an option of it.

    A group or an option that the path names must be in the body, alone, and must have been set before. The answer is
    the whole configuration."""
    find_domain(tx, domain_id)
    sent = body.config if body else {}
    config = {group: sent} if group and option else sent
    _check(config)
    if group is not None:
        _check_narrow(config, group, option)
        if not _rows(tx, domain_id, group, option):
            raise _missing(domain_id, group, option)
    with _switching(tx, domain_id):
        _set(tx, request, domain_id, config)
    return _shown(_rows(tx, domain_id))


@api.op("DELETE", ALL, policy=DELETE, status=204, errors=(404, 409))
@api.op("DELETE", GROUP, policy=DELETE, status=204, errors=(404, 409))
@api.op("DELETE", OPTION, policy=DELETE, status=204, errors=(404, 409))
def delete(tx: Tx, request: Request, domain_id: str, group: str | None = None, option: str | None = None) -> None:
    """Delete a domain's configuration, or a group or an option of it."""
    find_domain(tx, domain_id)
    _check_known(group, option)
    with _switching(tx, domain_id):
        if not tx.delete(domain_options, **_where(domain_id, group, option)) and group is not None:
            raise _missing(domain_id, group, option)


@api.op("GET", ALL + "/security_compliance", policy=GET_COMPLIANCE, reply="config", errors=(404,))
@api.op("GET", ALL + "/security_compliance/{option}", policy=GET_COMPLIANCE, reply="config", errors=(404,))
def show_compliance(tx: Tx, request: Request, domain_id: str, option: str | None = None) -> dict:
    """Show what is demanded of the passwords of the default domain's users, to any user."""
    if domain_id != DEFAULT_DOMAIN:
        raise _invalid("Reading security compliance information for any domain other than the default domain is not allowed or supported.")
    demanded = {name: getattr(request.runtime.config.security_compliance, name) or None for name in COMPLIANCE}
    if option is None:
        return {"security_compliance": demanded}
    if option not in COMPLIANCE:
        raise _invalid("Reading security compliance values other than password_regex and password_regex_description is not allowed.")
    return {option: demanded[option]}


@api.op("GET", "/domains/config/default", policy=GET_DEFAULT, reply="config")
@api.op("GET", "/domains/config/{group}/default", policy=GET_DEFAULT, reply="config")
@api.op("GET", "/domains/config/{group}/{option}/default", policy=GET_DEFAULT, reply="config")
def show_default(tx: Tx, request: Request, group: str | None = None, option: str | None = None) -> dict:
    """Show the defaults of all options, of a group's or of one."""
    _check_known(group, option)
    if group is None:
        return DEFAULTS
    if option is None:
        return {group: DEFAULTS[group]}
    if option not in DEFAULTS[group]:
        raise _invalid(f"Reading the default for option {option} in group {group} is not supported")
    return {option: DEFAULTS[group][option]}


# -- helpers -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _switching(tx: Tx, domain_id: str) -> t.Iterator[None]:
    """What is done inside may give a domain another driver. To a directory, a domain comes without users or groups of its own:
    nobody could see them any more, or log in as one of them. Raises Conflict. What a directory said is for that directory alone."""
    before = domain_drivers.driver_of(tx, domain_id)
    yield
    after = domain_drivers.driver_of(tx, domain_id)
    if after == before:
        return
    if after != "sql" and (own := mirror.own(tx, domain_id)):
        raise Conflict(f"Domain {domain_id} has {own} users and groups in the database: delete them before it gets the driver {after}.")
    mirror.hide(tx, domain_id)


def _where(domain_id: str, group: str | None, option: str | None) -> dict[str, str]:
    parts = {"domain_id": domain_id, "group": group, "option": option}
    return {name: value for name, value in parts.items() if value is not None}


def _rows(tx: Tx, domain_id: str, group: str | None = None, option: str | None = None) -> list[Row]:
    return tx.rows(domain_options, order=domain_options.c.created_at, **_where(domain_id, group, option))


def _shown(rows: list[Row]) -> Config:
    """Options by group, without the sensitive ones."""
    found: Config = {}
    for row in rows:
        if (row.group, row.option) not in SENSITIVE:
            found.setdefault(row.group, {})[row.option] = row.value
    return found


def _set(tx: Tx, request: Request, domain_id: str, config: Config) -> None:
    for group, options in config.items():
        for option, value in options.items():
            if (group, option) in SENSITIVE:
                value = seal(tx, request.runtime, msgspec.json.encode(value))
            where = _where(domain_id, group, option)
            if not tx.update(domain_options, where, value=value):
                tx.insert(domain_options, **where, value=value)


def _check(config: Config) -> None:
    if not config:
        raise _invalid("No options specified")
    for group, options in config.items():
        if not options or not isinstance(options, dict):
            raise _invalid(f"The value of group {group} specified in the config should be a dictionary of options")
        for option in options:
            _check_known(group, option)


def _check_known(group: str | None, option: str | None) -> None:
    if group is not None and group not in DEFAULTS:
        raise _invalid(f"Group {group} is not supported for domain specific configurations")
    if group is not None and option is not None and option not in DEFAULTS[group] and (group, option) not in SENSITIVE:
        raise _invalid(f"Option {option} in group {group} is not supported for domain specific configurations")


def _check_narrow(config: Config, group: str, option: str | None) -> None:
    """Raise Forbidden where the configuration has another group than this, or another option."""
    if option is not None:
        update = f"Trying to update {_named(group, option)}"
        if len(config[group]) != 1:
            raise _invalid(f"{update}, so that, and only that, option must be specified  in the config")
        if option not in config[group]:
            raise _invalid(f"{update}, but config provided contains option {next(iter(config[group]))} instead")
    elif len(config) != 1:
        raise _invalid(f"Trying to update group {group}, so that, and only that, group must be specified in the config")
    elif group not in config:
        raise _invalid(f"request to update group {group}, but config provided contains group {next(iter(config))} instead")


def _invalid(reason: str) -> Forbidden:
    return Forbidden(f"Invalid domain specific configuration: {reason}.")


def _missing(domain_id: str, group: str | None, option: str | None) -> NotFound:
    return NotFound(f"Could not find {_named(group, option)} in domain configuration for domain {domain_id}.")


def _named(group: str | None, option: str | None) -> str:
    return f"option {option} in group {group}" if option else f"group {group}" if group else "any options"
