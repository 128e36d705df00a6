"""What happens in a drive is told to a stream: all of it, in order, and nobody who commits waits for that."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import nats
import pytest

from fathom.engines.broker import StreamIsFull
from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging, work
from fathom.systems import find
from fathom.systems.drive.api import ROOT, Drop, Make, Move, Purge, Put, Restore
from fathom.systems.drive.service import Relay, relay
from fathom.systems.drive.stores.events import STREAM, Event
from fathom.systems.drive.stores.marks import FIRST, Mark
from fathom.systems.drive.stores.queue import Queue
from fathom.web.served import Served
from tests.features import feature

from .world import RULES, Somebody, Stream, World, manifest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

README = Path(find("drive").folder) / "README.md"
SECRET = "letter.to>my*lawyer"


@asynccontextmanager
async def reading(stream: Stream) -> AsyncIterator[Callable[[], Any]]:
    """Read the stream from its beginning, as any program does; what is given returns the next message."""
    client = await nats.connect(stream.where)
    try:
        subscription = await client.jetstream().subscribe("drive.>", stream=STREAM, ordered_consumer=True)
        yield lambda: subscription.next_msg(timeout=30)
    finally:
        await client.close()


def spent(op: str) -> dict[str, int]:
    found = work.snapshot().get(op, {})
    return {what: found.get(what, 0) for what in ("statements", "messages")}


async def told(drive: Any) -> None:
    """See that all that was committed is told."""
    assert isinstance(drive.relay, Relay)
    await drive.relay.round()


def numbers(events: list[Event], space: int) -> list[int]:
    """Return the changes of a space as they were first told; what is told again must have been told before."""
    return list(dict.fromkeys(it.seq for it in events if it.space == space))


@feature("DRIVE-54", "DRIVE-63")
async def test_each_kind_of_change_is_told_in_the_order_of_the_journal_and_nobodys_names_are(world: World):
    async with world.telling() as stream, reading(stream) as following, world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(b"one", b"other")
        folder, file = await ann.do(
            Make(parent=ROOT, name=SECRET),
            Make(parent=ROOT, name=f"{SECRET}.txt", manifest=manifest(b"one")),
            session=await ann.upload(b"one"),
        )
        await ann.do(Put(node=file.id, version=1, manifest=manifest(b"other")), session=session)
        await ann.commit([Move(node=file.id, parent=folder.id, name="moved.txt")], "", "laptop")
        await ann.do(Restore(node=file.id, version=1), Drop(node=file.id, version=3), Restore(node=file.id))
        await ann.do(Drop(node=file.id, version=3), Purge(node=file.id), Move(node=folder.id, parent=ROOT, name="x"))
        await ann.do(Drop(node=folder.id), Restore(node=folder.id))
        await told(drive)
        place = await drive.space(ann.user, ann.space)
        messages = [await following() for _ in range(place.head)]
        events = [msgspec.json.decode(it.data, type=Event) for it in messages]
        assert [it.kind for it in events] == [
            "folder.created", "file.created", "file.modified", "file.moved", "file.modified", "file.deleted",
            "file.restored", "file.deleted", "folder.moved", "folder.deleted", "folder.restored",
        ]  # fmt: skip
        assert [it.seq for it in events] == list(range(1, 12))
        for message, event in zip(messages, events, strict=True):
            assert message.subject == f"drive.{event.kind}.{ann.space}"
            assert message.headers["Nats-Msg-Id"] == f"{place.epoch}:{ann.space}:{event.seq}"
            assert SECRET.encode() not in message.data and b"moved.txt" not in message.data
        assert msgspec.json.decode(messages[3].data) == {
            "kind": "file.moved", "space": ann.space, "owner": ann.user, "epoch": place.epoch, "seq": 4,
            "node": file.id, "parent": folder.id, "version": 2, "size": 5, "device": "laptop",
            "at_ms": world.clock.now_ms,
        }  # fmt: skip


@feature("DRIVE-54", "DRIVE-63")
async def test_nothing_is_missing_where_many_commit_at_once(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relay, "SPACES", 2)
    monkeypatch.setattr(relay, "BATCH", 3)
    monkeypatch.setattr(relay, "WORDS_MAX", 3)
    async with world.telling() as stream, world.open() as drive:
        people = [await Somebody.joins(drive, name) for name in ("ann", "bob", "cleo", "dora", "eve")]
        other = world.beside(drive)  # whose commits this relay hears nothing of

        async def lives(one: Somebody, n: int) -> None:
            for made in range(4):
                await one.do(*(Make(parent=ROOT, name=f"{n} {made} {at}") for at in range(5)))

        both = [one if n % 2 else Somebody(other, one.user, one.space) for one in people for n in range(2)]
        await asyncio.gather(*(lives(one, n) for n, one in enumerate(both)))
        await told(drive)
        events = await stream.all()
        assert len(events) == len({it.id for it in events}) == 200
        for one in people:
            assert [it.seq for it in events if it.space == one.space] == list(range(1, 41))
        assert await world.stores.marks.all_behind(FIRST, 10) == []


@feature("DRIVE-63", "DRIVE-80")
async def test_a_commit_costs_the_same_with_a_stream_and_telling_it_three_statements(world: World):
    async def committed(drive: Any, name: str) -> int:
        ann = await Somebody.joins(drive, name)
        session = await ann.upload(name.encode())
        before = spent("commit")["statements"]
        with charging("commit"):
            await ann.do(Make(parent=ROOT, name="a", manifest=manifest(name.encode()), key="a"), session=session)
        return spent("commit")["statements"] - before

    async with world.open() as drive:
        alone = await committed(drive, "ann")
        assert drive.relay is None
    async with world.telling() as stream, world.open() as drive:
        assert await committed(drive, "bob") == alone
        await told(drive)
        other = world.beside(drive)  # whose relay tells when it is asked to, and not before
        await told(other)
        await committed(other, "cleo")
        with charging("telling"):
            await told(other)
        assert spent("telling") == {"statements": 3, "messages": 1}
        with charging("nothing to tell"):
            await told(other)
        assert spent("nothing to tell") == {"statements": 1, "messages": 0}
        assert spent("commit")["messages"] == 0 < spent(RESIDUAL)["messages"]
        assert {it.kind for it in await stream.all()} == {"file.created"}


@feature("DRIVE-63", "DRIVE-80")
async def test_while_nats_is_gone_all_is_committed_and_when_it_is_back_all_is_told(world: World):
    async with world.telling() as stream, world.open() as drive:
        people = [await Somebody.joins(drive, name) for name in ("ann", "bob", "cleo")]
        dice = random.Random(3)

        async def live(n: int) -> None:
            for at in range(n):
                await dice.choice(people).do(Make(parent=ROOT, name=f"{n} {at}"))

        await live(20)
        living = asyncio.create_task(live(30))
        async with stream.away():
            await living
            await live(25)
            assert len(stream.broker._asked) <= relay.SPACES, "nothing is heaped up meanwhile"
        async with reading(stream) as following:
            events = [msgspec.json.decode((await following()).data, type=Event) for _ in range(75)]
        heads = [(await drive.space(one.user, one.space)).head for one in people]
        assert sum(heads) == 75
        for one, head in zip(people, heads, strict=True):
            assert numbers(events, one.space) == list(range(1, head + 1))
        assert len(await stream.all()) == 75, "what was sent again had its id, and was held once"


async def test_what_was_to_be_told_when_nats_died_is_told_when_it_is_back_though_nothing_else_happens(world: World):
    async with world.telling() as stream, world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.do(Make(parent=ROOT, name="a"))
        await told(drive)
        async with stream.away():
            await ann.do(Make(parent=ROOT, name="b"))
            for _ in range(10):
                await ann.tree()  # so that it was tried in vain
        async with reading(stream) as following:
            assert [msgspec.json.decode((await following()).data)["seq"] for _ in range(2)] == [1, 2]


@feature("DRIVE-80")
async def test_a_nats_that_does_not_answer_keeps_no_commit_waiting(world: World):
    async with world.telling() as stream, world.open() as drive:
        ann = await Somebody.joins(drive)
        await stream.own.pause()
        try:
            for n in range(50):
                await ann.do(Make(parent=ROOT, name=f"{n}"))
            assert len(stream.broker._asked) <= relay.SPACES
        finally:
            await stream.own.resume()
        await told(drive)
        assert numbers(await stream.all(), ann.space) == list(range(1, 51))


@feature("DRIVE-80")
async def test_a_drive_begins_while_nats_is_gone_and_tells_all_when_it_comes(world: World):
    async with world.telling() as stream, AsyncExitStack() as stack:
        async with stream.away():
            queue = Queue.at(stream.where)
            broker = await stack.enter_async_context(queue.connected(deadline_s=0.1))
            broker.deadline_s = 5.0
            world.stores = replace(world.stores, queue=queue)
            drive = await stack.enter_async_context(world.open())
            ann = await Somebody.joins(drive)
            await ann.do(*(Make(parent=ROOT, name=f"{n}") for n in range(3)))
        await broker.wait_up(20.0)
        await told(drive)
        assert numbers(await stream.all(), ann.space) == [1, 2, 3]


@feature("DRIVE-80")
async def test_a_nats_that_has_no_room_keeps_no_commit_waiting(world: World):
    async with Queue.start(world.engines.keeper, name="small", file_bytes=1 << 20) as own:
        assert own.door == own.where, "people come to it themselves"
        queue = Queue.at(own.where)
        async with queue.connected():
            world.stores = replace(world.stores, queue=queue)
            async with world.open() as drive:
                ann = await Somebody.joins(drive)
                await ann.do(Make(parent=ROOT, name="a"))
                with pytest.raises(StreamIsFull):
                    await told(drive)
                await ann.do(Make(parent=ROOT, name="b"))
    assert await world.sql("SELECT told FROM spaces") == 0


async def test_a_stream_that_is_lost_is_made_again_and_goes_on_from_the_mark(world: World):
    async with world.telling() as stream, world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.do(Make(parent=ROOT, name="a"))
        await told(drive)
        await stream.broker._ask(f"$JS.API.STREAM.DELETE.{STREAM}", b"", 5.0)
        await ann.do(Make(parent=ROOT, name="b"))
        with suppress(EngineError):
            await told(drive)  # that it is gone is found out by trying
        await told(drive)
        assert [it.seq for it in await stream.all()] == [2], "the gap tells whoever follows"


async def test_what_left_no_word_is_told_when_all_marks_are_looked_at(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relay, "LOOK_S", 0.05)
    async with world.telling() as stream, world.open() as drive, reading(stream) as following:
        ann = await Somebody.joins(drive)
        other = Somebody(world.beside(drive), ann.user, ann.space)  # whose commits this relay hears nothing of
        bob, found = await Somebody.joins(drive, "bob"), list[Any]()
        for n in range(1, 4):
            await other.do(Make(parent=ROOT, name=f"{n}"))
            while found.count(ann.space) < n:
                await bob.do(Make(parent=ROOT, name=f"{len(found)}"))  # whose words leave the relay no rest
                found.append(msgspec.json.decode((await following()).data)["space"])


async def test_more_spaces_than_there_are_words_for_are_told_without_being_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay, "WORDS_MAX", 1)
    async with world.telling() as stream, world.open() as drive, reading(stream) as following:
        people = [await Somebody.joins(drive, name) for name in ("ann", "bob", "cleo", "dora")]
        await asyncio.gather(*(one.do(Make(parent=ROOT, name="a")) for one in people))
        events = [msgspec.json.decode((await following()).data, type=Event) for _ in people]
        assert {it.space for it in events} == {one.space for one in people}


@asynccontextmanager
async def served(world: World, name: str) -> AsyncIterator[tuple[Served, Somebody]]:
    """A service in a process of its own that tells events, and somebody with a drive there."""
    process = Served.start(world.engines.keeper, find("drive"), engines=world.urls, name=name)
    async with process as running, running.client(deadline_s=30.0) as drive:
        yield running, await Somebody.joins(drive)


@feature("DRIVE-63")
async def test_who_is_killed_between_a_commit_and_its_event_tells_it_when_it_lives_again(world: World):
    async with world.telling() as stream, served(world, "drive that tells late") as (process, ann):
        await stream.own.pause()
        try:
            await ann.do(*(Make(parent=ROOT, name=f"{n}") for n in range(7)))
            await process.kill()
        finally:
            await stream.own.resume()
        await process.restart()
        async with reading(stream) as following:
            events = [msgspec.json.decode((await following()).data, type=Event) for _ in range(7)]
        assert [it.seq for it in events] == list(range(1, 8))
        assert len(await stream.all()) == 7


@feature("DRIVE-63")
async def test_who_is_killed_between_an_event_and_its_mark_tells_it_again_under_the_same_id(world: World):
    async with world.telling() as stream, served(world, "drive that marks late") as (process, ann):
        connection = await asyncpg.connect(world.stores.truth.where)
        async with reading(stream) as following:
            try:
                await ann.do(Make(parent=ROOT, name="a"))
                await following()
                await process.kill()
                await connection.execute(_AS_BY_A_COMMIT, ann.space)
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute("SELECT FROM spaces WHERE id = $1 FOR UPDATE", ann.space)  # no mark moves
                await process.restart()
                assert msgspec.json.decode((await following()).data)["seq"] == 2
                await process.kill()
                await connection.execute(_NO_LAST_WORD)
                await transaction.rollback()
            finally:
                await connection.close()
            assert await world.sql("SELECT told FROM spaces WHERE id = $1", ann.space) < 2
            await process.restart()
            async with process.client() as drive:
                await Somebody(drive, ann.user, ann.space).do(Make(parent=ROOT, name="c"))
            assert msgspec.json.decode((await following()).data)["seq"] == 3
        assert [it.seq for it in await stream.all()] == [1, 2, 3], "the second was sent twice"


# What the killed one has asked PostgreSQL for, and waits for a lock, would be done when it gets that.
_NO_LAST_WORD = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
_AS_BY_A_COMMIT = """
    WITH one AS (UPDATE spaces SET head = head + 1 WHERE id = $1 RETURNING head)
    INSERT INTO journal (space, seq, node, kind, at_ms)
    SELECT space, head, jsonb_set(node::jsonb, '{seq}', to_jsonb(head))::text, 'folder.moved', at_ms
    FROM journal, one WHERE space = $1 AND seq = head - 1
