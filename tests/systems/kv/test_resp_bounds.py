"""What a client may take of a node: every bound is met, said, and survived."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fathom.errors import FathomError
from fathom.systems.kv.core.calls import Change, Get
from fathom.systems.kv.core.node import Knobs
from fathom.systems.kv.doors import resp
from fathom.systems.kv.doors.resp import door as door_module
from fathom.systems.kv.doors.resp import scanning
from fathom.systems.kv.doors.resp.glob import matcher
from fathom.systems.kv.doors.resp.limits import MATCHED_BYTES_MAX

from .memory import MemoryStore, one_node, some_nodes
from .wire import Failed, Wire, packed, until

TOKEN = "a-token-of-many-letters"
SMALL = resp.Limits(
    value_bytes_max=2_000, reply_bytes_max=5_000, under_way_max=4, output_bytes_max=10_000, connections_max=3,
    strangers_max=5, keys_max=20, turn_commands=3,
)  # fmt: skip


class Held:
    """A node whose answers wait until they are let go: a real one behind, so that what is told is true."""

    def __init__(self, store: MemoryStore) -> None:
        self._store, self.me, self.topology = store, store.me, store.topology
        self.sums, self.owing = store.sums, store.owing
        self.asked: list[Any] = []
        self.held: list[asyncio.Future[None]] = []

    def alive(self, node: str) -> bool:
        return self._store.alive(node)

    def peek(self, key: bytes) -> None:
        return None

    async def ask(self, call: Any, *, deadline_ms: int | None = None) -> Any:
        self.asked.append(call)
        self.held.append(asyncio.get_running_loop().create_future())
        await self.held[-1]
        return await self._store.ask(call)

    def let_go(self, *at: int) -> None:
        for which in at or range(len(self.held)):
            if not self.held[which].done():
                self.held[which].set_result(None)

    async def has(self, count: int) -> None:
        await until(lambda: len(self.asked) >= count)


async def turns() -> None:
    """Let the loop have some turns: what the door would do by itself by now is done."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def held(store: MemoryStore) -> AsyncIterator[tuple[Held, Wire, resp.Door]]:
    slow = Held(store)
    async with resp.opened(slow, limits=SMALL) as door, Wire.to(door.port) as wire:
        yield slow, wire, door
        slow.let_go()


# Order ---------------------------------------------------------------------------------------------------------------


async def test_commands_on_different_keys_go_side_by_side_and_are_answered_in_order(held):
    slow, wire, _ = held
    wire.send("SET a 1", "SET b 2", "PING", "GET c")
    await slow.has(3)
    slow.let_go(2)
    slow.let_go(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wire.reply(), 0.05)
    slow.let_go(0)
    assert [await wire.reply() for _ in range(4)] == [b"OK", b"OK", b"PONG", None]


async def test_two_commands_on_one_key_take_effect_in_their_order(held):
    slow, wire, door = held
    wire.send("SET a 1", "APPEND a 2", "GET a")
    await slow.has(1)
    await turns()
    assert len(slow.asked) == 1
    slow.let_go()
    await slow.has(2)
    assert [type(call) for call in slow.asked] == [Change, Change]
    slow.let_go()
    await slow.has(3)
    slow.let_go()
    assert [await wire.reply() for _ in range(3)] == [b"OK", 2, b"12"]
    assert door.commands == 3, "who waits for its turn is one command, however often it is looked at"


async def test_reads_of_one_key_that_came_together_are_asked_once(held):
    slow, wire, door = held
    wire.send("GET a", "GET a", "GET b", "GET a")
    await slow.has(2)
    slow.let_go()
    assert [await wire.reply() for _ in range(4)] == [None] * 4
    assert slow.asked == [Get(key=b"a"), Get(key=b"b")]
    wire.send("GET a")
    await slow.has(3)
    (connection,) = door.connections
    before = connection._round
    wire.send("GET a")  # this one may have been sent after another's write: what is under way may be too old
    await until(lambda: connection._round > before)
    await turns()
    assert len(slow.asked) == 3
    slow.let_go()
    await slow.has(4)
    slow.let_go()
    assert [await wire.reply() for _ in range(2)] == [None] * 2


async def test_what_has_several_steps_goes_alone(held):
    slow, wire, _ = held
    wire.send("SET {t}a 1", "MGET {t}a {t}b", "SET {t}b 2", "PING")
    await slow.has(1)
    await turns()
    assert len(slow.asked) == 1
    slow.let_go()
    await slow.has(3)
    await turns()
    assert len(slow.asked) == 3
    slow.let_go()
    await slow.has(4)
    slow.let_go()
    assert [await wire.reply() for _ in range(4)] == [b"OK", [b"1", None], b"OK", b"PONG"]


