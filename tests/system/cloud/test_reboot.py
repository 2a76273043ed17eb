"""A host that went down and comes back; a cloud that is stopped, and one that is taken away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .journey import Journey
from .world import Cloud, alive, eventually, host, kill, output, processes, tag_of, words


def test_guests_come_back_with_their_host_by_the_agent_alone_and_go_with_their_cloud(new_clouds, guest_image):
    cloud: Cloud = new_clouds(image=guest_image)
    before = host(cloud.data)
    cloud.up()
    journey = Journey(cloud)
    journey.prepare()
    server = journey.boot("a")
    address = journey.floating(server)
    journey.ssh(address, "echo kept > /root/proof && sync")

    switch_off(cloud)
    assert cloud.guests() == {}
    assert host(cloud.data)["links"] == before["links"]

    agent = subprocess.Popen(
        [sys.executable, "-m", "cumulet", "agent", "--data", str(cloud.data)], stderr=(cloud.data / "log/agent.log").open("ab")
    )
    eventually("the guest, brought back", lambda: server.id in cloud.guests(), 20)
    assert journey.ssh(address, "cat /root/proof") == "kept"
    guest = cloud.guests()[server.id]
    agent.terminate()
    assert agent.wait(20) == 0

    cloud.up()
    assert journey.settled(server).power_state == 1
    assert cloud.guests() == {server.id: guest}
    assert "Nothing is wrong" in cloud.good("doctor") or "Guests are slow" in cloud.good("doctor")

    said = cloud.down()
    assert "1 guest goes on running" in said
    assert f"cumulet down --purge --data {cloud.data}" in said
    assert alive(guest)
    journey.ssh(address, "true")

    refused = cloud.command("down", "--purge")
    assert refused.returncode == 1
    assert "add --yes" in refused.stderr
    assert alive(guest)

    (cloud.data / "mine.txt").write_text("not the cloud's")
    said = cloud.down("--purge", "--yes")
    assert "Ended 1 guests" in said
    assert "mine.txt" in said
    assert [path.name for path in cloud.data.iterdir()] == ["mine.txt"]
    assert not alive(guest)
    eventually("a host as before", lambda: host(cloud.data) == before, 10)


def switch_off(cloud: Cloud) -> None:
    """Take away what a host loses when its power goes: every process, link, namespace and rule."""
    pids = cloud.pids()
    kill(pids.pop("supervisor"))
    eventually("processes gone", lambda: not any(alive(pid) for pid in pids.values()), 5, 0.02)
    kill(*cloud.guests().values(), *(pid for pid in processes(str(cloud.data)) if words(pid)[0].endswith(("dnsmasq", "radvd"))))
    prefix = f"c{tag_of(cloud.data)}"
    for namespace in Path("/run/netns").glob(f"{prefix}*"):
        output("ip", "netns", "del", namespace.name)
    for link in [line.split(": ")[1].partition("@")[0] for line in output("ip", "-o", "link") if f": {prefix}" in line]:
        subprocess.run(["ip", "link", "del", link], capture_output=True)
    output("nft", "flush", "ruleset")
