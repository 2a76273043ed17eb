"""The image cache of a host: what gets into it, what of it stays, and what is left when it is cut off."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from cumulet.compute.drivers import qcow2
from cumulet.image.drivers import fetch as fetching
from cumulet.image.drivers.base import ImageDriverError, ImageSource
from cumulet.image.drivers.cache import ImageCache
from unit.image_cache.origin import DATA, Server

GIB = 1 << 30
LONG_AGO = 3600.0


def source(data: bytes = DATA, **values: object) -> ImageSource:
    known = ImageSource(id="i", size=len(data), hash_value=hashlib.sha512(data).hexdigest())
    return msgspec.structs.replace(known, **values)


async def wanted(cache: ImageCache, image: ImageSource, server: Server, seconds: float = 20) -> None:
    """Ask for an image until it is there."""
    async with asyncio.timeout(seconds):
        while not await cache.want(image, server.origin):
            pass


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    made = ImageCache(tmp_path / "cache")
    made.open()
    return made


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".note")


# -- fetching ------------------------------------------------------------------------------------------------------


def test_what_many_want_at_once_is_fetched_once(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    async def crowd() -> None:
        await asyncio.gather(*(wanted(cache, source(), server) for _ in range(20)))

    asyncio.run(crowd())
    assert server.ranges == [None]
    assert names(tmp_path) == [f"{source().hash_value}.raw"]
    assert (tmp_path / "cache" / names(tmp_path)[0]).read_bytes() == DATA


def test_images_of_one_content_are_kept_once(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    asyncio.run(wanted(cache, source(), server))
    asyncio.run(wanted(cache, source(id="other"), server))
    assert len(server.ranges) == len(names(tmp_path)) == 1


def test_zeros_take_no_room(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    asyncio.run(wanted(cache, source(), server))
    found = (tmp_path / "cache" / names(tmp_path)[0]).stat()
    assert (found.st_size, found.st_blocks * 512 < 5 << 20) == (len(DATA), True)


def test_a_connection_that_ends_early_is_gone_on_with(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    server.cut = 4 << 20
    asyncio.run(wanted(cache, source(), server))
    assert server.ranges == [None, f"bytes={4 << 20}-", f"bytes={8 << 20}-"]
    assert (tmp_path / "cache" / names(tmp_path)[0]).read_bytes() == DATA


@pytest.mark.parametrize("data", [DATA[:-1] + b"x", DATA + b"more", DATA[:-1]], ids=["other", "longer", "shorter"])
def test_what_is_not_the_image_is_not_kept(cache: ImageCache, server: Server, tmp_path: Path, data: bytes,
                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    server.data = data
    with pytest.raises(ImageDriverError, match=r"what came is not it|more came than|of 8389842 bytes came"):
        asyncio.run(wanted(cache, source(), server))
    assert names(tmp_path) == []


def test_a_refusal_is_told(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(ImageDriverError, match=r"image i is not given to this host: 404 .*as the test wants it"):
        asyncio.run(wanted(cache, source(), server))
    assert names(tmp_path) == []


def test_a_server_in_trouble_is_asked_again_and_then_told_of(cache: ImageCache, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    server.status = 503
    with pytest.raises(ImageDriverError, match=r"cannot be fetched from http://127\.0\.0\.1.*503.*0 of 8389842 bytes came"):
        asyncio.run(wanted(cache, source(), server))
    assert len(server.ranges) == fetching.TRIES


def test_a_server_that_stands_still_is_given_up(server: Server, tmp_path: Path) -> None:
    server.stall = 1 << 20
    with (
        (tmp_path / "file").open("wb") as file,
        pytest.raises(ImageDriverError, match=r"image i was not here within 0\.5 s: .* bytes came"),
    ):
        asyncio.run(fetching.fetch(source(), server.origin, file.fileno(), 0.5))


def test_who_ceases_to_wait_does_not_end_it(cache: ImageCache, server: Server) -> None:
    async def leave() -> None:
        first = asyncio.create_task(cache.want(source(), server.origin))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await wanted(cache, source(), server)

    asyncio.run(leave())
    assert server.ranges == [None]


def test_an_image_without_a_digest_is_kept_by_its_id(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    asyncio.run(wanted(cache, source(hash_value=None, size=None), server))
    assert names(tmp_path) == ["image-i.raw"]


def test_no_name_leads_out_of_the_cache(cache: ImageCache, server: Server) -> None:
    for image in (source(hash_value="../../etc/passwd"), source(hash_value=None, id="../x")):
        with pytest.raises(ImageDriverError, match="cannot be the name of a file"):
            asyncio.run(cache.want(image, server.origin))


def test_no_room_is_told_before_anything_comes(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    with pytest.raises(ImageDriverError, match=r"there is room for \d+ in .*: remove servers"):
        asyncio.run(wanted(cache, source(size=1 << 60), server))
    assert server.ranges == names(tmp_path) == []


# -- what disks stand on -------------------------------------------------------------------------------------------


def test_a_file_of_this_host_is_not_copied(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_bytes(DATA)

    async def use() -> Path:
        assert await cache.want(source(path=str(path)), server.origin)
        assert names(tmp_path) == []
        async with cache.base(source(path=str(path))) as (base, format):
            assert format == "raw"
            return base

    assert path.samefile(asyncio.run(use()))
    assert server.ranges == []


def test_a_file_at_the_path_that_is_another_is_not_taken(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_bytes(DATA[:-1])
    asyncio.run(wanted(cache, source(path=str(path)), server))
    assert (tmp_path / "cache" / names(tmp_path)[0]).read_bytes() == DATA


def test_a_disk_cannot_be_made_of_what_is_not_here(cache: ImageCache) -> None:
    async def use() -> None:
        async with cache.base(source(path="/nowhere")):
            pass

    with pytest.raises(ImageDriverError, match="image i is not on this host: neither at /nowhere nor in "):
        asyncio.run(use())


def test_what_names_another_file_is_refused(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    server.data = qcow2.empty(1 << 20, "/etc/passwd", "raw")
    with pytest.raises(ImageDriverError, match="image i failed safety checks: it has a backing file"):
        asyncio.run(wanted(cache, source(server.data), server))
    assert names(tmp_path) == []


def test_a_format_that_disks_cannot_stand_on_is_made_another(cache: ImageCache, tmp_path: Path) -> None:
    image = tmp_path / "image.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", image, "10M"], check=True)
    server = Server(image.read_bytes())
    asyncio.run(wanted(cache, source(server.data), server))
    server.end()
    (name,) = names(tmp_path)
    assert name.endswith(".qcow2") and qcow2.read(tmp_path / "cache" / name).size == 10 << 20


@pytest.mark.parametrize("here", [False, True], ids=["fetched", "here"])
def test_what_is_taken_as_it_is_is_the_same_bytes_whatever_they_look_like(cache: ImageCache, server: Server, tmp_path: Path,
                                                                          here: bool) -> None:  # fmt: skip
    """A disk may have been made of them before."""
    server.data = qcow2.empty(1 << 20)
    (tmp_path / "store").write_bytes(server.data)
    image = source(server.data, path=str(tmp_path / "store") if here else None)

    async def use(image: ImageSource) -> tuple[bytes, str]:
        await wanted(cache, image, server)
        async with cache.data(image) as (path, format):
            return path.read_bytes(), format

    for each, format in ((image, "qcow2"), (msgspec.structs.replace(image, as_is=True), "raw")) * 2:
        assert asyncio.run(use(each)) == (server.data, format)
    assert len(server.ranges) == (0 if here else 2)


def test_a_kernel_that_was_fetched_beforehand_is_not_fetched_again(cache: ImageCache, server: Server) -> None:
    asyncio.run(wanted(cache, source(), server))
    asyncio.run(wanted(cache, source(as_is=True), server))
    assert len(server.ranges) == 1


# -- what stays ----------------------------------------------------------------------------------------------------


def fill(tmp_path: Path, **ages: float) -> None:
    """Files of 1 MiB each, last used so many seconds ago."""
    for name, age in ages.items():
        path = tmp_path / "cache" / f"{name}.raw"
        path.write_bytes(os.urandom(1 << 20))
        path.with_name(f"{name}.raw.note").write_text(f'{{"used": {time.time() - age}, "hits": 2}}')


def test_the_longest_unused_go_until_the_rest_fits(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache", lambda: {"oldest.raw"}, most_gib=2.5 / 1024)
    cache.open()
    fill(tmp_path, oldest=9 * LONG_AGO, older=8 * LONG_AGO, old=7 * LONG_AGO, new=1)
    removed = cache.prune()
    assert (removed.files, removed.bytes) == (2, 2 << 20)
    assert names(tmp_path) == ["new.raw", "oldest.raw"], "one that a disk stands on stays, however old it is"


def test_what_was_not_used_for_days_goes(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache", lambda: {"used.raw"}, days=7)
    cache.open()
    fill(tmp_path, used=30 * 86400, unused=8 * 86400, lately=6 * 86400)
    assert cache.prune().files == 1
    assert names(tmp_path) == ["lately.raw", "used.raw"]


def test_what_was_used_a_moment_ago_stays(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache", most_gib=0.1 / 1024)
    cache.open()
    fill(tmp_path, a=60, b=60)
    assert cache.prune().files == 0


def test_nothing_goes_without_limits(cache: ImageCache, tmp_path: Path) -> None:
    fill(tmp_path, a=999 * 86400)
    assert cache.prune().files == 0


def test_what_a_disk_is_being_made_of_stays(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    async def use() -> None:
        await wanted(cache, source(), server)
        async with cache.base(source()) as (base, _):
            assert cache.evict().files == 0 and base.exists()
        assert cache.evict().files == 1

    asyncio.run(use())
    assert list((tmp_path / "cache").iterdir()) == []


def test_how_files_were_used_is_told(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    async def use() -> None:
        await wanted(cache, source(), server)
        for _ in range(3):
            async with cache.base(source()):
                pass

    asyncio.run(use())
    (found,) = cache.files()
    assert (found.key, found.size, found.hits) == (source().hash_value, len(DATA), 3)
    assert found.last_modified <= found.last_accessed <= time.time()
    next((tmp_path / "cache").glob("*.note")).unlink()
    assert cache.files()[0].hits == 0, "a note may be lost"


# -- being cut off -------------------------------------------------------------------------------------------------

FETCHER = """
import asyncio, sys
from pathlib import Path
import msgspec
from cumulet.image.drivers.base import ImageSource, Origin
from cumulet.image.drivers.cache import ImageCache
async def main():
    cache = ImageCache(Path(sys.argv[1]))
    cache.open()
    image, origin = (msgspec.json.decode(text, type=kind) for text, kind in zip(sys.argv[2:], (ImageSource, Origin)))
    while not await cache.want(image, origin):
        pass
