"""Kernel modules for the image: which ones, what they need, and the index files that modprobe reads."""

from __future__ import annotations

from pathlib import Path

from debian import BuildError

ROOT_DISK = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix")
"""What may stand between the kernel and its root disk; the boot loader hands these over."""

DEVICES = (
    "virtio_net",
    "virtio_rng",
    "virtio_balloon",
    "virtio_console",
    "sr_mod",
    "button",
    "evdev",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_utf8",
    "8021q",
)
"""What is loaded or loadable once the root disk is mounted."""


class Modules:
    """The modules of one kernel's directory, found by name, with `-` and `_` alike."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._paths = {_name(p): p for p in sorted(directory.rglob("*.ko"))}

    def closure(self, names: tuple[str, ...]) -> list[Path]:
        """The files of `names` and all they depend on, each after what it needs."""
        found: dict[str, Path] = {}

        def add(name: str) -> None:
            if name in found:
                return
            if name not in self._paths:
                raise BuildError(f"the kernel in {self.directory} has no module {name}")
            for needed in self._needs(self._paths[name]):
                add(needed)
            found[name] = self._paths[name]

        for name in names:
            add(name)
        return list(found.values())

    def indexes(self, files: list[Path]) -> dict[str, bytes]:
        """modules.dep and modules.alias for `files`, in depmod's text formats."""
        dep, alias = [], []
        for file in files:
            needed = [f for f in self.closure((_name(file),)) if f != file]
            dep.append(f"{self._relative(file)}:" + "".join(f" {self._relative(f)}" for f in reversed(needed)))
            alias += [f"alias {pattern} {_name(file)}" for pattern in _modinfo(file, "alias")]
        return {"modules.dep": _lines(dep), "modules.alias": _lines(alias)}

    def _needs(self, file: Path) -> list[str]:
        return [n.replace("-", "_") for line in _modinfo(file, "depends") for n in line.split(",") if n]

    def _relative(self, file: Path) -> Path:
        return file.relative_to(self.directory)


def _name(file: Path) -> str:
    return file.stem.replace("-", "_")


def _modinfo(file: Path, key: str) -> list[str]:
    """The values of one key in a module's .modinfo section, which is NUL-ended `key=value` strings."""
    prefix = b"\0" + key.encode() + b"="
    return [part.split(b"\0", 1)[0].decode() for part in file.read_bytes().split(prefix)[1:]]


def _lines(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()
