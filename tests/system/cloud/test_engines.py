"""A cloud on PostgreSQL and RabbitMQ: in one command, and as processes of its own kinds that share nothing else."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cumulet.kernel.testing.engines import postgresql, rabbitmq

from .conftest import SIMULATED
from .world import Cloud, eventually


@pytest.fixture(scope="module")
def engines(namespace: None) -> Iterator[tuple[str, str]]:
    with postgresql() as database, rabbitmq() as bus:
        yield database, bus


@pytest.fixture
def database(engines, request) -> str:
    """An empty PostgreSQL database, with a password in its URL that nobody may see."""
    name = request.node.name[:40]
    engine = sa.create_engine(engines[0], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return sa.make_url(engines[0]).set(database=name, password="s3cret-word").render_as_string(hide_password=False)


def test_one_command_with_both_engines(new_clouds, database, engines, tmp_path):
    cloud: Cloud = new_clouds(*SIMULATED, "--hosts", "2", "--database", database, "--bus", engines[1])
    cloud.up()
    server = boot(cloud)
    assert server.status == "ACTIVE"
    assert "s3cret-word" not in command_lines(cloud) + cloud.logged()
    assert cloud.good("doctor") == "Nothing is wrong.\n"
    assert "already" in cloud.good("db", "migrate")

    assert "Wrote" in cloud.good("db", "backup", str(tmp_path / "backup"))
    cloud.connect().compute.delete_server(server)
    eventually("server gone", lambda: not list(cloud.connect().compute.servers()), 30)
    refused = cloud.command("db", "restore", str(tmp_path / "backup"))
    assert refused.returncode == 1
    assert "cumulet down" in refused.stderr
    cloud.down()
    cloud.good("db", "restore", str(tmp_path / "backup"))
    cloud.up()
    assert [s.name for s in cloud.connect().compute.servers()] == [server.name]


def test_processes_of_their_own_kinds(new_clouds, database, engines):
    with contextlib.ExitStack() as stack:
        api = new_clouds()
        shared = ["--database", database, "--bus", engines[1]]
        stack.enter_context(process(api, "serve", "--roles", "api", *shared))
        eventually("the first control process", lambda: (api.data / "clouds.yaml").exists() and "is up" in log(api, "serve"), 30)
        workers = new_clouds()
        shutil.copytree(api.data / "control", workers.data / "control", ignore=shutil.ignore_patterns("seed.json"))
        stack.enter_context(process(workers, "serve", "--roles", "worker", *shared))
        stack.enter_context(process(new_clouds(), "agent", "--bus", engines[1], *SIMULATED, "--hosts", "2"))
        assert boot(api).status == "ACTIVE"
        assert len(list(api.connect("cumulet").compute.hypervisors())) == 2


def test_engines_that_are_not_there_are_named(new_clouds):
    cloud: Cloud = new_clouds(*SIMULATED, "--database", "postgresql+psycopg://u:s3cret-word@127.0.0.1:1/x")
    done = cloud.command("up", "--detach", *cloud.flags)
    assert done.returncode == 1
    assert "The database cannot be used" in done.stderr
    assert "s3cret-word" not in done.stderr
    assert "The database at 127.0.0.1:1 cannot be reached: Connection refused" in cloud.command("doctor").stdout
    other: Cloud = new_clouds(*SIMULATED, "--bus", "amqp://u:s3cret-word@127.0.0.1:1/")
    done = other.command("up", "--detach", *other.flags)
    assert done.returncode == 1
    assert "The message server cannot be reached" in done.stderr
    assert "s3cret-word" not in done.stderr


def test_a_backup_of_sqlite_is_taken_while_the_cloud_runs_and_put_back(cloud, tmp_path):
    cloud.up()
    me = cloud.connect()
    me.compute.create_keypair(name="kept")
    cloud.good("db", "backup", str(tmp_path / "backup"))
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    me.compute.create_keypair(name="later")
    cloud.down()
    (tmp_path / "broken").write_bytes(b"no database at all" * 100)
    refused = cloud.command("db", "restore", str(tmp_path / "broken"))
    assert refused.returncode == 1
    assert "nothing was changed" in refused.stderr
    cloud.good("db", "restore", str(tmp_path / "backup"))
    cloud.up()
    assert [key.name for key in cloud.connect().compute.keypairs()] == ["kept"]


def boot(cloud: Cloud):
    """A server without disk image or network card."""
    me = eventually("a cloud with hosts", lambda: ready(cloud), 60)
    image = me.image.create_image(name="empty", disk_format="raw", container_format="bare", data=b"\0" * 1024)
    flavor = me.compute.find_flavor("m1.tiny", ignore_missing=False)
    return me.compute.wait_for_server(me.compute.create_server(name="s", image_id=image.id, flavor_id=flavor.id, networks="none"), wait=60)


def ready(cloud: Cloud):
    with contextlib.suppress(Exception):
        return cloud.connect() if list(cloud.connect("cumulet").compute.hypervisors()) else None


@contextlib.contextmanager
def process(cloud: Cloud, *words: str) -> Iterator[None]:
    """A process of a cloud, in the foreground, for a while."""
    with (cloud.data / f"{words[0]}.out").open("wb") as out:
        running = subprocess.Popen([sys.executable, "-m", "cumulet", *words, "--data", str(cloud.data)], stdout=out, stderr=out)
    try:
        yield
        assert running.poll() is None, log(cloud, words[0])
    finally:
        running.terminate()
        assert running.wait(20) == 0, log(cloud, words[0])


def log(cloud: Cloud, name: str) -> str:
    return (cloud.data / f"{name}.out").read_text()


def command_lines(cloud: Cloud) -> str:
    return "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in cloud.pids().values())
