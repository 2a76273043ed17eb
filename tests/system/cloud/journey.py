"""A user's way through a cloud of real guests, in steps that tests put together and assert on."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openstack.exceptions import NotFoundException

from .world import Cloud, eventually, unique

SSH = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=3",
       "-o", "BatchMode=yes", "-o", "ServerAliveInterval=3", "-o", "ServerAliveCountMax=3")  # fmt: skip


class Journey:
    """One user's things in a cloud, all of one name so that they are found again whatever became of a request for them.

    Each making step first looks whether an earlier try of it succeeded: it can be repeated where a process was killed.
    """

    def __init__(self, cloud: Cloud):
        self.cloud, self.me, self.admin = cloud, cloud.connect(), cloud.connect("cumulet")
        self.name = unique("journey")
        self.directory = Path(tempfile.mkdtemp(prefix="cumulet-journey-"))
        self.key = self.directory / "key"
        self.undo = contextlib.ExitStack()

    def prepare(self) -> None:
        """Flavor, key pair, network behind a router, a security group that lets SSH and ICMP in."""
        self.flavor = self.make(self.admin.compute.find_flavor, self.admin.compute.create_flavor, name=self.name, ram=128, vcpus=1, disk=1)
        self.undo.callback(self.remove, self.admin.compute.delete_flavor, self.admin.compute.get_flavor, self.flavor.id)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        public = self.key.with_suffix(".pub").read_text()
        self.make(self.me.compute.find_keypair, self.me.compute.create_keypair, name=self.name, public_key=public)
        self.undo.callback(self.remove, self.me.compute.delete_keypair, self.me.compute.get_keypair, self.name)
        self.image = self.me.image.find_image("guest", ignore_missing=False)
        self.network()
        self.group = self.make(self.me.network.find_security_group, self.me.network.create_security_group, name=self.name)
        self.undo.callback(self.remove, self.me.network.delete_security_group, self.me.network.get_security_group, self.group.id)
        for rule in ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"protocol": "icmp"}):
            self.me.network.create_security_group_rule(security_group_id=self.group.id, direction="ingress", ethertype="IPv4", **rule)

    def network(self) -> None:
        """A network, its subnet, and a router to the external network."""
        net = self.me.network
        self.net = self.make(net.find_network, net.create_network, name=self.name)
        self.undo.callback(self.remove, net.delete_network, net.get_network, self.net.id)
        subnet = self.make(net.find_subnet, net.create_subnet, name=self.name, network_id=self.net.id, ip_version=4, cidr="10.77.0.0/24")
        self.public = net.find_network("public", ignore_missing=False)
        gateway = {"network_id": self.public.id}
        self.router = self.make(net.find_router, net.create_router, name=self.name, external_gateway_info=gateway)
        self.undo.callback(self.remove, net.delete_router, net.get_router, self.router.id)
        net.add_interface_to_router(self.router, subnet_id=subnet.id)
        self.undo.callback(lambda: net.remove_interface_from_router(self.router, subnet_id=subnet.id))

    def boot(self, suffix: str, **more: Any) -> Any:
        """A server that is ACTIVE."""
        script = f"#!/bin/sh\necho {self.name} > /root/marker\necho USER-DATA-{self.name}\n"
        compute = self.me.compute
        server = self.make(
            compute.find_server, compute.create_server, name=f"{self.name}-{suffix}", flavor_id=self.flavor.id, key_name=self.name,
            networks=[{"uuid": self.net.id}], security_groups=[{"name": self.name}],
            user_data=base64.b64encode(script.encode()).decode(), **({"image_id": self.image.id} | more),
        )  # fmt: skip
        self.undo.callback(self.remove, compute.delete_server, compute.get_server, server.id)
        return self.settled(server)

    def settled(self, server: Any, status: str = "ACTIVE", seconds: float = 120) -> Any:
        """The server, once it has a status and nothing is being done with it."""

        def look() -> Any:
            seen = self.me.compute.get_server(server.id)
            assert seen.status != "ERROR" or status == "ERROR", f"{seen.name} is in ERROR: {seen.fault}"
            return seen if seen.status == status and not seen.task_state else None

        return eventually(f"{server.name} {status}", look, seconds)

    def floating(self, server: Any) -> str:
        """A floating IP of the server's port."""
        port = next(iter(self.me.network.ports(device_id=server.id)))
        found = list(self.me.network.ips(port_id=port.id)) or [
            self.me.network.create_ip(floating_network_id=self.public.id, port_id=port.id)
        ]
        self.undo.callback(self.remove, self.me.network.delete_ip, self.me.network.get_ip, found[0].id)
        return found[0].floating_ip_address

    def volume(self) -> Any:
        storage = self.me.block_storage
        made = self.make(storage.find_volume, storage.create_volume, name=self.name, size=1)
        self.undo.callback(self.remove, storage.delete_volume, storage.get_volume, made.id)
        return self.volume_is(made, "available")

    def volume_is(self, volume: Any, status: str) -> Any:
        def look() -> Any:
            seen = self.me.block_storage.get_volume(volume.id)
            assert not seen.status.startswith("error"), seen.status
            return seen if seen.status == status else None

        return eventually(f"volume {status}", look, 90)

    def attach(self, server: Any, volume: Any) -> None:
        if self.me.block_storage.get_volume(volume.id).status == "available":
            self.me.compute.create_volume_attachment(server, volume_id=volume.id)
        self.volume_is(volume, "in-use")

    def detach(self, server: Any, volume: Any) -> None:
        if self.me.block_storage.get_volume(volume.id).status == "in-use":
            self.me.compute.delete_volume_attachment(server, volume.id)
        self.volume_is(volume, "available")

    def ssh(self, address: str, command: str, seconds: float = 60) -> str:
        """What a command, run as root in a guest, printed."""
        last = ""

        def attempt() -> subprocess.CompletedProcess[str] | None:
            nonlocal last
            done = self.ssh_once(address, command)
            last = done.stdout + done.stderr
            return done if done.returncode != 255 else None

        try:
            done = eventually(f"ssh {address}", attempt, seconds, 0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None
        assert done.returncode == 0, f"in the guest, `{command}` gave {done.returncode}: {last}"
        return done.stdout.strip()

    def ssh_once(self, address: str, command: str) -> subprocess.CompletedProcess[str]:
        argv = ["ssh", "-i", str(self.key), *SSH, f"guest@{address}", f"sudo sh -c {shlex.quote(command)}"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def make(self, find: Callable[..., Any], create: Callable[..., Any], **what: Any) -> Any:
        return find(what["name"], ignore_missing=True) or create(**what)

    def remove(self, delete: Callable[..., Any], get: Callable[[str], Any], id: str) -> None:
        """Delete, and wait until it is gone. Asked for again where it was refused: another end may be on its way."""

        def gone() -> bool:
            try:
                get(id)
            except NotFoundException:
                return True
            return False

        delete(id, ignore_missing=True)
        eventually(f"{id} gone", gone, 60)

    def end(self) -> None:
        """Everything away again, the last thing made first."""
        self.undo.close()
        for file in self.directory.iterdir():
            os.unlink(file)
        self.directory.rmdir()


def left_over(journey: Journey) -> dict[str, list[str]]:
    """What the cloud still has of a journey, and what placement still holds."""
    me, admin = journey.me, journey.admin
    usages = (admin.placement.get(f"/resource_providers/{rp.id}/usages").json()["usages"] for rp in admin.placement.resource_providers())
    left = {
        "servers": [s.name for s in me.compute.servers()], "volumes": [v.name for v in me.block_storage.volumes()],
        "routers": [r.name for r in me.network.routers()], "ports": [p.id for p in me.network.ports()],
        "floating IPs": [i.floating_ip_address for i in me.network.ips()], "images": [i.name for i in me.image.images(owner=me.current_project_id)],
        "allocations": [f"{name} {used}" for usage in usages for name, used in usage.items() if used],
    }  # fmt: skip
    return {what: found for what, found in left.items() if found}
