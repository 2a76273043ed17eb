"""Roles give what they say where they are, and nothing beside: implied ones, a domain's own, inherited ones, and who manages a domain."""

from __future__ import annotations

import pytest

from cumulet.kernel.testing.cloud import Caller


class Domain:
    """A domain with a user, a project in it and one below that, and another domain beside it."""

    def __init__(self, cloud, admin: Caller, name: str):
        self.cloud, self.admin = cloud, admin
        self.id = admin.post("/domains", {"domain": {"name": name}}).json()["domain"]["id"]
        self.user = cloud.user(admin, f"{name}-user", domain_id=self.id)["id"]
        self.project = cloud.project(admin, f"{name}-project", domain_id=self.id)["id"]
        self.child = cloud.project(admin, f"{name}-child", domain_id=self.id, parent_id=self.project)["id"]

    def role(self, name: str) -> str:
        return self.admin.post("/roles", {"role": {"name": name, "domain_id": self.id}}).json()["role"]["id"]

    def names(self, project: str | None = None) -> set[str] | None:
        """The roles that the user gets on the project; None where they get no token."""
        answer = self.cloud.ask(self.user, "pw", scope={"project": {"id": project or self.project}})
        return {role["name"] for role in answer.json()["token"]["roles"]} if answer.status_code == 201 else None

    def imply(self, prior: str, implied: str, status: int = 201) -> str:
        path = f"/roles/{prior}/implies/{implied}"
        assert self.admin.put(path).status_code == status
        return path

    def give(self, role: str) -> str:
        path = f"/projects/{self.project}/users/{self.user}/roles/{role}"
        assert self.admin.put(path).status_code == 204
        return path


@pytest.fixture
def home(cloud, admin) -> Domain:
    return Domain(cloud, admin, "home")


@pytest.fixture
def abroad(cloud, admin) -> Domain:
    return Domain(cloud, admin, "abroad")


class TestImplied:
    def test_it_counts_while_it_is_implied(self, home: Domain, cloud, admin):
        worker, helper, last = (cloud.role(admin, name) for name in ("worker", "helper", "last"))
        home.give(worker)
        token = cloud.login(home.user, "pw", scope={"project": {"id": home.project}})
        first, second = home.imply(worker, helper), home.imply(helper, last)
        shown = lambda: {
            role["name"] for role in admin.get("/auth/tokens", headers={"X-Subject-Token": token.token}).json()["token"]["roles"]
        }
        assert home.names() == shown() == {"worker", "helper", "last"}
        assert admin.delete(second).status_code == 204
        assert home.names() == shown() == {"worker", "helper"}
        assert admin.delete(first).status_code == 204
        assert home.names() == shown() == {"worker"}, "in the token that was got while it was"

    def test_a_circle_ends(self, home: Domain, cloud, admin):
        one, two, three = (cloud.role(admin, name) for name in ("one", "two", "three"))
        home.give(one)
        for prior, implied in ((one, two), (two, three), (three, one)):
            home.imply(prior, implied)
        assert home.names() == {"one", "two", "three"}

    def test_what_no_role_may_imply(self, home: Domain, cloud, admin):
        """Whoever may say what a role implies would make administrators."""
        worker, root = cloud.role(admin, "worker"), cloud.role(admin, "admin")
        refused = admin.put(f"/roles/{worker}/implies/{root}")
        assert refused.status_code == 403
        home.give(worker)
        assert home.names() == {"worker"}

    def test_only_administrators_say_so(self, home: Domain, cloud, admin):
        worker, helper = cloud.role(admin, "worker"), cloud.role(admin, "helper")
        for role in ("manager", "member", "reader"):
            cloud.grant(admin, role, f"domains/{home.id}/users/{home.user}")
        eve = cloud.login(home.user, "pw", scope={"domain": {"id": home.id}})
        assert eve.put(f"/roles/{worker}/implies/{helper}").status_code == 403

    def test_a_domains_role_counts_for_what_it_implies_and_is_shown_to_nobody(self, home: Domain, cloud, admin):
        own, worker = home.role("own"), cloud.role(admin, "worker")
        home.give(own)
        assert home.names() is None, "it implies nothing"
        path = home.imply(own, worker)
        assert home.names() == {"worker"}
        assert admin.delete(path).status_code == 204
        assert home.names() is None

    def test_a_domains_role_is_for_its_own_domain(self, home: Domain, abroad: Domain, cloud, admin):
        foreign, worker = abroad.role("foreign"), cloud.role(admin, "worker")
        home.imply(foreign, worker)
        assert admin.put(f"/projects/{home.project}/users/{home.user}/roles/{foreign}").status_code == 403
        assert admin.put(f"/roles/{worker}/implies/{foreign}").status_code == 403, "a role of all implies none of one domain"


