"""Members as they run: real disks, real connections, real time, and the same core that the simulated worlds drive."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from fathom.blocks.machine import DiskFull
from fathom.engines.ports import free_port
from fathom.engines.rocks import Rocks
from fathom.engines.rocks_folder import restore
from fathom.engines.rocks_tuning import MEMTABLE_BYTES_MIN, Tuning
from fathom.errors import FathomError
from fathom.systems.kv.core.calls import Change, Failure, Found, Get, Put, Wrote
from fathom.systems.kv.core.messages import Envelope, Merge
from fathom.systems.kv.core.node import Knobs
from fathom.systems.kv.core.records import Last
from fathom.systems.kv.core.topology import Bucket, Topology
from fathom.systems.kv.core.topology import Member as Named
from fathom.systems.kv.service import peers
from fathom.systems.kv.service.member import Member, living
from fathom.systems.kv.service.peers import FRAME_BYTES_MAX, HELLO_BYTES_MAX, UNKNOWN_MAX, Peers
from tests.features import feature

from .wire import until

BUCKETS = (
    Bucket(prefix=b"", semantics="cas"),
    Bucket(prefix=b"s:", semantics="siblings"),
    Bucket(prefix=b"l:", semantics="lww"),
    Bucket(prefix=b"z:", semantics="lww", sloppy=True),
)
NAMES = ("n1", "n2", "n3")
KNOBS = Knobs(ping_ms=40, ack_ms=200, suspect_ms=400, repair_ms=100, hedge_ms=50)
SMALL = Tuning(memtable_bytes=MEMTABLE_BYTES_MIN, reserve_bytes=0)

pytestmark = pytest.mark.slow


class Town:
    """Three members of one cluster in this process, each with a folder, a port and an end of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.founding = Topology(
            cluster="town", epoch=1, members=tuple(Named(node=name) for name in NAMES), buckets=BUCKETS, vnodes=8
        )
        self.members: dict[str, Member] = {}
        self._ports: dict[str, int] = {}
        self._lives: dict[str, AsyncExitStack] = {}

    async def begin(self, name: str, **how: Any) -> Member:
        """Let a member live, at the port that it had in its last life."""
        settings = {
            "cluster": "town",
            "founding": self.founding,
            "address_of": lambda who: ("127.0.0.1", self._ports[who]) if who in self._ports else None,
            "port": self._ports.setdefault(name, free_port()),
            "knobs": KNOBS,
            "tuning": SMALL,
            "seed": 1,
        }
        life = self._lives[name] = AsyncExitStack()
        member = self.members[name] = await life.enter_async_context(living(self.folder / name, name, **settings | how))
        return member

    async def end(self, name: str) -> None:
        self.members.pop(name, None)
        await self._lives.pop(name).aclose()

    async def heard(self) -> None:
        """Wait until each has heard of another."""
        await until(lambda: all(member.knows for member in self.members.values()))

    async def close(self) -> None:
        for name in list(self._lives):
            await self.end(name)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    try:
        for name in NAMES:
            await town.begin(name)
        await town.heard()
        yield town
    finally:
        await town.close()


async def there(member: Member, key: bytes, *values: bytes) -> None:
    """Read until a key has these values: a member that has just begun asks first who else is there."""
    async with asyncio.timeout(20):
        while True:
            found = await member.ask(Get(key=key))
            if isinstance(found, Found):
                assert sorted(found.values) == sorted(values)
                return
            assert isinstance(found, Failure), found
            await asyncio.sleep(0.02)


@feature("KV-03")
async def test_what_one_member_takes_every_other_tells(town: Town) -> None:
    one, two, three = town.members.values()
    assert isinstance(await one.ask(Change(key=b"a", how="set", given=(b"1", 0))), Wrote)
    for at in range(5):
        count = await two.ask(Change(key=b"n", how="increment", given=(1,)))
        assert isinstance(count, Wrote) and count.result == at + 1
    for key in (b"l:a", b"z:a", b"s:a"):
        assert isinstance(await two.ask(Put(key=key, value=b"2")), Wrote)
    for member in (one, two, three):
        await there(member, b"a", b"1")
        await there(member, b"n", b"5")
        for key in (b"l:a", b"z:a", b"s:a"):
            await there(member, key, b"2")
    assert isinstance(await three.ask(Put(key=b"s:a", value=b"3")), Wrote), "it had read nothing"
    await there(one, b"s:a", b"2", b"3")


