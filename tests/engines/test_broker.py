"""Work is handed out once it is stored, comes again until it is done, and is charged to who caused it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from fathom.engines.broker import Broker, StreamIsFull
from fathom.engines.consumer import Message
from fathom.engines.engine import EngineBusy, EngineDown, EngineUnknown
from fathom.engines.ledger import charging, operation, work
from fathom.engines.nats import Nats, OwnNats

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20.0):
        while not condition():  # noqa: ASYNC110 (some of it is seen only in the server)
            await asyncio.sleep(0.002)


async def drained(broker: Broker, consumer: str) -> None:
    async with asyncio.timeout(20.0):
        while (await broker.pending("work", consumer)).total:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_every_message_is_handled_once_and_charged_to_its_operation(broker: Broker):
    seen, ops = Counter[bytes](), set[str]()

    async def handle(message: Message) -> None:
        seen[message.body] += 1
        ops.add(operation.get())

    with charging("posting"):
        for n in range(100):
            await broker.publish("work.x", b"%d" % n, id=f"{n}")
        assert await broker.publish("work.x", b"7", id="7"), "a repeated id is acknowledged, and not stored again"
    assert work.snapshot()["posting"]["messages"] == 101
    assert await broker.length("work") == 100
    async with broker.consume("work", "w", handle, concurrency=7):
        await until(lambda: len(seen) == 100)
        await drained(broker, "w")
    assert set(seen.values()) == {1}
    assert ops == {"posting"}
    assert await broker.length("work") == 0


async def test_no_more_are_handled_at_a_time_than_asked_for(broker: Broker):
    now = most = done = 0
    gate = asyncio.Event()

    async def handle(message: Message) -> None:
        nonlocal now, most, done
        now += 1
        most = max(most, now)
        await gate.wait()
        now -= 1
        done += 1

    await asyncio.gather(*(broker.publish("work.x", b"") for _ in range(40)))
    async with broker.consume("work", "w", handle, concurrency=5):
        await until(lambda: now == 5)
        assert (await broker.pending("work", "w")).unacked == 5
        gate.set()
        await until(lambda: done == 40)
    assert most == 5


async def test_a_slow_handler_holds_up_nobody_else(broker: Broker):
    gate, quick = asyncio.Event(), 0

    async def handle(message: Message) -> None:
        nonlocal quick
        if message.body == b"slow":
            await gate.wait()
        else:
            quick += 1

    async with broker.consume("work", "w", handle, concurrency=4):
        for _ in range(3):
            await broker.publish("work.x", b"slow")
        for n in range(10):
            await broker.publish("work.x", b"quick")
            await until(lambda n=n: quick == n + 1)
        gate.set()
        await drained(broker, "w")


async def test_a_message_whose_handler_failed_comes_again(broker: Broker):
    attempts: list[int] = []

    async def handle(message: Message) -> None:
        attempts.append(message.attempt)
        if message.attempt < 3:
            raise EngineDown("the feeds are away", why="", fix="")

    await broker.publish("work.x", b"")
    async with broker.consume("work", "w", handle):
        await until(lambda: len(attempts) == 3)
        await drained(broker, "w")
    assert attempts == [1, 2, 3]


async def test_a_message_that_is_not_acknowledged_in_time_comes_again_unless_its_handler_works_on(broker: Broker):
    seen = Counter[bytes]()
    gate = asyncio.Event()

    async def handle(message: Message) -> None:
        seen[message.body] += 1
        while not gate.is_set() and message.attempt == 1:
            if message.body == b"works":
                await message.working()
            await asyncio.sleep(0.02)

    await broker.publish("work.x", b"works")
    await broker.publish("work.x", b"hangs")
    async with broker.consume("work", "w", handle, ack_wait_s=0.5, concurrency=8):
        await until(lambda: seen[b"hangs"] == 2)
        assert seen[b"works"] == 1
        gate.set()
        await drained(broker, "w")
    assert seen[b"works"] == 1


async def test_what_a_block_leaves_undone_comes_again_to_the_next(broker: Broker):
    seen: list[int] = []

    async def hang(message: Message) -> None:
        seen.append(message.attempt)
        await asyncio.Event().wait()

    async def handle(message: Message) -> None:
        seen.append(message.attempt)

    await broker.publish("work.x", b"")
    async with broker.consume("work", "w", hang, end_s=0.0):
        await until(lambda: seen == [1])
    async with broker.consume("work", "w", handle):
        await until(lambda: len(seen) == 2)
    assert seen == [1, 2]


async def test_two_consumers_share_a_stream_by_subject(broker: Broker):
    here: list[str] = []
    there: list[str] = []
    gate = asyncio.Event()

    async def express(message: Message) -> None:
        here.append(message.subject)

    async def bulk(message: Message) -> None:
        await gate.wait()
        there.append(message.subject)

    async with (
        broker.consume("work", "express", express, subject="work.express"),
        broker.consume("work", "bulk", bulk, subject="work.bulk", concurrency=1),
    ):
        for _ in range(20):
            await broker.publish("work.bulk", b"")
        await broker.publish("work.express", b"")
        await until(lambda: here == ["work.express"])
        assert there == []
        assert (await broker.pending("work", "bulk")).total == 20
        gate.set()
        await until(lambda: len(there) == 20)


async def test_a_full_stream_refuses_and_drops_nothing(broker: Broker):
    await broker.stream("small", ["small"], messages_max=3)
    for n in range(3):
        await broker.publish("small", b"%d" % n)
    with pytest.raises(StreamIsFull) as caught:
        await broker.publish("small", b"one more")
    assert isinstance(caught.value, EngineBusy)
    assert [body async for body in broker.everything("small")] == [b"0", b"1", b"2"]


async def test_a_stream_with_a_limit_of_age_drops_the_oldest_where_it_has_no_room(broker: Broker):
    await broker.stream("log", ["log"], work=False, kept_s=3_600.0, messages_max=3)
    for n in range(5):
        await broker.publish("log", b"%d" % n)
    assert [body async for body in broker.everything("log")] == [b"2", b"3", b"4"]
    answer = await broker._ask("$JS.API.STREAM.INFO.log", b"", 5.0)
    assert answer["config"]["max_age"] == 3_600 * 10**9


async def test_a_subject_without_a_stream_takes_nothing(broker: Broker):
    with pytest.raises(EngineDown, match="nothing in NATS listens"):
        await broker.publish("nowhere", b"")


async def test_consumers_go_on_after_the_server_was_killed_and_after_it_was_wiped(nats: OwnNats, broker: Broker):
    seen, back = Counter[bytes](), 0

    async def handle(message: Message) -> None:
        seen[message.body] += 1

    def returned() -> None:
        nonlocal back
        back += 1

    broker.on_up(returned)
    async with broker.consume("work", "w", handle):
        await broker.publish("work.x", b"before")
        await until(lambda: seen[b"before"] > 0)
        await nats.kill()
        with pytest.raises((EngineDown, EngineUnknown)):
            await broker.publish("work.x", b"lost")
        assert not broker.up or not await asyncio.sleep(0.05)
        with pytest.raises(EngineDown):
            await broker.publish("work.x", b"lost")
        await nats.restart()
        await broker.wait_up(10.0)
        await broker.publish("work.x", b"after")
        await until(lambda: seen[b"after"] > 0)
        await nats.restart(wiped=True)
        await until(lambda: back == 2)
        await broker.publish("work.x", b"anew")  # into a stream that was declared again
        await until(lambda: seen[b"anew"] > 0)


async def test_a_wrong_password_is_said_so_at_once(nats: OwnNats):
    wrong = nats.where.replace("://fathom:", "://fathom:wrong")
    with pytest.raises(EngineDown, match="does not let us in") as caught:
        async with Nats.at(wrong).connected(deadline_s=30.0):
            pass
    assert wrong.split(":")[2].split("@")[0] not in str(caught.value)


async def test_who_is_patient_is_connected_to_a_server_that_comes_later(nats: OwnNats):
    await nats.kill()
    with pytest.raises(EngineDown):
        async with nats.connected(deadline_s=0.05):
            pass
    async with nats.connected(deadline_s=0.05, patient=True) as broker:
        with pytest.raises(EngineDown, match="cannot be reached"):
            await broker.publish("work.a", b"")
        await nats.restart()
        await broker.wait_up(20.0)
        broker.deadline_s = 5.0
        await broker.stream("later", ["later"])
    wrong = nats.where.replace("://fathom:", "://fathom:wrong")
    with pytest.raises(EngineDown, match="does not let us in"):
        async with Nats.at(wrong).connected(deadline_s=30.0, patient=True):
            pass


async def test_it_comes_back_when_its_library_falls_over_a_reset_connection(
    nats: OwnNats, broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    """nats-py closes what it has lost, and may break while it does: then nobody is told that the connection is gone."""
    from nats.aio.client import Client

    broke = asyncio.Event()

    async def close(client: Client, *args: object, **named: object) -> None:
        broke.set()
        raise ConnectionResetError("reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "_close", close)
        await nats.kill()
        async with asyncio.timeout(20.0):
            await broke.wait()
        await until(lambda: not broker.up)
    await nats.restart()
    await broker.wait_up(20.0)
    await broker.publish("work.x", b"again", id="again")
