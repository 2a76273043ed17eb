"""The setting security_compliance: lockout, idle users, expiry, strength and history of passwords, and who is exempt."""

from __future__ import annotations

import datetime as dt

import pytest

from cumulet.kernel import clock
from cumulet.kernel.config import SecurityCompliance


@pytest.fixture
def rules(cloud):
    """Set rules; what is not named is as upstream has it, off."""

    def to(**values: object) -> None:
        cloud.runtime.config.security_compliance = SecurityCompliance(**values)

    return to


@pytest.fixture
def later(monkeypatch):
    """Let time pass."""
    passed = dt.timedelta()
    real = clock.now

    def by(**span: float) -> None:
        nonlocal passed
        passed += dt.timedelta(**span)

    monkeypatch.setattr(clock, "now", lambda: real() + passed)
    return by


def change(cloud, id: str, old: str, new: str):
    return cloud.stranger(cloud.base).post(f"/users/{id}/password", {"user": {"original_password": old, "password": new}})


def logs_in(cloud, name: str, password: str = "pw") -> bool:
    return cloud.ask(name, password).status_code == 201


def test_nothing_is_asked_by_default(cloud, admin, later):
    id = cloud.user(admin, "u", password="a")["id"]
    for _ in range(20):
        assert cloud.ask("u", "wrong").status_code == 401
    assert logs_in(cloud, "u", "a") and change(cloud, id, "a", "a").status_code == 204
    later(days=4000)
    assert logs_in(cloud, "u", "a")


class TestLockout:
    @pytest.fixture(autouse=True)
    def user(self, cloud, admin, rules):
        rules(lockout_failure_attempts=3, lockout_duration=60)
        return cloud.user(admin, "u")["id"]

    def fail(self, cloud, times: int) -> None:
        for _ in range(times):
            assert cloud.ask("u", "wrong").status_code == 401

    def test_it_lasts_its_time(self, cloud, later):
        self.fail(cloud, 3)
        refused = cloud.ask("u", "pw")
        assert refused.status_code == 401
        assert refused.json()["error"]["message"] == "The request you have made requires authentication."
        later(seconds=59)
        self.fail(cloud, 2)
        assert not logs_in(cloud, "u")
        later(seconds=2)
        assert logs_in(cloud, "u")
        self.fail(cloud, 2)
        assert logs_in(cloud, "u")

    def test_what_is_past_a_lockout_is_counted_anew(self, cloud, later):
        self.fail(cloud, 3)
        later(seconds=61)
        self.fail(cloud, 2)
        assert logs_in(cloud, "u")
        self.fail(cloud, 3)
        assert not logs_in(cloud, "u")

    def test_failures_not_in_a_row_do_not_add_up(self, cloud):
        for _ in range(3):
            self.fail(cloud, 2)
            assert logs_in(cloud, "u")

    def test_an_administrator_lets_them_in(self, cloud, admin, user):
        self.fail(cloud, 3)
        admin.patch(f"/users/{user}", {"user": {"description": "x"}})
        assert not logs_in(cloud, "u")
        admin.patch(f"/users/{user}", {"user": {"enabled": True}})
        assert logs_in(cloud, "u")

    def test_changing_the_password_is_guessing_too(self, cloud, user):
        for _ in range(3):
            assert change(cloud, user, "wrong", "new").status_code == 401
        assert change(cloud, user, "pw", "new").status_code == 401 and not logs_in(cloud, "u")

    def test_who_is_exempt(self, cloud, admin, user):
        admin.patch(f"/users/{user}", {"user": {"options": {"ignore_lockout_failure_attempts": True}}})
        self.fail(cloud, 5)
        assert logs_in(cloud, "u")

    def test_tokens_and_application_credentials_still_work(self, cloud, admin, user):
        token = cloud.login("u", "pw")
        self.fail(cloud, 3)
        assert token.get("/auth/projects").status_code == 200
        auth = {"identity": {"methods": ["token"], "token": {"id": token.token}}}
        assert cloud.stranger(cloud.base).post("/auth/tokens", {"auth": auth}).status_code == 201
        assert cloud.ask("nobody", "x").status_code == 401


