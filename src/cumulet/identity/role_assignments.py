"""Listing assignments: as they were given, or what they come to for each user and project."""

from __future__ import annotations

import functools
import itertools
import typing as t

import sqlalchemy as sa

from ..kernel.db import MANY, Row, Tx
from ..kernel.errors import BadRequest
from ..kernel.http import Page, Request
from . import SCOPES, api, implied_roles, tree
from .assignments import Assignment, assignments, names_of, of_user
from .groups import groups
from .listing import asked, flag
from .memberships import USER, holding, pairs_of
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
    """What the query asks for. `subtree`: also what is below the project."""

    user_id: str | None
    group_id: str | None
    role_id: str | None
    project_id: str | None
    subtree: bool
    domain_id: str | None
    system: bool
    inherited: bool | None
    effective: bool


class Entry(t.NamedTuple):
    """An assignment, or what one comes to; `source` is the one that was given, `prior_id` the role that implies this one."""

    source: Assignment
    kind: str
    target_id: str | None
    user_id: str | None
    role_id: str
    prior_id: str | None = None


def _target(tx: Tx, request: Request) -> dict:
    return {"target.domain_id": request.context.domain_id}


@api.op("GET", "/role_assignments", policy=LIST, target=_target, reply="role_assignments", errors=(404,))
def index(tx: Tx, request: Request) -> Page:
    """List assignments; `effective` puts users for groups, projects for what they inherit from, and adds implied roles.

    With a token for a domain, it is what is on it and on its projects alone."""
    wanted = _wanted(tx, request)
    rows = _sources(tx, wanted, request.context.domain_id)
    if wanted.effective:
        _ask_directories(tx, request, wanted, rows)
    entries = _effective(tx, request, wanted, rows) if wanted.effective else [_given(row) for row in rows]
    names = _Names(tx, entries) if flag(request, "include_names") else None
    refer, base = names.named if names else _unnamed, f"{request.base}/v3"
    return Page([_view(base, entry, refer) for entry in entries])


# -- helpers -------------------------------------------------------------------------------------------------------


def _wanted(tx: Tx, request: Request) -> Wanted:
    project, domain, system = (asked(request, f"scope.{name}") for name in ("project.id", "domain.id", "system"))
    user, group = asked(request, "user.id"), asked(request, "group.id")
    inherited = asked(request, "scope.OS-INHERIT:inherited_to")
    effective, subtree = flag(request, "effective"), flag(request, "include_subtree")
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
    _check_project(tx, request, project, subtree, effective)
    return Wanted(
        user, group, asked(request, "role.id"), project, subtree, domain, system is not None,
        None if inherited is None else inherited == "projects", effective,
    )  # fmt: skip


def _check_project(tx: Tx, request: Request, id: str | None, subtree: bool, effective: bool) -> None:
    if subtree and id is None:
        raise BadRequest("scope.project.id must be specified if include_subtree is also specified")
    if id and (subtree or effective):
        project = tree.find_project(tx, id)
        if subtree:
            request.enforce(LIST_TREE, {"target.domain_id": project.domain_id})


def _sources(tx: Tx, wanted: Wanted, own_domain: str | None) -> list[Assignment]:
    """The given assignments that the answer may come from."""
    ids = {name: getattr(wanted, name) for name in ("user_id", "group_id", "role_id", "project_id", "domain_id")}
    values = {name: id for name, id in (ids | {"own_domain": own_domain}).items() if id}
    statement = _statement(frozenset(values), wanted.subtree, wanted.system, wanted.inherited, wanted.effective)
    return [Assignment(*row) for row in tx.all(statement, values | (holding(wanted.user_id) if wanted.user_id else {}))]


_OF_DIRECTORY = sa.select(users.c.domain_id, users.c.local_id).where(users.c.id == USER, users.c.local_id.is_not(None))


def _ask_directories(tx: Tx, request: Request, wanted: Wanted, rows: list[Assignment]) -> None:
    """Have memberships be what directories say now: those of the user asked about, or of all groups that were given something."""
    directories = state(request.runtime).directories
    if wanted.user_id:
        directories.ask_user(next(iter(tx.all(_OF_DIRECTORY, {USER.key: wanted.user_id})), None))
    else:
        directories.ask_members(names_of(tx, {row.group_id for row in rows if row.group_id}, groups).values())


