"""Both buses do the same: one suite, run on each."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from cumulet.kernel.bus import AgentFailed, AgentRefused, AgentUnreachable, Event
from cumulet.kernel.bus.agent import Commands, Ledger
from cumulet.kernel.bus.amqp import AmqpBus, AmqpPort
from cumulet.kernel.bus.local import LocalBus, LocalPort, send

BUSES = ["local", *(["amqp"] if os.environ.get("CUMULET_TEST_RABBITMQ") else [])]


class World:
    """A control process and an agent with one host, `h`."""

    def __init__(self, kind: str, tmp_path):
        self.kind, self.path, self.tmp_path = kind, tmp_path / "s", tmp_path
        self.commands = Commands(Ledger(tmp_path / "generations"))
        self.heard: list[Event] = []

    def bus(self):
        return LocalBus([self.path]) if self.kind == "local" else AmqpBus(os.environ["CUMULET_TEST_RABBITMQ"])

    def port(self, uids=None):
        hello = lambda: [Event(host="h", name="hello")]
        if self.kind == "local":
            return LocalPort(self.path, hello, uids if uids is not None else {os.getuid()})
        return AmqpPort(os.environ["CUMULET_TEST_RABBITMQ"], ["h"], hello)

    async def __aenter__(self):
        self.server, self.client = self.port(), self.bus()
        await self.server.open(self.commands.handle)
        hello = asyncio.Event()

        async def hear(event: Event) -> None:
            self.heard.append(event)
            hello.set()

        self.client.on_event(hear)
        await self.client.open()
        async with asyncio.timeout(10):
            await hello.wait()
        return self

    async def __aexit__(self, *_):
        await self.client.close()
        await self.server.close()


@pytest.fixture(params=BUSES)
def world(request, tmp_path):
    return World(request.param, tmp_path)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_a_command_is_answered_and_its_failure_told(world):
    async def double(n: int) -> int:
        return 2 * n

    async def fail() -> None:
        raise RuntimeError("the disk is full")

    async def go():
        world.commands.add("double", double)
        world.commands.add("fail", fail)
        async with world:
            assert await world.client.call("h", "double", {"n": 4}) == 8
            with pytest.raises(AgentFailed, match="the disk is full"):
                await world.client.call("h", "fail", {})
            with pytest.raises(AgentFailed, match="Expected `int`"):
                await world.client.call("h", "double", {"n": "x"})
            with pytest.raises(AgentFailed, match="knows no command"):
                await world.client.call("h", "nothing", {})

    run(go())


def test_a_stale_command_is_refused_even_after_the_agent_restarts(world):
    async def touch() -> None: ...

    async def go():
        world.commands.add("touch", touch)
        async with world:
            await world.client.call("h", "touch", {}, subject="s", generation=5)
            await world.client.call("h", "touch", {}, subject="s", generation=5)
            world.commands = Commands(Ledger(world.tmp_path / "generations"))
            world.commands.add("touch", touch)
            await world.server.close()
            world.server = world.port()
            await world.server.open(world.commands.handle)
            refused = False
            while not refused:
                try:
                    await world.client.call("h", "touch", {}, subject="s", generation=4, timeout=2)
                except AgentRefused:
                    refused = True
                except AgentUnreachable:
                    await asyncio.sleep(0)

    run(go())


def test_commands_on_one_subject_wait_for_each_other(world):
    order = []
    release = asyncio.Event()

    async def slow(name: str) -> None:
        order.append(f"{name} begins")
        if name == "first":
            await release.wait()
        order.append(f"{name} ends")

    async def go():
        world.commands.add("slow", slow)
        async with world:
            first = asyncio.create_task(world.client.call("h", "slow", {"name": "first"}, subject="s", generation=1))
            while not order:
                await asyncio.sleep(0.001)
            second = asyncio.create_task(world.client.call("h", "slow", {"name": "second"}, subject="s", generation=2))
            await world.client.call("h", "slow", {"name": "other"}, subject="t", generation=1)
            release.set()
            await asyncio.gather(first, second)
            assert order == ["first begins", "other begins", "other ends", "first ends", "second begins", "second ends"]

    run(go())


def test_nobody_there(world):
    async def go():
        async with world:
            with pytest.raises(AgentUnreachable, match="elsewhere"):
                await world.client.call("elsewhere", "x", {}, timeout=0.3)

    run(go())


def test_nudges_reach_this_process_and_others(world):
    async def go():
        async with world:
            other, woken, mine = world.bus(), asyncio.Event(), asyncio.Event()
            if world.kind == "amqp":
                await other.open()
                other.on_nudge("work", woken.set)
            else:
                woken.set()
            world.client.on_nudge("work", mine.set)
            world.client.nudge("work")
            await asyncio.gather(mine.wait(), woken.wait())
            if world.kind == "amqp":
                await other.close()

    run(go())


def test_a_stranger_is_not_let_in(tmp_path):
    async def go():
        world = World("local", tmp_path)
        port = world.port(uids=set())
        await port.open(world.commands.handle)
        reader, writer = await asyncio.open_unix_connection(str(world.path))
        assert await reader.read() == b""
        writer.close()
        await port.close()

    run(go())


def test_garbage_on_the_socket_ends_that_connection_only(tmp_path):
    async def go():
        async with World("local", tmp_path) as world:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(world.path))
                raw.sendall(b"\xff\xff\xff\xff garbage")
            reader, writer = await asyncio.open_unix_connection(str(world.path))
            await send(writer, "event", Event(host="x", name="x"))
            assert await reader.read(4)
            writer.close()

    run(go())


def test_what_is_nudged_in_one_process_wakes_who_listens_in_another():
    bells = {"work": os.eventfd(0, os.EFD_NONBLOCK), "other": os.eventfd(0, os.EFD_NONBLOCK)}
    answering, working = LocalBus([], bells), LocalBus([], bells)

    async def go():
        woken = asyncio.Event()
        await answering.open()
        await working.open()
        answering.nudge("work")
        answering.nudge("work")  # before anybody listens
        answering.nudge("what nobody ever listens to")
        working.on_nudge("work", woken.set)
        await woken.wait()
        woken.clear()
        await asyncio.to_thread(answering.nudge, "other")
        await asyncio.to_thread(answering.nudge, "work")
        await woken.wait()
        woken.clear()
        working.nudge("work")
        await woken.wait()

    run(go())
    for bell in bells.values():
        os.close(bell)
