"""What happens to people with drives: each story ends well on a drive that is right, whatever is seeded into it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

from fathom.blocks.packs import digest_of, pack
from fathom.engines.engine import EngineError
from fathom.errors import Refusal
from fathom.systems.drive.api import ROOT, Chunk, Cursor, Digest, Drop, Make, Manifest, Node, Purge, Put
from fathom.systems.drive.model import CUTTING
from fathom.systems.drive.service import Rules
from fathom.systems.drive.stores import Stores

from .world import RULES, Somebody, World, manifest, piece

Seed = Callable[[Stores], object]
EAGER = Rules(quota=1_000_000, grace_ms=0, every_s=3_600.0)
BYTES = b"forty bytes that somebody would not miss"


async def sound(drive: Any) -> None:
    """See that all books agree."""
    faults = await drive.collector.audit()
    assert not faults, "\n".join(faults)


async def given_and_left(ann: Somebody, data: bytes = BYTES) -> None:
    """Let a file be there, and go for good: its chunk is in no file, and in no session."""
    session = await ann.upload(data)
    (node,) = await ann.do(Make(parent=ROOT, name="passing", manifest=manifest(data)), session=session)
    await ann.do(Drop(node=node.id, version=1), Purge(node=node.id))


async def a_chunk_that_was_promised_stays(world: World, seed: Seed) -> None:
    """Somebody is told that a chunk is there, takes their time, and commits a file that has it."""
    async with world.open(seed=seed, rules=replace(RULES, session_ms=60_000)) as drive:
        ann = await Somebody.joins(drive)
        await given_and_left(ann)
        session = await ann.begin([piece(BYTES)])
        assert session.needed == []
        for _ in range(3):  # of the collector, and more than a grace between them
            await drive.collector.round()
            world.clock.now_ms += 2 * RULES.grace_ms
        (node,) = await ann.do(Make(parent=ROOT, name="kept", manifest=manifest(BYTES)), session=session)
        assert node.content is not None
        assert node.content.size == len(BYTES)
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await sound(drive)


async def a_condemned_chunk_lives_again(world: World, seed: Seed) -> None:
    """The same, but the collector has condemned the chunk before anybody asks for it again."""
    async with world.open(seed=seed) as drive:
        ann = await Somebody.joins(drive)
        await given_and_left(ann)
        await drive.collector.round()
        assert drive.collector.counts["condemned"] == 1
        session = await ann.begin([piece(BYTES)])
        assert session.needed == []
        assert drive.collector.counts["revived"] == 1
        await ann.do(Make(parent=ROOT, name="kept", manifest=manifest(BYTES)), session=session)
        world.clock.now_ms += 2 * RULES.grace_ms
        await drive.collector.round()
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await sound(drive)


async def a_chunk_comes_to_be_needed_while_it_is_swept(world: World, seed: Seed) -> None:
    """Between the collector's look and its lock somebody begins anew with the chunk, and commits a file."""

    async def meanwhile() -> None:
        session = await ann.begin([piece(BYTES)])
        assert session.needed == []
        await ann.do(Make(parent=ROOT, name="kept", manifest=manifest(BYTES)), session=session)

    async with world.open(seed=seed) as drive:
        ann = await Somebody.joins(drive)
        await given_and_left(ann)
        await drive.collector.round()
        world.clock.now_ms += 2 * RULES.grace_ms
        ripe = world.stores.unused.ripe

        async def ripe_and_then(*args: Any) -> Any:
            found = await ripe(*args)
            if found:
                await meanwhile()
            return found

        world.stores.unused.ripe = ripe_and_then  # type: ignore[method-assign]
        await drive.collector.round()
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await sound(drive)


