"""Listing assignments: as they were given, or what they come to for each user and project."""

from __future__ import annotations

import itertools
import typing as t

import sqlalchemy as sa

from ..kernel.db import Row, Tx
from ..kernel.errors import BadRequest
from ..kernel.http import Page, Request
from . import SCOPES, api, implied_roles, tree
from .assignments import assignments, names_of
from .groups import groups
from .listing import asked, flag
from .memberships import ids_of_user, pairs_of
from .roles import roles
from .state import state
from .users import users

# -- policy --------------------------------------------------------------------------------------------------------

READ = (
    "(rule:admin_required) or (role:reader and system_scope:all) or "
    "(role:reader and domain_id:%(target.domain_id)s and not None:%(target.domain_id)s)"
)
LIST = api.rule("identity:list_role_assignments", READ, "List assignments.", scopes=SCOPES)
LIST_TREE = api.rule("identity:list_role_assignments_for_tree", READ, "List assignments on a project and those below it.", scopes=SCOPES)

# -- operations ----------------------------------------------------------------------------------------------------


class Wanted(t.NamedTuple):
    """What the query asks for. `project_ids` are the project of the query and, where it says so, those below it;
    `above_ids` those that it inherits from."""

    user_id: str | None
    group_id: str | None
    role_id: str | None
    project_ids: frozenset[str]
    above_ids: frozenset[str]
    domain_id: str | None
    system: bool
    inherited: bool | None
    effective: bool


class Entry(t.NamedTuple):
    """An assignment, or what one comes to; `source` is the one that was given, `prior_id` the role that implies this one."""

    source: Row
    kind: str
    target_id: str | None
    user_id: str | None
    role_id: str
    prior_id: str | None = None


def _target(tx: Tx, request: Request) -> dict:
    return {"target.domain_id": request.context.domain_id}


@api.op("GET", "/role_assignments", policy=LIST, target=_target, reply="role_assignments", errors=(404,))
def index(tx: Tx, request: Request) -> Page:
    """List assignments; `effective` puts users for groups, projects for what they inherit from, and adds implied roles."""
    wanted = _wanted(tx, request)
    rows = _sources(tx, wanted)
    if wanted.effective:
        _ask_directories(tx, request, wanted, rows)
    entries = _effective(tx, wanted, rows) if wanted.effective else [_given(row) for row in rows]
    entries = _in_own_domain(tx, request, entries)
    names = _Names(tx, entries) if flag(request, "include_names") else None
    return Page([_view(request, entry, names) for entry in entries])


# -- helpers -------------------------------------------------------------------------------------------------------


def _wanted(tx: Tx, request: Request) -> Wanted:
    project, domain, system = (asked(request, f"scope.{name}") for name in ("project.id", "domain.id", "system"))
    user, group = asked(request, "user.id"), asked(request, "group.id")
    inherited = asked(request, "scope.OS-INHERIT:inherited_to")
    effective = flag(request, "effective")
    for one, other, text in (
        (domain, project, "Specify a domain or project, not both"),
        (domain, system, "Specify system or domain, not both"),
        (project, system, "Specify system or project, not both"),
        (user, group, "Specify a user or group, not both"),
        (effective, group, "Combining effective and group filter will always result in an empty list."),
        (effective and inherited, domain,
         "Combining effective, domain and inherited filters will always result in an empty list."),
    ):  # fmt: skip
        if one and other:
            raise BadRequest(text)
    projects = _projects(tx, request, project)
    above = frozenset(row.id for row in tree.ancestors(tx, tree.find_project(tx, project))) if project and effective else frozenset()
    return Wanted(
        user, group, asked(request, "role.id"), projects, above, domain, system is not None,
        None if inherited is None else inherited == "projects", effective,
    )  # fmt: skip


def _projects(tx: Tx, request: Request, id: str | None) -> frozenset[str]:
    if not flag(request, "include_subtree"):
        return frozenset([id] if id else [])
    if id is None:
        raise BadRequest("scope.project.id must be specified if include_subtree is also specified")
    project = tree.find_project(tx, id)
    request.enforce(LIST_TREE, {"target.domain_id": project.domain_id})
    return frozenset([id, *(row.id for row in tree.descendants(tx, id))])


def _sources(tx: Tx, wanted: Wanted) -> list[Row]:
    """The given assignments that the answer may come from."""
    a, where = assignments.c, []
    if wanted.user_id:
        theirs = a.user_id == wanted.user_id
        where.append(sa.or_(theirs, a.group_id.in_(ids_of_user(wanted.user_id))) if wanted.effective else theirs)
    if wanted.group_id:
        where.append(a.group_id == wanted.group_id)
    if wanted.role_id and not wanted.effective:
        where.append(a.role_id == wanted.role_id)
    if wanted.inherited is not None:
        where.append(a.inherited.is_(wanted.inherited))
    if wanted.system:
        where.append(a.kind == "system")
    elif wanted.effective:
        where.append(a.kind != "system")
    if wanted.domain_id:
        where += [a.kind == "domain", a.target_id == wanted.domain_id]
        where += [a.inherited.is_(False)] if wanted.effective else []
    if wanted.project_ids:
        where.append(_on_projects(wanted))
    return tx.all(sa.select(assignments).where(*where).order_by(a.created_at, a.id))


