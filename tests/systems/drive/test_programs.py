"""Sessions that grow, and properties: the service answers as the model does."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from fathom.blocks.packs import pack
from fathom.errors import Refusal
from fathom.systems.drive.api import ROOT, Chunk, Drop, Make, NodeId, Purge, SessionId
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
        last, refused = 0, 0
        for _ in range(150):
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
                ]
            )
            id = NodeId(dice.choice([ROOT, -1, 1 << 70, *range(1, last + 2)]))
            its = dice.choice(sessions)
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
                    edit = Make(parent=ROOT, name=f"n{last}", manifest=manifest(*some) if dice.random() < 0.5 else None)
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
        assert refused > 10
        assert await drive.collector.audit() == []
