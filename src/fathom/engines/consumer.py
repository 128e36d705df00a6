"""A consumer of a JetStream stream: it asks for no more than can be handled, and says what became of each message."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fathom.engines.engine import EngineError
from fathom.engines.ledger import HEADER, RESIDUAL, charging

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from fathom.engines.broker import Broker

__all__ = ["DONE", "NS", "WORKING", "Consumer", "Handler", "Message", "Pending", "durable", "later", "status_of"]

log = logging.getLogger(__name__)

PULL_S = 30  # a request for messages holds that long, then it is renewed
HEARTBEAT_S = 5  # while one holds and nothing comes, the server says that often that it is still there
RETRY_S = (0.05, 5.0)  # until a message whose handler failed comes again: the first time, and at most
NS = 1_000_000_000
DONE, WORKING = b"+ACK", b"+WPI"  # what is said of a message, in JetStream's words


def later(after_s: float) -> bytes:
    """Return what is said of a message that is to come again, not sooner than this."""
    delay_ns = int(after_s * NS)
    return b'-NAK {"delay": %d}' % delay_ns if delay_ns > 0 else b"-NAK"


def durable(
    stream: str, name: str, subject: str | None, lease_s: float, unacked_max: int
) -> tuple[str, str, dict[str, Any]]:
    """Return how a durable consumer is declared: where, what to call it in errors, and the wish itself."""
    configuration = {
        "durable_name": name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(lease_s * NS),
        "max_deliver": -1,
        "max_ack_pending": unacked_max,
        "replay_policy": "instant",
    }
    if subject is not None:
        configuration["filter_subject"] = subject
    wish = {"stream_name": stream, "config": configuration, "action": ""}
    return f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}", f"consumer {name} of {stream}", wish


def status_of(message: Msg) -> str | None:
    """Return what the server says of a request for messages; None: this is one of them."""
    if message.reply.startswith("$JS.ACK"):
        return None
    return (message.headers or {}).get("Status", "")


@dataclass(frozen=True, slots=True)
class Pending:
    """What a consumer has still to do."""

    waiting: int  # messages that it has not been given
    unacked: int  # messages that it has been given, and has not acknowledged

    @property
    def total(self) -> int:
        return self.waiting + self.unacked


class Message:
    """A message in the hands of whoever does what it asks for."""

    __slots__ = ("_broker", "_reply", "attempt", "body", "op", "sequence", "subject")

    def __init__(self, broker: Broker, message: Msg) -> None:
        parts = message.reply.split(".")  # $JS.ACK.[domain.account.]stream.consumer.attempt.sequence.….…
        at = 4 if len(parts) < 11 else 6
        self._broker, self._reply = broker, message.reply
        self.subject: str = message.subject
        self.body: bytes = message.data
        self.attempt, self.sequence = int(parts[at]), int(parts[at + 1])
        self.op: str = (message.headers or {}).get(HEADER, RESIDUAL)

    @property
    def receipt(self) -> str:
        """Where to say what became of it."""
        return self._reply

    async def done(self) -> None:
        """Never have it handed out again."""
        await self._broker.send(self._reply, DONE)

    async def later(self, after_s: float) -> None:
        """Have it handed out again, not sooner than this."""
        await self._broker.send(self._reply, later(after_s))

    async def working(self) -> None:
        """Say that the work goes on: the time to acknowledge starts anew."""
        await self._broker.send(self._reply, WORKING)


Handler = Callable[[Message], Awaitable[None]]


class Consumer:
    """Takes messages from a stream, no more than can be handled, and hands them to the handler."""

    def __init__(self, broker: Broker, stream: str, name: str, handler: Handler, concurrency: int) -> None:
        self._broker, self.stream, self.name, self._handler = broker, stream, name, handler
        self._concurrency = concurrency
        self._asked = 0  # messages that the server may still send us
        self._pulls = 0
        self._inbox = ""
        self._subscription: Any = None
        self._running: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._ended = False

    async def pending(self) -> Pending:
        """Return what it has still to do."""
        return await self._broker.pending(self.stream, self.name)

    async def listen(self, client: Client) -> None:
        self._inbox = client.new_inbox()
        self._subscription = await client.subscribe(self._inbox + ".*", cb=self._on_message)

    def begin(self) -> None:
        """Ask anew: the connection is new, or the server has forgotten what it was asked."""
        self._asked = 0
        self._pull()

    def _pull(self) -> None:
        """Ask for as many messages as there is room for; not for every single one."""
        room = self._concurrency - len(self._running) - self._asked
        if self._ended or room < 1 or (self._asked and room < self._concurrency // 2):
            return
        self._asked += room
        self._pulls += 1
        task = asyncio.create_task(self._request(room, f"{self._inbox}.{self._pulls}"))
        _keep_until_done(task)

    async def _request(self, n: int, reply: str) -> None:
        wish = {"batch": n, "expires": PULL_S * NS, "idle_heartbeat": HEARTBEAT_S * NS}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.name}"
        with contextlib.suppress(EngineError):  # then the connection is lost, and the next one begins anew
            await self._broker.send(subject, json.dumps(wish).encode(), reply)
        self._watch()

    def _watch(self) -> None:
        """Expect a sign of life: a message, or a heartbeat while a request holds."""
        if self._alarm:
            self._alarm.cancel()
        if not self._ended:
            self._alarm = asyncio.get_running_loop().call_later(2.5 * HEARTBEAT_S, self.begin)

    async def _on_message(self, message: Msg) -> None:
        self._watch()
        status = status_of(message)
        if status is None:
            self._asked = max(0, self._asked - 1)
            task = asyncio.create_task(self._handle(Message(self._broker, message)))
            self._running.add(task)
            task.add_done_callback(self._done)
            self._pull()
        elif status in ("404", "408", "409"):  # a request has ended with so many messages not sent
            left = (message.headers or {}).get("Nats-Pending-Messages")
            self._asked = max(0, self._asked - int(left)) if left else 0
            if status == "409" and "Deleted" in str((message.headers or {}).get("Description")):
                await self._broker.declare_again()
            self._pull()
        elif status == "503":
            await self._broker.declare_again()
            self.begin()

    async def _handle(self, message: Message) -> None:
        try:
            with charging(message.op):
                await self._handler(message)
        except asyncio.CancelledError:
            with contextlib.suppress(EngineError):  # unheard, the message comes again
                await message.later(0.0)
            raise
        except Exception as fault:
            pause_s = min(RETRY_S[0] * 2 ** min(message.attempt - 1, 20), RETRY_S[1])
            level = logging.INFO if isinstance(fault, EngineError) else logging.ERROR
            log.log(level, "%s: message %d, attempt %d: %r", self.name, message.sequence, message.attempt, fault)
            with contextlib.suppress(EngineError):
                await message.later(pause_s)
        else:
            with contextlib.suppress(EngineError):
                await message.done()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._broker.up:
            self._pull()

    async def end(self, within_s: float) -> None:
        self._ended = True
        if self._alarm:
            self._alarm.cancel()
        with contextlib.suppress(Exception):
            await self._subscription.unsubscribe()
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)
        late = set(self._running)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


_tasks: set[asyncio.Task[None]] = set()


def _keep_until_done(task: asyncio.Task[None]) -> None:
    """Hold a task that nobody waits for: the loop itself would not keep it from being collected."""
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
