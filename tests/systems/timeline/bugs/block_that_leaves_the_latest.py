"""Everybody's posts are everybody's: nobody looks whom a block parts from whom."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.stores.rows import post_of

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "nothing_from_the_blocked"


def seed(stores: Any, fanout: Any) -> None:
    latest = stores.latest

    async def top(viewer: int, limit: int) -> Any:
        query = (
            f"SELECT {latest._likes.columns} FROM posts p JOIN users u ON u.id = p.author"
            " WHERE p.deleted_ms IS NULL AND p.boost_of IS NULL AND p.listed ORDER BY p.at_ms DESC, p.id DESC LIMIT $1"
        )
        return [post_of(row) for row in await stores.truth.client.fetch(query, limit)]

    latest.top = top


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(ann).post(ann, "hello")
        await town.as_(bob).latest(bob)
        await town.as_(ann).block(ann, bob)
        await town.as_(bob).latest(bob)
        return town.crowd
