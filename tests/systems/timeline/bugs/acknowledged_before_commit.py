"""A post is acknowledged as soon as it is on its way to the truth."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from fathom.engines.engine import EngineError
from fathom.systems.timeline.api import Post
from fathom.systems.timeline.stores.posts import Wrote

from ..crowd import Crowd
from ..test_outages import without
from ..world import World
from . import Seed, people

breaks = "no_acknowledged_post_is_lost"


def seed(stores: Any, fanout: Any) -> None:
    write, stores.later, stores.go_on = stores.posts.write, [], asyncio.Event()

    async def write_later(author: int, draft: Any, now_ms: int, mint: Any, key: str | None = None) -> Any:
        id = await mint(0)

        async def the_same(above: int) -> int:
            return id

        async def on_its_way() -> None:
            await stores.go_on.wait()
            with suppress(EngineError):
                await write(author, draft, now_ms, the_same, key)

        stores.later.append(asyncio.ensure_future(on_its_way()))
        return Wrote(Post(id=id, author=author, name="?", body=draft.body, at_ms=now_ms))

    stores.posts.write = write_later


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        await town.reads(bob, ann)
        await town.as_(ann).post(ann, "written, they said")
        async with without(world.engines.truth):
            if later := getattr(town.stores, "later", None):  # the bug is there
                town.stores.go_on.set()
                await asyncio.wait(later)
        await town.stores.truth.ready()
        await town.crowd.look_around(town.users)
        return town.crowd
