"""What was lent or made for one purpose gives no more than that: trusts, application credentials, and what one tries with them."""

from __future__ import annotations

import pytest

SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""A secret of one-time passwords, in base 32."""
CREDENTIALS = "You are not authorized to perform the requested action: Delegated tokens cannot access credentials directly."
TRUSTS = "You are not authorized to perform the requested action: Delegated tokens cannot manage trusts.."
DELEGATED = ("restricted", "unrestricted", "impersonating", "redelegating")


class Delegates:
    """A user who is `manager` on a project, and callers with `member` of it got from them."""

    def __init__(self, cloud, admin):
        self.cloud, self.admin = cloud, admin
        self.user, self.other = cloud.user(admin, "owner")["id"], cloud.user(admin, "other")["id"]
        self.project, self.elsewhere = cloud.project(admin, "p")["id"], cloud.project(admin, "elsewhere")["id"]
        cloud.grant(admin, "manager", f"projects/{self.project}/users/{self.user}")
        cloud.grant(admin, "manager", f"projects/{self.elsewhere}/users/{self.user}")
        self.scope = {"project": {"id": self.project}}
        self.me = cloud.login(self.user, "pw", scope=self.scope)
        self.seed = self.secret(self.me, "totp", SEED)
        self.keys = self.me.post(f"/users/{self.user}/credentials/OS-EC2", {"tenant_id": self.project}).json()["credential"]

    def secret(self, caller, kind: str, blob: str):
        body = {"type": kind, "blob": blob, "user_id": self.user, "project_id": self.project}
        answer = caller.post("/credentials", {"credential": body})
        return answer.json()["credential"]["id"] if answer.status_code == 201 else answer

    def trust(self, caller=None, **more):
        body = {"trustor_user_id": self.user, "trustee_user_id": self.other, "impersonation": False, "project_id": self.project,
                "roles": [{"name": "member"}]} | more  # fmt: skip
        return (caller or self.me).post("/OS-TRUST/trusts", {"trust": body})

    def by_trust(self, trust: str, who: str = "other"):
        return self.cloud.login(who, "pw", scope={"OS-TRUST:trust": {"id": trust}})

    def credential(self, caller=None, **more):
        body = {"name": "a", "secret": "s", "roles": [{"name": "member"}]} | more
        return (caller or self.me).post(f"/users/{self.user}/application_credentials", {"application_credential": body})

    def by_credential(self, **more):
        made = self.credential(**more).json()["application_credential"]
        auth = {"identity": {"methods": ["application_credential"], "application_credential": {"id": made["id"], "secret": "s"}}}
        return self.cloud.bearer(self.cloud.stranger(self.cloud.base).post("/auth/tokens", {"auth": auth}).headers["x-subject-token"])

    def caller(self, kind: str):
        """Somebody with a token of a kind of delegation."""
        if kind in ("restricted", "unrestricted"):
            return self.by_credential(unrestricted=kind == "unrestricted")
        made = self.trust(impersonation=kind == "impersonating", allow_redelegation=True)
        return self.by_trust(made.json()["trust"]["id"])


@pytest.fixture
def them(cloud, admin) -> Delegates:
    return Delegates(cloud, admin)


def message(answer) -> str:
    return answer.json()["error"]["message"]


@pytest.mark.parametrize("kind", DELEGATED)
def test_the_secrets_of_a_user_are_not_for_delegates(them: Delegates, kind: str):
    """With the seed of one-time passwords or a pair of keys one would log in as the user, with all their roles."""
    delegate = them.caller(kind)
    ec2, one = f"/users/{them.user}/credentials/OS-EC2", f"/credentials/{them.seed}"
    tried = [
        them.secret(delegate, "totp", SEED), them.secret(delegate, "ec2", '{"access": "a", "secret": "s"}'), delegate.get(one),
        delegate.patch(one, {"credential": {"blob": "x"}}), delegate.delete(one), delegate.post(ec2, {"tenant_id": them.project}),
        delegate.get(ec2), delegate.get(f"{ec2}/{them.keys['access']}"), delegate.delete(f"{ec2}/{them.keys['access']}"),
    ]  # fmt: skip
    assert {answer.status_code for answer in tried} == {403}
    told = CREDENTIALS if kind != "redelegating" else "You are not authorized"
    assert all(told in message(answer) for answer in tried)
    assert delegate.get("/credentials").json()["credentials"] == []
    assert {one["type"] for one in them.me.get("/credentials").json()["credentials"]} == {"totp", "ec2"}


@pytest.mark.parametrize("kind", DELEGATED)
def test_a_delegates_token_gets_no_other(them: Delegates, kind: str):
    token = them.caller(kind).token
    for scope in (None, "unscoped", {"project": {"id": them.elsewhere}}, them.scope, {"system": {"all": True}}):
        auth: dict = {"identity": {"methods": ["token"], "token": {"id": token}}} | ({"scope": scope} if scope else {})
        answer = them.cloud.stranger(them.cloud.base).post("/auth/tokens", {"auth": auth})
        assert answer.status_code == 403 and "to create another token" in message(answer)


@pytest.mark.parametrize("kind", ["restricted", "unrestricted"])
def test_an_application_credential_manages_no_trusts(them: Delegates, kind: str):
    """A trust lends what its trustor has, which is more than the credential was given."""
    trust, delegate = them.trust().json()["trust"]["id"], them.caller(kind)
    path = f"/OS-TRUST/trusts/{trust}"
    tried = [
        them.trust(delegate), delegate.get(f"/OS-TRUST/trusts?trustor_user_id={them.user}"), delegate.get(path), delegate.delete(path),
        delegate.get(f"{path}/roles"), delegate.get(f"{path}/roles/{them.cloud.role(them.admin, 'member')}"),
    ]  # fmt: skip
    assert [(answer.status_code, message(answer)) for answer in tried] == [(403, TRUSTS)] * len(tried)


def test_application_credentials_make_each_other_only_where_they_were_made_for_that(them: Delegates):
    restricted, free = them.caller("restricted"), them.by_credential(name="free", unrestricted=True)
    assert them.credential(restricted, name="b").status_code == 403
    assert them.credential(free, name="b").status_code == 201
    assert them.credential(free, name="c", roles=[{"name": "manager"}]).status_code == 400, "more than the maker's own token has"
    roles = them.credential(free, name="d", roles=[]).json()["application_credential"]["roles"]
    assert {role["name"] for role in roles} == {"member", "reader"}


@pytest.mark.parametrize("kind", ["impersonating", "redelegating"])
def test_a_trust_makes_no_application_credentials(them: Delegates, kind: str):
    delegate, path = them.caller(kind), f"/users/{them.user}/application_credentials"
    theirs = f"/users/{them.other}/application_credentials"
    made = them.credential(name="there").json()["application_credential"]["id"]
    for answer in (them.credential(delegate, name="b"), delegate.get(path), delegate.get(f"{path}/{made}"), delegate.get(theirs),
                   delegate.post(theirs, {"application_credential": {"name": "b"}}), delegate.delete(f"{path}/{made}"),
                   delegate.get(f"/users/{them.user}/access_rules")):  # fmt: skip
        assert answer.status_code == 403


class TestRedelegation:
    def passed_on(self, them: Delegates, source: dict, **more):
        made = them.trust(allow_redelegation=True, **source).json()["trust"]["id"]
        third = them.cloud.user(them.admin, "third")["id"]
        trustor = them.user if source.get("impersonation") else them.other
        body = {"trustor_user_id": trustor, "trustee_user_id": third, "impersonation": False, "project_id": them.project,
                "roles": [{"name": "member"}]} | more  # fmt: skip
        return them.by_trust(made).post("/OS-TRUST/trusts", {"trust": body}), made

    @pytest.mark.parametrize(("more", "status"), [
        ({}, 201), ({"roles": [{"name": "reader"}]}, 403), ({"roles": [{"name": "manager"}]}, 403), ({"roles": [{"name": "admin"}]}, 404),
        ({"impersonation": True}, 403), ({"expires_at": "2999-01-01T00:00:00Z"}, 403), ({"remaining_uses": 5}, 403),
        ({"allow_redelegation": True, "redelegation_count": 3}, 403), ({"allow_redelegation": True, "redelegation_count": 99}, 403),
        ({"project_id": None, "roles": []}, 403),
    ])  # fmt: skip
    def test_it_gives_no_more_than_it_was_given(self, them: Delegates, more: dict, status: int):
        answer, _ = self.passed_on(them, {"expires_at": "2900-01-01T00:00:00Z"}, **more)
        assert answer.status_code == status, answer.text

    def test_only_where_that_was_allowed(self, them: Delegates):
        delegate = them.by_trust(them.trust().json()["trust"]["id"])
        body = {"trustor_user_id": them.other, "trustee_user_id": them.user, "impersonation": False, "project_id": them.project,
                "roles": [{"name": "member"}]}  # fmt: skip
        assert delegate.post("/OS-TRUST/trusts", {"trust": body}).status_code == 403

    def test_it_goes_no_deeper_than_it_may(self, them: Delegates):
        """Each level but the last passes it on to the next."""
        caller, trustor, made = them.me, them.user, []
        for depth in range(5):
            name = f"level-{depth}"
            trustee = them.cloud.user(them.admin, name)["id"]
            answer = them.trust(caller, trustor_user_id=trustor, trustee_user_id=trustee, allow_redelegation=True)
            made.append(answer.status_code)
            if answer.status_code != 201:
                break
            caller, trustor = them.by_trust(answer.json()["trust"]["id"], name), trustee
        assert made == [201, 201, 201, 201, 403]

    def test_it_ends_with_what_it_came_from(self, them: Delegates):
        answer, source = self.passed_on(them, {})
        last = them.by_trust(answer.json()["trust"]["id"], "third")
        assert last.get("/auth/projects").status_code == 200
        assert them.admin.patch(f"/users/{them.other}", {"user": {"enabled": False}}).status_code == 200
        assert last.get("/auth/projects").status_code == 401, "who passed it on is disabled"
        assert them.admin.patch(f"/users/{them.other}", {"user": {"enabled": True}}).status_code == 200
        assert them.me.delete(f"/OS-TRUST/trusts/{source}").status_code == 204
        assert last.get("/auth/projects").status_code == 401
        scope = {"OS-TRUST:trust": {"id": answer.json()["trust"]["id"]}}
        assert them.cloud.ask("third", "pw", scope=scope).status_code == 401


def test_nobody_lends_what_they_do_not_have(them: Delegates):
    assert them.trust(roles=[{"name": "admin"}]).status_code == 404
    assert them.trust(project_id=them.cloud.project(them.admin, "third")["id"]).status_code == 404
    assert them.trust(project_id=None).status_code == 404, "no project, no roles"
    assert them.trust(trustor_user_id=them.other).status_code == 403, "for somebody else"
    assert them.trust(them.admin).status_code == 403, "an administrator either"


def test_a_lent_role_that_its_trustor_lost_is_lent_no_more(them: Delegates):
    """And it comes back to nobody who was lent something else."""
    made = them.trust(roles=[{"name": "manager"}]).json()["trust"]["id"]
    delegate = them.by_trust(made)
    them.cloud.revoke(them.admin, "manager", f"projects/{them.project}/users/{them.user}")
    assert delegate.get("/auth/projects").status_code == 401
    assert them.cloud.ask("other", "pw", scope={"OS-TRUST:trust": {"id": made}}).status_code in (401, 403)


def test_a_trust_is_its_trustees_alone(them: Delegates):
    made = them.trust().json()["trust"]["id"]
    them.cloud.user(them.admin, "third")
    for who in ("third", "owner"):
        assert them.cloud.ask(who, "pw", scope={"OS-TRUST:trust": {"id": made}}).status_code == 403
    assert them.cloud.login("third", "pw").get(f"/OS-TRUST/trusts/{made}").status_code == 403


def test_who_may_do_all_in_the_system_is_not_let_into_projects_by_that(them: Delegates):
    """A token for the system gets none for a project: what it is lent for is known from the token alone."""
    them.cloud.grant(them.admin, "admin", f"system/users/{them.user}")
    system = them.cloud.login(them.user, "pw", scope="system")
    for scope in (them.scope, {"domain": {"id": "default"}}):
        auth = {"identity": {"methods": ["token"], "token": {"id": system.token}}, "scope": scope}
        answer = them.cloud.stranger(them.cloud.base).post("/auth/tokens", {"auth": auth})
        assert answer.status_code == 403 and "Using a system-scoped token" in message(answer)
