"""Equal pictures are kept once, and go with the first post that goes, although another one shows them still."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fathom.errors import Refusal
from fathom.systems.timeline.api import Manner

from ..crowd import Crowd
from ..pictures import picture
from ..world import World
from . import Seed, people

breaks = "no_attached_file_is_lost"


def seed(stores: Any, fanout: Any) -> None:
    async def sweep(now_ms: int, grace_ms: int) -> int:
        doomed = await stores.truth.client.fetch("SELECT key FROM blobs WHERE doomed_ms < $1", now_ms - grace_ms)
        for row in doomed:
            await stores.files.client.delete(row["key"])
        return len(doomed)

    stores.blobs.sweep = sweep


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        for one in (ann, bob):
            media = await town.as_(one).upload(one, picture(5))
            post = await town.as_(one).post(one, "look", None, Manner(media=[media.id]))
            if one == ann:
                await town.as_(ann).delete(ann, post.id)
        later_ms = 4_000_000_000_000
        await world.stores.uploads.let_go(later_ms, 0)
        await world.stores.blobs.sweep(later_ms + 1, 0)
        with suppress(Refusal):  # it is written down
            await town.as_(bob, final=True).content(media.name, False, 0, 1)
        return town.crowd