async def nothing_goes_before_the_grace(world: World, seed: Seed) -> None:
    """What nothing needs is condemned, stays for the grace, and goes; its bytes go with it."""
    async with world.open(seed=seed) as drive:
        ann = await Somebody.joins(drive)
        await given_and_left(ann)
        await drive.collector.round()
        world.clock.now_ms += RULES.grace_ms - 1
        await drive.collector.round()
        assert await world.sql("SELECT state FROM chunks") == "condemned"
        assert len(await world.objects()) == 1
        assert (await drive.space(ann.user, ann.space)).used == len(BYTES)
        world.clock.now_ms += 1
        await drive.collector.round()
        assert await world.sql("SELECT count(*) FROM chunks") == 0
        assert await world.objects() == []
        assert (await drive.space(ann.user, ann.space)).used == 0
        assert (await ann.begin([piece(BYTES)])).needed == [piece(BYTES).digest]
        await sound(drive)


async def a_slow_gift_is_not_taken_for_dead(world: World, seed: Seed) -> None:
    """The collector comes by between the object of a pack and its commit."""
    async with world.open(seed=seed, rules=EAGER) as drive:
        ann = await Somebody.joins(drive)
        write = world.stores.packs.write

        async def write_and_wait(*args: Any) -> Any:
            id = await write(*args)
            await drive.collector.round()
            world.clock.now_ms += 1_000
            await drive.collector.round()
            return id

        world.stores.packs.write = write_and_wait  # type: ignore[method-assign]
        session = await ann.upload(BYTES)
        await ann.do(Make(parent=ROOT, name="slow", manifest=manifest(BYTES)), session=session)
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await sound(drive)


async def a_gift_that_came_too_late_is_refused(world: World, seed: Seed) -> None:
    """A pack is given up while it is written: who gives it is told so, and no row speaks of it."""
    async with world.open(seed=seed, rules=replace(EAGER, writing_ms=0)) as drive:
        ann = await Somebody.joins(drive)
        write = world.stores.packs.write

        async def write_and_wait(*args: Any) -> Any:
            id = await write(*args)
            async with world.stores.spaces.collecting(ann.space) as tx:
                assert await world.stores.packs.give_up(tx, ann.space, world.clock.now_ms) == 1
            return id

        world.stores.packs.write = write_and_wait  # type: ignore[method-assign]
        session = await ann.begin([piece(BYTES)])
        try:
            await ann.give(session, BYTES)
        except Refusal as refusal:
            assert refusal.code == "unavailable"
        world.stores.packs.write = write  # type: ignore[method-assign]
        await drive.collector.round()
        assert await world.objects() == []
        assert (await drive.renew(ann.user, session.id)).needed == [piece(BYTES).digest]
        await ann.give(session, BYTES)
        await ann.do(Make(parent=ROOT, name="late", manifest=manifest(BYTES)), session=session)
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        await sound(drive)


async def the_journal_has_no_gap(world: World, seed: Seed) -> None:
    """Many commit at once: their changes have the numbers from one to the head, and make the tree that is there."""
    async with world.open(seed=seed) as drive:
        ann = await Somebody.joins(drive)
        anns = [ann, Somebody(world.beside(drive), ann.user, ann.space)]  # through two services

        async def makes(n: int) -> None:
            for m in range(4):
                await anns[n % 2].do(Make(parent=ROOT, name=f"{n} {m}"), Make(parent=ROOT, name=f"{n} {m} too"))

        ended = await asyncio.gather(*(makes(n) for n in range(8)), return_exceptions=True)
        assert ended == [None] * 8
        changes = await ann.changes(Cursor((await drive.space(ann.user, ann.space)).epoch, 0))
        assert [node.seq for node in changes.nodes] == list(range(1, 65))
        assert tree_of(changes.nodes) == {node.id: node for node in (await ann.tree()).nodes}
        await sound(drive)


async def what_is_told_has_no_gap(world: World, seed: Seed) -> None:
    """The stream of events dies while somebody commits, and whoever reads it when it is back misses nothing."""
    async with world.telling() as stream, world.open(seed=seed) as drive:
        assert drive.relay is not None
        ann = await Somebody.joins(drive)
        await ann.do(Make(parent=ROOT, name="before"))
        await drive.relay.round()
        async with stream.away():
            await ann.do(*(Make(parent=ROOT, name=f"{n}") for n in range(5)))
            with suppress(EngineError):
                await drive.relay.round()
        await drive.relay.round()
        assert [it.seq for it in await stream.all()] == list(range(1, 7))