class TestExpiry:
    def test_a_password_expires(self, cloud, admin, rules, later):
        old = cloud.user(admin, "old")
        rules(password_expires_days=30)
        user = cloud.user(admin, "u")
        ends = user["password_expires_at"]
        assert old["password_expires_at"] is None and ends.endswith(".000000")
        assert admin.get(f"/users/{user['id']}").json()["user"]["password_expires_at"] == ends
        assert cloud.ask("u", "pw").json()["token"]["user"]["password_expires_at"] == ends
        assert cloud.user(admin, "none", password=None)["password_expires_at"] is None
        later(days=31)
        refused = cloud.ask("u", "pw")
        assert refused.status_code == 401
        assert refused.json()["error"]["message"] == f"The password is expired and needs to be changed for user: {user['id']}."
        assert cloud.ask("u", "wrong").json()["error"]["message"] == "The request you have made requires authentication."
        assert logs_in(cloud, "old")
        assert change(cloud, user["id"], "pw", "new").status_code == 204 and logs_in(cloud, "u", "new")

    def test_who_is_exempt(self, cloud, admin, rules, later):
        rules(password_expires_days=1)
        assert cloud.user(admin, "u", options={"ignore_password_expiry": True})["password_expires_at"] is None
        late = cloud.user(admin, "late")["id"]
        later(days=2)
        assert logs_in(cloud, "u") and not logs_in(cloud, "late")
        fresh = cloud.login("admin", cloud.ADMIN, scope="admin")
        fresh.patch(f"/users/{late}", {"user": {"options": {"ignore_password_expiry": True}}})
        assert logs_in(cloud, "late")

    def test_lists_are_filtered_by_it(self, cloud, admin, rules):
        rules(password_expires_days=30)
        ends = cloud.user(admin, "u")["password_expires_at"]
        group = admin.post("/groups", {"group": {"name": "g"}}).json()["group"]["id"]
        admin.put(f"/groups/{group}/users/{admin.get('/users?name=u').json()['users'][0]['id']}")

        def names(query: str, path: str = "/users") -> list[str]:
            return [user["name"] for user in admin.get(f"{path}?password_expires_at={query}").json()["users"]]

        assert names(f"lte:{ends}Z") == names(f"eq:{ends}") == names(f"{ends}") == names("gt:2001-01-01T00:00:00Z") == ["u"]
        assert names("lt:2001-01-01T00:00:00Z") == names(f"neq:{ends}Z") == []
        assert names(f"gte:{ends}Z", f"/groups/{group}/users") == ["u"] and names(f"gt:{ends}Z", f"/groups/{group}/users") == []
        for query, told in (("ge:2001-01-01T00:00:00Z", "The given operator ge is not valid."), ("lt:soon", "Timestamp not in expected")):
            answer = admin.get(f"/users?password_expires_at={query}")
            assert answer.status_code == 400 and answer.json()["error"]["message"].startswith(told)

    def test_a_password_that_an_administrator_set_is_changed_first(self, cloud, admin, rules):
        rules(change_password_upon_first_use=True)
        user = cloud.user(admin, "u")["id"]
        assert "is expired" in cloud.ask("u", "pw").json()["error"]["message"]
        assert change(cloud, user, "pw", "mine").status_code == 204 and logs_in(cloud, "u", "mine")
        admin.patch(f"/users/{user}", {"user": {"password": "reset"}})
        assert not logs_in(cloud, "u", "reset")
        exempt = {"user": {"password": "again", "options": {"ignore_change_password_upon_first_use": True}}}
        admin.patch(f"/users/{user}", exempt)
        assert logs_in(cloud, "u", "again")


