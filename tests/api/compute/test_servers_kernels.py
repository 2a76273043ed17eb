"""Servers whose image names a kernel and a ramdisk, and images that no server or volume can be made of."""

from __future__ import annotations

import base64
import json
import struct

import pytest

IMAGE, VOLUME = "/image/v2", "/volume/v3"
KERNEL, RAMDISK = b"MZ" + bytes(3000), b"\x1f\x8b" + bytes(2000)


def machine(world, id: str):
    return world.agent.hosts["host-1"].compute._servers[id].machine


def create(world, image: str, **more):
    body = {"name": "s", "imageRef": image, "flavorRef": world.flavor(), "networks": "none", **more}
    return world.me.post("/servers", {"server": body}, version="compute 2.37")


def parts(world) -> tuple[str, str]:
    """A kernel and a ramdisk."""
    kernel = world.image("kernel", KERNEL, disk_format="aki", container_format="aki")
    return kernel, world.image("ramdisk", RAMDISK, disk_format="ari", container_format="ari")


def amazon(world, **properties: str) -> str:
    return world.image("ami", disk_format="ami", container_format="ami", **properties)


def test_a_server_boots_the_kernel_that_its_image_names(world):
    kernel, ramdisk = parts(world)
    id = world.boot(imageRef=amazon(world, kernel_id=kernel, ramdisk_id=ramdisk))
    booted = machine(world, id)
    assert (booted.kernel.image, booted.ramdisk.image, booted.kernel.source.as_is) == (kernel, ramdisk, True)
    assert booted.command_line == "root=/dev/vda console=tty0 console=ttyS0 console=hvc0 no_timer_check"
    with open(booted.kernel.source.path, "rb") as file:
        assert file.read() == KERNEL
    shown = world.admin.get(f"/servers/{id}", version="compute 2.100").json()["server"]
    assert (shown["OS-EXT-SRV-ATTR:kernel_id"], shown["OS-EXT-SRV-ATTR:ramdisk_id"]) == (kernel, ramdisk)


def test_a_server_with_a_kernel_knows_it_and_so_does_its_image(world):
    kernel, ramdisk = parts(world)
    id = world.boot(imageRef=amazon(world, kernel_id=kernel, ramdisk_id=ramdisk, os_command_line="quiet"), config_drive=True)
    told = json.loads(base64.b64decode(machine(world, id).config_drive["ec2/latest/meta-data.json"]))
    assert (told["kernel-id"][:4], told["ramdisk-id"][:4]) == ("aki-", "ari-")
    made = world.me.post(f"/servers/{id}/action", {"createImage": {"name": "i"}}, version="compute 2.45").json()["image_id"]
    image = world.caller(IMAGE).get(f"/images/{made}").json()
    assert (image["kernel_id"], image["ramdisk_id"], image["os_command_line"]) == (kernel, ramdisk, "quiet")


def test_an_image_says_what_its_kernel_is_told(world):
    kernel, _ = parts(world)
    id = world.boot(imageRef=amazon(world, kernel_id=kernel, os_command_line="root=LABEL=a b=c,d"))
    assert (machine(world, id).command_line, machine(world, id).ramdisk) == ("root=LABEL=a b=c,d", None)


@pytest.mark.parametrize("properties", [{"kernel_id": "nokernel"}, {"os_command_line": "quiet"}, {"kernel_id": ""}])
def test_an_image_without_a_kernel_boots_from_its_disk(world, properties):
    id = world.boot(imageRef=amazon(world, **properties))
    assert (machine(world, id).kernel, machine(world, id).command_line) == (None, "")


def test_a_rebuilt_server_boots_what_its_new_image_names(world):
    kernel, _ = parts(world)
    id, plain = world.boot(imageRef=amazon(world, kernel_id=kernel)), world.image("plain")
    for image, expected in ((plain, None), (amazon(world, kernel_id=kernel), kernel)):
        assert world.me.post(f"/servers/{id}/action", {"rebuild": {"imageRef": image}}).status_code == 202
        world.settle()
        booted = machine(world, id).kernel
        assert (booted.image if booted else None) == expected


def test_a_kernel_must_be_there_visible_active_and_fit_the_memory(world):
    strangers = world.caller(IMAGE, project="p2")
    hidden = strangers.post("/images", {"name": "k", "disk_format": "aki", "container_format": "aki", "visibility": "private"}).json()["id"]
    queued = world.caller(IMAGE).post("/images", {"name": "k", "disk_format": "aki", "container_format": "aki"}).json()["id"]
    large = world.image("large", bytes(65 << 20), disk_format="aki", container_format="aki")
    kernel, _ = parts(world)
    for properties, why in [
        ({"kernel_id": hidden}, f"Image {hidden} could not be found."),
        ({"kernel_id": "no-such-image"}, "Image no-such-image could not be found."),
        ({"kernel_id": queued}, "is not active"),
        ({"kernel_id": kernel, "ramdisk_id": hidden}, f"Image {hidden} could not be found."),
        ({"kernel_id": large}, "is larger than a memory of 64 MiB"),
    ]:
        answer = create(world, amazon(world, **properties))
        assert answer.status_code == 400 and why in answer.json()["badRequest"]["message"], properties


def test_a_packed_disk_is_no_disk_yet(world):
    packed = world.image("ova", b"an archive", disk_format="vmdk", container_format="ova")
    shown = world.caller(IMAGE).get(f"/images/{packed}").json()
    assert (shown["size"], shown["virtual_size"]) == (10, None)
    answer = create(world, packed)
    assert answer.status_code == 400 and "container format ova cannot be booted" in answer.text
    volume = world.caller(VOLUME).post("/volumes", {"volume": {"size": 1, "imageRef": packed}})
    assert volume.status_code == 400 and "container format ova" in volume.text


def vdi(size: int) -> bytes:
    """An empty VirtualBox disk of so many bytes."""
    blocks = -(-size >> 20)
    header = bytearray(512)
    struct.pack_into("<IIII", header, 0x40, 0xBEDA107F, 0x10001, 0x190, 1)
    struct.pack_into("<II", header, 0x154, 512, 1 << 20)
    struct.pack_into("<I", header, 0x168, 512)
    struct.pack_into("<QIII", header, 0x170, size, 1 << 20, 0, blocks)
    return bytes(header) + b"\xff" * 4 * blocks


def test_an_image_is_as_large_as_its_disk(world):
    """A file of a few KiB may be a disk of many GiB."""
    large, fitting = (world.image("vdi", vdi(size), disk_format="vdi") for size in ((1 << 30) + 512, 1 << 30))
    assert world.caller(IMAGE).get(f"/images/{large}").json()["virtual_size"] == (1 << 30) + 512
    answer = create(world, large)
    assert answer.status_code == 400 and "Flavor's disk is too small for requested image" in answer.text
    volumes = world.caller(VOLUME)
    refused = volumes.post("/volumes", {"volume": {"size": 1, "imageRef": large}})
    assert refused.status_code == 400 and "Size of specified image 2GB is larger than volume size 1GB" in refused.text
    assert volumes.post("/volumes", {"volume": {"size": 1, "imageRef": fitting}}).status_code == 202
    assert machine(world, world.boot(imageRef=fitting)).roots[0].image == fitting
