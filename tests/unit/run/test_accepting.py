"""Several processes that have one listening socket, as several who accept from it."""

from __future__ import annotations

import asyncio
import functools
import socket

import uvloop

from cumulet.run.accepting import Accepting, Shares


class Held(asyncio.Protocol):
    """A connection of one of them."""

    def __init__(self, held: set[Held]):
        self.held = held

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.held.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.held.discard(self)


async def until(seen) -> None:
    async with asyncio.timeout(10):
        while not seen():
            await asyncio.sleep(0.001)


def test_each_takes_its_share_and_who_is_away_is_not_waited_for():
    async def go() -> None:
        loop, counts, held = asyncio.get_running_loop(), Shares(3), [set[Held]() for _ in range(3)]
        listening = socket.create_server(("127.0.0.1", 0))
        ends = [listening, listening.dup(), listening.dup()]
        accepting = [
            Accepting(end, functools.partial(counts.crowded, n), lambda n=n: len(held[n]), lambda n=n: Held(held[n]))
            for n, end in enumerate(ends)
        ]
        clients = []

        async def connect(number: int) -> None:
            before = sum(map(len, held))
            for _ in range(number):
                clients.append((await loop.create_connection(asyncio.Protocol, *listening.getsockname()))[0])
            await until(lambda: sum(map(len, held)) == before + number)

        await connect(30)
        shares = [len(some) for some in held]
        assert min(shares) >= 8, "a third each, but for moments in which one had no processor"
        accepting[0].close()
        await connect(30)
        assert len(held[0]) == shares[0] and min(len(held[1]), len(held[2])) >= 20
        for client in clients:
            client.close()
        await until(lambda: not any(held))
        for one, end in zip(accepting, ends, strict=True):
            one.close()
            end.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(go())
