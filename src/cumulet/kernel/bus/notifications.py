"""Notifications on RabbitMQ, as consumers of the released services read them: JSON in oslo.messaging's envelope (version 2.0), to
the topic exchange and the queue `notifications.info`, which are there whether or not somebody listens already."""

from __future__ import annotations

import asyncio

import aio_pika
import msgspec

from .. import ids
from ..audit.events import Told

QUEUE = "notifications.info"
PATIENCE = 20.0
"""Seconds that telling may take; less than for what the events are taken."""


class Notifications:
    """A connection that is made at first use and comes back by itself; what is told has reached the server. `exchanges` are
    those that services' notifications are looked for in, by service."""

    def __init__(self, url: str, exchanges: dict[str, str]):
        self._url, self._names = url, exchanges
        self._connection: aio_pika.abc.AbstractRobustConnection | None = None
        self._exchanges: dict[str, aio_pika.abc.AbstractExchange] = {}

    async def tell(self, events: list[Told]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                for event in events:
                    exchange = await self._exchange(event.publisher_id.partition(".")[0])
                    await exchange.publish(aio_pika.Message(envelope(event), content_type="application/json"), routing_key=QUEUE)
        except (aio_pika.exceptions.AMQPError, aio_pika.exceptions.ChannelInvalidStateError) as error:
            raise ConnectionError(f"the message server did not take it: {error}") from error

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _exchange(self, service: str) -> aio_pika.abc.AbstractExchange:
        if service not in self._exchanges:
            if self._connection is None:
                self._connection = await aio_pika.connect_robust(self._url, heartbeat=10, reconnect_interval=0.5)
            channel = await self._connection.channel(publisher_confirms=True)
            exchange = await channel.declare_exchange(self._names[service], aio_pika.ExchangeType.TOPIC)
            await (await channel.declare_queue(QUEUE)).bind(exchange, QUEUE)
            self._exchanges[service] = exchange
        return self._exchanges[service]


def envelope(event: Told) -> bytes:
    message = msgspec.to_builtins(event) | {"_unique_id": ids.new_hex()}
    return msgspec.json.encode({"oslo.version": "2.0", "oslo.message": msgspec.json.encode(message).decode()})