async def no_more_begins_than_there_is_room_for(world: World, seed: Seed) -> None:
    """Eight sessions begin at once, each for two fifths of the room."""
    async with world.open(seed=seed, rules=replace(RULES, quota=1_000)) as drive:
        ann = await Somebody.joins(drive)

        anns = [ann, Somebody(world.beside(drive), ann.user, ann.space)]  # through two services

        async def begins(n: int) -> Any:
            data = bytes([n]) * 400
            session = await anns[n % 2].begin([piece(data)])
            await anns[n % 2].give(session, data)
            return session

        ended = await asyncio.gather(*(begins(n) for n in range(8)), return_exceptions=True)
        refused = [it for it in ended if isinstance(it, Refusal)]
        assert {it.code for it in refused} == {"too-large"}
        assert len(refused) == 6
        assert (await drive.space(ann.user, ann.space)).used == 800
        await sound(drive)


async def what_is_damaged_heals_when_it_comes_again(world: World, seed: Seed) -> None:
    """A bit rots. Nobody is given wrong bytes; who has the file is asked for it, and all is well."""
    async with world.open(seed=seed) as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(BYTES, b"sound")
        await ann.do(Make(parent=ROOT, name="rare", manifest=manifest(BYTES, b"sound")), session=session)
        (key,) = await world.objects()
        body = await world.stores.files.client.get(key)
        assert body is not None
        await world.stores.files.client.put(key, body.replace(BYTES[:4], b"4ort"))
        await drive.collector.scrub(ann.space)
        assert drive.collector.counts["quarantined"] == 1
        try:
            got: bytes | str = await ann.chunk(piece(BYTES).digest)
        except Refusal as refusal:
            got = refusal.code
        assert got == "unavailable"
        assert await ann.chunk(piece(b"sound").digest) == b"sound"
        assert len(await drive.collector.audit()) == 1, "a file has a chunk that is not there: that is said"
        session = await ann.begin([piece(BYTES), piece(b"sound")])
        assert session.needed == [piece(BYTES).digest]
        assert await ann.give(session, BYTES) == []
        assert drive.collector.counts["healed"] == 1
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        assert (await drive.space(ann.user, ann.space)).used == len(BYTES) + 5
        await sound(drive)


async def an_edit_is_done_once(world: World, seed: Seed) -> None:
    """The answer to a commit was lost: it is asked again, and nothing is done twice."""
    async with world.open(seed=seed) as drive:
        ann = await Somebody.joins(drive)
        (file,) = await ann.do(Make(parent=ROOT, name="file", manifest=manifest(), key="a"))
        session = await ann.upload(BYTES)
        edits = [Put(node=file.id, version=1, manifest=manifest(BYTES), key="b"), Make(parent=ROOT, name="x", key="c")]
        first = await ann.commit(edits, session.id)
        again = await ann.commit(edits)
        assert first == again
        assert not any(it.code for it in first)
        assert (await drive.space(ann.user, ann.space)).head == 3
        await sound(drive)


