"""Grants: giving roles to users and groups on projects, domains and the system, and taking them away.

The paths differ by who gets the role, where, and whether what is below inherits it; what they do does not.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from ..kernel.db import Tx
from ..kernel.errors import BadRequest, Forbidden, NotFound
from ..kernel.http import Page, Request
from . import ADMIN, ADMIN_OR_SYSTEM_READER, SCOPES, api, epoch, groups, tree, users
from . import roles as roles_
from .application_credentials import application_credentials
from .assignments import Assignment, Kind, assign, assignments, held
from .roles import find_role, roles

# -- policy --------------------------------------------------------------------------------------------------------


def _in_own_domain(role: str) -> str:
    """A role on the domain that has both the user or group and the project or domain."""
    pairs = [(who, where) for who in ("user.domain_id", "group.domain_id") for where in ("project.domain_id", "domain.id")]
    clauses = (f"(role:{role} and domain_id:%(target.{who})s and domain_id:%(target.{where})s)" for who, where in pairs)
    return "(" + " or ".join(clauses) + ")"


OWN_ROLE = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
CHANGE = (
    f"(rule:admin_required) or {_in_own_domain('admin')} and {OWN_ROLE} or {_in_own_domain('manager')} and rule:domain_managed_target_role"
)
CHECK = api.rule(
    "identity:check_grant",
    f"(rule:admin_required) or ((role:reader and system_scope:all) or {_in_own_domain('reader')} and {OWN_ROLE})",
    "Check whether a user or group has a role.",
    scopes=SCOPES,
)
LIST = api.rule(
    "identity:list_grants",
    f"(rule:admin_required) or ((role:reader and system_scope:all) or {_in_own_domain('reader')})",
    "List the roles of a user or group.",
    scopes=SCOPES,
)
CREATE = api.rule("identity:create_grant", CHANGE, "Give a role.", scopes=SCOPES)
REVOKE = api.rule("identity:revoke_grant", CHANGE, "Take a role away.", scopes=SCOPES)
RULES = {"check": CHECK, "list": LIST, "create": CREATE, "revoke": REVOKE}
SYSTEM_RULES = {
    actor: {
        "list": api.rule(f"identity:list_system_grants_for_{actor}", ADMIN_OR_SYSTEM_READER, "List roles on the system."),
        "check": api.rule(f"identity:check_system_grant_for_{actor}", ADMIN_OR_SYSTEM_READER, "Check a role on the system."),
        "create": api.rule(f"identity:create_system_grant_for_{actor}", ADMIN, "Give a role on the system."),
        "revoke": api.rule(f"identity:revoke_system_grant_for_{actor}", ADMIN, "Take a role on the system away."),
    }
    for actor in ("user", "group")
}

# -- operations ----------------------------------------------------------------------------------------------------


class Grant(t.NamedTuple):
    """What one family of paths says: where, to whom, inherited or not."""

    kind: Kind
    actor: t.Literal["user", "group"]
    inherited: bool

    @property
    def path(self) -> str:
        where = "/system" if self.kind == "system" else f"/{self.kind}s/{{{self.kind}_id}}"
        return f"{'/OS-INHERIT' if self.inherited else ''}{where}/{self.actor}s/{{{self.actor}_id}}/roles"

    @property
    def suffix(self) -> str:
        return "/inherited_to_projects" if self.inherited else ""

    def assignment(self, path: dict[str, str]) -> Assignment:
        return Assignment(
            self.kind, path.get(f"{self.kind}_id"), path.get("user_id"), path.get("group_id"), path.get("role_id", ""),
            self.inherited,
        )  # fmt: skip


def declare(grant: Grant) -> None:
    """The operations of one family of paths."""
    rules = SYSTEM_RULES[grant.actor] if grant.kind == "system" else RULES
    one = f"{grant.path}/{{role_id}}{grant.suffix}"
    name = f"{'inherited_' if grant.inherited else ''}{grant.kind}_{grant.actor}"

    def op(verb: str, method: str, path: str, **options: t.Any) -> t.Callable:
        def named(fn: t.Callable) -> t.Callable:
            fn.__name__ = f"{verb}_{name}"
            return api.op(method, path, policy=rules[verb], target=target, errors=(404,), **options)(fn)

        return named

    @op("create", "PUT", one, status=204)
    def create(tx: Tx, request: Request, **path: str) -> None:
        """Give a role."""
        wanted = _checked(tx, grant.assignment(path))
        _check_domain_role(tx, wanted)
        assign(tx, wanted)
        epoch.bump(tx)

    @op("check", "GET", one, status=204)
    def check(tx: Tx, request: Request, **path: str) -> None:
        """Check whether a role was given, directly."""
        if not held(tx, wanted := _checked(tx, grant.assignment(path))):
            raise _not_given(wanted)

    @op("revoke", "DELETE", one, status=204)
    def revoke(tx: Tx, request: Request, **path: str) -> None:
        """Take a role away."""
        wanted = _placed(tx, grant.assignment(path))
        if not tx.delete(assignments, id=wanted.id):
            raise _not_given(wanted)
        _drop_credentials(tx, wanted)
        epoch.bump(tx)

    @op("list", "GET", grant.path + grant.suffix, reply="roles")
    def index(tx: Tx, request: Request, **path: str) -> Page:
        """List the roles that were given, directly."""
        wanted = _checked(tx, grant.assignment(path))
        same = {column: getattr(wanted, column) for column in ("kind", "target_id", "user_id", "group_id", "inherited")}
        found = sa.select(roles).join(assignments, assignments.c.role_id == roles.c.id)
        rows = tx.all(found.where(*(assignments.c[k] == v for k, v in same.items())).order_by(roles.c.name))
        return Page([roles_.view(request, row) for row in rows])


def target(tx: Tx, request: Request, **path: str) -> dict:
    """All that the path names, for policy."""
    found: dict[str, t.Any] = {}
    if "user_id" in path:
        found |= users.target(tx, request, path["user_id"])
    if "group_id" in path:
        found |= groups.target(tx, request, path["group_id"])
    if "role_id" in path:
        found |= roles_.target(tx, request, path["role_id"])
    if "project_id" in path and (project := tx.get(tree.projects, id=path["project_id"])):
        found |= {"target.project.id": project.id, "target.project.domain_id": project.domain_id}
    if "domain_id" in path:
        found["target.domain.id"] = path["domain_id"]
    return found


for kind in t.get_args(Kind):
    for actor in ("user", "group"):
        for inherited in (False,) if kind == "system" else (False, True):
            declare(Grant(kind, actor, inherited))

# -- helpers -------------------------------------------------------------------------------------------------------


def _checked(tx: Tx, wanted: Assignment) -> Assignment:
    """Raise NotFound for what is not there."""
    if wanted.user_id is not None:
        users.find_user(tx, wanted.user_id)
    if wanted.group_id is not None:
        groups.find_group(tx, wanted.group_id)
    return _placed(tx, wanted)


def _placed(tx: Tx, wanted: Assignment) -> Assignment:
    """Raise NotFound where there is no such role, or nothing that it could be on; who has it may be gone."""
    if wanted.kind != "system":
        (tree.find_domain if wanted.kind == "domain" else tree.find_project)(tx, str(wanted.target_id))
    if wanted.role_id:
        find_role(tx, wanted.role_id)
    return wanted


def _check_domain_role(tx: Tx, wanted: Assignment) -> None:
    """A domain's role has a meaning on that domain's projects alone."""
    role = find_role(tx, wanted.role_id)
    if role.domain_id is None:
        return
    if wanted.kind == "system":
        raise BadRequest(f"Role {role.id} is a domain-specific role. Unable to use a domain-specific role in a system assignment.")
    if wanted.kind == "project" and role.domain_id != tree.find_project(tx, str(wanted.target_id)).domain_id:
        raise Forbidden(f"Project {wanted.target_id} must be in the same domain as the role {role.id} being assigned.")


def _not_given(wanted: Assignment) -> NotFound:
    return NotFound(
        f"Could not find role assignment with role: {wanted.role_id}, user or group: {wanted.user_id or wanted.group_id}, "
        f"project, domain, or system: {wanted.target_id or 'system'}."
    )


def _drop_credentials(tx: Tx, gone: Assignment) -> None:
    """An application credential does not outlive a role of its user's on its project."""
    if gone.kind == "project" and gone.user_id is not None:
        tx.delete(application_credentials, user_id=gone.user_id, project_id=gone.target_id)
