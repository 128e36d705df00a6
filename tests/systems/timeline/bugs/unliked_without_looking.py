"""A like is taken back that was never given: the counter goes down all the same."""

from __future__ import annotations

from typing import Any

import msgspec

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "likes_are_never_negative"


def seed(stores: Any, fanout: Any) -> None:
    change = stores.likes.change

    async def change_blindly(user: int, post: int, now_ms: int, place: str, *, take_back: bool, **more: Any) -> Any:
        liked = await change(user, post, now_ms, place, take_back=take_back, **more)
        if liked.changed or not take_back:
            return liked
        await stores.truth.client.execute("UPDATE posts SET likes = likes - 1 WHERE id = $1", post)
        return msgspec.structs.replace(liked, likes=liked.likes - 1)

    stores.likes.change = change_blindly


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        post = await town.as_(ann).post(ann, "nobody likes me")
        await town.as_(bob).unlike(bob, post.id)
        await town.timeline.settled()
        await town.as_(ann, final=True).likers(ann, post.id)
        await town.as_(ann, final=True).read(ann, post.id)
        return town.crowd