@feature("KV-13", "KV-14")
async def test_two_of_three_go_on_and_the_third_catches_up(town: Town) -> None:
    await town.end("n3")
    one, two = town.members.values()
    await until(lambda: not one.alive("n3") and not two.alive("n3"))
    for at in range(20):
        assert isinstance(await one.ask(Change(key=b"k%d" % at, how="set", given=(b"v", 0))), Wrote)
        assert isinstance(await two.ask(Put(key=b"l:%d" % at, value=b"v")), Wrote)
    three = await town.begin("n3")
    for at in range(20):
        await there(three, b"k%d" % at, b"v")
        await there(three, b"l:%d" % at, b"v")


@feature("KV-45")
async def test_alone_one_of_three_refuses_and_says_whether_it_may_have_been_done(town: Town) -> None:
    one = town.members["n1"]
    await town.end("n2")
    await town.end("n3")
    wrote = await one.ask(Change(key=b"a", how="set", given=(b"1", 0)), deadline_ms=100)
    assert isinstance(wrote, Failure) and wrote.unknown, "it may yet be done, by whoever reads this node's promise"
    read = await one.ask(Get(key=b"a"), deadline_ms=100)
    assert isinstance(read, Failure) and not read.unknown, "a read changes nothing"


async def test_all_is_there_after_all_have_ended_and_begun_again(town: Town) -> None:
    one = town.members["n1"]
    assert isinstance(await one.ask(Change(key=b"a", how="set", given=(b"1", 0))), Wrote)
    assert isinstance(await one.ask(Put(key=b"s:a", value=b"2")), Wrote)
    for name in NAMES:
        await town.end(name)
    for name in NAMES:
        await town.begin(name, founding=None)
    await there(town.members["n2"], b"a", b"1")
    await there(town.members["n3"], b"s:a", b"2")


async def test_what_was_asked_of_a_life_that_ends_is_unknown(town: Town) -> None:
    one = town.members["n1"]
    await town.end("n2")
    await town.end("n3")
    asked = asyncio.ensure_future(one.ask(Change(key=b"a", how="set", given=(b"1", 0))))
    await asyncio.sleep(0)
    assert not asked.done()
    await town.end("n1")
    answer = await asked
    assert isinstance(answer, Failure) and answer.unknown
    late = await one.ask(Get(key=b"a"))
    assert isinstance(late, Failure) and not late.unknown
    assert not one._driver._asked, "nobody will answer any more, so nobody is kept"


async def test_a_disk_that_takes_nothing_more_ends_the_life_and_the_others_go_on(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = town.members["n1"], town.members["n2"]
    full = one.store.apply

    def apply(batch: Any) -> int:
        if any(family == "data" for family, _, _ in batch):
            raise DiskFull("no room")
        return full(batch)

    monkeypatch.setattr(one.store, "apply", apply)
    assert isinstance(await two.ask(Put(key=b"l:a", value=b"1")), Wrote)
    async with asyncio.timeout(20):
        with pytest.raises(DiskFull):
            await asyncio.shield(one.ended)
    await there(two, b"l:a", b"1")


async def test_a_restored_folder_is_another_memory_and_votes_only_once_it_has_caught_up(
    town: Town, tmp_path: Path
) -> None:
    one, three = town.members["n1"], town.members["n3"]
    before = three.incarnation
    await three.store.snapshot(tmp_path / "kept")
    assert isinstance(await one.ask(Change(key=b"a", how="set", given=(b"1", 0))), Wrote)
    await town.end("n3")
    (tmp_path / "n3").rename(tmp_path / "lost")
    restore(tmp_path / "kept", tmp_path / "n3")
    three = await town.begin("n3")
    assert three.incarnation > before
    await until(lambda: three.votes)
    await town.end("n1")
    await there(three, b"a", b"1")


async def test_a_folder_of_another_node_is_refused(town: Town, tmp_path: Path) -> None:
    await town.end("n3")
    with pytest.raises(FathomError, match="is the folder of n3, not of n2"):
        async with living(tmp_path / "n3", "n2", cluster="town", tuning=SMALL):
            pass


async def test_a_member_told_of_no_cluster_says_so(tmp_path: Path) -> None:
    async with living(tmp_path / "n9", "n9", cluster="town", tuning=SMALL) as member:
        answer = await member.ask(Get(key=b"a"))
        assert isinstance(answer, Failure) and answer.code == "unavailable"
        with pytest.raises(FathomError, match="belongs to no cluster yet"):
            _ = member.topology


async def test_who_does_not_know_the_token_is_not_heard(tmp_path: Path) -> None:
    town = Town(tmp_path)
    try:
        await town.begin("n1", token="right")
        await town.begin("n2", token="right")
        stranger = await town.begin("n3", token="wrong")
        await until(lambda: town.members["n1"].knows and town.members["n2"].knows)
        assert isinstance(await town.members["n1"].ask(Put(key=b"l:a", value=b"1")), Wrote)
        assert not stranger.knows
    finally:
        await town.close()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b""])
