"""Every request to like counts, also the second one of an impatient finger."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "likes_equal_the_likers"


def seed(stores: Any, fanout: Any) -> None:
    like = stores.posts.like

    async def like_again(user: int, post: int, now_ms: int, mint: Any, *, take_back: bool) -> Any:
        likes, entry, told = await like(user, post, now_ms, mint, take_back=take_back)
        if entry is None and not take_back:
            likes += 1
            await stores.truth.client.execute("UPDATE posts SET likes = $2 WHERE id = $1", post, likes)
        return likes, entry, told

    stores.posts.like = like_again


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        post = await town.as_(ann).post(ann, "like me")
        for _ in range(2):
            await town.as_(bob).like(bob, post.id)
        await town.timeline.settled()
        await town.as_(ann, final=True).likers(ann, post.id)
        await town.as_(ann, final=True).read(ann, post.id)
        await town.as_(ann, final=True).home(ann, Page())
        return town.crowd