async def test_a_key_gets_its_expiry_in_one_step(held):
    slow, wire, _ = held
    until = 9_999_999_999_999
    wire.send(f"PEXPIREAT a {until}", f"GETEX b PXAT {until}", "GETEX c PERSIST")
    await slow.has(3)
    assert slow.asked == [
        Change(key=key, how="expire", given=(at,)) for key, at in ((b"a", until), (b"b", until), (b"c", 0))
    ]
    slow.let_go()
    assert [await wire.reply() for _ in range(3)] == [0, None, None]


async def test_what_is_asked_together_ends_with_who_asked(held):
    slow, wire, door = held
    wire.send("MGET {t}a {t}b {t}c")
    await slow.has(3)
    (asker,) = door._tasks
    asker.cancel()
    await asyncio.wait([asker])
    await turns()
    assert all(waiting.cancelled() for waiting in slow.held)


async def test_no_more_commands_are_under_way_than_the_bound(held):
    slow, wire, _ = held
    wire.send(*(f"SET k{n} {n}" for n in range(20)))
    await slow.has(4)
    await turns()
    assert len(slow.asked) == 4
    for count in range(8, 24, 4):
        slow.let_go()
        await slow.has(count)
    slow.let_go()
    assert [await wire.reply() for _ in range(20)] == [b"OK"] * 20


async def test_who_leaves_leaves_nothing_behind(held):
    slow, wire, door = held
    wire.send("SET a 1", "SET b 2", "MGET {t}a {t}b")
    await slow.has(2)
    wire.writer.transport.abort()
    slow.let_go(0)
    await turns()
    slow.let_go()
    await until(lambda: not door.connections)
    slow.let_go()
    await until(lambda: not door._tasks)


async def test_who_has_said_all_is_answered_before_the_connection_ends(held):
    slow, wire, _ = held
    wire.send("SET a 1", "GET b")
    wire.writer.write_eof()
    await slow.has(2)
    slow.let_go()
    assert await wire.reply() == b"OK" and await wire.reply() is None and await wire.ends()


# Bounds --------------------------------------------------------------------------------------------------------------


async def test_keys_and_values_that_are_too_large_are_refused_and_the_connection_stays(wire: Wire):
    large = await wire.ask(("SET", "k", b"v" * ((1 << 20) + 1)))
    assert isinstance(large, Failed) and "1,048,577 bytes: at most 1,048,576 are taken" in large
    assert await wire.ask(("SET", "k", b"v" * (1 << 20)), "STRLEN k", "GET none") == [b"OK", 1 << 20, None]
    assert "1 to 1,024 bytes" in await wire.ask(("SET", b"k" * 1_025, "v"))


@pytest.mark.parametrize("sent", [b"*1\r\n$1073741824\r\n", b"*1048577\r\n", b"x" * 70_000, b"*1\r\n$-5\r\n"])
async def test_who_breaks_the_protocol_is_told_and_let_go(wire: Wire, sent: bytes):
    wire.send("SET k v", sent, "SET k w")
    assert await wire.reply() == b"OK"
    assert (await wire.reply()).startswith("ERR Protocol error: ") and await wire.ends()


async def test_nothing_of_a_command_that_did_not_end_is_done(wire: Wire, store: MemoryStore):
    wire.send(packed("SET k v")[:-1])
    wire.writer.write_eof()
    assert await wire.ends()
    assert (await store.ask(Get(key=b"k"))).values == ()


@pytest.mark.slow
async def test_a_client_that_does_not_read_is_not_read_from(store: MemoryStore):
    value = b"v" * 2_000
    async with resp.opened(store, limits=SMALL) as door, Wire.to(door.port) as wire:
        wire.writer.transport.set_write_buffer_limits(high=1 << 30)
        assert await wire.ask(("SET", "k", value)) == b"OK"
        wire.reader._limit = 1  # pyright: ignore[reportAttributeAccessIssue]: read nothing unless asked
        many = 20_000
        wire.send(*(("GET", "k") for _ in range(many)))
        (connection,) = door.connections
        await until(lambda: connection.stalled_s)
        done = door.commands
        await turns()
        assert door.commands == done < many
        assert connection._transport.get_write_buffer_size() < 20 * SMALL.output_bytes_max
        for _ in range(many):
            assert await wire.reply() == value


@pytest.mark.slow
async def test_a_client_that_does_not_read_for_long_is_let_go(store: MemoryStore):
    limits = resp.Limits(stalled_s=0.05, output_bytes_max=10_000)
    async with resp.opened(store, limits=limits) as door, Wire.to(door.port) as wire:
        await wire.ask(("SET", "k", b"v" * (1 << 20)))
        wire.reader._limit = 1  # pyright: ignore[reportAttributeAccessIssue]: read nothing unless asked
        wire.send(*["GET k"] * 50)
        await until(lambda: not door.connections)
        assert door.evicted == 1


