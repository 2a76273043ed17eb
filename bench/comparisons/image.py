"""Image: data uploaded and downloaded, in files of 256 MB and of 2 GiB; images listed among 1,000 and among 100,000, shown and created.

A transfer is one client's. Of it count the speed, the processor time of all the server's processes, and the most memory that they had.
nginx, where it is installed, serves the same file as a third column: what a server can do that does nothing else.

The images are created through the API, and left there: the other cloud is one to be thrown away. 100,000 take it half an hour, unless
`COMPARE_FILL` names a program that puts images FIRST to NUMBER into its database, as the API would have, and prints their ids.
Of what it calls on (its identity service, its database) nothing is counted for it, and everything for this checkout, where they are in
the same process.
"""

from __future__ import annotations

import concurrent.futures as cf
import contextlib
import functools
import hashlib
import itertools
import os
import shutil
import subprocess
import tempfile
import typing as t
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import load
import processes
import transfer
from cloud import exchange, wait
from compare import ROUNDS, Comparison, Side, checked, rate, ratio
from report import Figure
from transfer import Moved

SIZES = {"256 MB": 256_000_000, "2 GiB": 2 << 30}
FEW, MANY = 1_000, 100_000
PAGE = 100
CLIENTS = (1, 16)
CREATED = 200
NGINX = "127.0.0.1:5380"


class World:
    """What a cloud has for the comparison."""

    def __init__(self, side: Side):
        self.side = side
        body, headers = exchange("POST", f"{side.base}/auth/tokens", side.login, at=side.address)
        self.token, catalog = headers["X-Subject-Token"], body["token"]["catalog"]
        (service,) = (one for one in catalog if one["type"] == "image")
        url = urlsplit(next(one["url"] for one in service["endpoints"] if one["interface"] == "public"))
        self.address, self.base = url.netloc, url.path.rstrip("/").removesuffix("/v2") + "/v2"
        self.made: list[str] = []

    def call(self, method: str, path: str, body: t.Any = None) -> t.Any:
        return exchange(method, self.base + path, body, {"X-Auth-Token": self.token}, self.address)[0]

    def request(self, method: str, path: str, body: t.Any = None) -> bytes:
        return load.request(method, self.base + path, body, X_Auth_Token=self.token)

    def fill(self, number: int) -> None:
        """Have so many images, besides those that were there."""
        filler = os.environ.get("COMPARE_FILL") if self.side.name == "theirs" and number > FEW else None
        if filler:
            argv = [filler, str(len(self.made)), str(number)]
            self.made += subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
        with cf.ThreadPoolExecutor(4) as pool:
            self.made += pool.map(self._create, range(len(self.made), number))

    def image(self, **more: t.Any) -> str:
        return self.call("POST", "/images", {"disk_format": "raw", "container_format": "bare", **more})["id"]

    def upload(self, id: str, source: Path) -> Moved:
        size = source.stat().st_size
        fields = f"Host: cloud\r\nX-Auth-Token: {self.token}\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
        return transfer.send(self.address, f"PUT {self.base}/images/{id}/file HTTP/1.1\r\n{fields}".encode(), source)

    def download(self, id: str, size: int) -> Moved:
        return transfer.fetch(self.address, self.request("GET", f"/images/{id}/file"), size)

    def _create(self, n: int) -> str:
        return self.image(name=f"image-{n}", tags=["compared", f"t{n % 50}"], architecture="x86_64", os_distro="debian", os_version=str(n))


def run(sides: list[Side], compare: t.Callable[[list[Side], list[Comparison]], list[Figure]]) -> list[Figure]:
    worlds = {side.name: World(side) for side in sides}
    figures = []
    for name, size in SIZES.items():
        figures += _moved(name, size, worlds)
    for number in (FEW, MANY):
        for world in worlds.values():
            world.fill(number)
        figures += compare(sides, _listed(worlds, number))
    return figures + compare(sides, _single(worlds))


# -- data ----------------------------------------------------------------------------------------------------------


def _moved(name: str, size: int, worlds: dict[str, World]) -> list[Figure]:
    uploads: dict[str, list[Moved]] = {side: [] for side in worlds}
    downloads: dict[str, list[Moved]] = {side: [] for side in worlds}
    with tempfile.TemporaryDirectory(prefix="cumulet-bench-") as directory:
        source = Path(directory) / "source"
        digest = _write(source, size)
        with _nginx(Path(directory)) as nginx:
            for turn in range(ROUNDS):
                for side, world in worlds.items():
                    id = world.image(name="moved")
                    uploads[side].append(world.upload(id, source))
                    request = world.request("GET", f"/images/{id}/file")
                    if turn == 0 and transfer.digest(world.address, request, size) != digest:
                        raise RuntimeError(f"{side} does not give back what it was given")
                    downloads[side].append(world.download(id, size))
                    world.call("DELETE", f"/images/{id}")
                if nginx:
                    downloads.setdefault("nginx", []).append(transfer.fetch(NGINX, load.request("GET", "/source"), size))
    return [*_figures(f"{name} uploaded", size, uploads, 2.0, None), *_figures(f"{name} downloaded", size, downloads, 1.0, 2.0)]


