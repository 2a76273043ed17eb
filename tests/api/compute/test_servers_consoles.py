"""What a server wrote to its console, and opening it: tokens, and the websocket that they are good for once."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from cumulet.compute import console_page
from cumulet.compute.console import console
from cumulet.compute.drivers.simulated import SimulatedDriver
from cumulet.compute.servers.tables import console_tokens
from world import World


class Chatty(SimulatedDriver):
    """A hypervisor whose guests say hello on each console, and then say again what they are told."""

    def __init__(self, host, recipe, root):
        super().__init__(host, recipe, root)
        self._root, self._listening = root, {}

    async def console_path(self, id: str, kind: str) -> str:
        if kind not in self._listening:
            self._listening[kind] = await asyncio.start_unix_server(self._talk, str(self._root / kind))
        return str(self._root / kind)

    async def close(self) -> None:
        for listening in self._listening.values():
            listening.close()

    @staticmethod
    async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        while data := await reader.read(100):
            writer.write(b"you said " + data)
        writer.close()


@pytest.fixture
def chatty(database_url, tmp_path):
    made = World(database_url, str(tmp_path), compute=Chatty)
    yield made
    made.close()


class Socket:
    """A client's end of a websocket, as the server hands it to an application."""

    def __init__(self, world: World, url: str, **headers: str):
        self.path, _, query = re.sub(r"^\w+://[^/]+", "", url).partition("?")
        sent = {"host": "cloud:5000"} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.scope = {
            "type": "websocket",
            "path": self.path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "subprotocols": ["binary"],
        }
        self.world, self.told = world, []

    def talk(self, *said: bytes) -> list[dict]:
        """Connect, say all this, each once there is an answer to what was before, and hang up; what came back."""
        return self.world.portal.call(self._talk, list(said))

    async def _talk(self, said: list[bytes]) -> list[dict]:
        incoming, answered = asyncio.Queue(), asyncio.Queue()
        incoming.put_nowait({"type": "websocket.connect"})

        async def send(message: dict) -> None:
            self.told.append(message)
            answered.put_nowait(message)

        running = asyncio.create_task(console(self.world.runtime, self.scope, incoming.get, send))
        if (await answered.get())["type"] == "websocket.accept":
            await answered.get()
            for data in said:
                incoming.put_nowait({"type": "websocket.receive", "bytes": data})
                await answered.get()
            incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(running, 10)
        return self.told


def opened(world: World, id: str, protocol: str = "vnc", type: str = "novnc"):
    return world.me.post(f"/servers/{id}/remote-consoles", {"remote_console": {"protocol": protocol, "type": type}}, version="compute 2.8")


def inside(page: str) -> str:
    """The address of the websocket that noVNC's page at an address opens."""
    return f"ws://cloud/{parse_qs(urlsplit(page).query)['path'][0]}"


def test_the_console_log(world):
    id = world.boot()
    ask = lambda length: world.me.post(f"/servers/{id}/action", {"os-getConsoleOutput": length})
    whole = ask({}).json()["output"]
    assert whole.endswith("login:\n") and len(whole.splitlines()) == 4
    assert ask({"length": 2}).json()["output"].splitlines() == whole.splitlines()[-2:] == ask({"length": "2"}).json()["output"].splitlines()
    assert ask({"length": -1}).json()["output"] == ask({"length": None}).json()["output"] == whole
    for bad in (-2, "x", 1.5, [], True):
        assert ask({"length": bad}).status_code == 400, bad
    assert ask({"length": 1, "more": 1}).status_code == 400
    assert world.caller("/compute/v2.1", "reader").post(f"/servers/{id}/action", {"os-getConsoleOutput": {}}).status_code == 403
    assert world.caller("/compute/v2.1", project="p2").post(f"/servers/{id}/action", {"os-getConsoleOutput": {}}).status_code == 404


def test_a_console_that_the_host_does_not_have(world):
    id = world.boot()
    assert opened(world, id).status_code == 409 and "no vnc console" in opened(world, id).text
    for protocol, type in (("spice", "spice-html5"), ("vnc", "serial"), ("rdp", "rdp-html5"), ("mks", "webmks"), ("spice", "spice-direct")):
        assert opened(world, id, protocol, type).status_code == 400, type
    act = lambda name, type, **more: world.me.post(f"/servers/{id}/action", {name: {"type": type}}, **more)
    assert act("os-getSPICEConsole", "spice-html5").status_code == 400 and act("os-getRDPConsole", "rdp-html5").status_code == 400
    assert act("os-getVNCConsole", "nope").status_code == 400
    assert act("os-getVNCConsole", "novnc", version="compute 2.6").status_code == 404


