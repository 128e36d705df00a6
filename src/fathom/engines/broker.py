"""A JetStream client that counts what it publishes, and heals: streams, consumers and the connection."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fathom.engines.consumer import NS, Consumer, Handler, Pending, durable
from fathom.engines.engine import EngineBusy, EngineDown, EngineError, EngineUnknown, without_secrets
from fathom.engines.ledger import HEADER, charge, operation
from fathom.errors import FathomError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

__all__ = ["Broker", "StreamIsFull"]

log = logging.getLogger(__name__)

CONNECT_S = 2.0
BACKOFF_S = (0.01, 0.5)  # the first pause between attempts to connect, and the longest
PING_S = 5  # a connection on which two of these go unanswered is given up
IN_FLIGHT_MAX = 512  # publications that wait for their acknowledgement; beyond, the next one waits

# JetStream's own numbers for its errors.
STREAM_EXISTS, STREAM_NOT_FOUND, CONSUMER_NOT_FOUND, NO_MESSAGE = 10058, 10059, 10014, 10037
FULL = (10077, 10047, 10023, 10028)  # too many messages or bytes; no storage, no resources


class _NotLetIn(EngineDown):
    """The server is there and does not want us: no waiting will change that."""


class StreamIsFull(EngineBusy):
    """A stream has reached its bound and did not take the message. Offer it again when consumers have caught up."""


class Broker:
    """A connection to one NATS with JetStream.

    A lost connection is made anew for as long as the block lasts; streams and consumers declared through it are
    declared again, for the case that the server has lost them. While it is lost everything fails at once with
    EngineDown. What was in flight when it was lost, or was not answered in time, fails with EngineUnknown.
    """

    def __init__(self, url: str, *, deadline_s: float = 5.0) -> None:
        self._url, self.deadline_s = url, deadline_s
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._asked: dict[str, asyncio.Future[Msg]] = {}
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._count = 0
        self._inbox = ""
        self._declared: dict[str, tuple[str, dict[str, Any]]] = {}  # subject of the API → (what, configuration)
        self._consumers: set[Consumer] = set()
        self._callbacks: list[Callable[[], None]] = []
        self._why = "it was not connected yet"
        self._reason = ""  # what nats-py said last
        self._keeping: asyncio.Task[None] | None = None
        self._opened = False

    # The connection ---------------------------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether it is connected, and all that was declared is there."""
        return self._up.is_set()

    @property
    def client(self) -> Client:
        """The connection, while there is one; EngineDown while there is none."""
        if self._client is None or not self._client.is_connected:
            raise self._down()
        return self._client

    async def wait_up(self, within_s: float | None = None) -> None:
        """Return once it is up; EngineDown if it is not within that time."""
        try:
            async with asyncio.timeout(within_s):
                await self._up.wait()
        except TimeoutError:
            raise self._down() from None

    def on_up(self, callback: Callable[[], None]) -> None:
        """Have a function called whenever the connection has come back."""
        self._callbacks.append(callback)

    async def open(self, *, patient: bool = False) -> None:
        """Connect, or say why that cannot be done; from then on keep connected.

        Who is `patient` goes on without a server that cannot be reached now, and is connected when it can.
        """
        self._keeping = asyncio.create_task(self._keep(), name="broker")
        up = asyncio.ensure_future(self._up.wait())
        try:
            await asyncio.wait({up, self._keeping}, timeout=self.deadline_s, return_when=asyncio.FIRST_COMPLETED)
            if self._keeping.done():
                self._keeping.result()
            if not self.up and not patient:
                raise self._down()
            self._opened = True
        except BaseException:
            await self.close()
            raise
        finally:
            up.cancel()

    async def close(self) -> None:
        """End the connection. Consumers must have ended before."""
        while self._keeping and not self._keeping.done():
            self._keeping.cancel()
            await asyncio.wait([self._keeping], timeout=0.1)  # nats-py swallows it while it connects: then once more

    async def _keep(self) -> None:
        """Connect, wait until the connection is lost, and so on."""
        pause_s = BACKOFF_S[0]
        while True:
            try:
                await self._connect()
            except (EngineError, OSError) as fault:
                self._why = (fault.why if isinstance(fault, FathomError) else str(fault)) or "no answer"
                await self._disconnect()
                if isinstance(fault, _NotLetIn) and not self._opened:
                    raise
                await asyncio.sleep(pause_s)  # a server that is not there gives no sign when it is
                pause_s = min(2 * pause_s, BACKOFF_S[1])
                continue
            except BaseException:
                await self._disconnect()
                raise
            pause_s, self._opened = BACKOFF_S[0], True
            self._up.set()
            for consumer in self._consumers:
                consumer.begin()
            for callback in self._callbacks:
                callback()
            try:
                await self._lost.wait()
            finally:
                self._up.clear()
                self._why = "the connection was lost"
                await self._disconnect()

    async def _connect(self) -> None:
        import nats.errors
        from nats.aio.client import Client

        self._lost.clear()
        self._reason = ""
        client = self._client = Client()
        try:
            async with asyncio.timeout(CONNECT_S + 1.0):
                await client.connect(
                    self._url,
                    name="fathom",
                    allow_reconnect=False,  # we do it, and know what was in flight
                    reconnect_time_wait=0,
                    max_reconnect_attempts=1,
                    connect_timeout=CONNECT_S,  # pyright: ignore[reportArgumentType]
                    ping_interval=PING_S,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_lost,
                    closed_cb=self._on_lost,
                )
                self._watch(client)
                self._inbox = client.new_inbox()
                await client.subscribe(self._inbox + ".*", cb=self._on_answer)
                for consumer in self._consumers:
                    await consumer.listen(client)
            for subject, (what, configuration) in list(self._declared.items()):
                await self._declare(subject, what, configuration)
        except EngineError:
            raise
        except TimeoutError:
            raise self._refused("no answer") from None
        except Exception as fault:
            why = str(fault) or self._reason or type(fault).__name__
            if isinstance(fault, nats.errors.AuthorizationError) or "uthorization" in why + self._reason:
                raise _NotLetIn(
                    f"NATS at {without_secrets(self._url)} does not let us in",
                    why="it does not know this user and password, or token",
                    fix="check them in its URL",
                ) from None
            # What is said of a URL that cannot be read may quote it.
            raise self._refused(type(fault).__name__ if isinstance(fault, ValueError) else why) from None

    def _watch(self, client: Client) -> None:
        """Know that a connection is lost when whoever reads it has ended, whether or not nats-py says so.

        It may not: a connection that is reset while nats-py closes it ends its reading task before it has called back.
        """
        reading: asyncio.Task[None] | None = getattr(client, "_reading_task", None)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (fault := task.exception()) is not None:
                self._reason = str(fault) or type(fault).__name__
            if self._client is client:
                self._lost.set()

        if reading is not None:
            reading.add_done_callback(ended)

    def _refused(self, why: str) -> EngineDown:
        return EngineDown(
            f"NATS at {without_secrets(self._url)} cannot be reached",
            why=why,
            fix="see that it runs, and that its URL is right",
        )

    def _down(self) -> EngineDown:
        return self._refused(self._why)

    async def _disconnect(self) -> None:
        """Let go of a connection, and tell everyone who waits for an answer that none will come."""
        client, self._client = self._client, None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(self._unknown("the connection was lost"))
                future.exception()
        self._asked.clear()
        if client is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 1.0)
            with contextlib.suppress(Exception):  # where it broke while closing, its socket is still open
                client._transport.close()  # pyright: ignore[reportOptionalMemberAccess]

    async def _on_error(self, fault: Exception) -> None:
        self._reason = str(fault) or type(fault).__name__

    async def _on_lost(self) -> None:
        self._lost.set()

    async def _on_answer(self, message: Msg) -> None:
        future = self._asked.pop(message.subject.rpartition(".")[2], None)
        if future is not None and not future.done():
            future.set_result(message)

    def _unknown(self, why: str) -> EngineUnknown:
        return EngineUnknown(
            "a message was sent to NATS, and nobody knows whether it was taken",
            why=why,
            fix="send it again under the same id: a stream takes one id once within its window",
        )

    async def send(self, subject: str, body: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Send a message, if there is a connection to send it on."""
        client = self.client
        try:
            await client.publish(subject, body, reply, headers)
        except Exception as fault:
            if not client.is_connected:
                raise self._unknown(str(fault) or type(fault).__name__) from fault
            raise

    async def _ask(self, subject: str, body: bytes, within_s: float, headers: dict[str, str] | None = None) -> Any:
        """Send a message and return the answer, decoded. Nobody there to answer: it was surely not done."""
        self._count += 1
        token = str(self._count)
        future = self._asked[token] = asyncio.get_running_loop().create_future()
        try:
            await self.send(subject, body, f"{self._inbox}.{token}", headers)
            async with asyncio.timeout(within_s):
                message = await future
        except EngineError:
            raise
        except TimeoutError:
            raise self._unknown(f"no answer within {within_s:g} s") from None
        finally:
            self._asked.pop(token, None)
        if message.headers and message.headers.get("Status") == "503":
            raise EngineDown(
                f"nothing in NATS listens to {subject}",
                why="there is no such stream, or JetStream is still starting",
                fix="declare the stream first",
            )
        return json.loads(message.data)

    # Streams ----------------------------------------------------------------------------------------------------------

    async def stream(
        self,
        name: str,
        subjects: Sequence[str],
        *,
        work: bool = True,
        kept_s: float | None = None,
        bytes_max: int = 256 << 20,
        messages_max: int = 1_000_000,
        message_bytes_max: int = 1 << 20,
        dedupe_s: float = 120.0,
    ) -> None:
        """Declare a stream on disk: made if it is not there, changed if it is different.

        A `work` stream forgets a message once a consumer has acknowledged it. One that is full refuses new messages
        (StreamIsFull) and never drops old ones; unless it is said how long they are `kept_s`: then the oldest go when
        they are that old, or stand in the way of new ones. A message id is taken once within `dedupe_s`.
        """
        configuration = {
            "name": name,
            "subjects": list(subjects),
            "retention": "workqueue" if work else "limits",
            "storage": "file",
            "discard": "new" if kept_s is None else "old",
            "max_age": int((kept_s or 0.0) * NS),
            "max_bytes": bytes_max,
            "max_msgs": messages_max,
            "max_msg_size": message_bytes_max,
            "duplicate_window": int(dedupe_s * NS),
            "num_replicas": 1,
        }
        await self.declare(f"$JS.API.STREAM.CREATE.{name}", f"stream {name}", configuration)

    async def declare(self, subject: str, what: str, configuration: dict[str, Any]) -> None:
        """Have a stream or a consumer made, or changed to be this; made again for as long as it is not forgotten."""
        await self._declare(subject, what, configuration)
        self._declared[subject] = what, configuration

    def forget(self, subject: str) -> None:
        """Do not declare it again."""
        self._declared.pop(subject, None)

    async def declare_again(self) -> None:
        """Have all made that the server has lost."""
        await asyncio.sleep(BACKOFF_S[0])  # JetStream may be starting: it gives no sign when it is up
        with contextlib.suppress(EngineError):
            for subject, (what, configuration) in list(self._declared.items()):
                await self._declare(subject, what, configuration)

    async def _declare(self, subject: str, what: str, configuration: dict[str, Any]) -> None:
        answer = await self._ask(subject, json.dumps(configuration).encode(), self.deadline_s)
        if answer.get("error", {}).get("err_code") == STREAM_EXISTS:
            update = subject.replace(".CREATE.", ".UPDATE.")
            answer = await self._ask(update, json.dumps(configuration).encode(), self.deadline_s)
        self._check(answer, what)

    def _check(self, answer: dict[str, Any], what: str) -> dict[str, Any]:
        if "error" not in answer:
            return answer
        error = answer["error"]
        kind = StreamIsFull if error.get("err_code") in FULL else EngineDown
        raise kind(
            f"NATS refused: {what}",
            why=f"{error.get('description', 'no reason given')} ({error.get('err_code', error.get('code'))})",
            fix="see the bounds of the stream" if kind is StreamIsFull else "see what the server holds under that name",
        )

    async def publish(self, subject: str, body: bytes, *, id: str | None = None, within_s: float | None = None) -> int:
        """Publish a message and return its sequence number once the stream holds it, on disk.

        With an `id` it may be published again, when it is not known whether it was taken, and is held once.
        """
        deadline_s = self.deadline_s if within_s is None else within_s
        if not self.up:
            raise self._down()
        if self._room.locked():
            try:
                async with asyncio.timeout(deadline_s):
                    await self._room.acquire()
            except TimeoutError:
                raise EngineBusy(
                    f"a message to {subject} was not sent in time",
                    why=f"{IN_FLIGHT_MAX} others wait for their acknowledgement",
                    fix="publish less at a time",
                ) from None
        else:
            await self._room.acquire()
        try:
            headers = {HEADER: operation.get()}
            if id is not None:
                headers["Nats-Msg-Id"] = id
            charge("messages")
            charge("bytes", len(body))
            answer = await self._ask(subject, body, deadline_s, headers)
        finally:
            self._room.release()
        return int(self._check(answer, f"a message to {subject}")["seq"])

    async def pending(self, stream: str, consumer: str) -> Pending:
        """Return what a consumer has still to do."""
        answer = await self._ask(f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", b"", self.deadline_s)
        found = self._check(answer, f"consumer {consumer} of {stream}")
        return Pending(found["num_pending"], found["num_ack_pending"])

    async def length(self, stream: str) -> int:
        """Return how many messages a stream holds."""
        answer = await self._ask(f"$JS.API.STREAM.INFO.{stream}", b"", self.deadline_s)
        return int(self._check(answer, f"stream {stream}")["state"]["messages"])

    async def everything(self, stream: str) -> AsyncIterator[bytes]:
        """Yield the bodies of all messages that a stream holds, oldest first; nothing is acknowledged by it."""
        sequence = 0
        while True:
            wish = json.dumps({"seq": sequence + 1, "next_by_subj": ">"}).encode()
            answer = await self._ask(f"$JS.API.STREAM.MSG.GET.{stream}", wish, self.deadline_s)
            if answer.get("error", {}).get("err_code") == NO_MESSAGE:
                return
            message = self._check(answer, f"stream {stream}")["message"]
            sequence = message["seq"]
            yield base64.b64decode(message.get("data", ""))

    async def purge(self, stream: str) -> int:
        """Remove all messages of a stream; return how many there were."""
        answer = await self._ask(f"$JS.API.STREAM.PURGE.{stream}", b"", self.deadline_s)
        return int(self._check(answer, f"purging {stream}")["purged"])

    # Consumers --------------------------------------------------------------------------------------------------------

    async def remove_consumer(self, stream: str, name: str) -> bool:
        """Remove a consumer, if it is there: what it was given and never acknowledged goes to the next one at once.

        For whoever knows that nobody handles its messages any more, and will not wait for their deadline.
        """
        answer = await self._ask(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", b"", self.deadline_s)
        if answer.get("error", {}).get("err_code") in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
            return False
        self._check(answer, f"removing consumer {name} of {stream}")
        return True

    @asynccontextmanager
    async def consume(
        self,
        stream: str,
        name: str,
        handler: Handler,
        *,
        subject: str | None = None,
        concurrency: int = 16,
        ack_wait_s: float = 30.0,
        unacked_max: int = 1_000,
        end_s: float = 5.0,
    ) -> AsyncIterator[Consumer]:
        """Have messages handled for the length of a block, at most `concurrency` at a time.

        A message is acknowledged when its handler returns, and comes again when it raises (later each time), when it
        does not return within `ack_wait_s` (it may say that it is still `working`), or when we are gone: handlers must
        bear a message twice. What a handler does is charged to the operation that published the message. When the block
        ends handlers get `end_s` to finish; messages of those that do not come again.
        """
        wish = durable(stream, name, subject, ack_wait_s, unacked_max)
        await self.declare(*wish)
        consumer = Consumer(self, stream, name, handler, concurrency)
        self._consumers.add(consumer)
        try:
            if self._client is not None:
                await consumer.listen(self._client)
            if self.up:
                consumer.begin()
            yield consumer
        finally:
            self._consumers.discard(consumer)
            self.forget(wish[0])
            await consumer.end(end_s)