async def test_a_reply_of_many_keys_is_bounded(store: MemoryStore):
    async with resp.opened(store, limits=SMALL) as door, Wire.to(door.port) as wire:
        for n in range(4):
            await wire.ask(("SET", f"{{t}}{n}", b"v" * 1_500))
        assert "over 5,000 bytes" in await wire.ask("MGET {t}0 {t}1 {t}2 {t}3")
        assert "at most 20 keys" in await wire.ask(("MGET", *(f"{{t}}{n}" for n in range(21))))


async def test_there_are_no_more_connections_than_the_bound(store: MemoryStore):
    async with resp.opened(store, limits=SMALL) as door, Wire.to(door.port) as a, Wire.to(door.port) as b:
        async with Wire.to(door.port) as c:
            for wire in (a, b, c):
                assert await wire.ask("PING") == b"PONG"
            async with Wire.to(door.port) as turned_away:
                assert await turned_away.reply() == "ERR max number of clients reached"
                assert await turned_away.ends()
        await until(lambda: len(door.connections) <= 2)
        async with Wire.to(door.port) as wire:
            assert await wire.ask("PING") == b"PONG"


async def test_who_says_nothing_for_long_is_let_go(store: MemoryStore):
    async with resp.opened(store, limits=resp.Limits(idle_s=0.05)) as door, Wire.to(door.port) as wire:
        assert await wire.ask("PING") == b"PONG"
        with pytest.raises((EOFError, ConnectionResetError)):
            await wire.reply()
        assert door.evicted == 1


def key_that_counts() -> tuple[list[int], bytes]:
    steps = [0]

    class Counted(bytes):
        def __getitem__(self, at: Any) -> Any:
            steps[0] += 1
            return super().__getitem__(at)

        def __iter__(self) -> Any:
            for char in super().__iter__():
                steps[0] += 1
                yield char

    return steps, Counted(b"a" * 1_024)


@pytest.mark.parametrize("pattern", [b"*" + b"a" * 512 + b"b", b"*" + b"?" * 512 + b"b", b"*[ab]" * 200 + b"b"])
def test_a_key_costs_a_step_a_byte_whatever_the_pattern(pattern: bytes):
    steps, key = key_that_counts()
    assert not matcher(pattern)(key) and steps[0] <= 1_024


async def test_matching_many_long_keys_lets_others_have_their_turn(wire: Wire, door: resp.Door):
    keys = [b"a" * 1_000 + b"%d" % n for n in range(100)]
    await wire.ask(*(("SET", key, "v") for key in keys))
    (connection,) = door.connections
    scan, turns = scanning.scan(connection, [b"SCAN", b"0", b"MATCH", b"*9", b"COUNT", b"1000"]), 0
    while True:
        try:
            scan.send(None)
        except StopIteration as told:
            assert told.value.count(b"a" * 1_000) == 10
            break
        turns += 1
    assert turns == 100_190 // MATCHED_BYTES_MAX == 3


async def test_patterns_and_names_that_are_too_many_or_too_long_are_refused(wire: Wire):
    long = "a" * 1_025
    assert "1,025 bytes: at most 1,024" in await wire.ask(f"SCAN 0 MATCH {long}")
    assert "at most 1,024 bytes" in await wire.ask(f"CONFIG GET {long}")
    assert "at most 1,024 bytes" in await wire.ask(("CONFIG", "GET", *["a"] * 600))
    for about in ("INFO", "DOCS"):
        assert "at most 1,024 commands" in await wire.ask(("COMMAND", about, *["get"] * 1_025))


# Who may come in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_elsewhere_than_on_loopback_no_door_opens_without_tls_and_a_token(store: MemoryStore, token: str | None):
    with pytest.raises(FathomError, match=r"may not listen on 0\.0\.0\.0 without TLS"):
        async with resp.opened(store, host="0.0.0.0", token=token):
            pass
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(FathomError, match="without an operator's token"):
        async with resp.opened(store, host="0.0.0.0", ssl=context):
            pass
    async with resp.opened(store, host="0.0.0.0", token=TOKEN, ssl=context) as door:
        assert door.port


@pytest.fixture
async def guarded(store: MemoryStore) -> AsyncIterator[Wire]:
    async with resp.opened(store, token=TOKEN, limits=SMALL) as door, Wire.to(door.port) as wire:
        yield wire


async def test_a_stranger_does_nothing(guarded: Wire):
    assert await guarded.ask("GET k") == "NOAUTH Authentication required."
    assert (await guarded.ask("HELLO 3")).startswith("NOAUTH HELLO must be called")
    assert (await guarded.ask("AUTH wrong")).startswith("WRONGPASS")
    assert (await guarded.ask(f"AUTH someone {TOKEN}")).startswith("WRONGPASS")
    assert await guarded.ask(f"AUTH {TOKEN}", "SET k v", "GET k") == [b"OK", b"OK", b"v"]


