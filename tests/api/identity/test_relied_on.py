"""An administrator deletes or disables what somebody's token, trust, application credential or catalog stands on: they are told
so, and nobody meets a 5xx."""

from __future__ import annotations

import re
import typing as t

import pytest


class Relied:
    """A user of a domain of their own who has delegated what they have in every way there is."""

    def __init__(self, cloud, admin):
        self.cloud, self.admin = cloud, admin
        self.domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]["id"]
        self.project = cloud.project(admin, "p", domain_id=self.domain)["id"]
        self.user = cloud.user(admin, "u", domain_id=self.domain)["id"]
        self.trustee = cloud.user(admin, "trustee")["id"]
        self.role = cloud.role(admin, "worker")
        self.group = admin.post("/groups", {"group": {"name": "g", "domain_id": self.domain}}).json()["group"]["id"]
        cloud.grant(admin, "worker", f"projects/{self.project}/users/{self.user}")
        self.scope = {"project": {"id": self.project}}
        self.me = cloud.login(self.user, "pw", scope=self.scope)
        self.trust = self.me.post("/OS-TRUST/trusts", {"trust": {
            "trustor_user_id": self.user, "trustee_user_id": self.trustee, "impersonation": False, "project_id": self.project,
            "roles": [{"id": self.role}]}}).json()["trust"]["id"]  # fmt: skip
        made = self.me.post(f"/users/{self.user}/application_credentials", {"application_credential": {"name": "a", "secret": "s"}})
        self.credential = made.json()["application_credential"]["id"]
        self.by_trust = cloud.login(self.trustee, "pw", scope={"OS-TRUST:trust": {"id": self.trust}})
        self.by_credential = cloud.bearer(self.asked_by_credential().headers["x-subject-token"])
        self.region = admin.post("/regions", {"region": {"id": "r"}}).json()["region"]["id"]
        self.service = admin.post("/services", {"service": {"type": "t", "name": "n"}}).json()["service"]["id"]
        self.endpoint = admin.post("/endpoints", {"endpoint": {
            "service_id": self.service, "region_id": "r", "interface": "public", "url": "http://there"}}).json()["endpoint"]["id"]  # fmt: skip
        rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
        for path, body in (
            ("/OS-FEDERATION/mappings/m", {"mapping": {"rules": rules}}),
            ("/OS-FEDERATION/identity_providers/idp", {"identity_provider": {"domain_id": self.domain}}),
            ("/OS-FEDERATION/identity_providers/idp/protocols/saml2", {"protocol": {"mapping_id": "m"}}),
        ):
            answer = admin.put(path, body)
            assert answer.status_code == 201, answer.text
        limit = {"service_id": self.service, "resource_name": "things", "default_limit": 1}
        self.registered = admin.post("/registered_limits", {"registered_limits": [limit]}).json()["registered_limits"][0]["id"]
        own = {"service_id": self.service, "resource_name": "things", "resource_limit": 2, "project_id": self.project}
        assert admin.post("/limits", {"limits": [own]}).status_code == 201

    def asked_by_credential(self):
        auth = {"identity": {"methods": ["application_credential"], "application_credential": {"id": self.credential, "secret": "s"}}}
        return self.cloud.stranger(self.cloud.base).post("/auth/tokens", {"auth": auth})

    def used(self) -> str:
        return "\n".join(f"{answer.status_code} {answer.text}" for answer in self._answers())

    def _answers(self) -> t.Iterator[t.Any]:
        yield self.cloud.ask(self.user, "pw", scope=self.scope)
        yield self.cloud.ask(self.user, "pw")
        yield self.cloud.ask(self.trustee, "pw", scope={"OS-TRUST:trust": {"id": self.trust}})
        yield self.asked_by_credential()
        for caller in (self.me, self.by_trust, self.by_credential):
            yield self.admin.get("/auth/tokens", headers={"X-Subject-Token": caller.token})
            yield caller.get("/auth/catalog")
            yield caller.get("/auth/projects")
            yield caller.get(f"/users/{self.user}")
            yield caller.get(f"/projects/{self.project}")
        yield self.admin.get(f"/role_assignments?effective&user.id={self.user}&include_names")
        yield self.admin.get("/role_assignments?include_names")
        yield self.admin.get("/limits")
        yield self.admin.get("/auth/catalog")
        yield self.admin.get(f"/OS-TRUST/trusts/{self.trust}")
        yield self.admin.get("/OS-FEDERATION/identity_providers/idp/protocols/saml2")
        yield self.admin.get("/domains")
        yield self.admin.put(f"/projects/{self.project}/groups/{self.group}/roles/{self.role}")


