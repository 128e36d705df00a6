"""A star's posts are put behind those of the feed, as they come."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed, people

breaks = "home_is_newest_first"


def seed(stores: Any, fanout: Any) -> None:
    from fathom.systems.timeline.decisions.fanout import Scan

    async def home(reader: int, page: Page) -> Any:
        feed = await stores.feeds.read(stores.feeds.key(fanout.generation, reader), page)
        if feed is None:
            fanout._rebuild(reader)
            return None
        lists = await stores.feeds.lists(fanout.generation, feed.marks.stars, page)
        return Scan(feed.ids + [id for list in lists for id in list.ids if id not in feed.ids])

    fanout.home = home


async def story(world: World, seed: Seed) -> Crowd:
    async with people(world, "ann", "star", "bob", approach="hybrid", seed=seed, fame=2) as town:
        ann, star, bob = town.users
        await town.reads(bob)
        await town.as_(bob).follow(bob, ann)
        for fan in (ann, bob):
            await town.as_(fan).follow(fan, star)
        await town.timeline.settled()
        for author in (star, ann, star, ann, star):
            await town.as_(author).post(author, "in turn")
        await town.crowd.look_around(town.users)
        return town.crowd
