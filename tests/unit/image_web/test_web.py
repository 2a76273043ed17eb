"""Fetching from the web: what is connected to is what was looked at."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from cumulet.image import web
from cumulet.image.addresses import Refused
from cumulet.kernel.config_imports import ImageImport
from web_server import WebServer, web_server

HERE = ImageImport(allowed_ports=[], allowed_networks=["127.0.0.1/32"])


@pytest.fixture
def server():
    with web_server() as made:
        yield made


async def read(url: str, rules: ImageImport = HERE, most: int = 1 << 20) -> bytes:
    async with web.fetched(url, rules, most=most) as answer:
        return b"".join([chunk async for chunk in answer.chunks])


@contextlib.contextmanager
def names(loop: asyncio.AbstractEventLoop, *answers: list[str]):
    """What the system answers to who asks for a name's addresses: the first time this, then that."""
    left, asked = list(answers), []

    async def getaddrinfo(host, port, **more):
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    before, loop.getaddrinfo = loop.getaddrinfo, getaddrinfo
    try:
        yield asked
    finally:
        loop.getaddrinfo = before


def test_a_name_is_connected_to_where_it_was_checked(server: WebServer):
    server.serve("/x", b"data")

    async def go():
        with names(asyncio.get_running_loop(), ["127.0.0.1"]) as asked:
            assert await read(f"http://images.example.org:{server.port}/x") == b"data"
            assert asked == ["images.example.org"], "it is looked up once for a connection"

    asyncio.run(go())
    [(_, headers)] = server.asked
    assert headers["Host"] == f"images.example.org:{server.port}"


def test_a_name_that_means_something_else_a_moment_later_is_refused(server: WebServer):
    server.serve("/x", b"secret")

    async def go():
        with names(asyncio.get_running_loop(), ["8.8.8.8"], ["127.0.0.1"]):
            url = f"http://rebind.example.org:{server.port}/x"
            rules = ImageImport(allowed_ports=[])
            await web.check(url, rules)
            with pytest.raises(Refused, match="no public address"):
                await read(url, rules)

    asyncio.run(go())
    assert server.asked == []


def test_one_address_of_several_that_is_not_admitted_is_enough_to_refuse(server: WebServer):
    async def go():
        with names(asyncio.get_running_loop(), ["127.0.0.1", "10.0.0.1"]), pytest.raises(Refused, match=r"10\.0\.0\.1"):
            await read(f"http://images.example.org:{server.port}/x")

    asyncio.run(go())
    assert server.asked == []


def test_the_next_address_is_tried_where_nobody_answers_at_one(server: WebServer):
    server.serve("/x", b"data")

    async def go():
        rules = ImageImport(allowed_ports=[], allowed_networks=["127.0.0.0/8"])
        with names(asyncio.get_running_loop(), ["127.0.0.9", "127.0.0.1"]):
            assert await read(f"http://images.example.org:{server.port}/x", rules) == b"data"

    asyncio.run(go())


def test_a_token_goes_to_nobody_else(server: WebServer):
    server.serve("/v2/images/x", b"", 302, Location=server.url + "/thief")
    server.serve("/thief", b"{}")

    async def go():
        with pytest.raises(web.FetchFailed, match="answered 302"):
            async with web.asked(server.url + "/v2/images/x", "secret", most=1000, stall=5):
                pass

    asyncio.run(go())
    assert [path for path, _ in server.asked] == ["/v2/images/x"]


def test_no_more_is_read_than_may_be(server: WebServer):
    server.answers["/x"] = lambda handler: (handler.send_response(200), handler.end_headers(), handler.wfile.write(bytes(5000)))
    with pytest.raises(web.FetchFailed, match="limit of 4999"):
        asyncio.run(read(server.url + "/x", most=4999))
    assert asyncio.run(read(server.url + "/x", most=5000)) == bytes(5000)