@pytest.fixture
def relied(cloud, admin) -> Relied:
    return Relied(cloud, admin)


def disabled(kind: str) -> t.Callable[[Relied], tuple[str, str, t.Any]]:
    return lambda r: ("PATCH", f"/{kind}s/{getattr(r, kind)}", {kind: {"enabled": False}})


def deleted(path: str) -> t.Callable[[Relied], tuple[str, str, t.Any]]:
    return lambda r: ("DELETE", path.format(**vars(r)), None)


UNDONE: dict[str, tuple[t.Callable[[Relied], tuple[str, str, t.Any]], int, str]] = {
    "a role": (deleted("/roles/{role}"), 204, "404.*Could not find role: {role}"),
    "a grant": (deleted("/projects/{project}/users/{user}/roles/{role}"), 204, "401"),
    "a user": (deleted("/users/{user}"), 204, "404.*Could not find user: {user}|401"),
    "a user's being enabled": (disabled("user"), 200, "401"),
    "a trustee": (deleted("/users/{trustee}"), 204, "401"),
    "a project": (deleted("/projects/{project}"), 204, "404.*Could not find project: {project}"),
    "a project's being enabled": (disabled("project"), 200, "401"),
    "a domain's being enabled": (disabled("domain"), 200, "401"),
    "a domain that is enabled": (deleted("/domains/{domain}"), 403, "Cannot delete a domain that is enabled"),
    "a trust": (deleted("/OS-TRUST/trusts/{trust}"), 204, "404.*Could not find trust: {trust}"),
    "an application credential": (deleted("/users/{user}/application_credentials/{credential}"), 204, "401"),
    "a region with endpoints": (deleted("/regions/{region}"), 403, "Unable to delete region r because"),
    "a service with limits": (deleted("/services/{service}"), 403, "because it has registered limits"),
    "an endpoint": (deleted("/endpoints/{endpoint}"), 204, ""),
    "a registered limit in use": (deleted("/registered_limits/{registered}"), 403, "there are project limits associated with it"),
    "a mapping in use": (deleted("/OS-FEDERATION/mappings/m"), 204, ""),
    "an identity provider": (deleted("/OS-FEDERATION/identity_providers/idp"), 204, "404.*Could not find federated protocol"),
    "a group": (deleted("/groups/{group}"), 204, "404.*Could not find group: {group}"),
}


@pytest.mark.parametrize("what", UNDONE)
def test_who_relied_on_it_is_told(relied: Relied, what: str):
    undo, status, told = UNDONE[what]
    answer = relied.admin(*undo(relied))
    assert answer.status_code == status, answer.text
    assert re.search(told.format(**vars(relied)), answer.text + relied.used())


def test_a_domain_with_everything_in_it_goes(relied: Relied):
    assert relied.admin.patch(f"/domains/{relied.domain}", {"domain": {"enabled": False}}).status_code == 200
    assert relied.admin.delete(f"/domains/{relied.domain}").status_code == 204
    assert f"Could not find group: {relied.group}" in relied.used()
    assert relied.admin.get(f"/OS-TRUST/trusts/{relied.trust}").status_code == 404
