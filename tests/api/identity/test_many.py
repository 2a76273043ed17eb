"""Lists of more things than a database takes values in one statement, some 32,000: whatever is asked of them is answered."""

from __future__ import annotations

import pytest

from cumulet.identity.assignments import Assignment, assign
from cumulet.identity.groups import groups, memberships
from cumulet.identity.tree import projects
from cumulet.identity.users import users
from cumulet.kernel import clock
from cumulet.kernel.db import Tx

MANY = 33_000


@pytest.fixture
def role(cloud, admin) -> str:
    """A role that 33,000 users have in 33,000 projects, by a group of all these users: on one project, and inherited from the domain."""
    id = cloud.role(admin, "reader")

    def fill(tx: Tx) -> None:
        plain = {"domain_id": "default", "enabled": True, "options": {}, "extra": {}}
        below = plain | {"parent_id": "default", "description": "", "is_domain": False}
        tx.insert_many(projects, [{"id": f"p{n}", "name": f"p{n}"} | below for n in range(MANY)])
        tx.insert_many(users, [{"id": f"u{n}", "name": f"u{n}", "valid_from": clock.now()} | plain for n in range(MANY)])
        tx.insert_many(groups, [{"id": "g", "name": "g", "domain_id": "default", "description": "", "extra": {}}])
        tx.insert_many(memberships, [{"group_id": "g", "user_id": f"u{n}"} for n in range(MANY)])
        assign(tx, Assignment("domain", "default", "u7", None, id, True))
        assign(tx, Assignment("project", "p7", None, "g", id))

    cloud.transact(fill)
    return id


def test_what_lists_answer(admin, role):
    for path, number in (
        ("/projects", MANY + 3),
        ("/users/u7/projects?name=p9", 1),
        ("/role_assignments?effective&user.id=u7&include_names", MANY + 4),
        ("/role_assignments?effective&scope.project.id=p7&role.id=" + role + "&include_names", MANY + 1),
        ("/role_assignments?scope.project.id=default&include_subtree", 4),
    ):
        answer = admin.get(path)
        assert answer.status_code == 200, (path, answer.text[:300])
        assert len(next(value for value in answer.json().values() if isinstance(value, list))) == number, path
