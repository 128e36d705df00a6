"""Sessions that grow and remember, and properties: the service answers as the model does."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest

from fathom.blocks.packs import pack
from fathom.engines.schema import steps
from fathom.errors import Refusal
from fathom.systems.drive.api import MEMORIES_MAX, MEMORY_BYTES_MAX, ROOT, Chunk, Drop, Make, NodeId, Purge, SessionId
from fathom.systems.drive.model import DriveModel

from .test_conformance import PATIENT, QUOTA
from .world import Somebody, World, manifest, piece

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def said(body: Any, verb: str, *asked: Any) -> Any:
    try:
        return await getattr(body, verb)(*asked)
    except Refusal as refusal:
        return refusal.code, refusal.says


@pytest.mark.parametrize("seed", range(3))
async def test_both_answer_the_same(world: World, seed: int) -> None:
    dice = Random(seed)
    model = DriveModel(world.clock, world.clock.mint(), quota=QUOTA)
    async with world.open(mint=world.clock.mint(), rules=PATIENT) as drive:
        bodies = [model, drive]
        people = [await Somebody.joins(body) for body in bodies]
        assert people[0].user == people[1].user
        user, space = people[0].user, people[0].space
        data = [bytes([n]) * (n * 9 % 70 + 1) for n in range(30)]
        sessions = [(SessionId("none"), SessionId("none"))]
        happened: Counter[tuple[str, bool]] = Counter()
        last, refused, offsets = 0, 0, {}
        for _ in range(220):
            world.clock.now_ms += 1
            some = dice.choices(data, k=dice.randint(0, 5))
            chunks = [piece(it) for it in some]
            if dice.random() < 0.1:
                chunks.append(Chunk(piece(data[0]).digest, 3))
            what = dice.choice(
                [
                    "begin",
                    "extend",
                    "extend",
                    "give",
                    "make",
                    "drop",
                    "purge",
                    "describe",
                    "describe",
                    "properties",
                    "properties",
                    "space",
                    "later",
                    "remember",
                    "remember",
                    "remember",
                    "remembered",
                    "end",
                    "outcome",
                ]
            )
            id = NodeId(dice.choice([ROOT, -1, 1 << 70, *range(1, last + 2)]))
            its = dice.choice(sessions[-2:])
            match what:
                case "begin":
                    answers = [await said(body, "begin", user, space, chunks) for body in bodies]
                    if not isinstance(answers[0], tuple):
                        sessions.append((answers[0].id, answers[1].id))
                case "extend":
                    answers = [await said(body, "extend", user, its[at], chunks) for at, body in enumerate(bodies)]
                case "give":
                    answers = [await said(body, "give", user, its[at], pack(some)) for at, body in enumerate(bodies)]
                case "make":
                    edit = Make(
                        parent=ROOT,
                        name=f"n{last}",
                        manifest=manifest(*some) if dice.random() < 0.5 else None,
                        key=f"key {last}",
                    )
                    answers = [
                        await said(body, "commit", user, space, [edit], its[at]) for at, body in enumerate(bodies)
                    ]
                    if not isinstance(answers[0], tuple) and answers[0][0].node:
                        last = max(last, answers[0][0].node.id)
                case "drop" | "purge":
                    edit = Drop(node=id, version=dice.randrange(2)) if what == "drop" else Purge(node=id)
                    answers = [await said(body, "commit", user, space, [edit]) for body in bodies]
                case "describe":
                    value = dice.choice(["", "red", "x" * 9_000, "nul\0"])
                    put = {dice.choice("abc"): value for _ in range(dice.randint(0, 2))}
                    answers = [await said(body, "describe", user, space, id, put) for body in bodies]
                case "properties":
                    ids = [NodeId(n) for n in (ROOT, -1, 1 << 70, *range(1, last + 2))]
                    answers = [await said(body, "properties", user, space, ids) for body in bodies]
                case "remember":
                    before = offsets.get(its, 0) if dice.random() < 0.7 else dice.randrange(-1, 4)
                    after = before + dice.randrange(-1, 4)
                    state = bytes([last]) * dice.choice([0, 1, 3_000])
                    asked = before, after, state
                    answers = [await said(body, what, user, its[at], *asked) for at, body in enumerate(bodies)]
                    if not isinstance(answers[0], tuple):
                        offsets[its] = after
                case "remembered" | "end":
                    answers = [await said(body, what, user, its[at]) for at, body in enumerate(bodies)]
                case "outcome":
                    answers = [await said(body, what, user, space, f"key {last}") for body in bodies]
                case "later":
                    world.clock.now_ms += 4 * 60_000
                    continue
                case _:
                    answers = [(await body.space(user, space)).used for body in bodies]
            refused += isinstance(answers[0], tuple)
            one, other = (
                (sorted(answer.needed), answer.expires_ms) if hasattr(answer, "needed") else answer
                for answer in answers
            )
            assert one == other, (seed, what)
            happened[what, isinstance(one, tuple) and isinstance(one[0], str)] += 1
        assert refused > 10
        for what in ("remember", "remembered", "end"):
            assert happened[what, False], happened
        assert await drive.collector.audit() == []


async def test_of_two_who_go_on_from_the_same_place_one_does(world: World) -> None:
    async with world.open() as drive:
        ann, other = await Somebody.joins(drive), world.beside(drive)
        session = (await ann.begin([])).id
        assert await drive.remember(ann.user, session, 0, 0, b"begun") == world.clock.now_ms + 24 * 3_600_000
        for offset in range(0, 50, 5):
            asked = (ann.user, session, offset, offset + 5)
            answers = await asyncio.gather(
                *(said(body, "remember", *asked, b"%d" % n) for n, body in enumerate([drive, other, drive, other]))
            )
            (won,) = (n for n, answer in enumerate(answers) if isinstance(answer, int))
            assert [answer[0] for answer in answers if isinstance(answer, tuple)] == ["conflict"] * 3
            memory = await other.remembered(ann.user, session)
            assert (memory.offset, memory.state) == (offset + 5, b"%d" % won)


async def test_what_is_remembered_is_bounded_and_anothers_is_as_none(world: World) -> None:
    model = DriveModel(world.clock)
    async with world.open() as drive:
        for body in (model, drive):
            ann, bob = await Somebody.joins(body), await Somebody.joins(body, "bob")
            ids = [(await ann.begin([])).id for _ in range(MEMORIES_MAX + 1)]
            for id in ids[:-1]:
                await body.remember(ann.user, id, 0, 0, b"")
            assert (await said(body, "remember", ann.user, ids[-1], 0, 0, b""))[0] == "too-many"
            await body.end(ann.user, ids[0])
            large = bytes(MEMORY_BYTES_MAX)
            await body.remember(ann.user, ids[-1], 0, 7, large)
            assert (await body.remembered(ann.user, ids[-1])).state == large
            assert (await said(body, "remember", ann.user, ids[-1], 7, 8, large + b"x"))[0] == "too-large"
            for verb, *more in (("remembered",), ("end",), ("remember", 7, 9, b"")):
                theirs, none = [await said(body, verb, bob.user, id, *more) for id in (ids[-1], SessionId("1-none"))]
                assert theirs == none
                assert theirs[0] == "not-found"
            assert (await body.remembered(ann.user, ids[-1])).offset == 7


async def test_a_session_that_remembers_lasts_for_a_day_and_goes_with_all_of_it(world: World) -> None:
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.begin([piece(b"given")])
        await ann.give(session, b"given")
        until_ms = await drive.remember(ann.user, session.id, 0, 5, b"state")
        assert (await drive.renew(ann.user, session.id)).expires_ms == until_ms, "to renew it makes it no shorter"
        assert (await drive.extend(ann.user, session.id, [piece(b"more")])).expires_ms == until_ms
        world.clock.now_ms = until_ms - 1
        assert (await drive.remembered(ann.user, session.id)).state == b"state"
        world.clock.now_ms += 1
        assert (await said(drive, "remembered", ann.user, session.id))[0] == "not-found"
        await drive.collector.round()
        assert await world.sql("SELECT count(*) FROM sessions") == 0
        assert await drive.collector.audit() == []


async def test_data_of_before_anything_was_remembered_open(world: World) -> None:
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.begin([piece(b"given")])
    since = {"sessions": "remembered state", "nodes": "executable", "versions": "executable", "spaces": "floor told",
             "journal": "at_ms kind", "done": "at_ms"}  # fmt: skip
    dropped = [f"ALTER TABLE {table} DROP COLUMN {name}" for table, names in since.items() for name in names.split()]
    for statement in (*dropped, "DELETE FROM migrations WHERE version >= 3"):
        await world.stores.truth.client.execute(statement)
    assert await world.stores.migrate() == len(steps("fathom.systems.drive.stores"))
    async with world.open() as drive:
        assert await drive.give(ann.user, session.id, pack([b"given"])) == []
        await drive.remember(ann.user, session.id, 0, 3, b"now")
        assert (await drive.remembered(ann.user, session.id)).offset == 3
