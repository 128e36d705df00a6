"""Who asks for messages is given what there is, once each, and again if nothing was heard of it."""

from __future__ import annotations

import asyncio

import pytest

from fathom.engines.broker import Broker
from fathom.engines.consumer import Message
from fathom.engines.engine import EngineDown
from fathom.engines.nats import OwnNats
from fathom.engines.pull import Pull

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def pull(broker: Broker, *bodies: bytes, lease_s: float = 30.0) -> Pull:
    """Return a consumer for whom there are these messages."""
    it = Pull(broker, "work", "w", "work.x", lease_s, 100)
    await it.declare()
    for body in bodies:
        await broker.publish("work.x", body)
    async with asyncio.timeout(10.0):
        while (await broker.pending("work", "w")).waiting < len(bodies):  # noqa: ASYNC110 - it hears of them later
            await asyncio.sleep(0.002)
    return it


def bodies(found: list[Message]) -> list[bytes]:
    return [message.body for message in found]


async def test_as_many_are_taken_as_were_asked_for_and_nobody_gets_them_twice(broker: Broker):
    work = await pull(broker, b"1", b"2", b"3")
    assert bodies(await work.take(2, 0.0)) == [b"1", b"2"]
    assert bodies(await (await pull(broker)).take(2, 0.0)) == [b"3"], "of the same name: they share"
    assert await work.take(2, 0.0) == [] == await work.take(2, 0.01)


async def test_who_finds_nothing_waits_for_one(broker: Broker):
    work = await pull(broker)
    waiting = asyncio.ensure_future(work.take(5, 10.0))
    await broker.publish("work.y", b"for somebody else")
    await broker.publish("work.x", b"1")
    assert bodies(await waiting) == [b"1"]


async def test_what_is_done_is_forgotten_and_what_is_not_comes_again(broker: Broker):
    work = await pull(broker, b"1", b"2")
    one, two = await work.take(2, 0.0)
    await work.done(one.receipt)
    await work.later(two.receipt, 0.01)
    (again,) = await work.take(2, 10.0)
    assert (again.body, again.attempt) == (b"2", 2)
    await again.later(0.0)
    (again,) = await work.take(2, 10.0)
    assert (again.body, again.attempt) == (b"2", 3)
    await again.done()
    async with asyncio.timeout(10.0):
        while await broker.length("work"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_whose_lease_is_over_is_not_waited_for_unless_the_work_goes_on(broker: Broker):
    work = await pull(broker, b"1", lease_s=1.0)
    (first,) = await work.take(1, 10.0)
    for _ in range(2):
        assert await work.take(1, 0.5) == [], "somebody is at it"
        await work.working(first.receipt)
    (again,) = await work.take(1, 10.0)
    assert (again.body, again.attempt) == (b"1", 2)


async def test_a_consumer_that_the_server_has_lost_is_down_until_it_is_declared_again(broker: Broker):
    work = await pull(broker, b"1")
    await broker.remove_consumer("work", "w")
    with pytest.raises(EngineDown, match="there is no consumer w of work"):
        await work.take(1, 0.0)
    await work.declare()
    assert bodies(await work.take(1, 0.0)) == [b"1"]


async def test_nobody_waits_for_a_server_that_is_gone(broker: Broker, nats: OwnNats):
    work = await pull(broker, b"1")
    await nats.kill()
    with pytest.raises(EngineDown):
        for _ in range(10_000):  # until it is known to be gone
            await work.take(1, 0.0)
            await asyncio.sleep(0.001)
