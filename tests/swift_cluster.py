"""OpenStack Swift, all of it in one process, with its S3 API: `python swift_cluster.py DIRECTORY` serves on a free port of
127.0.0.1 and says which. The account is `test`, its user `tester`, the password `testing`.

Swift looks for its settings in /etc/swift, and for tokens in memcached; here it finds both elsewhere.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402
import typing as t  # noqa: E402
from pathlib import Path  # noqa: E402

import eventlet.wsgi  # noqa: E402
from eventlet import tpool  # noqa: E402
from swift.common import storage_policy, utils  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402

SWIFT = """
[swift-hash]
swift_hash_path_suffix = tests
[storage-policy:0]
name = Policy-0
default = yes
"""
PROXY = """
[DEFAULT]
swift_dir = {root}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy container_quotas slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:cache]
paste.filter_factory = swift_cluster:cache_factory
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
storage_url_scheme = http
[filter:slo]
use = egg:swift#slo
allow_async_delete = false
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
min_segment_size = 5242880
"""
SERVER = """
[DEFAULT]
swift_dir = {root}
devices = {root}/devices
mount_check = false
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{kind}
"""
PLAIN = (
    "catch_errors",
    "gatekeeper",
    "healthcheck",
    "listing_formats",
    "bulk",
    "copy",
    "container_quotas",
    "dlo",
    "versioned_writes",
    "symlink",
)


class Cache:
    """What Swift asks of memcached, for one process."""

    def __init__(self) -> None:
        self._kept: dict[str, t.Any] = {}

    def get(self, key: str, **_: t.Any) -> t.Any:
        return self._kept.get(key)

    def set(self, key: str, value: t.Any, **_: t.Any) -> None:
        self._kept[key] = value

    def delete(self, key: str, **_: t.Any) -> None:
        self._kept.pop(key, None)

    def incr(self, key: str, delta: int = 1, **_: t.Any) -> int:
        self._kept[key] = self._kept.get(key, 0) + delta
        return self._kept[key]


def cache_factory(_: dict, **settings: t.Any) -> t.Callable:
    kept = Cache()

    def with_cache(app: t.Callable) -> t.Callable:
        def answer(environ: dict, start_response: t.Callable) -> t.Any:
            environ["swift.cache"] = kept
            return app(environ, start_response)

        return answer

    return with_cache


def main(root: Path) -> None:
    (root / "swift.conf").write_text(SWIFT)
    (root / "devices" / "d1").mkdir(parents=True, exist_ok=True)
    utils.set_swift_dir(str(root))
    storage_policy.reload_storage_policies()
    log = utils.get_logger({"log_name": "swift", "log_level": "ERROR", "log_address": "/nowhere"})
    for kind in ("account", "container", "object"):
        socket = eventlet.listen(("127.0.0.1", 0))
        ring = RingBuilder(1, 1, 0)
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": socket.getsockname()[1], "device": "d1"})
        ring.rebalance()
        ring.get_ring().save(str(root / f"{kind}.ring.gz"))
        _serve(root, kind, socket, SERVER.format(root=root, kind=kind), log)
    socket = eventlet.listen(("127.0.0.1", 0))
    plain = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in PLAIN)
    _serve(root, "proxy", socket, PROXY.format(root=root) + plain, log)
    print(socket.getsockname()[1], flush=True)
    tpool.execute(sys.stdin.read)


def _serve(root: Path, kind: str, socket: t.Any, settings: str, log: t.Any) -> None:
    path = root / f"{kind}.conf"
    path.write_text(settings)
    app = loadapp(str(path), global_conf={"log_name": kind, "log_address": "/nowhere", "log_level": "ERROR"})
    eventlet.spawn(eventlet.wsgi.server, socket, app, log, log_output=False, capitalize_response_headers=False)


if __name__ == "__main__":
    sys.modules["swift_cluster"] = sys.modules["__main__"]
    main(Path(sys.argv[1]).absolute())