def _figures(name: str, size: int, moved: dict[str, list[Moved]], speed: float | None, cpu: float | None) -> list[Figure]:
    """How many times faster, and with how many times less processor time and memory."""
    wanted = {
        "MB/s": (lambda one: size / 1e6 / one.seconds, False, speed),
        "CPU s": (lambda one: max(one.cpu, 1 / processes.TICK), True, cpu),
        "MB of memory": (lambda one: one.peak_mb, True, None),
        "MB more than at rest": (lambda one: max(0.1, one.peak_mb - one.idle_mb), True, None),
        "client's CPU s": (lambda one: one.client_cpu, True, None),
    }
    return [
        ratio(f"{name}, {unit}", {side: [of(one) for one in some] for side, some in moved.items()}, unit, less, goal)
        for unit, (of, less, goal) in wanted.items()
    ]


def _write(path: Path, size: int) -> str:
    """Write a file of so many bytes that nothing can make smaller; its SHA-512."""
    found, part = hashlib.sha512(), os.urandom(1 << 20)
    with path.open("wb") as file:
        for n in itertools.count():
            some = (n.to_bytes(8) + part[8:])[: size - file.tell()]
            if not some:
                return found.hexdigest()
            file.write(some)
            found.update(some)
    raise AssertionError


@contextlib.contextmanager
def _nginx(root: Path) -> t.Iterator[bool]:
    """nginx that serves a directory, as it comes but for sendfile; whether it is installed."""
    if not (program := shutil.which("nginx")):
        print("   nginx is not installed: there is no third column", flush=True)
        yield False
        return
    (root / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {root}/nginx.pid; user root; error_log stderr; events {{}}\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; server {{ listen {NGINX}; root {root}; }} "
        + "".join(f"{kind}_temp_path {root}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        + "}\n"
    )
    server = subprocess.Popen([program, "-p", str(root), "-c", str(root / "nginx.conf"), "-e", "stderr"])
    try:
        wait(lambda: bool(processes.listening(NGINX)), 5, "nginx that listens")
        yield True
    finally:
        server.terminate()
        server.wait()


# -- records -------------------------------------------------------------------------------------------------------


def _listed(worlds: dict[str, World], number: int) -> list[Comparison]:
    paths = {
        f"a page of {PAGE}": f"/images?limit={PAGE}",
        f"a page of {PAGE} behind a marker": f"/images?limit={PAGE}&marker={{middle}}",
        f"a page of {PAGE} by name": f"/images?limit={PAGE}&sort=name:asc",
        f"a page of {PAGE} with a tag": f"/images?limit={PAGE}&tag=t7",
        f"a page of {PAGE} with a property": f"/images?limit={PAGE}&os_distro=debian",
        "one by its name": "/images?name=image-700",
    }
    if number <= FEW:
        paths["all"] = f"/images?limit={number}"

    def listed(path: str, clients: int, side: Side) -> float:
        world = worlds[side.name]
        return rate(side, world.request("GET", path.format(middle=world.made[number // 2])), clients, 4.0, world.address)

    return [
        Comparison(f"{name} of {number:,} images, {clients} clients", functools.partial(listed, path, clients), 10.0)
        for name, path in paths.items()
        for clients in CLIENTS
    ]


def _single(worlds: dict[str, World]) -> list[Comparison]:
    def shown(clients: int, side: Side) -> float:
        world = worlds[side.name]
        return rate(side, world.request("GET", f"/images/{world.made[7]}"), clients, 3.0, world.address)

    def created(clients: int, side: Side) -> float:
        world = worlds[side.name]
        ids = [str(uuid.uuid4()) for _ in range(CREATED)]
        wanted = [world.request("POST", "/images", {"id": id, "name": id, "disk_format": "raw", "container_format": "bare"}) for id in ids]
        world.made += ids
        return checked(load.each_once(world.address, wanted, clients=clients)).per_second

    return [
        Comparison(f"an image {name}, {clients} clients", functools.partial(measure, clients), 10.0)
        for name, measure in (("shown", shown), ("created", created))
        for clients in CLIENTS
    ]
