"""Whoever likes a post, takes it back and likes it again is announced each time."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "a_notice_is_given_once"


def seed(stores: Any, fanout: Any) -> None:
    change = stores.likes.change

    async def change_and_tell(user: int, post: int, now_ms: int, place: str, *, take_back: bool, **more: Any) -> Any:
        liked = await change(user, post, now_ms, place, take_back=take_back, **more)
        if liked.changed and liked.noticed is None and not take_back:
            db = stores.truth.client
            await db.execute("DROP INDEX IF EXISTS notices_once")
            await db.execute(
                "INSERT INTO notices (user_id, id, kind, who, post, at_ms)"
                " SELECT author, $3, 'like', $1, id, $4 FROM posts WHERE id = $2",
                user,
                post,
                stores.notices.mint(),
                now_ms,
            )
        return liked

    stores.likes.change = change_and_tell


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "bob", seed=seed) as town:
        ann, bob = town.users
        post = await town.as_(ann).post(ann, "like me")
        await town.as_(bob).like(bob, post.id)
        await town.as_(bob).unlike(bob, post.id)
        await town.as_(bob).like(bob, post.id)
        await town.timeline.settled()
        await town.as_(ann, final=True).notices(ann, Page())
        return town.crowd