@functools.cache
def _statement(asked: frozenset[str], subtree: bool, system: bool, inherited: bool | None, effective: bool) -> sa.Select:
    """The statement for a form of query, with the names of what it asks for as parameters."""
    a = assignments.c
    same = {"group_id": a.group_id, "domain_id": a.target_id} | ({} if effective else {"user_id": a.user_id, "role_id": a.role_id})
    where = [column == sa.bindparam(name) for name, column in same.items() if name in asked]
    if inherited is not None:
        where.append(a.inherited.is_(inherited))
    if system:
        where.append(a.kind == "system")
    elif effective:
        where.append(a.kind != "system")
    if "domain_id" in asked:
        where += [a.kind == "domain"] + ([a.inherited.is_(False)] if effective else [])
    if "project_id" in asked:
        where += _on_projects(subtree, effective)
    if "own_domain" in asked:
        projects, own = tree.projects.c, sa.bindparam("own_domain")
        where.append(a.target_id.in_(sa.select(projects.id).where(sa.or_(projects.id == own, projects.domain_id == own))))
    found = of_user(*where).subquery().c if effective and "user_id" in asked else a
    statement = sa.select(*(found[name] for name in Assignment._fields)).order_by(found.created_at, found.id)
    return statement.where(*where) if found is a else statement


def _on_projects(subtree: bool, effective: bool) -> list[sa.ColumnElement[bool]]:
    """What is on the project (or those below it, too), or, where it is asked for effective ones, inherited from above."""
    a, project = assignments.c, tree.PROJECT
    places = [sa.select(sa.cast(project, sa.String(64)))] + ([sa.select(tree.below([project]).c.id)] if subtree else [])
    if not effective:
        return [a.kind == "project", a.target_id.in_(sa.union_all(*places))]
    above = sa.select(tree.above(project).c.id)
    from_above = a.target_id.in_(above)
    direct = sa.and_(a.kind == "project", sa.not_(from_above), *([] if subtree else [a.inherited.is_(False)]))
    return [a.target_id.in_(sa.union_all(*places, above)), sa.or_(direct, sa.and_(a.inherited, from_above))]


def _given(row: Assignment) -> Entry:
    return Entry(row, row.kind, row.target_id, row.user_id, row.role_id)


def _effective(tx: Tx, request: Request, wanted: Wanted, rows: list[Assignment]) -> list[Entry]:
    who, where, inference = _who(tx, wanted, rows), _where(tx, wanted, rows), state(request.runtime).inference.get(tx, Inference)
    found = []
    for row in rows:
        kind = "project" if row.inherited else row.kind
        for place, user, (role, prior) in itertools.product(where(row), who(row), inference.by(row.role_id)):
            if wanted.role_id is None or role == wanted.role_id:
                found.append(Entry(row, kind, place, user, role, prior))
    return found


def _who(tx: Tx, wanted: Wanted, rows: list[Assignment]) -> t.Callable[[Assignment], list[str]]:
    """The users that an assignment is for. Where it is asked for one user, all are for that one."""
    if wanted.user_id:
        return lambda row, one=[wanted.user_id]: one
    groups_named = {row.group_id for row in rows if row.group_id}
    members: dict[str | None, list[str]] = {id: [] for id in groups_named}
    for member in pairs_of(tx, groups_named):
        members[member.group_id].append(member.user_id)
    return lambda row: [row.user_id] if row.user_id else members[row.group_id]


def _where(tx: Tx, wanted: Wanted, rows: list[Assignment]) -> t.Callable[[Assignment], t.Sequence[str | None]]:
    """Where an assignment counts, of the places asked for. All that is inherited from above a project is so by each below."""
    asked_for: list[str] = []
    if wanted.project_id:
        asked_for = [wanted.project_id, *(tree.ids_below(tx, [wanted.project_id])[wanted.project_id] if wanted.subtree else [])]
    tops = {row.target_id for row in rows if row.inherited and row.target_id}
    below: dict[str | None, list[str]] = dict.fromkeys(tops, asked_for) if wanted.project_id else {}
    below |= tree.ids_below(tx, tops.intersection(asked_for) if wanted.project_id else tops)
    return lambda row: below[row.target_id] if row.inherited else [row.target_id]


