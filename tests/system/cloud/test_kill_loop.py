"""Whatever is killed, and however often: a user's work comes to its end, guests run on, and nothing is left over."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openstack.exceptions import SDKException

from .journey import Journey, left_over
from .world import Cloud, eventually, host, kill

EVERY = 4.0
"""Seconds between two kills: longer than a process needs to be there again, shorter than any journey."""


@contextmanager
def killing(cloud: Cloud) -> Iterator[list[str]]:
    """Kill the control process, the agent, and both, in turn, until the block ends; what was killed."""
    over, killed = threading.Event(), []

    def loop() -> None:
        for names in itertools.cycle((("control",), ("agent",), ("control", "agent"))):
            if over.wait(EVERY):
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
        journey.ssh(address, f"ping -c 1 -W 20 {next(iter(b.addresses.values()))[0]['addr']}")
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
