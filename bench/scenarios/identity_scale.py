"""Identity with 100,000 users and 1,000,000 assignments, on SQLite and on PostgreSQL: tokens validated, and lists that are filtered.

The application is asked in this process, without a socket: it is the time of an answer that may grow with the database.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import typing as t
from pathlib import Path

from crowd import Answer, Crowd, Served, on_both
from report import Figure

from cumulet.identity import epoch

VALIDATE, LIST = 2.0, 20.0
"""Milliseconds that an answer may take, of a token and of a list."""
SEEN, ASKED = 400, 20
"""How many users' tokens are validated, and how often each list is asked for, with another subject each time."""
Asked = tuple[str, str, str]
"""A path, who asks, and the token that is asked about."""


def run(guest: Path) -> list[Figure]:
    return on_both(_on)


def _on(name: str, url: str, directory: Path) -> list[Figure]:
    crowd = Crowd()
    with contextlib.closing(Served(url, directory)) as served:
        crowd.fill(served.db)
        if not served.db.embedded:
            analyze(served)  # as its autovacuum does within a minute
        return [*_validated(name, served, crowd), *_listed(name, served, crowd)]


def analyze(served: Served) -> None:
    with served.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def _validated(name: str, served: Served, crowd: Crowd) -> list[Figure]:
    """Each user's token, when nothing is known of it since something changed, and again."""
    asked = [("/identity/v3/auth/tokens", served.admin, _token(served, crowd, n)) for n in some(crowd.others, SEEN)]
    served.get(*asked[0])
    served.db.transact(epoch.bump)
    return [figure(f"{name}: token validated, {when}", served, asked, VALIDATE) for when in ("first after a change", "known")]


def _listed(name: str, served: Served, crowd: Crowd) -> list[Figure]:
    figures = []
    for path, subjects in _lists(crowd).items():
        paths = ["/identity/v3" + path.format(**one) for one in some(subjects, ASKED)]
        served.get(paths[0], served.admin)  # the first of a kind makes the statement
        figures.append(figure(f"{name}: {path}", served, [(one, served.admin, "") for one in paths], LIST))
    own = [("/identity/v3/auth/projects", _token(served, crowd, n), "") for n in some(crowd.others, ASKED)]
    return [*figures, figure(f"{name}: /auth/projects", served, own, LIST)]


def _lists(crowd: Crowd) -> dict[str, list[dict]]:
    """Path -> what it is asked about, one after another."""
    users, projects, groups = [crowd.users[n] for n in crowd.others], crowd.projects, crowd.groups
    return {
        "/users?name={name}": users,
        "/users?domain_id={domain_id}&limit=100": users,
        "/users?domain_id={domain_id}&limit=100&marker={id}": users,
        "/users?limit=100&marker={id}": users,
        "/users/{id}/projects": users,
        "/users/{id}/projects?limit=100": [crowd.users[n] for n in crowd.heirs],
        "/users/{id}/groups": users,
        "/projects?name={name}": projects,
        "/projects?parent_id={id}": projects,
        "/projects?domain_id={domain_id}&limit=100&marker={id}": projects,
        "/groups?name={name}": groups,
        "/groups?domain_id={domain_id}&limit=100": groups,
        "/groups/{id}/users?limit=100": groups,
        "/role_assignments?user.id={id}": users,
        "/role_assignments?scope.project.id={id}": projects,
        "/role_assignments?effective&user.id={id}": users,
        "/role_assignments?effective&user.id={id}&include_names": users,
        "/role_assignments?effective&scope.project.id={id}": projects,
        "/role_assignments?effective&scope.project.id={id}&include_names": projects,
    }


def some(every: t.Sequence[t.Any], number: int) -> t.Sequence[t.Any]:
    return every[:: math.ceil(len(every) / number)]


def _token(served: Served, crowd: Crowd, user: int) -> str:
    return served.token(crowd.users[user]["id"], crowd.own_projects(user)[0])


def figure(name: str, served: Served, asked: t.Iterable[Asked], target: float) -> Figure:
    answers: list[Answer] = [served.get(*one) for one in asked]
    times = sorted(1e3 * one.seconds for one in answers)
    details = {
        "percentile_99_ms": times[math.ceil(len(times) * 0.99) - 1], "cpu_ms_each": 1e3 * statistics.mean(one.cpu for one in answers),
        "answers": len(answers), "items_each": statistics.mean(one.items for one in answers),
    }  # fmt: skip
    return Figure(name, statistics.median(times), "ms", target, details)