async def test_a_url_without_a_name_is_enough_for_redis_cli(guarded: Wire):
    assert (await guarded.ask(("AUTH", "", "wrong"))).startswith("WRONGPASS")
    assert await guarded.ask(("AUTH", "", TOKEN)) == b"OK"


async def test_the_token_may_come_with_hello_and_before_a_long_pipeline(guarded: Wire):
    keys = [f"{{t}}{n}" for n in range(11)]
    replies = await guarded.ask(f"HELLO 3 AUTH default {TOKEN}", ("MGET", *keys), "PING")
    assert replies[0][b"proto"] == 3 and replies[1:] == [[None] * 11, b"PONG"]


async def test_a_stranger_may_not_try_for_long(guarded: Wire):
    guarded.send(*["AUTH wrong"] * 20)
    said = [await guarded.reply() for _ in range(6)]
    assert all(reply.startswith("WRONGPASS") for reply in said[:5]) and said[5].startswith("NOAUTH")
    assert await guarded.ends()


async def test_without_a_token_auth_says_what_redis_says(wire: Wire):
    assert (await wire.ask("AUTH x")).startswith("ERR AUTH <password> called without any password configured")


async def test_a_browser_that_was_talked_into_it_does_nothing(wire: Wire):
    wire.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n")
    assert "not HTTP" in await wire.reply() and await wire.ends()


# What fails ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_what_failed_and_what_nobody_knows_are_told_apart():
    """Two of three nodes are gone: what the third may propose it proposes, and nobody knows; else nothing is done."""
    stores = some_nodes([1, 2, 3], knobs=Knobs(deadline_ms=400, ping_ms=20, ack_ms=10, suspect_ms=60))
    keys = (f"k{n}" for n in range(100))
    its_own = (key for key in keys if stores[0].topology.owners_of(key.encode()).now[0] == stores[0].me)
    changed, fresh = next(its_own), next(its_own)
    async with resp.opened(stores[0]) as door, Wire.to(door.port) as wire:
        await until(lambda: all(store.knows for store in stores))
        assert await wire.ask(f"SET {changed} 1") == b"OK"
        stores[1].stop(), stores[2].stop()
        assert (await wire.ask(f"INCR {changed}")).startswith("ERR unknown outcome")
        assert (await wire.ask(f"INCR {fresh}")).startswith("CLUSTERDOWN ")
        assert (await wire.ask(f"GET {changed}")).startswith("CLUSTERDOWN ")
    stores[0].stop()


async def test_a_fault_of_ours_is_told_as_unknown(store: MemoryStore, caplog):
    class Broken(Held):
        async def ask(self, call: Any, *, deadline_ms: int | None = None) -> Any:
            if call.key == b"late":
                await asyncio.sleep(0)
            raise ZeroDivisionError

    async with resp.opened(Broken(store)) as door, Wire.to(door.port) as wire:
        for command in ("SET k v", "GET late", "MGET {late} {late}2", "GETEX k PERSIST"):
            assert (await wire.ask(command)).startswith("ERR unknown outcome"), command
        assert await wire.ask("PING") == b"PONG"
    assert "a request broke" in caplog.text


async def test_a_door_that_closes_answers_what_is_under_way():
    store = one_node()
    slow = Held(store)
    async with resp.opened(slow) as door, Wire.to(door.port) as wire:
        wire.send("SET a 1")
        await slow.has(1)
        closing = asyncio.ensure_future(door.close())
        await until(lambda: door._closing)
        slow.let_go()
        assert await wire.reply() == b"OK" and await wire.ends()
        await closing
    store.stop()


@pytest.mark.slow
async def test_a_door_that_closes_lets_what_it_has_answered_be_read(store: MemoryStore):
    value = b"v" * (1 << 20)
    async with resp.opened(store) as door, Wire.to(door.port) as wire:
        await wire.ask(("SET", "k", value))
        wire.reader._limit = 1  # pyright: ignore[reportAttributeAccessIssue]: read nothing unless asked
        wire.send(*["GET k"] * 50)
        (connection,) = door.connections
        await until(lambda: connection.stalled_s)
        answered = door.commands - 1
        closing = asyncio.ensure_future(door.close())
        await until(lambda: door._closing)
        await turns()
        for _ in range(answered):
            assert await wire.reply() == value
        assert await wire.ends()
        await closing


async def test_who_does_not_read_does_not_hold_up_a_door_that_closes(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(door_module, "DRAIN_S", 0.01)
    slow = Held(store)
    async with resp.opened(slow) as door, Wire.to(door.port) as wire:
        wire.send("SET a 1")
        await slow.has(1)
        await door.close()
        await until(lambda: not door.connections)
        assert not door._tasks and slow.held[0].cancelled()
