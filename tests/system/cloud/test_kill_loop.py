"""Whatever is killed, and however often: a user's work comes to its end, guests run on, and nothing is left over."""

from __future__ import annotations

import itertools
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from openstack.exceptions import SDKException

from .journey import Journey, left_over
from .world import Cloud, eventually, host, kill

AFTER = 2.0
"""Seconds that the cloud works, once it is in order again, before the next kill."""


@contextmanager
def killing(cloud: Cloud) -> Iterator[list[str]]:
    """Kill the control process, the agent, and both, in turn, until the block ends; what was killed."""
    over, killed = threading.Event(), []

    def loop() -> None:
        for names in itertools.cycle((("control",), ("agent",), ("control", "agent"))):
            while not in_order():
                if over.wait(0.2):
                    return
            if over.wait(AFTER):
                return
            pids = cloud.pids()
            kill(*(pids[name] for name in names if pids[name]))
            killed.append("+".join(names))

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def in_order() -> bool:
    with suppress(OSError), urllib.request.urlopen("http://127.0.0.1:5000/readyz", timeout=5) as answer:
        return answer.status == 200
    return False


def insisting(step: Callable[[], object], seconds: float = 150) -> object:
    """Do a step; again where the answer to a request was lost with the process that was to give it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return step()
        except SDKException:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def test_a_journey_ends_well_while_processes_are_killed(real):
    before = host(real.data)
    journey = Journey(real)
    with killing(real) as killed:
        insisting(journey.prepare)
        a = insisting(lambda: journey.boot("a"))
        guest = real.guests()[a.id]
        address = insisting(lambda: journey.floating(a))
        journey.ssh(address, "echo kept > /root/proof && sync", 120)
        volume = insisting(journey.volume)
        insisting(lambda: journey.attach(a, volume))
        b = insisting(lambda: journey.boot("b"))
        neighbour = next(iter(b.addresses.values()))[0]["addr"]
        journey.ssh(address, f"for i in $(seq 40); do ping -c 1 -W 1 {neighbour} && exit 0; done; exit 1")
        insisting(lambda: journey.detach(a, volume))
        assert journey.ssh(address, "cat /root/proof", 120) == "kept"
        assert real.guests()[a.id] == guest, "the guest was not to be touched"
        insisting(lambda: journey.me.compute.stop_server(b))
        insisting(lambda: journey.settled(b, "SHUTOFF"))
        insisting(lambda: journey.me.compute.start_server(b))
        insisting(lambda: journey.settled(b))
        insisting(journey.end)
    assert len(killed) > 3
    assert {"control", "agent", "control+agent"} <= set(killed)
    eventually("nothing left over", lambda: left_over(journey) == {}, 60)
    eventually("a host as before", lambda: host(real.data) == before, 60)
    assert real.guests() == {}
