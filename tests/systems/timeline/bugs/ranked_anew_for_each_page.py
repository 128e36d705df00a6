"""A home by likes is put in order anew for each page: what has fallen is met twice, what has risen is passed over."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page
from fathom.systems.timeline.stores.orders import Order

from ..crowd import Crowd
from ..world import World
from . import Seed, Town

breaks = "paging_visits_each_post_once"


def seed(stores: Any, fanout: Any) -> None:
    kept = stores.orders.kept

    async def anew(reader: int, number: int, now_ms: int) -> Order | None:
        order = await kept(reader, number, now_ms)
        posts = {} if order is None else await stores.posts.true(order.ids)
        best = sorted((post for post, _ in posts.values()), key=lambda post: (-post.likes, -post.id))
        return order and Order(order.number, order.until_ms, order.newest, order.below, [post.id for post in best])

    stores.orders.kept = anew


async def story(world: World, seed: Seed) -> Crowd:
    async with world.open("on-write", seed=seed, ranking="engagement") as timeline:
        town = Town(world, timeline, await world.town(timeline, "ann", "bob"))
        ann, bob = town.users
        await town.as_(bob).follow(bob, ann)
        posts = [await town.as_(ann).post(ann, f"post {n}") for n in range(9)]
        await timeline.settled()
        page = Page(limit=3)
        while True:
            found = await town.as_(bob, final=True).home(bob, page)
            if found.older is None:
                return town.crowd
            page = Page(limit=3, max_id=found.older)
            await town.as_(bob).like(bob, posts[0].id)  # the last of all is the first now