class TestChoosing:
    def test_strength(self, cloud, admin, rules):
        user = cloud.user(admin, "u")["id"]
        rules(password_regex=r"^(?=.*\d)(?=.*[a-z]).{7,}$", password_regex_description="a letter, a digit, 7 characters")
        told = "The password does not match the requirements: a letter, a digit, 7 characters."
        refused = (
            admin.post("/users", {"user": {"name": "v", "password": "short1"}}),
            admin.patch(f"/users/{user}", {"user": {"password": "nodigits"}}),
            change(cloud, user, "pw", "1234567"),
        )
        for answer in refused:
            assert answer.status_code == 400 and answer.json()["error"]["message"] == told
        null = admin.patch(f"/users/{user}", {"user": {"password": None}})
        assert null.status_code == 400 and "Password must be a string type" in null.json()["error"]["message"]
        assert change(cloud, user, "wrong", "1").status_code == 401
        assert change(cloud, user, "pw", "better17").status_code == 204
        assert admin.post("/users", {"user": {"name": "none"}}).status_code == 201

    def test_history(self, cloud, admin, rules):
        rules(unique_last_password_count=3)
        user = cloud.user(admin, "u", password="one")["id"]
        assert change(cloud, user, "one", "two").status_code == 204 and change(cloud, user, "two", "three").status_code == 204
        for used in ("one", "two", "three"):
            refused = change(cloud, user, "three", used)
            assert refused.status_code == 400
            assert refused.json()["error"]["message"] == (
                "The new password cannot be identical to a previous password. The total number which includes the new password must be "
                "unique is 3."
            )
        assert change(cloud, user, "three", "four").status_code == 204
        assert change(cloud, user, "four", "two").status_code == 400 and change(cloud, user, "four", "one").status_code == 204
        assert admin.patch(f"/users/{user}", {"user": {"password": "four"}}).status_code == 200
        rules(unique_last_password_count=1)
        assert change(cloud, user, "four", "four").status_code == 400 and change(cloud, user, "four", "one").status_code == 204

    def test_age(self, cloud, admin, rules, later):
        rules(minimum_password_age=2)
        user = cloud.user(admin, "u")["id"]
        assert change(cloud, user, "pw", "mine").status_code == 204
        later(hours=1)
        refused = change(cloud, user, "mine", "other")
        assert refused.status_code == 400 and refused.json()["error"]["message"] == (
            "You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used "
            "for 2 day(s) before it can be changed. Please try again in 1 day(s) or contact your administrator to reset your password."
        )
        assert admin.patch(f"/users/{user}", {"user": {"password": "reset"}}).status_code == 200
        assert change(cloud, user, "reset", "again").status_code == 204
        later(days=2)
        assert change(cloud, user, "again", "other").status_code == 204

    def test_a_password_that_is_locked(self, cloud, admin):
        user = cloud.user(admin, "u", options={"lock_password": True})["id"]
        refused = change(cloud, user, "pw", "new")
        assert refused.status_code == 400 and refused.json()["error"]["message"] == (
            "You cannot change your password at this time due to password policy disallowing password changes. "
            "Please contact your administrator to reset your password."
        )


class TestIdleUsers:
    def test_they_are_disabled(self, cloud, admin, rules, later):
        rules(disable_user_account_days_inactive=10)
        user, busy = cloud.user(admin, "u")["id"], cloud.user(admin, "busy")["id"]
        cloud.user(admin, "exempt", options={"ignore_user_inactivity": True})
        later(days=9)
        assert logs_in(cloud, "busy")
        admin = cloud.login("admin", cloud.ADMIN, scope="admin")
        assert admin.get(f"/users/{user}").json()["user"]["enabled"] is True
        later(days=1)
        assert admin.get(f"/users/{busy}").status_code == 401
        admin = cloud.login("admin", cloud.ADMIN, scope="admin")
        assert admin.get(f"/users/{user}").json()["user"]["enabled"] is False
        assert not logs_in(cloud, "u") and logs_in(cloud, "busy") and logs_in(cloud, "exempt")
        assert change(cloud, user, "pw", "new").status_code == 401
        assert admin.patch(f"/users/{user}", {"user": {"enabled": True}}).json()["user"]["enabled"] is True
        assert logs_in(cloud, "u")


@pytest.mark.parametrize("rules_", [[[]], [["password", "password"]], [["password"], ["password"]], [["password", 1]], "password"])
def test_bad_rules_about_methods(admin, rules_):
    body = {"user": {"name": "u", "options": {"multi_factor_auth_rules": rules_}}}
    answer = admin.post("/users", body)
    assert answer.status_code == 400 and "multi_factor_auth_rules" in answer.json()["error"]["message"]


def test_users_may_know_what_their_passwords_have_to_be_like(demo, rules):
    demands = {"password_regex": "^x", "password_regex_description": "It begins with x"}
    rules(**demands)
    assert demo.get("/domains/default/config/security_compliance").json()["config"] == {"security_compliance": demands}
