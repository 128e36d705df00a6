"""What the collector lets go of, what it does not, and what it says of books that do not agree."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from fathom.engines.engine import EngineDown
from fathom.engines.ledger import charging, work
from fathom.errors import Refusal
from fathom.systems.drive.api import ROOT, Drop, Make, NodeId, Purge, Put, Restore, SpaceId, UserId
from fathom.systems.drive.service.collector import Collector
from fathom.systems.drive.stores.sessions import Lease
from tests.features import feature

from .stories import BYTES, given_and_left, sound
from .world import RULES, Somebody, World, manifest, piece

DAY_MS = 86_400_000

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def test_an_object_whose_rows_were_never_committed_goes_after_a_while(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        keep = world.stores.packs.keep

        async def dies(*args: object) -> bool:
            raise EngineDown("the service was killed here", why="its object is on disk", fix="open it again")

        world.stores.packs.keep = dies  # type: ignore[method-assign]
        session = await ann.begin([piece(BYTES)])
        with pytest.raises(Refusal, match="cannot be reached"):
            await ann.give(session, BYTES)
        world.stores.packs.keep = keep  # type: ignore[method-assign]
        assert len(await world.objects()) == 1
    async with world.open() as drive:
        await drive.collector.round()
        assert len(await world.objects()) == 1, "it may be that somebody is only slow"
        world.clock.now_ms += RULES.writing_ms
        await drive.collector.round()
        assert await world.objects() == []
        assert drive.collector.counts["given_up"] == 1
        assert await world.sql("SELECT count(*) FROM packs") == 0
        await sound(drive)


@feature("DRIVE-32")
async def test_what_was_deleted_or_replaced_can_be_had_again_for_a_month_and_then_goes(world: World):
    rules = replace(RULES, history_ms=30 * DAY_MS, thorough_every=1, grace_ms=0)
    async with world.open(rules=rules) as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(b"one", b"gone")
        makes = [Make(parent=ROOT, name=name, manifest=manifest(name.encode())) for name in ("one", "gone")]
        one, gone = await ann.do(*makes, session=session)
        (one,) = await ann.do(Put(node=one.id, version=1, manifest=manifest(b"two")), session=await ann.upload(b"two"))
        await ann.do(Drop(node=gone.id, version=1))
        world.clock.now_ms += rules.history_ms - 1_000
        for _ in range(2):
            await drive.collector.round()
        assert await ann.chunk(piece(b"one").digest) == b"one" and await ann.chunk(piece(b"gone").digest) == b"gone"
        assert [it.version for it in await drive.versions(ann.user, ann.space, one.id)] == [2, 1]
        (one,) = await ann.do(Restore(node=one.id, version=1))
        assert one.version == 3
        world.clock.now_ms += 1_000
        for _ in range(3):
            await drive.collector.round()
            world.clock.now_ms += 1
        assert [it.version for it in await drive.versions(ann.user, ann.space, one.id)] == [3, 2]
        assert await ann.chunk(piece(b"one").digest) == b"one" and await ann.chunk(piece(b"two").digest) == b"two"
        with pytest.raises(Refusal, match="no such file"):
            await drive.node(ann.user, ann.space, gone.id)
        with pytest.raises(Refusal, match="no file of this space"):
            await ann.chunk(piece(b"gone").digest)
        assert (drive.collector.counts["purged"], drive.collector.counts["forgotten"]) == (1, 1)
        assert (await drive.space(ann.user, ann.space)).used == len(b"one" + b"two")
        await sound(drive)


async def test_an_object_without_a_row_goes_after_the_grace(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.upload(b"in use")
        await world.stores.files.client.put(f"spaces/{ann.space}/packs/0123", b"left by a database that was set back")
        await drive.collector.remove_strays()
        assert len(await world.objects()) == 2
        world.clock.now_ms += RULES.grace_ms
        await drive.collector.remove_strays()
        assert len(await world.objects()) == 1
        assert drive.collector.counts["strays"] == 1
        await sound(drive)


async def test_what_was_given_and_never_used_goes_with_its_session(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.upload(BYTES)
        await ann.begin([piece(b"never given")])
        await drive.collector.round()
        assert drive.collector.counts["condemned"] == 0
        world.clock.now_ms += RULES.session_ms
        for _ in range(2):
            await drive.collector.round()
            world.clock.now_ms += RULES.grace_ms
        assert await world.objects() == []
        assert await world.sql("SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM leases)") == 0
        await sound(drive)


async def test_a_session_that_is_renewed_keeps_what_it_was_told(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(BYTES)
        for _ in range(5):
            world.clock.now_ms += RULES.session_ms - 1
            assert (await drive.renew(ann.user, session.id)).needed == []
            await drive.collector.round()
        await ann.do(Make(parent=ROOT, name="at last", manifest=manifest(BYTES)), session=session)
        assert await ann.chunk(piece(BYTES).digest) == BYTES


@feature("DRIVE-31", "DRIVE-32", "DRIVE-33")
async def test_old_versions_and_the_trash_keep_their_chunks(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(b"one", b"two")
        file, _ = await ann.do(
            Make(parent=ROOT, name="a", manifest=manifest(b"one")),
            Put(node=NodeId(-1), version=1, manifest=manifest(b"two")),
            session=session,
        )
        await ann.do(Drop(node=file.id, version=2))
        for _ in range(3):
            await drive.collector.round()
            world.clock.now_ms += 100 * RULES.grace_ms
        assert [await ann.chunk(piece(data).digest) for data in (b"one", b"two")] == [b"one", b"two"]
        await ann.do(Purge(node=file.id))
        for _ in range(3):
            await drive.collector.round()
            world.clock.now_ms += RULES.grace_ms
        assert await world.objects() == []
        await sound(drive)


@feature("DRIVE-12", "DRIVE-14", "DRIVE-15", "DRIVE-13")
async def test_what_two_files_have_in_common_stays_until_the_second_has_gone(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(BYTES)
        one, two = await ann.do(
            Make(parent=ROOT, name="a", manifest=manifest(BYTES, BYTES)),
            Make(parent=ROOT, name="b", manifest=manifest(BYTES)),
            session=session,
        )
        assert (await drive.space(ann.user, ann.space)).used == len(BYTES)
        for node, left in ((one, 1), (two, 0)):
            await ann.do(Drop(node=node.id, version=1), Purge(node=node.id))
            for _ in range(3):
                await drive.collector.round()
                world.clock.now_ms += RULES.grace_ms
            assert len(await world.objects()) == left
        await sound(drive)


async def test_a_lost_object_is_found_by_the_scrub_and_heals(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(BYTES, b"another")
        await ann.do(Make(parent=ROOT, name="a", manifest=manifest(BYTES, b"another")), session=session)
        (key,) = await world.objects()
        await world.stores.files.client.delete(key)
        with pytest.raises(Refusal) as refused:
            await ann.chunk(piece(BYTES).digest)
        assert refused.value.code == "unavailable"
        assert drive.collector.counts["quarantined"] == 1, "who reads it finds it out"
        assert any("is lost" in fault for fault in await drive.collector.audit())
        await drive.collector.scrub(ann.space)
        assert drive.collector.counts["quarantined"] == 2
        with pytest.raises(AssertionError, match="not there"):  # who says it is there has to give it again
            await ann.do(Make(parent=ROOT, name="b", manifest=manifest(BYTES)))
        await ann.upload(BYTES, b"another")
        for _ in range(2):
            await drive.collector.round()
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await sound(drive)


async def test_what_was_read_wrong_once_is_let_out_of_quarantine(world: World):
    """A disk that could not be read for a while has lost nothing."""
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(BYTES)
        await ann.do(Make(parent=ROOT, name="a", manifest=manifest(BYTES)), session=session)
        part = world.stores.packs.part

        async def wrong(*args: object) -> bytes:
            return b"x" * len(BYTES)

        world.stores.packs.part = wrong  # type: ignore[method-assign]
        with pytest.raises(Refusal):
            await ann.chunk(piece(BYTES).digest)
        world.stores.packs.part = part  # type: ignore[method-assign]
        with pytest.raises(Refusal):
            await ann.chunk(piece(BYTES).digest)
        await drive.collector.scrub(ann.space)
        assert drive.collector.counts["acquitted"] == 1
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await sound(drive)


async def test_what_is_quarantined_and_needed_by_nobody_goes_as_well(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await given_and_left(ann)
        (key,) = await world.objects()
        await world.stores.files.client.put(key, b"nothing of it is left")
        await drive.collector.scrub(ann.space)
        assert (await ann.begin([piece(BYTES)])).needed == [piece(BYTES).digest]
        world.clock.now_ms += RULES.session_ms
        for _ in range(3):
            await drive.collector.round()
            world.clock.now_ms += RULES.grace_ms
        assert await world.objects() == []
        await sound(drive)


async def test_scrubbing_takes_turns(world: World):
    async with world.open(rules=replace(RULES, scrubbed_max=2, scrub_ms=1_000)) as drive:
        ann = await Somebody.joins(drive)
        for n in range(5):
            await ann.upload(bytes([n]) * 9)
        world.clock.now_ms += 1_000
        for scrubbed in (2, 4, 5, 5):
            await drive.collector.round()
            assert drive.collector.counts["scrubbed"] == scrubbed


async def test_two_collectors_do_each_other_no_harm(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        other = Collector(world.stores, RULES, world.clock)
        dead = [bytes([n]) * 100 for n in range(5)]
        session = await ann.upload(*dead, BYTES)
        _, gone = await ann.do(
            Make(parent=ROOT, name="kept", manifest=manifest(BYTES)),
            Make(parent=ROOT, name="gone", manifest=manifest(*dead)),
            session=session,
        )
        await ann.do(Drop(node=gone.id, version=1), Purge(node=gone.id))
        for _ in range(4):
            await asyncio.gather(drive.collector.round(), other.round())
            world.clock.now_ms += RULES.grace_ms
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        assert len(await world.objects()) == 1
        await sound(drive)


SPOILT = [
    ("UPDATE spaces SET used = used + 1 WHERE id = $1", "used is"),
    ("UPDATE sessions SET reserved = 7 WHERE space = $1", "keeps room for 7"),
    ("DELETE FROM sessions WHERE space = $1", "is gone, and leases"),
    ("UPDATE leases SET reserved = true WHERE space = $1", "which is there"),
    ("DELETE FROM chunks WHERE space = $1", "is not known"),
    ("UPDATE chunks SET size = size + 1 WHERE space = $1", "bytes, not "),
    ("UPDATE chunks SET state = 'condemned' WHERE space = $1", "leases chunk"),
    ("DELETE FROM parts WHERE space = $1", "not what its chunks are"),
    ("UPDATE parts SET position = position + 7 WHERE space = $1 AND position = 0", "not what its chunks are"),
    ("DELETE FROM versions WHERE space = $1", "which is not kept"),
    ("DELETE FROM nodes WHERE space = $1", "is not there"),
    ("UPDATE nodes SET name = 'b', key = 'b' WHERE space = $1", "the journal says something else"),
    ("DELETE FROM journal WHERE space = $1 AND seq = 1", "its head is 2"),
    ("UPDATE packs SET state = 'writing' WHERE space = $1", "which is not kept"),
    ("UPDATE packs SET size = size + 1 WHERE space = $1", "its object"),
]


async def test_the_audit_says_what_does_not_agree(world: World):
    async with world.open() as drive:
        for number, (spoil, says) in enumerate(SPOILT):
            ann = await Somebody.joins(drive, f"ann{number}")
            session = await ann.upload(BYTES, b"another")
            edits = [Make(parent=ROOT, name="a", manifest=manifest(BYTES, b"another")), Purge(node=NodeId(9))]
            await ann.commit(edits, session.id)  # the second one fails: so the session goes on
            await ann.do(Put(node=NodeId(1), version=1, manifest=manifest(b"another")))
            assert await world.stores.sums.faults(ann.space, world.clock()) == []
            await world.sql(spoil, ann.space)
            faults = await world.stores.sums.faults(ann.space, world.clock())
            assert any(says in fault for fault in faults), (spoil, faults)


async def test_where_nothing_has_happened_the_collector_asks_one_question(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(BYTES)
        (file,) = await ann.do(Make(parent=ROOT, name="a", manifest=manifest(BYTES)), session=session)

        async def questions() -> int:
            with charging("collect"):
                before = work.snapshot().get("collect", {}).get("statements", 0)
                await drive.collector.collect(ann.space)
                return work.snapshot()["collect"]["statements"] - before

        assert await questions() > 5
        assert await questions() == 1
        await ann.do(Drop(node=file.id, version=1))
        await questions()
        assert await questions() == 1
        await ann.do(Purge(node=file.id))  # which is no change of the tree
        assert await questions() > 5
        assert await world.sql("SELECT state FROM chunks") == "condemned"
        assert await questions() > 5, "it waits for the grace to pass"


async def test_the_collector_waits_for_a_session_that_is_just_beginning(world: World):
    """Another service has noted the lease, and not committed it: no look would see it, the lock does."""
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await given_and_left(ann)
        await drive.collector.round()
        world.clock.now_ms += RULES.grace_ms
        other = world.beside(drive)._stores
        async with other.spaces.changing(ann.user, ann.space) as (tx, _):
            lease = Lease(bytes.fromhex(piece(BYTES).digest), len(BYTES), reserved=False)
            await other.sessions.add(tx, ann.space, ann.user, [lease], world.clock.now_ms + RULES.session_ms)
            collecting = asyncio.create_task(drive.collector.round())
            while not collecting.done():
                if await world.sql("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    break
                await asyncio.sleep(0)
            assert not collecting.done()
        await collecting
        assert await world.sql("SELECT state FROM chunks") == "live", "what is leased is pardoned"
        await sound(drive)


async def test_a_pack_that_was_cut_short_is_found_by_whoever_reads_it(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(b"first", BYTES)
        await ann.do(Make(parent=ROOT, name="a", manifest=manifest(b"first", BYTES)), session=session)
        (key,) = await world.objects()
        body = await world.stores.files.client.get(key)
        assert body is not None
        await world.stores.files.client.put(key, body[: body.index(BYTES) + 4])
        assert await ann.chunk(piece(b"first").digest) == b"first"
        with pytest.raises(Refusal) as refused:
            await ann.chunk(piece(BYTES).digest)
        assert refused.value.code == "unavailable"
        await drive.collector.scrub(ann.space)
        assert (await ann.begin([piece(b"first"), piece(BYTES)])).needed == [piece(BYTES).digest]


async def test_a_space_that_cannot_be_collected_is_no_harm_to_others(world: World):
    async with world.open() as drive:
        ann, bob = await Somebody.joins(drive), await Somebody.joins(drive, "bob")
        for one in (ann, bob):
            await given_and_left(one)
        suspects = world.stores.unused.suspects

        async def fails(space: SpaceId, *more: Any) -> Any:
            if space == ann.space:
                raise ValueError("something is wrong with this one")
            return await suspects(space, *more)

        world.stores.unused.suspects = fails  # type: ignore[method-assign]
        with pytest.raises(ValueError, match="this one"):
            await drive.collector.round()
        assert await world.sql("SELECT state FROM chunks WHERE space = $1", bob.space) == "condemned"


async def test_it_goes_round_by_itself_until_the_block_ends_whatever_fails_meanwhile(world: World):
    collector = Collector(world.stores, replace(RULES, every_s=0.0), world.clock)
    faults = [ValueError("a mistake"), EngineDown("the truth is away", why="it was killed", fix="wait")]
    rounds = asyncio.Event()

    async def fails_twice() -> None:
        if faults:
            raise faults.pop()
        rounds.set()

    collector.round = fails_twice  # type: ignore[method-assign]
    async with collector.working():
        await asyncio.wait_for(rounds.wait(), 5.0)
    assert "collector" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_the_first_look_is_thorough_and_then_one_of_so_many(world: World):
    async with world.open(rules=replace(RULES, thorough_every=4)) as drive:
        await Somebody.joins(drive)
        looked: list[tuple[str, int]] = []
        number = 0
        strays, gone_since = world.stores.packs.strays, world.stores.nodes.gone_since

        async def lists() -> Any:
            looked.append(("all objects", number))
            return await strays()

        async def asks(*args: Any) -> Any:
            looked.append(("the trash", number))
            return await gone_since(*args)

        world.stores.packs.strays, world.stores.nodes.gone_since = lists, asks  # type: ignore[method-assign]
        for _ in range(9):
            await drive.collector.round()
            number += 1
        assert looked == [(what, number) for number in (0, 4, 8) for what in ("the trash", "all objects")]


async def test_an_object_without_a_row_goes_also_if_nobody_looked_when_the_grace_was_over(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await world.stores.files.client.put(f"spaces/{ann.space}/packs/0123", b"nobody's")
        await drive.collector.remove_strays()
        world.clock.now_ms += RULES.grace_ms - 1
        await drive.collector.remove_strays()
        assert len(await world.objects()) == 1
        world.clock.now_ms += 2
        await drive.collector.remove_strays()
        assert await world.objects() == []


async def test_what_is_damaged_is_noticed_when_the_rest_of_its_pack_is_written_anew(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        dead = [bytes([n]) * 1_000 for n in range(4)]
        session = await ann.upload(*dead, BYTES, b"sound")
        _, gone = await ann.do(
            Make(parent=ROOT, name="kept", manifest=manifest(BYTES, b"sound")),
            Make(parent=ROOT, name="gone", manifest=manifest(*dead)),
            session=session,
        )
        await ann.do(Drop(node=gone.id, version=1), Purge(node=gone.id))
        await drive.collector.collect(ann.space)
        (key,) = await world.objects()
        body = await world.stores.files.client.get(key)
        assert body is not None
        await world.stores.files.client.put(key, body.replace(BYTES[:4], b"4ort"))
        world.clock.now_ms += RULES.grace_ms
        await drive.collector.collect(ann.space)
        assert (drive.collector.counts["compacted"], drive.collector.counts["quarantined"]) == (1, 1)
        assert await ann.chunk(piece(b"sound").digest) == b"sound"
        session = await ann.begin([piece(BYTES), piece(b"sound")])
        assert session.needed == [piece(BYTES).digest]
        await ann.give(session, BYTES)
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await drive.collector.collect(ann.space)
        assert key not in await world.objects(), "nothing lies in it any more"
        await sound(drive)


async def test_of_numbers_that_nobody_can_have_no_chunk_is_asked(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        for user, space in ((ann.user, SpaceId(1 << 70)), (UserId(1 << 70), ann.space)):
            with pytest.raises(Refusal, match="no such space"):
                await drive.chunk(user, space, piece(BYTES).digest)
