"""Images, 100,000 of them, on SQLite and on PostgreSQL: pages of 100, filtered and in order, as an administrator and a member get them.

The application is asked in this process, without a socket: it is the time of an answer that may grow with the database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path

from crowd import Served, batched, on_both
from report import Figure

from cumulet.image.images import images, members
from cumulet.kernel import clock, ids
from cumulet.kernel.db import Database
from scenarios.identity_scale import ASKED, LIST, analyze, figure, some

IMAGES, PROJECTS, AT_ONCE = 100_000, 1_000, 10_000
SORTED = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
SEEN = {0: "public", 1: "community"} | dict.fromkeys(range(2, 12), "shared")
"""Of a hundred images, those that are not private."""


class Shelf:
    """What is in the database. `project` is the demo user's, who sees its images, the public ones and some that are shared with it."""

    def __init__(self, project: str):
        self.projects = [project, *(ids.new_hex() for _ in range(PROJECTS - 1))]
        self.images = [self._image(n) for n in range(IMAGES)]

    def _image(self, n: int) -> dict:
        made = clock.now() - dt.timedelta(seconds=IMAGES - n)
        kind = "raw" if n % 3 else "qcow2"
        return {
            "id": ids.new(), "name": f"image-{n % 50_000}", "owner": self.projects[n * 7 % PROJECTS],
            "visibility": SEEN.get(n * 13 % 100, "private"),
            "status": "queued" if n % 40 == 0 else "deactivated" if n % 100 == 3 else "active", "protected": n % 10 == 0,
            "os_hidden": n % 500 == 9, "disk_format": kind, "container_format": "bare", "min_disk": 1, "min_ram": 256,
            "size": n * 4099, "virtual_size": n * 4099, "checksum": f"{n:032x}", "os_hash_algo": "sha512", "os_hash_value": f"{n:0128x}",
            "created_at": made, "updated_at": made + dt.timedelta(days=n % 7), "tags": ["linux", f"tag-{n % 1_000}", f"rare-{n % 50_000}"],
            "properties": {"architecture": "x86_64", "os_distro": f"distro-{n % 20}", "build": f"{n}", "owner_specified.path": f"a/b/{n}",
                           "hw_machine_type": "q35"},
        }  # fmt: skip

    def fill(self, db: Database) -> None:
        for rows in batched(iter(self.images), AT_ONCE):
            db.transact(lambda tx, rows=rows: tx.insert_many(images, rows))
        shared = [
            {"image_id": one["id"], "member_id": self.projects[(n // 100) % PROJECTS], "status": "accepted"}
            for n, one in enumerate(self.images) if one["visibility"] == "shared"
        ]  # fmt: skip
        db.transact(lambda tx: tx.insert_many(members, shared))


def run(guest: Path) -> list[Figure]:
    return on_both(_on)


def _on(name: str, url: str, directory: Path) -> list[Figure]:
    with contextlib.closing(Served(url, directory, "image")) as served:
        shelf = Shelf(served.project("demo"))
        shelf.fill(served.db)
        if not served.db.embedded:
            analyze(served)
        figures = []
        for who, token in (("administrator", served.login("admin")), ("member", served.login("demo"))):
            for path, subjects in _lists(shelf, who).items():
                paths = [path.format(**one) for one in some(subjects, ASKED)]
                served.get(paths[0], token)  # the first of a kind makes the statement
                figures.append(figure(f"{name}: {who}, {path}", served, [(one, token, "") for one in paths], LIST))
        return figures


def _lists(shelf: Shelf, who: str) -> dict[str, list[dict]]:
    """Path -> what it is asked about, one after another."""
    every = shelf.images
    mine = [one for one in every if one["owner"] == shelf.projects[0]]
    if who == "member":
        every = mine
    page = "/image/v2/images?limit=100"
    lists = {
        page: every,
        f"{page}&marker={{id}}": every,
        f"{page}&name={{name}}": every,
        f"{page}&name=in:{{name}},nothing": every,
        f"{page}&id={{id}}": every,
        f"{page}&checksum={{checksum}}": every,
        f"{page}&owner={{owner}}": every,
        f"{page}&size_min={{size}}": every,
        f"{page}&created_at=lt:{{created_at}}": every,
        f"{page}&os_hidden=true": every,
        f"{page}&protected=true&marker={{id}}": every,
    }
    lists |= {f"{page}&status={status}": every for status in ("active", "queued", "nothing")}
    lists |= {f"{page}&visibility={one}": every for one in ("public", "community", "shared", "private", "all")}
    lists |= {f"{page}&tag={{tags[{n}]}}": every for n in range(3)}
    lists |= {f"{page}&{name}={{properties[{name}]}}": every for name in ("architecture", "os_distro", "build", "owner_specified.path")}
    lists |= {f"{page}&sort={key}:{way}&marker={{id}}": every for key in SORTED for way in ("asc", "desc")}
    return lists | {"/image/v2/images/{id}": every}
