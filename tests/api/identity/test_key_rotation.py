"""Keys that are rotated while processes use them: what was sealed stays readable, whoever is killed and whoever comes between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cumulet.identity import rotation
from cumulet.identity.credentials import credentials, insert
from cumulet.identity.domain_config import domain_options
from cumulet.identity.fernet import KEEP, BadToken, NoKeys, Repository
from cumulet.identity.state import state
from cumulet.kernel import ids

ROTATE = """
import os
import signal
import sys
from cumulet.identity import rotation
from cumulet.kernel.config import Config
from cumulet.kernel.db import Database

data, url, lives = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Mortal(Database):
    def transact(self, fn, write=True):
        global lives
        lives -= 1
        if not lives:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().transact(fn, write)

rotation.rotate_credential_keys(Config(data=data), Mortal(url))
"""
"""Rotate; killed before the transaction of this number, where there are as many."""


@pytest.fixture
def keys(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "keys")
    made.setup()
    return made


def numbers(repository: Repository) -> list[int]:
    return sorted(int(path.name) for path in repository.directory.iterdir() if path.name.isdecimal())


def test_keys_rotate_under_a_running_process(cloud, demo):
    keys = state(cloud.runtime).token_keys
    assert rotation.rotate_token_keys(cloud.runtime.config) == 2
    assert demo.get("/auth/projects").status_code == 200
    cloud.runtime.shared.clear()
    assert demo.get("/auth/projects").status_code == 200, "one that knows nothing yet opens it too"
    later = cloud.login("demo", cloud.DEMO, scope="demo")
    rotation.rotate_token_keys(cloud.runtime.config)
    cloud.runtime.shared.clear()
    assert demo.get("/auth/projects").status_code == 401, "the key that sealed it is gone"
    assert later.get("/auth/projects").status_code == 200, "it was sealed with the new key, by a process that had begun with the old"
    assert numbers(keys) == [0, 2, 3]
    assert {entry.stat().st_mode & 0o777 for entry in keys.directory.iterdir()} == {0o600}
    assert keys.directory.stat().st_mode & 0o777 == 0o700


def test_what_a_rotation_left_half_done_is_done_by_the_next(keys):
    sealed = keys.seal(b"x")
    (keys.directory / "0").rename(keys.directory / "2")  # where it was killed
    (keys.directory / ".0.77.88").write_text("half of a ke")
    assert keys.open(sealed) == b"x" and keys.primary == 2
    keys.rotate()
    assert numbers(keys) == [0, 1, 2] and keys.primary == 2
    keys.rotate()
    assert keys.primary == 3 and keys.open(keys.seal(b"y")) == b"y"
    with pytest.raises(BadToken):
        keys.open(sealed)


def test_many_rotate_and_set_up_at_once(tmp_path):
    directory = tmp_path / "keys"
    rotating = threading.Barrier(4)

    def work() -> None:
        mine = Repository(directory)
        rotating.wait()
        mine.setup()
        mine.rotate()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    reader = Repository(directory)
    reader.setup()
    while any(thread.is_alive() for thread in threads):
        reader.seal(b"x")  # there always is a key, which may be gone two rotations later
    sealed = reader.seal(b"x")
    assert reader.open(sealed) == b"x"
    assert numbers(reader) == [0, 4, 5] and len(numbers(reader)) == KEEP


def test_there_is_nothing_to_rotate_where_there_are_no_keys(tmp_path):
    with pytest.raises(NoKeys, match="cumulet up"):
        Repository(tmp_path / "none").rotate()


# -- credentials ---------------------------------------------------------------------------------------------------


def add(cloud, demo, count: int) -> dict[str, str]:
    me = demo.get("/auth/tokens", headers={"X-Subject-Token": demo.token}).json()["token"]["user"]["id"]
    made = {ids.new_hex(): f"secret {i}" for i in range(count)}
    cloud.transact(lambda tx: [insert(tx, cloud.runtime, id, me, None, "cert", blob, {}) for id, blob in made.items()])
    return made


def read(demo) -> dict[str, str]:
    """All credentials as their owner sees them."""
    found, url = {}, "/credentials?limit=500"
    while url:
        body = demo.get(url).json()
        found |= {one["id"]: one["blob"] for one in body["credentials"]}
        url = body["links"]["next"] and body["links"]["next"].removeprefix("http://cloud/identity/v3")
    return found


def test_credentials_are_sealed_anew(cloud, admin, demo):
    made = add(cloud, demo, rotation.BATCH + 3)
    admin.put("/domains/default/config", {"config": {"ldap": {"password": "of the directory", "user": "cn=x"}}})
    keys, db = state(cloud.runtime).credential_keys, cloud.runtime.db
    assert rotation.rotate_credential_keys(cloud.runtime.config, db) == (2, len(made) + 1)
    sealed = lambda: (
        {row.sealed_blob for row in cloud.transact(lambda tx: tx.rows(credentials))}
        | {row.value for row in cloud.transact(lambda tx: tx.rows(domain_options, option="password"))}
    )
    for name in ("0", "1"):
        (keys.directory / name).unlink()
    assert all(keys.open(one) for one in sealed()), "the newest key alone opens them"
    assert read(demo) == made and admin.get("/domains/default/config").json() == {"config": {"ldap": {"user": "cn=x"}}}
    for _ in range(4):
        rotation.rotate_credential_keys(cloud.runtime.config, db)
    assert read(demo) == made and len(numbers(keys)) == KEEP


def test_a_credential_whose_key_is_lost_keeps_the_others_keys(cloud, demo):
    made = add(cloud, demo, 3)
    lost = sorted(made)[1]
    other = Repository(Path(cloud.runtime.config.data) / "other")
    other.setup()
    cloud.transact(lambda tx: tx.update(credentials, lost, sealed_blob=other.seal(b"x")))
    for _ in range(3):
        with pytest.raises(rotation.Unreadable, match=lost):
            rotation.rotate_credential_keys(cloud.runtime.config, cloud.runtime.db)
    assert demo.delete(f"/credentials/{lost}").status_code == 204
    assert read(demo) == {id: blob for id, blob in made.items() if id != lost}
    assert rotation.rotate_credential_keys(cloud.runtime.config, cloud.runtime.db) == (5, 2)


def start(cloud, database_url: str, lives: int = 0) -> subprocess.Popen:
    argv = [sys.executable, "-c", ROTATE, cloud.runtime.config.data, database_url, str(lives)]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)


def test_a_rotation_that_is_killed_loses_nothing(cloud, demo, database_url):
    made, keys = add(cloud, demo, 2 * rotation.BATCH + 1), state(cloud.runtime).credential_keys
    for lives in (1, 3, 4):
        process = start(cloud, database_url, lives)
        assert process.communicate()[1] == "" and process.returncode == -signal.SIGKILL
        assert read(demo) == made
    assert numbers(keys) == [0, 1, 2, 3, 4], "nothing was dropped"
    assert rotation.rotate_credential_keys(cloud.runtime.config, cloud.runtime.db) == (5, len(made))
    assert read(demo) == made and numbers(keys) == [0, 4, 5]


def test_two_rotations_at_once_while_others_write(cloud, demo, database_url):
    made = add(cloud, demo, 2 * rotation.BATCH)
    processes = [start(cloud, database_url) for _ in range(2)]
    while any(process.poll() is None for process in processes):
        made |= add(cloud, demo, 5)
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert read(demo) == made and state(cloud.runtime).credential_keys.primary == 3
    rotation.rotate_credential_keys(cloud.runtime.config, cloud.runtime.db)
    assert read(demo) == made
