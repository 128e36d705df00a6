"""Whoever follows more than the limit is left out altogether, instead of getting their share."""

from __future__ import annotations

from typing import Any

from fathom.systems.timeline.api import Page

from ..crowd import Crowd
from ..world import World
from . import Seed

breaks = "a_sampled_home_has_its_share"

AUTHORS, POSTS, LIMIT = 12, 240, 3


def seed(stores: Any, fanout: Any) -> None:
    sampled = stores.graph.sampled_fans

    async def of_few_follows(author: int, after: int, most: int, post: int, limit: int) -> list[int]:
        fans = await sampled(author, after, most, post, limit)
        return [fan for fan in fans if len(await stores.graph.followees(fan)) <= limit]

    stores.graph.sampled_fans = of_few_follows


async def story(world: World, seed: Seed) -> Crowd:
    """One follows twelve and another two of them, both have feeds, and much is written."""
    async with world.open("lossy", {"limit": LIMIT}, seed=seed) as timeline:
        crowd = await crowded(world, timeline)
        await crowd.look_around(crowd.readers)
        return crowd


async def crowded(world: World, timeline: Any) -> Crowd:
    many, few, *authors = await world.town(timeline, "many", "few", *(f"author{n}" for n in range(AUTHORS)))
    given = {"follows": {str(many): [], str(few): []}, "posts": {}, "sampled_above": LIMIT}
    crowd = Crowd(timeline, [many, few], authors, seed=0, given=given)
    for reader, followed in ((many, authors), (few, authors[:2])):
        for author in followed:
            await crowd.as_(reader).follow(reader, author)
        await timeline.home(reader, Page())
    await timeline.settled()
    for n in range(POSTS):
        await crowd.as_(authors[n % AUTHORS]).post(authors[n % AUTHORS], f"post {n}")
    await crowd.as_(many).post(many, "my own")
    return crowd