def test_a_token_opens_one_console_once(chatty):
    id = chatty.boot()
    answer = opened(chatty, id)
    assert answer.status_code == 200 and answer.json()["remote_console"]["type"] == "novnc", answer.text
    url = answer.json()["remote_console"]["url"]
    assert re.fullmatch(r"http://cloud/console/vnc/vnc_lite\.html\?path=console%2Fvnc%3Ftoken%3D[\w-]{43}", url)
    token = inside(url).rpartition("=")[2]
    shown = chatty.admin.get(f"/os-console-auth-tokens/{token}", version="compute 2.99").json()["console"]
    assert (shown["instance_uuid"], shown["host"], shown["tls_port"]) == (id, "host-1", None) and shown["internal_access_path"].endswith(
        "/vnc"
    )
    assert chatty.me.get(f"/os-console-auth-tokens/{token}", version="compute 2.31").status_code == 403
    assert chatty.admin.get(f"/os-console-auth-tokens/{token}", version="compute 2.30").status_code == 400
    assert Socket(chatty, inside(url).replace("/vnc", "/serial")).talk()[0]["code"] == 1008, "it is for the screen"
    told = Socket(chatty, inside(url)).talk(b"one", b"two")
    assert told[0] == {"type": "websocket.accept", "subprotocol": "binary"}
    assert [message["bytes"] for message in told[1:]] == [b"hello", b"you said one", b"you said two"]
    assert Socket(chatty, inside(url)).talk() == [{"type": "websocket.close", "code": 1008}], "it was used up"
    assert chatty.admin.get(f"/os-console-auth-tokens/{token}", version="compute 2.31").status_code == 404


def test_a_serial_console_is_a_websocket_at_once(chatty):
    id = chatty.boot()
    url = chatty.me.post(f"/servers/{id}/action", {"os-getSerialConsole": {"type": "serial"}}).json()["console"]["url"]
    assert url.startswith("ws://cloud/console/serial?token=")
    assert Socket(chatty, url).talk(b"ls")[2]["bytes"] == b"you said ls"


def test_the_address_of_the_page_is_a_websockets_too(chatty):
    url = opened(chatty, chatty.boot()).json()["remote_console"]["url"]
    assert Socket(chatty, url).talk(b"one")[2]["bytes"] == b"you said one"
    assert Socket(chatty, inside(url)).talk() == [{"type": "websocket.close", "code": 1008}], "it was used up"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "https://cloud"}, {"origin": "null"}, {"origin": "http://[cloud"},
     {"origin": "http://cloud", "x_forwarded_proto": "https"}],
)  # fmt: skip
def test_another_sites_page_opens_no_console(chatty, headers):
    url = inside(opened(chatty, chatty.boot()).json()["remote_console"]["url"])
    assert Socket(chatty, url, **headers).talk() == [{"type": "websocket.close", "code": 1008}]
    assert Socket(chatty, url, origin="http://cloud:8080").talk()[0]["type"] == "websocket.accept", "the host's name counts"


def test_consoles_behind_a_proxy(database_url, tmp_path):
    world = World(database_url, str(tmp_path), compute=Chatty, config={"public_url": "https://example.org/cloud/"})
    url = opened(world, world.boot()).json()["remote_console"]["url"]
    assert url.startswith("https://example.org/cloud/console/vnc/vnc_lite.html?")
    assert inside(url).startswith("ws://cloud/cloud/console/vnc?token=")
    below = inside(url).replace("/cloud/cloud/", "/cloud/")
    assert Socket(world, below, origin="https://example.org").talk()[0]["type"] == "websocket.accept"
    world.close()


@pytest.fixture
def novnc(tmp_path, monkeypatch) -> Path:
    """Where noVNC is to be looked for; it is not there yet."""
    place = tmp_path / "share" / "novnc"
    monkeypatch.setattr(console_page, "PLACES", (tmp_path / "nowhere", place))
    monkeypatch.setattr(console_page, "_files", {})
    return place


def test_the_page_is_that_of_novnc(world, novnc):
    nobody = world.stranger("")
    path = f"/console/vnc/vnc_lite.html?{urlencode({'path': 'console/vnc?token=x'})}"
    absent = nobody.get(path)
    assert absent.status_code == 404 and absent.headers["content-type"].startswith("text/html")
    assert "apt-get install novnc" in absent.text
    (novnc / "core").mkdir(parents=True)
    (novnc / "vnc_lite.html").write_text("<html><script>noVNC</script></html>")
    (novnc / "core" / "rfb.js").write_text("export default class {}")
    assert nobody.get(path).text == "<html><script>noVNC</script></html>", "it is found as soon as it is there"
    script = nobody.get("/console/vnc/core/rfb.js")
    assert script.status_code == 200 and "javascript" in script.headers["content-type"]


def test_below_the_consoles_there_is_nothing_else(world, novnc):
    nobody = world.stranger("")
    for path in ("", "vnc", "vnc/", "vnc/core", "vnc/..%2f..%2fetc%2fpasswd", "vnc/%2fetc%2fpasswd", "serial", "serial?token=x"):
        assert nobody.get(f"/console/{path}").status_code == 404, path
    answer = nobody.post("/console/vnc/vnc_lite.html")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD"


def test_a_token_ends(chatty):
    id = chatty.boot()
    url = opened(chatty, id).json()["remote_console"]["url"]
    chatty.transact(lambda tx: tx.update(console_tokens, {"server_id": id}, expires_at=dt.datetime(2000, 1, 1)))
    assert Socket(chatty, url).talk() == [{"type": "websocket.close", "code": 1008}]
    opened(chatty, id)
    assert len(chatty.transact(lambda tx: tx.rows(console_tokens))) == 1, "the old one was swept out"
    chatty.me.delete(f"/servers/{id}")
    chatty.settle()
    assert chatty.transact(lambda tx: tx.rows(console_tokens)) == []
