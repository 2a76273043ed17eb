"""The bus of many machines: RabbitMQ. Commands go to a queue of each host, answers to a queue of each caller, events and
nudges to all control processes. Messages are transient: whatever is lost, the rows still say what is to be done.
"""

from __future__ import annotations

import asyncio
import contextlib
import typing as t
from collections.abc import Awaitable, Callable

import aio_pika
import msgspec
import structlog

from .. import ids
from ..log import get_logger
from .base import AgentAway, AgentUnreachable, Answer, Command, Event, Nudges, unwrap

log = get_logger("bus")
EVENTS, NUDGES = "cumulet.events", "cumulet.nudges"
HEARTBEAT = 10


class _Link:
    """A connection that comes back by itself, with a channel on it."""

    def __init__(self, url: str):
        self._url = url

    async def open(self) -> None:
        self.connection = await aio_pika.connect_robust(self._url, heartbeat=HEARTBEAT, reconnect_interval=0.5)
        self.channel = await self.connection.channel(publisher_confirms=False)
        await self.channel.set_qos(prefetch_count=500)
        self.events = await self.channel.declare_exchange(EVENTS, aio_pika.ExchangeType.FANOUT)
        self.nudges = await self.channel.declare_exchange(NUDGES, aio_pika.ExchangeType.FANOUT)

    async def listen(self, queue: aio_pika.abc.AbstractQueue, hear: Callable[[bytes], Awaitable[None]]) -> None:
        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            try:
                await hear(message.body)
            except Exception:
                log.exception("a message was not taken in", queue=queue.name)

        await queue.consume(take, no_ack=True)

    async def own_queue(self, *exchanges: aio_pika.abc.AbstractExchange) -> aio_pika.abc.AbstractQueue:
        queue = await self.channel.declare_queue(exclusive=True)
        for exchange in exchanges:
            await queue.bind(exchange)
        return queue

    async def publish(self, exchange: aio_pika.abc.AbstractExchange, key: str, message: t.Any, **properties: t.Any) -> None:
        await exchange.publish(aio_pika.Message(msgspec.msgpack.encode(message), **properties), routing_key=key)

    async def close(self) -> None:
        await self.connection.close()


class AmqpBus:
    """The control plane's end."""

    def __init__(self, url: str):
        self._link = _Link(url)
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._nudges = Nudges()
        self._hearers: list[Callable[[Event], Awaitable[None]]] = []
        self._sending: set[asyncio.Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        await self._link.open()
        self._loop = asyncio.get_running_loop()
        self._answers = await self._link.own_queue()
        await self._link.listen(self._answers, self._answered)
        await self._link.listen(await self._link.own_queue(self._link.events), self._event)
        await self._link.listen(await self._link.own_queue(self._link.nudges), self._nudged)
        await self._link.publish(self._link.events, "", Event(host="", name="who"))

    async def close(self) -> None:
        await self._link.close()

    async def call(self, host: str, name: str, arguments: dict, *, subject: str | None = None,
                   generation: int | None = None, timeout: float = 60) -> t.Any:  # fmt: skip
        command = Command(
            id=ids.new(), host=host, name=name, arguments=arguments, subject=subject, generation=generation,
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
        )  # fmt: skip
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[command.id] = answer
        try:
            async with asyncio.timeout(timeout):
                exchange = self._link.channel.default_exchange
                await self._link.publish(exchange, queue_of(host), command, reply_to=self._answers.name, expiration=timeout)
                return unwrap(command, await answer)
        except TimeoutError:
            raise AgentUnreachable(f"The agent of host {host} did not answer {name} within {timeout:g} s.") from None
        except (OSError, aio_pika.exceptions.AMQPError) as error:
            raise AgentAway(f"The message server cannot be reached: {error}") from None
        finally:
            self._waiting.pop(command.id, None)

    def nudge(self, topic: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send_nudge, topic)

    def on_nudge(self, topic: str, wake: Callable[[], t.Any]) -> None:
        self._nudges.on(topic, wake)

    def on_event(self, hear: Callable[[Event], Awaitable[None]]) -> None:
        self._hearers.append(hear)

    def _send_nudge(self, topic: str) -> None:
        self._nudges.fire(topic)
        sending = asyncio.create_task(self._publish_nudge(topic))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _publish_nudge(self, topic: str) -> None:
        with contextlib.suppress(OSError, aio_pika.exceptions.AMQPError, RuntimeError):
            await self._link.publish(self._link.nudges, "", (self._answers.name, topic))

    async def _nudged(self, body: bytes) -> None:
        sender, topic = msgspec.msgpack.decode(body, type=tuple[str, str])
        if sender != self._answers.name:
            self._nudges.fire(topic)

    async def _answered(self, body: bytes) -> None:
        answer = msgspec.msgpack.decode(body, type=Answer)
        if (waiting := self._waiting.get(answer.id)) and not waiting.done():
            waiting.set_result(answer)

    async def _event(self, body: bytes) -> None:
        event = msgspec.msgpack.decode(body, type=Event)
        if event.name != "who":
            for hear in self._hearers:
                await hear(event)


class AmqpPort:
    """The agent's end: one queue for each of its hosts. It says hello when it starts and whenever a control process asks."""

    def __init__(self, url: str, hosts: list[str], hellos: Callable[[], list[Event]]):
        self._link, self._hosts, self._hellos = _Link(url), hosts, hellos
        self._doing: set[asyncio.Task] = set()

    async def open(self, handle: Callable[[Command], Awaitable[Answer]]) -> None:
        await self._link.open()
        self._handle = handle
        for host in self._hosts:
            queue = await self._link.channel.declare_queue(queue_of(host), auto_delete=True)
            await queue.consume(self._take, no_ack=True)
        await self._link.listen(await self._link.own_queue(self._link.events), self._event)
        await self._greet()

    async def close(self) -> None:
        await self._link.close()

    async def emit(self, event: Event) -> None:
        with contextlib.suppress(OSError, aio_pika.exceptions.AMQPError, RuntimeError):
            await self._link.publish(self._link.events, "", event)

    async def _greet(self) -> None:
        for hello in self._hellos():
            await self.emit(hello)

    async def _event(self, body: bytes) -> None:
        if msgspec.msgpack.decode(body, type=Event).name == "who":
            await self._greet()

    async def _take(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        doing = asyncio.create_task(self._do(message.body, message.reply_to or ""))
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)

    async def _do(self, body: bytes, reply_to: str) -> None:
        answer = await self._handle(msgspec.msgpack.decode(body, type=Command))
        with contextlib.suppress(OSError, aio_pika.exceptions.AMQPError, RuntimeError):
            await self._link.publish(self._link.channel.default_exchange, reply_to, answer)


def queue_of(host: str) -> str:
    return f"cumulet.host.{host}"