"""


async def test_what_a_journal_forgot_before_it_was_told_is_told_as_one_gap(world: World):
    rules = replace(RULES, history_ms=10_000, thorough_every=1, batch=3)
    async with world.open(rules=rules) as drive:  # no stream: nothing is told
        ann = await Somebody.joins(drive)
        await ann.do(*(Make(parent=ROOT, name=f"old {n}") for n in range(7)))
        world.clock.now_ms += 10_000
        await ann.do(*(Make(parent=ROOT, name=f"new {n}") for n in range(3)))
        await drive.collector.round()
        epoch = (await drive.space(ann.user, ann.space)).epoch
        assert await world.sql("SELECT floor FROM spaces") == 7, "it forgets, whether or not it was told"
    async with world.telling() as stream, world.open(rules=rules) as drive:
        ann = Somebody(drive, ann.user, ann.space)
        await told(drive)
        gap = Event(kind="space.resync", space=ann.space, owner=ann.user, epoch=epoch, seq=10)
        assert await stream.all() == [gap] and drive.relay.counts == {"resyncs": 1}
        assert gap.subject == f"drive.space.resync.{ann.space}"
        await ann.do(Make(parent=ROOT, name="newest"))
        await told(drive)
        assert [(it.kind, it.seq) for it in await stream.all()] == [("space.resync", 10), ("folder.created", 11)]


async def test_what_goes_while_it_is_to_be_told_is_told_as_a_gap(world: World):
    rules = replace(RULES, history_ms=10_000, thorough_every=1)
    async with world.open(rules=rules) as drive:
        ann = await Somebody.joins(drive)
        await ann.do(*(Make(parent=ROOT, name=f"old {n}") for n in range(5)))
    async with world.telling() as stream:

        def seed(stores: Any) -> None:
            all_behind = stores.marks.all_behind

            async def late(*asked: Any) -> list[Mark]:
                marks = await all_behind(*asked)
                world.clock.now_ms += 10_000
                await drive.collector.round()
                return marks

            stores.marks.all_behind = late

        async with world.open(seed=seed, rules=rules) as drive:
            await told(drive)
        assert [(it.kind, it.seq) for it in await stream.all()] == [("space.resync", 5)]


async def test_after_a_backup_was_restored_nothing_is_taken_for_what_was_told_before(world: World):
    async with world.telling() as stream, world.open() as drive:
        ann = await Somebody.joins(drive)
        before = (await drive.space(ann.user, ann.space)).epoch
        for n in range(5):
            await ann.do(Make(parent=ROOT, name=f"{n}"))
        await told(drive)
        # As a backup has it that was made after the third change, and was told as much.
        for lost in ("DELETE FROM journal WHERE seq > 3", "DELETE FROM nodes WHERE seq > 3"):
            await world.stores.truth.client.execute(lost)
        await world.stores.truth.client.execute("UPDATE spaces SET head = 3, last_id = 3, told = 3")
        await world.stores.spaces.set_back()
        await told(drive)
        await ann.do(Make(parent=ROOT, name="another"))
        await told(drive)
        events, after = await stream.all(), (await drive.space(ann.user, ann.space)).epoch
        assert [(it.kind, it.epoch, it.seq) for it in events[5:]] == [
            ("space.resync", after, 3),
            ("folder.created", after, 4),
        ], "at once, though the stream has just taken a fourth"
        assert [it.epoch for it in events[:5]] == [before] * 5 and before != after


async def test_a_journal_that_is_set_back_while_it_is_told_is_told_anew(world: World):
    async with world.telling() as stream:

        def seed(stores: Any) -> None:
            publish = stores.events.publish

            async def late(event: Event) -> None:
                await publish(event)
                if event.kind != "space.resync":
                    await stores.spaces.set_back()

            stores.events.publish = late

        async with world.open(seed=seed) as drive:
            ann = await Somebody.joins(drive)
            await ann.do(Make(parent=ROOT, name="a"))
            await told(drive)
            await told(drive)
            events, epoch = await stream.all(), (await drive.space(ann.user, ann.space)).epoch
        assert [(it.kind, it.epoch == epoch) for it in events] == [("folder.created", False), ("space.resync", True)]


async def test_a_mark_never_moves_back(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.do(*(Make(parent=ROOT, name=f"{n}") for n in range(3)))
        marks = world.stores.marks
        (mark,) = await marks.all_behind(FIRST, 10)
        for seq in (2, 1):
            await marks.move(mark, seq)
        assert [it.told for it in await marks.behind([ann.space])] == [2]
        await marks.move(mark, 3)
        assert await marks.behind([ann.space]) == []


async def test_data_of_before_there_was_a_stream_open_and_are_told_from_there_on(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.do(Make(parent=ROOT, name="old"))
    for statement in (
        "ALTER TABLE journal DROP COLUMN kind",
        "ALTER TABLE spaces DROP COLUMN told",
        "DELETE FROM migrations WHERE version >= 7",
    ):
        await world.stores.truth.client.execute(statement)
    await world.stores.migrate()
    async with world.telling() as stream, world.open() as drive:
        ann = Somebody(drive, ann.user, ann.space)
        assert len((await ann.tree()).nodes) == 1
        await ann.do(Make(parent=ROOT, name="new"))
        await told(drive)
        assert [(it.kind, it.seq) for it in await stream.all()] == [("folder.created", 2)]


async def test_what_is_wrong_with_one_space_is_no_harm_to_the_others(world: World, caplog: pytest.LogCaptureFixture):
    async with world.open() as drive:
        people = [await Somebody.joins(drive, name) for name in ("ann", "bob", "cleo")]
        for one in people:
            await one.do(Make(parent=ROOT, name="a"))
        await world.stores.truth.client.execute("UPDATE journal SET node = '{' WHERE space = $1", people[0].space)
    async with world.telling() as stream:
        drive = world.beside(drive)
        await told(drive)
        assert [record.args for record in caplog.records if record.name.endswith("relay")] == [(people[0].space,)]
        assert sorted(it.space for it in await stream.all()) == sorted(one.space for one in people[1:])


@feature("DRIVE-65")
async def test_the_example_of_the_readme_notifies_the_other_devices_of_whose_space_it_is(world: World):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {}
    exec(example, names)
    async with world.telling() as stream, world.open() as drive:
        ann, bob = await Somebody.joins(drive), await Somebody.joins(drive, "bob")
        notified: asyncio.Queue[tuple[str, int, int]] = asyncio.Queue()
        online = {ann.user: {"laptop", "phone", "tablet"}, bob.user: {"desk"}}

        async def notify(device: str, space: int, seq: int) -> None:
            notified.put_nowait((device, space, seq))

        following = asyncio.create_task(names["follow"](stream.where, online, notify))
        try:
            await ann.commit([Make(parent=ROOT, name="from the laptop")], "", "laptop")
            await bob.commit([Make(parent=ROOT, name="from nobody in particular")])
            await ann.commit([Make(parent=ROOT, name="from the phone")], "", "phone")
            async with asyncio.timeout(30):
                found = {await notified.get() for _ in range(5)}
            assert found == {
                ("phone", ann.space, 1), ("tablet", ann.space, 1), ("desk", bob.space, 1),
                ("laptop", ann.space, 2), ("tablet", ann.space, 2),
            }  # fmt: skip
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        assert notified.empty()