async def test_nonsense_ends_its_connection_and_nothing_else(town: Town, said: bytes) -> None:
    one = town.members["n1"]
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    writer.write(said)
    if not said:
        writer.write_eof()
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    assert isinstance(await one.ask(Put(key=b"l:a", value=b"1")), Wrote)


async def test_a_greeting_is_short(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "HELLO_S", 3_600.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", town.members["n1"].port)
    writer.write((HELLO_BYTES_MAX + 1).to_bytes(4, "big"))
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()


async def test_of_those_who_do_not_say_who_they_are_only_so_many_are_waited_for(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "HELLO_S", 3_600.0)
    port = town.members["n1"].port
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(UNKNOWN_MAX)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        assert await reader.read() == b"", "there are too many already"
    for _, other in (*silent, (reader, writer)):
        other.close()
    assert isinstance(await town.members["n1"].ask(Put(key=b"l:a", value=b"1")), Wrote)


async def test_who_does_not_say_who_it_is_is_not_waited_for_long(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "HELLO_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", town.members["n1"].port)
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_let_in_while_it_ends_is_let_go(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Peers("n1", "town", lambda sender, body: None, lambda who: None)
    where = await lines.listen("127.0.0.1", 0)
    callers = [socket.create_connection(where) for _ in range(10)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await lines.close()
    for caller in callers:
        caller.close()
    forgotten: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda fault: forgotten.append(fault.exc_value))
    await asyncio.sleep(0)
    gc.collect()
    assert not forgotten


async def test_a_message_that_is_too_long_is_lost_and_its_connection_is_not() -> None:
    lines = Peers("n1", "town", lambda sender, body: None, lambda who: None)
    lines.send("n2", Envelope("town", 1, Merge(1, b"l:a", Last(1, "n1", bytes(FRAME_BYTES_MAX)), 0)))
    assert lines.lost == 1
    await lines.close()


async def test_without_a_token_only_this_host_is_let_in(tmp_path: Path) -> None:
    with pytest.raises(FathomError, match="without a token"):
        async with living(tmp_path / "n9", "n9", cluster="town", tuning=SMALL, host="0.0.0.0"):
            pass


async def test_a_message_that_cannot_be_sent_ends_the_life_and_leaves_nobody_waiting(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = town.members["n1"]

    def send(to: str, body: Any) -> None:
        raise ValueError("it cannot be written down")

    monkeypatch.setattr(one._driver._network, "send", send)
    async with asyncio.timeout(20):
        answer = await one.ask(Put(key=b"l:a", value=b"1"))
        with pytest.raises(ValueError, match="written down"):
            await asyncio.shield(one.ended)
    assert isinstance(answer, Failure)


async def test_a_store_that_nobody_holds_any_more_can_be_opened(town: Town, tmp_path: Path) -> None:
    await town.end("n1")
    async with Rocks.open(tmp_path / "n1", cluster="town", tuning=SMALL) as store:
        assert store.get("meta", b"node") == b"n1"
