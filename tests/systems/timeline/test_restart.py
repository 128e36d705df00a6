"""The service is killed without warning, again and again: what was acknowledged is there, once, and delivered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from fathom.design import Choice
from fathom.engines.postgres import Postgres
from fathom.engines.schema import steps
from fathom.engines.wire import NotSent
from fathom.systems.timeline.api import Manner, Page, PostId, UserId
from fathom.web.served import Served

from .crowd import Crowd
from .test_outages import without
from .world import SMALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@asynccontextmanager
async def served(world: World, approach: str, knobs: Mapping[str, Any]) -> AsyncIterator[Served]:
    """Serve the timeline from a process of its own."""
    choices = {"fanout": Choice(approach, dict(knobs))}
    async with Served.start(world.engines.keeper, world.system, engines=world.urls(), choices=choices) as process:
        yield process


async def crash(process: Served) -> None:
    await process.kill()
    await process.restart()


@pytest.mark.parametrize("approach", ["on-write", "hybrid"])
async def test_a_service_killed_in_the_middle_of_a_delivery_goes_on_where_it_was(world: World, approach: str):
    people = await world.stores.accounts.bulk(["star", *(f"fan{n}" for n in range(3_000))])
    star, fans = people[0], people[1:]
    await world.stores.graph.bulk([(fan, star) for fan in fans])
    dice = random.Random(31)
    async with served(world, approach, {"chunk": 20}) as process, process.client() as timeline:
        question = world.system.decision("fanout")
        await question.build(Choice(approach, {"chunk": 20}), world.stores).warm(people)
        crowd = Crowd(timeline, fans, [star], seed=31, given={"follows": {str(fan): [star] for fan in fans}})
        for n in range(4):
            for _ in range(1_000):
                with suppress(NotSent):  # the client had just tried to connect, a moment too early
                    await crowd.as_(star).post(star, f"post {n}")
                    break
                await asyncio.sleep(0.01)  # it tries again by itself, and gives no sign
            await asyncio.sleep(dice.random() * 0.15)  # a random moment of the delivery
            await crash(process)
        await process.settled()
        for fan in dice.sample(fans, 150):
            await crowd.as_(fan, final=True).home(fan, Page())
        await crowd.as_(star, final=True).home(star, Page())
        crowd.check()
        generation = await world.stores.truth.client.fetchval("SELECT max(generation) FROM generations")
        sizes = [await world.stores.cache.client("ZCARD", f"feed:{generation}:{fan}") for fan in fans]
        assert set(sizes) == {4 + 1}  # each post once, and the mark that the feed is whole
        assert await world.stores.truth.client.fetchval("SELECT count(*) FROM posts") == 4


async def test_a_service_killed_again_and_again_under_load_breaks_no_law(world: World):
    async with served(world, "hybrid", SMALL["hybrid"]) as process, process.client() as timeline:
        people = []
        for n in range(10):
            people.append((await timeline.join(f"user{n}", "a password")).id)
        crowd = Crowd(timeline, people, people, seed=32)
        rates = {
            "home": 100, "page": 20, "post": 30, "follow": 25, "unfollow": 10, "delete": 6, "like": 10, "unlike": 4,
            "block": 1, "unblock": 2,
        }  # fmt: skip
        going_on = asyncio.create_task(crowd.live(6.0, rates))
        for n in range(4):
            await asyncio.sleep(0.5)  # load in between
            if n == 2:  # and once the queue forgets everything meanwhile
                await process.kill()
                async with without(world.engines.queue, wiped=True):
                    pass
                await process.restart()
            else:
                await crash(process)
        await going_on
        await crowd.look_around(people)
        crowd.check()
        assert crowd.sources.total() > 100, crowd.failed


async def test_only_one_service_serves_the_same_data(world: World):
    stores = world.stores
    async with stores.alone():
        with pytest.raises(Exception, match="another timeline serves these data"):
            async with stores.alone(within_s=0.1):
                raise AssertionError("there were two")
    async with stores.alone(within_s=1.0):
        pass


async def test_data_from_before_boosts_and_mutes_open_and_go_on(world: World) -> None:
    """A database that knows the first two migrations only, with people, a follow, a post and a like in it."""
    stores = replace(world.stores, truth=Postgres.at(await world.engines.database("template0")))
    async with stores.truth.connected():
        db = stores.truth.client
        await db.execute("CREATE TABLE migrations (version integer PRIMARY KEY, name text NOT NULL)")
        for number, (name, script) in enumerate(steps("fathom.systems.timeline.stores")[:2], 1):
            await db.execute(f"{script}; INSERT INTO migrations VALUES ({number}, '{name}')")
        await db.execute(
            "INSERT INTO users VALUES (1, 'ann', NULL, 5), (2, 'bob', NULL, 5);"
            "INSERT INTO counts (user_id, followers, following, posts, last_post)"
            " VALUES (1, 0, 1, 0, 0), (2, 1, 0, 1, 9);"
            "INSERT INTO posts (id, author, body, at_ms, likes) VALUES (9, 2, 'old', 7, 1);"
            "INSERT INTO likes (post, user_id) VALUES (9, 1);"
            "INSERT INTO follows (follower, followee) VALUES (1, 2)"
        )
        assert await stores.migrate() == len(steps("fathom.systems.timeline.stores"))
        world.stores = stores
        async with world.open("hybrid") as timeline:
            ann, bob, old = UserId(1), UserId(2), PostId(9)
            assert [(post.body, post.likes) for post in (await timeline.home(ann, Page())).posts] == [("old", 1)]
            await timeline.boost(ann, old)
            await timeline.post(ann, "@bob yes", None, Manner(reply_to=old))
            assert (await timeline.read(bob, old)).boosts == (await timeline.read(bob, old)).replies == 1
            kinds = [notice.kind for notice in (await timeline.notices(bob, Page())).notices]
            assert kinds == ["mention", "boost"], "of what was before nobody is told now"