class TestInherited:
    def test_it_is_for_what_is_below(self, home: Domain, abroad: Domain, cloud, admin):
        worker = cloud.role(admin, "worker")
        path = f"/OS-INHERIT/projects/{home.project}/users/{home.user}/roles/{worker}/inherited_to_projects"
        assert admin.put(path).status_code == 204
        assert (home.names(), home.names(home.child), home.names(abroad.project)) == (None, {"worker"}, None)
        assert admin.delete(path).status_code == 204
        assert home.names(home.child) is None

    def test_a_domains_is_for_its_projects_and_not_for_itself(self, home: Domain, abroad: Domain, cloud, admin):
        worker = cloud.role(admin, "worker")
        path = f"/OS-INHERIT/domains/{home.id}/users/{home.user}/roles/{worker}/inherited_to_projects"
        assert admin.put(path).status_code == 204
        assert (home.names(), home.names(home.child), home.names(abroad.project)) == ({"worker"}, {"worker"}, None)
        assert cloud.ask(home.user, "pw", scope={"domain": {"id": home.id}}).status_code == 401
        assert admin.put(f"/OS-INHERIT/domains/{abroad.id}/users/{home.user}/roles/{worker}/inherited_to_projects").status_code == 204
        assert home.names(abroad.project) == {"worker"}

    def test_a_project_is_not_moved_below_another(self, home: Domain, abroad: Domain, cloud, admin):
        """Else who may change a project would choose whose roles it inherits."""
        for change in ({"parent_id": abroad.project}, {"domain_id": abroad.id}, {"is_domain": True}):
            assert admin.patch(f"/projects/{home.child}", {"project": change}).status_code in (400, 403)
        worker = cloud.role(admin, "worker")
        assert admin.put(f"/OS-INHERIT/projects/{abroad.project}/users/{home.user}/roles/{worker}/inherited_to_projects").status_code == 204
        assert home.names(home.child) is None