async def what_is_left_of_a_pack_is_written_anew(world: World, seed: Seed) -> None:
    """Most of a pack is dead: what lives of it moves, also from under somebody who is about to read it."""
    async with world.open(seed=seed) as drive:
        ann = await Somebody.joins(drive)
        dead = [bytes([n]) * 1_000 for n in range(4)]
        named = sha256(b"milk").digest()  # by a client that has no BLAKE3
        theirs = Chunk(Digest(named.hex()), 4)
        session = await ann.begin([*map(piece, dead), piece(BYTES), theirs])
        digests = [*map(digest_of, [*dead, BYTES]), named]
        assert await ann.drive.give(ann.user, session.id, pack([*dead, BYTES, b"milk"], digests)) == []
        kept, gone = await ann.do(
            Make(parent=ROOT, name="kept", manifest=Manifest(cutting=CUTTING, chunks=[piece(BYTES), theirs])),
            Make(parent=ROOT, name="gone", manifest=manifest(*dead)),
            session=session,
        )
        await ann.do(Drop(node=gone.id, version=1), Purge(node=gone.id))
        before = await world.objects()
        find = world.stores.chunks.find

        async def find_and_wait(*args: Any) -> Any:
            row = await find(*args)
            world.stores.chunks.find = find  # type: ignore[method-assign]
            for _ in range(2):
                await drive.collector.round()
                world.clock.now_ms += RULES.grace_ms
            await drive.collector.round()
            return row

        world.stores.chunks.find = find_and_wait  # type: ignore[method-assign]
        assert await ann.chunk(piece(BYTES).digest) == BYTES
        assert drive.collector.counts["compacted"] == 1
        (now,) = await world.objects()
        assert now not in before
        assert await ann.chunk(theirs.digest) == b"milk"
        assert (await drive.space(ann.user, ann.space)).used == len(BYTES) + 4
        assert (await ann.manifest(kept.id)).chunks == [piece(BYTES), theirs]
        await drive.collector.round()
        assert await world.objects() == [now], "what is whole is left in peace"
        await sound(drive)


async def no_byte_is_lost_beside_the_collector(world: World, seed: Seed, lasts_s: float = 2.5) -> None:
    """Devices upload, drop, purge and upload the same again, as fast as they can, and the collector never rests."""
    rules = replace(EAGER, writing_ms=5_000, session_ms=10_000, sparse=0.7)
    async with world.open(seed=seed, rules=rules, clock=_now) as drive:
        ann = await Somebody.joins(drive)
        dice, chunks = random.Random(9), [bytes([65 + n]) * (20 + n) for n in range(12)]
        now = asyncio.get_running_loop().time
        until, at_last = now() + lasts_s, now() + 30.0
        anns = [ann, Somebody(world.beside(drive), ann.user, ann.space)]  # through two services
        kept: dict[int, tuple[Node, list[bytes]]] = {}
        done = 0

        def goes_on() -> bool:
            """Tell whether it is not over: on a busy machine it takes longer until enough has happened."""
            tried = done > 20 and drive.collector.counts["swept"] > 10
            return now() < (until if tried else at_last)

        async def lives(n: int) -> None:
            nonlocal done
            ann = anns[n % 2]
            mine: list[tuple[Node, list[bytes]]] = []
            while goes_on():
                some = dice.choices(chunks, k=dice.randint(1, 4))
                session = await ann.upload(*some)
                made = Make(parent=ROOT, name=f"{n} {done}", manifest=manifest(*some))
                (node,) = await ann.do(made, session=session)
                mine.append((node, some))
                for _, known in dice.sample(mine, min(2, len(mine))):
                    for data in known:
                        assert await ann.chunk(piece(data).digest) == data
                while len(mine) > dice.randint(0, 2):
                    node, _ = mine.pop(dice.randrange(len(mine)))
                    await ann.do(Drop(node=node.id, version=1), Purge(node=node.id))
                done += 1
            kept.update({node.id: (node, some) for node, some in mine})

        async def collects() -> None:
            while True:
                await drive.collector.collect(ann.space)

        collecting = asyncio.create_task(collects())
        try:
            await asyncio.gather(*(lives(n) for n in range(4)))
        finally:
            collecting.cancel()
            await asyncio.wait([collecting])
        assert done > 20
        for node, some in kept.values():
            assert [it.digest for it in (await ann.manifest(node.id)).chunks] == [piece(it).digest for it in some]
            for data in some:
                assert await ann.chunk(piece(data).digest) == data
        counts = drive.collector.counts
        assert counts["swept"] > 10, counts
        await sound(drive)
        print(done, dict(counts))


def _now() -> int:
    import time

    return time.time_ns() // 1_000_000


def tree_of(nodes: list[Node], before: dict[int, Node] | None = None) -> dict[int, Node]:
    """Return what is there after changes to what was there."""
    tree = dict(before or {})
    for node in nodes:
        tree[node.id] = node
        if node.gone:
            del tree[node.id]
    return tree