asyncio.run(main())
"""


def test_one_that_is_killed_leaves_nothing_that_lasts(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    server.stall = 5 << 20
    words = [msgspec.json.encode(one).decode() for one in (source(), server.origin)]
    with subprocess.Popen([sys.executable, "-c", FETCHER, str(tmp_path / "cache"), *words]) as fetcher:
        part = tmp_path / "cache" / f"{source().hash_value}.part"
        ends = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size):
            assert time.monotonic() < ends
            time.sleep(0.01)
        cache.clean()
        assert part.exists(), "it is being written"
        os.kill(fetcher.pid, signal.SIGKILL)
    assert part.exists()
    ImageCache(tmp_path / "cache").open()
    assert names(tmp_path) == []
    server.stall = 0
    asyncio.run(wanted(cache, source(), server))
    assert (tmp_path / "cache" / names(tmp_path)[0]).read_bytes() == DATA


def test_what_a_killed_one_left_is_never_written_to(cache: ImageCache, server: Server, tmp_path: Path) -> None:
    """It may be another name of a file that a store keeps."""
    kept = tmp_path / "kept"
    kept.write_bytes(b"of somebody else")
    os.link(kept, tmp_path / "cache" / f"{source().hash_value}.part")
    asyncio.run(wanted(cache, source(), server))
    assert kept.read_bytes() == b"of somebody else"
