"""Debian packages for the image: finding, downloading into a cache and unpacking, by apt and dpkg-deb alone."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

KERNEL = "linux-image-cloud-amd64"

PACKAGES = (
    "busybox-static",  # the boot scripts' shell and nearly every command
    "bash",  # the users' shell: busybox's own prefers its nc and ping to the ones on PATH
    "chiark-really",  # the setuid part of sudo: needs libc alone
    "dropbear-bin",  # the SSH server and client
    "openssh-sftp-server",  # what scp and sftp talk to
    "netcat-traditional",  # busybox nc has no UDP
    "e2fsprogs",
    "util-linux",  # blkid
    "libc6",
    "libcrypt1",
    "zlib1g",
    "libtomcrypt1",
    "libtommath1",
    "libgmp10",
    "libtinfo6",
    "libext2fs2",
    "libcom-err2",
    "libblkid1",
    "libuuid1",
)


class BuildError(Exception):
    """The image cannot be built; the text says why and what to do about it."""


def run(*argv: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a host command and return what it printed; BuildError with its own words if it failed."""
    done = subprocess.run([str(a) for a in argv], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"`{' '.join(map(str, argv))}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def kernel_package() -> str:
    """The package that holds the newest cloud kernel, by name (`linux-image-VERSION-cloud-amd64`)."""
    try:
        listing = run("apt-cache", "depends", "--important", KERNEL)
    except BuildError:
        listing = ""
    found = re.search(r"Depends: (linux-image-\S+)", listing)
    if not found:
        raise BuildError(f"apt knows no package {KERNEL}: run `apt-get update` with Debian's main archive configured")
    return found[1]


def fetch(cache: Path, packages: list[str], say: Callable[[str], None]) -> list[Path]:
    """Bring the candidate version of every package into `cache`; what is there already is not asked for again."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as empty:  # apt leaves out what it finds where it stands
        uris = run("apt-get", "download", "--print-uris", *packages, cwd=Path(empty))
    files = {name: int(size) for name, size in re.findall(r"^'[^']*' (\S+) (\d+) ", uris, re.MULTILINE)}
    if len(files) != len(packages):
        raise BuildError(f"apt names {len(files)} files for {len(packages)} packages: run `apt-get update`")
    missing = [name for name, size in files.items() if not _has(cache / name, size)]
    if missing:
        say(f"downloading {len(missing)} packages, {sum(files[name] for name in missing) / 1e6:.1f} MB, to {cache}")
        # apt's own user cannot write to the cache, and apt would warn of that.
        wanted = [name.split("_")[0] for name in missing]
        run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *wanted, cwd=cache)
    return [cache / name for name in files]


def _has(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def unpack(archives: list[Path], into: Path) -> None:
    """Unpack the packages over each other into one directory."""
    into.mkdir()
    for archive in archives:
        run("dpkg-deb", "-x", archive, into)