def _ask_directories(tx: Tx, request: Request, wanted: Wanted, rows: list[Row]) -> None:
    """Have memberships be what directories say now: those of the user asked about, or of all groups that were given something."""
    directories = state(request.runtime).directories
    if wanted.user_id:
        directories.ask_user(tx.get(users, id=wanted.user_id))
    else:
        directories.ask_members(names_of(tx, {row.group_id for row in rows if row.group_id}, groups).values())


def _on_projects(wanted: Wanted) -> sa.ColumnElement[bool]:
    a = assignments.c
    on = sa.and_(a.kind == "project", a.target_id.in_(wanted.project_ids))
    return sa.or_(on, sa.and_(a.inherited.is_(True), a.target_id.in_(wanted.above_ids))) if wanted.effective else on


def _given(row: Row) -> Entry:
    return Entry(row, row.kind, row.target_id, row.user_id, row.role_id)


def _effective(tx: Tx, wanted: Wanted, rows: list[Row]) -> list[Entry]:
    members = _members(tx, {row.group_id for row in rows if row.group_id})
    implied = _Implied(tx)
    below = tree.ids_below(tx, {row.target_id for row in rows if row.inherited})
    found: dict[Entry, None] = {}
    for row in rows:
        who = [row.user_id] if row.user_id else members.get(row.group_id, [])
        where = below[row.target_id] if row.inherited else [row.target_id]
        kind = "project" if row.inherited else row.kind
        every = itertools.product(where, who, implied.by(row.role_id).items())
        entries = (Entry(row, kind, place, user, *role) for place, user, role in every)
        found |= {entry: None for entry in entries if _matches(wanted, entry)}
    return list(found)


def _matches(wanted: Wanted, entry: Entry) -> bool:
    return (
        wanted.user_id in (None, entry.user_id)
        and wanted.role_id in (None, entry.role_id)
        and (not wanted.project_ids or entry.target_id in wanted.project_ids)
    )


class _Implied:
    """Each role's own roles: itself and all that it implies, without those that belong to a domain; and which implied them."""

    def __init__(self, tx: Tx):
        self._rules = implied_roles.direct(tx)
        self._of_domains = set(tx.execute(sa.select(roles.c.id).where(roles.c.domain_id.is_not(None))).scalars())
        self._known: dict[str, dict[str, str | None]] = {}

    def by(self, role_id: str) -> dict[str, str | None]:
        if role_id not in self._known:
            priors = implied_roles.priors(self._rules, role_id)
            self._known[role_id] = {id: priors[id] for id in sorted(priors.keys() - self._of_domains)}
        return self._known[role_id]


def _members(tx: Tx, group_ids: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in tx.all(pairs_of(group_ids)):
        found.setdefault(row.group_id, []).append(row.user_id)
    return found


def _in_own_domain(tx: Tx, request: Request, entries: list[Entry]) -> list[Entry]:
    """With a token for a domain, what is on it and on its projects alone."""
    own = request.context.domain_id
    if own is None:
        return entries
    inside = set(tx.execute(sa.select(tree.projects.c.id).where(tree.projects.c.domain_id == own)).scalars()) | {own}
    return [entry for entry in entries if entry.target_id in inside]


class _Names:
    """The names of all that some entries name."""

    def __init__(self, tx: Tx, entries: list[Entry]):
        user_ids = {entry.user_id for entry in entries if entry.user_id}
        group_ids = {entry.source.group_id for entry in entries if entry.source.group_id}
        target_ids = {entry.target_id for entry in entries if entry.target_id}
        self.of = names_of(tx, user_ids, users) | names_of(tx, group_ids, groups)
        self.of |= names_of(tx, {entry.role_id for entry in entries}, roles) | names_of(tx, target_ids, tree.projects)
        domain_ids = {row.domain_id for row in self.of.values() if row.domain_id}
        self.of |= names_of(tx, domain_ids - self.of.keys(), tree.projects)

    def named(self, id: str, with_domain: bool) -> dict:
        row = self.of[id]
        body = {"id": id, "name": row.name}
        if with_domain and row.domain_id:
            body["domain"] = {"id": row.domain_id, "name": self.of[row.domain_id].name}
        return body


def _view(request: Request, entry: Entry, names: _Names | None) -> dict:
    def named(id: str, with_domain: bool = True) -> dict:
        return names.named(id, with_domain) if names else {"id": id}

    source = entry.source
    scope: dict[str, t.Any] = {"system": {"all": True}}
    if entry.target_id is not None:
        scope = {entry.kind: named(entry.target_id, entry.kind == "project")}
    if source.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    body = {"role": named(entry.role_id), "scope": scope, "links": _links(request, entry)}
    if entry.user_id:
        body["user"] = named(entry.user_id)
    else:
        body["group"] = named(source.group_id)
    return body


def _links(request: Request, entry: Entry) -> dict:
    """As the real service has them: of an implied role, the assignment is told with the role that implies it, and their link
    names them the wrong way round."""
    source, base = entry.source, f"{request.base}/v3"
    where = "/system" if source.kind == "system" else f"/{source.kind}s/{source.target_id}"
    who = f"/users/{source.user_id}" if source.user_id else f"/groups/{source.group_id}"
    path = f"{where}{who}/roles/{entry.prior_id or source.role_id}"
    links = {"assignment": f"{base}/OS-INHERIT{path}/inherited_to_projects" if source.inherited else f"{base}{path}"}
    if source.group_id and entry.user_id:
        links["membership"] = f"{base}/groups/{source.group_id}/users/{entry.user_id}"
    if entry.prior_id:
        links["prior_role"] = f"{base}/prior_role/{entry.role_id}/implies/{entry.prior_id}"
    return links
