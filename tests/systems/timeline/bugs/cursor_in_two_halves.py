"""A cursor of two columns compared one by one: who has the higher number and the earlier time is passed over.

Numbers and times mostly rise together, so it shows only where they do not: here a clock steps back.
"""

from __future__ import annotations

from typing import Any

from ..crowd import Crowd
from ..world import World
from . import Seed, Town

breaks = "a_walk_meets_once_what_was_there"

HALVES = "SELECT id FROM posts WHERE at_ms <= $1 AND id < $2 ORDER BY at_ms DESC, id DESC LIMIT $3"


def seed(stores: Any, fanout: Any) -> None:
    async def below(viewer: int, at_ms: int, id: int, limit: int) -> Any:
        rows = await stores.truth.client.fetch(HALVES, at_ms, id, limit)
        known = await stores.posts.true([row[0] for row in rows])
        return [known[row[0]][0] for row in rows]

    stores.latest.below = below


async def story(world: World, seed: Seed) -> Crowd:
    async with world.open("on-read", seed=seed, clock=world.clock) as timeline:
        town = Town(world, timeline, await world.town(timeline, "ann", "bob"))
        ann, bob = town.users
        for n in range(10):
            world.clock.now_ms += -5_000 if n == 5 else 1
            await town.as_(ann).post(ann, f"post {n}")
        cursor: str | None = None
        while True:
            piece = await town.as_(bob).latest(bob, cursor, 3)
            if (cursor := piece.next) is None:
                return town.crowd
