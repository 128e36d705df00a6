"""The work queue: which post still has to reach which followers, kept by JetStream until it was done."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from fathom.engines.nats import Nats

if TYPE_CHECKING:
    from fathom.engines.broker import Broker
    from fathom.engines.consumer import Message

__all__ = ["Deliveries", "Delivery"]

STREAM = "timeline"
EXPRESS, BULK = "timeline.express", "timeline.bulk"
AT_ONCE = {EXPRESS: 16, BULK: 2}  # a star's followers are many, but they may not take all of Redis
ACK_WAIT_S = 30.0


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """A piece of work: a post, and the followers above `after` who do not have it yet."""

    seq: int  # its row in the outbox
    generation: int  # whose feeds
    author: int
    post: int
    after: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Delivery).decode


class Deliveries:
    """Two lines: every post starts on the express; the rest of a long list of followers goes on in bulk.

    So an ordinary post never waits for a star's. The queue can be lost: the outbox knows what was in it.
    """

    def __init__(self, queue: Nats) -> None:
        self._queue = queue
        self._process = secrets.token_hex(6)  # a database that was restored counts its rows anew: its ids are others

    @property
    def broker(self) -> Broker:
        return self._queue.client

    async def publish(self, delivery: Delivery, *, again: int = 0) -> None:
        """Put a piece of work in line. Its id lets an uncertain publication be repeated; `again` makes a new one."""
        id = f"{self._process}.{delivery.seq}.{delivery.generation}.{delivery.after}.{again}"
        subject = BULK if delivery.after else EXPRESS
        await self.broker.publish(subject, _encode(delivery), id=id)

    @asynccontextmanager
    async def consumed(
        self, handle: Callable[[Delivery, Callable[[], Awaitable[None]]], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Have deliveries handled for the length of a block; `handle` is also given a way to say that it goes on."""

        async def on_message(message: Message) -> None:
            await handle(_decode(message.body), message.working)

        await self.broker.stream(STREAM, [EXPRESS, BULK], work=True)
        async with AsyncExitStack() as stack:
            for subject, at_once in AT_ONCE.items():
                # We are the one service on these data: what was given to another before us is handled by nobody now.
                await self.broker.remove_consumer(STREAM, subject.replace(".", "-"))
                await stack.enter_async_context(
                    self.broker.consume(
                        STREAM,
                        subject.replace(".", "-"),
                        on_message,
                        subject=subject,
                        concurrency=at_once,
                        ack_wait_s=ACK_WAIT_S,
                    )
                )
            yield

    async def left(self) -> int:
        """Return how many pieces are in line or in hands."""
        total = 0
        for subject in AT_ONCE:
            total += (await self.broker.pending(STREAM, subject.replace(".", "-"))).total
        return total