class TestManager:
    """Who manages a domain manages its users and projects, and neither the cloud nor another domain."""

    @pytest.fixture
    def boss(self, home: Domain, cloud, admin) -> Caller:
        cloud.grant(admin, "manager", f"domains/{home.id}/users/{home.user}")
        return cloud.login(home.user, "pw", scope={"domain": {"id": home.id}})

    def test_what_is_theirs(self, boss: Caller, home: Domain, cloud, admin):
        made = boss.post("/users", {"user": {"name": "new", "domain_id": home.id, "password": "pw"}})
        assert made.status_code == 201
        member, user = cloud.role(admin, "member"), made.json()["user"]["id"]
        assert boss.put(f"/projects/{home.project}/users/{user}/roles/{member}").status_code == 204

    def test_they_give_no_role_that_is_above_theirs(self, boss: Caller, home: Domain, cloud, admin):
        for name in ("admin", "service", "auditor"):
            role = cloud.role(admin, name)
            for path in (
                f"/projects/{home.project}/users/{home.user}",
                f"/domains/{home.id}/users/{home.user}",
                f"/system/users/{home.user}",
            ):
                assert boss.put(f"{path}/roles/{role}").status_code == 403, (name, path)
            inherited = f"/OS-INHERIT/domains/{home.id}/users/{home.user}/roles/{role}/inherited_to_projects"
            assert boss.put(inherited).status_code == 403
        assert boss.post("/roles", {"role": {"name": "manager-too", "domain_id": home.id}}).status_code == 403
        assert boss.patch(f"/roles/{cloud.role(admin, 'auditor')}", {"role": {"name": "member"}}).status_code == 403

    def test_they_do_not_reach_into_another_domain(self, boss: Caller, home: Domain, abroad: Domain, cloud, admin):
        member = cloud.role(admin, "member")
        group = admin.post("/groups", {"group": {"name": "g", "domain_id": abroad.id}}).json()["group"]["id"]
        own = boss.post("/groups", {"group": {"name": "g", "domain_id": home.id}}).json()["group"]["id"]
        tried = [
            boss.post("/users", {"user": {"name": "x", "domain_id": abroad.id}}), boss.post("/users", {"user": {"name": "x", "domain_id": "default"}}),
            boss.post("/projects", {"project": {"name": "x", "domain_id": abroad.id}}), boss.post("/domains", {"domain": {"name": "x"}}),
            boss.post("/projects", {"project": {"name": "x", "domain_id": home.id, "is_domain": True}}),
            boss.post("/projects", {"project": {"name": "x", "domain_id": home.id, "parent_id": abroad.project}}),
            boss.get(f"/users/{abroad.user}"), boss.patch(f"/users/{abroad.user}", {"user": {"password": "mine"}}),
            boss.patch(f"/users/{home.user}", {"user": {"domain_id": abroad.id}}), boss.delete(f"/users/{abroad.user}"),
            boss.get(f"/projects/{abroad.project}"), boss.delete(f"/projects/{abroad.project}"), boss.get(f"/domains/{abroad.id}"),
            boss.patch(f"/domains/{home.id}", {"domain": {"enabled": False}}), boss.put(f"/groups/{group}/users/{home.user}"),
            boss.put(f"/groups/{own}/users/{abroad.user}"), boss.put(f"/projects/{abroad.project}/users/{home.user}/roles/{member}"),
            boss.put(f"/projects/{home.project}/users/{abroad.user}/roles/{member}"), boss.put(f"/domains/{abroad.id}/users/{home.user}/roles/{member}"),
            boss.post("/credentials", {"credential": {"type": "totp", "blob": "x", "user_id": abroad.user}}),
            boss.post(f"/users/{abroad.user}/application_credentials", {"application_credential": {"name": "x"}}),
            boss.get("/services/x"), boss.post("/services", {"service": {"type": "x"}}),
        ]  # fmt: skip
        assert {answer.status_code for answer in tried} <= {400, 403, 404}, [answer.status_code for answer in tried]
        assert boss.get(f"/role_assignments?scope.domain.id={abroad.id}").json()["role_assignments"] == []
        for path, kind in (("/users", "users"), ("/projects", "projects"), ("/groups", "groups")):
            for query in ("", f"?domain_id={abroad.id}", "?domain_id=default"):
                answer = boss.get(path + query)
                assert answer.status_code == 403 or {one["domain_id"] for one in answer.json()[kind]} <= {home.id}, path + query

    def test_a_token_for_a_domain_is_none_for_its_projects(self, boss: Caller, home: Domain, cloud):
        """What they may do on a project they were not given a role on."""
        assert home.names() is None
        auth = {"identity": {"methods": ["token"], "token": {"id": boss.token}}, "scope": {"project": {"id": home.project}}}
        assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 401
        trust = {"trustor_user_id": home.user, "trustee_user_id": home.user, "impersonation": False, "project_id": home.project,
                 "roles": [{"name": "manager"}]}  # fmt: skip
        assert boss.post("/OS-TRUST/trusts", {"trust": trust}).status_code in (403, 404)
        assert boss.post(f"/users/{home.user}/application_credentials", {"application_credential": {"name": "a"}}).status_code in (400, 403)


class TestSystem:
    def test_who_reads_the_system_changes_nothing(self, home: Domain, cloud, admin):
        cloud.grant(admin, "reader", f"system/users/{home.user}")
        auditor = cloud.login(home.user, "pw", scope="system")
        assert auditor.get("/users").status_code == 200
        tried = [
            auditor.post("/users", {"user": {"name": "x"}}), auditor.patch(f"/users/{home.user}", {"user": {"name": "x"}}),
            auditor.put(f"/system/users/{home.user}/roles/{cloud.role(admin, 'admin')}"), auditor.delete(f"/projects/{home.project}"),
            auditor.post("/roles", {"role": {"name": "x"}}), auditor.post("/services", {"service": {"type": "x"}}),
        ]  # fmt: skip
        assert [answer.status_code for answer in tried] == [403] * len(tried)

    def test_a_role_in_the_system_is_none_elsewhere(self, home: Domain, cloud, admin):
        cloud.grant(admin, "admin", f"system/users/{home.user}")
        assert home.names() is None
        assert cloud.ask(home.user, "pw", scope={"domain": {"id": home.id}}).status_code == 401

    def test_an_administrator_of_a_project_is_not_let_into_the_system(self, home: Domain, cloud, admin):
        home.give(cloud.role(admin, "admin"))
        assert cloud.ask(home.user, "pw", scope="system").status_code == 401
