"""`cumulet policy explain`, on a cloud's database."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cumulet.cli import main


@pytest.fixture
def run(cloud, database_url: str, tmp_path: Path):
    def run(*args: str) -> Result:
        return CliRunner().invoke(main, ["policy", "explain", "--data", str(tmp_path), "--database", database_url, *args])

    return run


def deciding(result: Result) -> list[str]:
    return [line.strip("│├└─ ") for line in result.output.splitlines() if line.endswith("<-")]


def test_who_is_allowed_and_by_which_clause(run, admin, demo):
    mine = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]
    for target in (f"user_id={mine}", mine):
        result = run("--project", "demo", "demo", "identity:get_user", target)
        assert (result.exit_code, demo.get(f"/users/{mine}").status_code) == (0, 200), result.output
        assert "identity:get_user is allowed to demo." in result.output
        assert deciding(result)[-1].startswith(f"✓ user_id:%(target.user.id)s  (user_id is {mine}; target.user.id is {mine})")
        assert len(deciding(result)) == 2, "the clauses that were not needed do not decide"


def test_who_is_not(run, admin, demo):
    other = next(user["id"] for user in admin.get("/users").json()["users"] if user["name"] == "admin")
    result = run("--project", "demo", "demo", "identity:get_user", other)
    assert (result.exit_code, demo.get(f"/users/{other}").status_code) == (3, 403), result.output
    assert "✗ rule:admin_required  (the default) <-" in result.output
    assert f"target.user.id is {other}) <-" in result.output
    assert "✓ role:reader  (roles: member, reader)\n" in result.output, "what passes does not keep anybody from anything"


def test_the_kind_of_token(run):
    result = run("--domain", "Default", "admin", "identity:create_endpoint")
    assert result.exit_code == 3
    assert deciding(result) == ["✗ all of <-", "✗ the token is of one of: system, project  (it is of domain) <-"]
    assert run("--system", "admin", "identity:create_endpoint").exit_code == 0


def test_rules_of_all_services_and_of_the_operator(run, tmp_path: Path):
    (tmp_path / "policy.yaml").write_text('"os_compute_api:os-keypairs:index": "role:nobody"\n')
    result = run("--project", "demo", "demo", "os_compute_api:os-keypairs:index", "user_id=x")
    assert result.exit_code == 3
    assert "rule    role:nobody (from policy.yaml)" in result.output
    assert run("--project", "demo", "demo", "os_compute_api:servers:index").exit_code == 0, "the caller's own"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["nobody", "identity:get_user"], "There is no user nobody in the domain default."),
        (["--user-domain", "x", "admin", "identity:get_user"], "There is no domain x."),
        (["--project", "x", "admin", "identity:get_user"], "There is no project x in the domain default."),
        (["--system", "demo", "identity:get_user"], "demo can have no such token: "),
        (["admin", "identity:get_usr"], "There is no rule identity:get_usr."),
        (["admin", "identity:list_regions", "x"], "x: a target is told as NAME=VALUE here"),
        (["--system", "--domain", "x", "admin", "identity:get_user"], "A token is for one of"),
    ],
)
def test_what_cannot_be_told(run, args: list[str], told: str):
    result = run(*args)
    assert (result.exit_code, told in result.output) == (1, True), result.output


def test_a_directory_without_a_database(tmp_path: Path):
    result = CliRunner().invoke(main, ["policy", "explain", "--data", str(tmp_path), "admin", "identity:get_user"])
    assert (result.exit_code, "There is no database" in result.output) == (1, True)
    assert not (tmp_path / "control").exists()
