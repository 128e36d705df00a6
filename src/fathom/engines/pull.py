"""A consumer of a JetStream stream that is asked for messages, and is told what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from .consumer import DONE, NS, WORKING, Message, durable, later, status_of
from .engine import EngineDown

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from .broker import Broker

__all__ = ["Pull"]

LATE_S = 1.0  # how much later than asked the server may say that it has nothing


class Pull:
    """A durable consumer of one subject of a work stream. Whoever declares the same name shares its messages."""

    def __init__(self, broker: Broker, stream: str, name: str, subject: str, lease_s: float, unacked_max: int) -> None:
        self._broker, self._stream, self._name = broker, stream, name
        self._wish = durable(stream, name, subject, lease_s, unacked_max)

    async def declare(self) -> None:
        """Have the consumer made, or changed to be this; it is declared again whenever the server has lost it."""
        await self._broker.declare(*self._wish)

    async def take(self, most: int, wait_s: float) -> list[Message]:
        """Return what is there, at most so many; if nothing is, wait for one message, but no longer than that.

        What is sent to somebody who is gone by then comes again when its lease is over. Raises EngineDown where there
        is no such consumer, or no server.
        """
        if found := await self._request({"batch": most, "no_wait": True}, most, LATE_S):
            return found
        if wait_s <= 0:
            return []
        return await self._request({"batch": 1, "expires": int(wait_s * NS)}, 1, wait_s + LATE_S)

    async def _request(self, wish: dict[str, Any], most: int, within_s: float) -> list[Message]:
        """Ask once. The server ends with the last message that there is room for, or with a status."""
        client = self._broker.client
        found: list[Message] = []
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def comes(message: Msg) -> None:
            status = status_of(message)
            if status is None:
                found.append(Message(self._broker, message))
                if len(found) == most and not ended.done():
                    ended.set_result("")
            elif status not in ("", "100") and not ended.done():
                ended.set_result(status)

        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=comes)
        try:
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
            await self._broker.send(subject, json.dumps(wish).encode(), inbox)
            async with asyncio.timeout(within_s):
                said = await ended
        except TimeoutError:
            said = "408"
        finally:
            with contextlib.suppress(Exception):  # the connection may be gone, and the subscription with it
                await subscription.unsubscribe()
        if said == "503":
            raise EngineDown(
                f"there is no consumer {self._name} of {self._stream}",
                why="the server has lost it, or JetStream is still starting",
                fix="declare it again",
            )
        return found

    async def done(self, receipt: str) -> None:
        """Never hand this message out again."""
        await self._broker.send(receipt, DONE)

    async def later(self, receipt: str, after_s: float) -> None:
        """Hand this message out again, not sooner than this."""
        await self._broker.send(receipt, later(after_s))

    async def working(self, receipt: str) -> None:
        """Say that the work goes on: its lease begins anew."""
        await self._broker.send(receipt, WORKING)
