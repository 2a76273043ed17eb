"""One operation on one image in a pool of Ceph; a program, for the interpreter that has Ceph's own modules (python3-rbd).

Arguments: configuration, user, pool, what to do, the image's name, and what else that needs. What is sent is a frame after the other,
each its size in four bytes and then so many bytes; an empty one says that this was all. What is given comes after one byte, `+`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import typing as t

FAILED, NOT_THERE, FULL, CLONED, NO_POOL = 1, 2, 3, 4, 5
"""Statuses that it ends with; what it says on standard error tells why."""
TIMEOUTS = {"client_mount_timeout": "20", "rados_mon_op_timeout": "20", "rados_osd_op_timeout": "60"}
"""Seconds."""
QUIET = {"log_to_stderr": "false", "err_to_stderr": "false"}
CLONES = {"rbd_default_clone_format": "2"}
"""The second format: the clone may be in a pool of those who may not write in the image's."""
SNAPSHOT = "snap"
"""Volumes and servers are cloned from a protected snapshot, which Glance calls so too."""
BATCH, STEP = 4 << 20, 1 << 30
"""Bytes that are read at once; by how many an image grows that is written."""
WATCHED = 40.0
"""Seconds after which Ceph has noticed that whoever wrote an image is dead, and somewhat more."""


def main(conf: str, user: str, pool: str, do: str, name: str, *more: str) -> None:
    import rados  # pyright: ignore[reportMissingImports]

    if not os.access(conf, os.R_OK):
        end(FAILED, f"{conf} is not there, or not for this user to read")
    with rados.Rados(conffile=conf, rados_id=user, conf=TIMEOUTS | QUIET | CLONES) as cluster, opened(cluster, pool) as io:
        match do:
            case "clone":
                keep_to_ourselves(cluster.conf_get("keyring"))
                images, image, snapshot = more
                with opened(cluster, images) as there:
                    clone(there, image, snapshot, io, name)
            case _:
                {"put": put, "get": get, "delete": delete}[do](io, name, *map(int, more))


def opened(cluster: t.Any, pool: str) -> t.Any:
    import rados  # pyright: ignore[reportMissingImports]

    try:
        return cluster.open_ioctx(pool)
    except rados.ObjectNotFound:
        end(NO_POOL, f"there is no pool {pool}")


def put(io: t.Any, name: str, order: int) -> None:
    """Under another name until it is whole."""
    import rbd  # pyright: ignore[reportMissingImports]

    delete(io, name)
    rbd.RBD().create(io, part(name), 0, order=order, old_format=False)
    with rbd.Image(io, part(name)) as image:
        size = 0
        while batch := frame():
            if size + len(batch) > image.size():
                image.resize(size + len(batch) + STEP)
            image.write(batch, size)
            size += len(batch)
        image.resize(size)
        image.flush()
        image.create_snap(SNAPSHOT)
        image.protect_snap(SNAPSHOT)
    rbd.RBD().rename(io, part(name), name)


def get(io: t.Any, name: str, start: int, end: int) -> None:
    """end: -1 is the image's."""
    import rbd  # pyright: ignore[reportMissingImports]

    with rbd.Image(io, name, read_only=True) as image:
        sys.stdout.buffer.write(b"+")
        end = image.size() if end < 0 else min(end, image.size())
        while start < end:
            batch = image.read(start, min(BATCH, end - start))
            sys.stdout.buffer.write(batch)
            start += len(batch)
        sys.stdout.buffer.flush()


def clone(there: t.Any, image: str, snapshot: str, io: t.Any, name: str) -> None:
    import rbd  # pyright: ignore[reportMissingImports]

    with contextlib.suppress(rbd.ImageExists):
        rbd.RBD().clone(there, image, snapshot, io, name, features=rbd.RBD_FEATURE_LAYERING)


def keep_to_ourselves(keyrings: str) -> None:
    for path in keyrings.split(","):
        if os.path.exists(path) and os.stat(path).st_mode & 0o077:
            end(FAILED, f"{path} can be read by others: chmod 0600")


def delete(io: t.Any, name: str) -> None:
    import rbd  # pyright: ignore[reportMissingImports]

    ends = time.monotonic() + WATCHED
    for one in (name, part(name)):
        while True:
            try:
                remove_snapshots(io, one)
                rbd.RBD().remove(io, one)
            except rbd.ImageNotFound:
                break
            except rbd.ImageBusy:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.5)


def remove_snapshots(io: t.Any, name: str) -> None:
    import rbd  # pyright: ignore[reportMissingImports]

    with rbd.Image(io, name) as image:
        for snapshot in [*image.list_snaps()]:
            image.set_snap_by_id(snapshot["id"])
            try:
                clones = [one["image"] for one in image.list_children2()]
            except rbd.PermissionError:
                clones = ["some in a pool that is not for this user to read"]
            image.set_snap(None)
            if clones:
                end(CLONED, f"images were cloned from {name}, and are there yet: {', '.join(clones[:5])}")
            # One that was removed in the moment in which it was cloned has another name, and is not protected.
            if snapshot["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER and image.is_protected_snap(snapshot["name"]):
                image.unprotect_snap(snapshot["name"])
            image.remove_snap_by_id(snapshot["id"])


def part(name: str) -> str:
    return f"{name}.part"


def frame() -> bytes:
    """What is sent next; whoever ends before the last frame is gone, and nothing is kept of theirs."""
    size = exactly(4)
    return exactly(int.from_bytes(size, "big"))


def exactly(size: int) -> bytes:
    found = sys.stdin.buffer.read(size)
    if len(found) < size:
        end(FAILED, "whoever sent the image went away")
    return found


def end(status: int, said: str) -> t.NoReturn:
    sys.stderr.write(said)
    raise SystemExit(status)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ImportError:
        end(FAILED, f"{sys.executable} has no modules of Ceph: install python3-rbd")
    except BrokenPipeError:
        os._exit(FAILED)  # nobody listens any more
    except Exception as error:
        number = getattr(error, "errno", None)
        missing = type(error).__name__ == "ImageNotFound"
        end(NOT_THERE if missing else FULL if number in (errno.ENOSPC, errno.EDQUOT) else FAILED, f"{type(error).__name__}: {error}")