_OF_DOMAINS = sa.select(roles.c.id).where(roles.c.domain_id.is_not(None))


class Inference:
    """Each role's own roles: itself and all that it implies, without those that belong to a domain, and which implied them."""

    def __init__(self, tx: Tx):
        self._rules = implied_roles.direct(tx)
        self._of_domains = {row.id for row in tx.all(_OF_DOMAINS)}
        self._known: dict[str, list[tuple[str, str | None]]] = {}

    def by(self, role_id: str) -> list[tuple[str, str | None]]:
        """The roles, and of each the one that implies it."""
        if role_id not in self._known:
            priors = implied_roles.priors(self._rules, role_id)
            self._known[role_id] = [(id, priors[id]) for id in sorted(priors.keys() - self._of_domains)]
        return self._known[role_id]


@functools.cache
def _named(table: sa.Table) -> sa.Select:
    return sa.select(table.c.id, table.c.name, table.c.domain_id).where(table.c.id.in_(MANY))


class _Names:
    """The names of all that some entries name."""

    def __init__(self, tx: Tx, entries: list[Entry]):
        user_ids = {entry.user_id for entry in entries if entry.user_id}
        group_ids = {entry.source.group_id for entry in entries if entry.source.group_id}
        target_ids = {entry.target_id for entry in entries if entry.target_id}
        self.of: dict[str, Row] = {}
        self._add(tx, users, user_ids)
        self._add(tx, groups, group_ids)
        self._add(tx, roles, {entry.role_id for entry in entries})
        self._add(tx, tree.projects, target_ids)
        self._add(tx, tree.projects, {row.domain_id for row in self.of.values() if row.domain_id} - self.of.keys())

    def _add(self, tx: Tx, table: sa.Table, ids: set[str]) -> None:
        self.of |= {row.id: row for row in tx.many(_named(table), ids)}

    def named(self, id: str, with_domain: bool = True) -> dict:
        row = self.of[id]
        body = {"id": id, "name": row.name}
        if with_domain and row.domain_id:
            body["domain"] = {"id": row.domain_id, "name": self.of[row.domain_id].name}
        return body


def _unnamed(id: str, with_domain: bool = True) -> dict:
    return {"id": id}


def _view(base: str, entry: Entry, refer: t.Callable[..., dict]) -> dict:
    """base: the API's address; refer: how what has an id is told of."""
    source = entry.source
    scope: dict[str, t.Any] = {"system": {"all": True}}
    if entry.target_id is not None:
        scope = {entry.kind: refer(entry.target_id, entry.kind == "project")}
    if source.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    body = {"role": refer(entry.role_id), "scope": scope, "links": _links(base, entry)}
    if entry.user_id:
        body["user"] = refer(entry.user_id)
    else:
        body["group"] = refer(source.group_id)
    return body


def _links(base: str, entry: Entry) -> dict:
    """As the real service has them: of an implied role, the assignment is told with the role that implies it, and their link
    names them the wrong way round."""
    source = entry.source
    where = "/system" if source.kind == "system" else f"/{source.kind}s/{source.target_id}"
    who = f"/users/{source.user_id}" if source.user_id else f"/groups/{source.group_id}"
    path = f"{where}{who}/roles/{entry.prior_id or source.role_id}"
    links = {"assignment": f"{base}/OS-INHERIT{path}/inherited_to_projects" if source.inherited else f"{base}{path}"}
    if source.group_id and entry.user_id:
        links["membership"] = f"{base}/groups/{source.group_id}/users/{entry.user_id}"
    if entry.prior_id:
        links["prior_role"] = f"{base}/prior_role/{entry.role_id}/implies/{entry.prior_id}"
    return links
