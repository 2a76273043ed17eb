"""Settings, and where they come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cumulet.kernel.config import Config, ConfigError, SecurityCompliance, load, reference


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path):
    path = tmp_path / "cumulet.toml"
    path.write_text('region = "file"\nhosts = 3\nlog_level = "debug"\n')
    made = load(path, {"CUMULET_REGION": "environment", "CUMULET_HOSTS": "4", "HOME": "/"}, region="flag", hosts=None)
    assert (made.region, made.hosts, made.log_level, made.hypervisor) == ("flag", 4, "debug", "qemu")


def test_without_a_file_defaults_hold(tmp_path: Path):
    assert load(tmp_path / "none.toml", {}) == Config()


@pytest.mark.parametrize(
    ("text", "told"),
    [("hosts = 0", "hosts"), ('hosts = "many"', "hosts"), ("nothing = 1", "nothing"), ('listen = "here"', "listen"), ("= 1", "Invalid"),
     ('log_level = "loud"', "log_level"), ("simulated = 3", "simulated"), ('guest_uids = "0-9"', "guest_uids"),
     ('guest_uids = "9-5"', "guest_uids"), ("security_compliance.lockout_duration = 0", "lockout_duration"),
     ("security_compliance.lockout = 1", "lockout"), ('security_compliance.password_regex = "("', "password_regex")],
)  # fmt: skip
def test_a_bad_file_is_told_by_its_path_and_setting(tmp_path: Path, text: str, told: str):
    path = tmp_path / "cumulet.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert str(path) in str(raised.value) and told in str(raised.value)


def test_a_bad_variable_is_told_by_its_name():
    with pytest.raises(ConfigError, match="CUMULET_HOSTS: "):
        load(None, {"CUMULET_HOSTS": "many"})


def test_a_variable_has_a_table_as_json():
    assert load(None, {"CUMULET_SIMULATED": '{"compute": {"vcpus": 3}}'}).simulated == {"compute": {"vcpus": 3}}
    assert load(None, {"CUMULET_SECURITY_COMPLIANCE": '{"lockout_duration": 5}'}).security_compliance.lockout_duration == 5
    for text in ("vcpus=3", "[3]", ""):
        with pytest.raises(ConfigError, match="CUMULET_SIMULATED: "):
            load(None, {"CUMULET_SIMULATED": text})


OPENID = {"identity_provider": "acme", "client_id": "cloud", "issuer": "https://acme.example/realms/x"}


def test_openid_providers(tmp_path: Path):
    path = tmp_path / "cumulet.toml"
    path.write_text("[[federation.openid]]\n" + "".join(f"{name} = {value!r}\n" for name, value in OPENID.items()))
    known = load(path, {}).federation
    assert known.openid_of("acme", "openid") == known.openid[0] and known.openid[0].issuer == OPENID["issuer"]
    assert known.openid_of("acme", "other") is known.openid_of("other", "openid") is None
    for issuer, good in (("http://localhost:8080/x", True), ("http://[::1]", True), ("http://127.0.0.1:1", True), ("http://acme.example", False),
                         ("http://localhost.evil.example", False), ("https://a@b", False), ("https://a?b", False), ("ftp://a", False)):  # fmt: skip
        told = {"CUMULET_FEDERATION": json.dumps({"openid": [OPENID | {"issuer": issuer}]})}
        if good:
            assert load(None, told).federation.openid[0].issuer == issuer
        else:
            with pytest.raises(ConfigError, match="issuer"):
                load(None, told)


def test_addresses_follow_from_settings():
    assert Config(listen="1.2.3.4:80").url == "http://1.2.3.4:80"
    assert Config(public_url="https://cloud.example/").url == "https://cloud.example"
    assert Config(data="/x").database_url == "sqlite:////x/control/cumulet.db"
    assert Config(database="postgresql+psycopg://h/d").database_url == "postgresql+psycopg://h/d"


def test_the_reference_has_a_line_for_every_setting():
    lines = reference().splitlines()
    names = [line.split("`")[1] for line in lines[2:]]
    assert [name for name in names if "." not in name] == list(Config.__struct_fields__)
    assert {"federation.trusted_dashboards", "federation.openid[].issuer"} < set(names)
    assert {f"security_compliance.{name}" for name in SecurityCompliance.__struct_fields__} < set(names)
    assert all(line.rstrip("| ").endswith(".") for line in lines[2:]), "each is told in a sentence"
