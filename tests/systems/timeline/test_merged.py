"""A merged first page that is kept shows what its reader did at once, nothing that it may not, and others late."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fathom.systems.timeline.api import Page

from .crowd import Crowd, until
from .test_conformance import Twins, twins
from .test_cost import counted
from .world import SMALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

KEPT = {"fame": 2, "kept_s": 60.0}


class Stage:
    """A reader who follows stars and others, all written down."""

    def __init__(self, world: World, timeline: Any, reader: int, stars: list[int], others: list[int]) -> None:
        self.world, self.timeline, self.reader, self.stars, self.others = world, timeline, reader, stars, others
        self.crowd = Crowd(timeline, [reader], [*stars, *others], seed=1)

    @classmethod
    async def set(cls, world: World, timeline: Any, stars: int = 2, others: int = 2) -> Stage:
        names = [f"star{n}" for n in range(stars)] + [f"other{n}" for n in range(others)]
        reader, fan, *them = await world.town(timeline, "reader", "fan", *names)
        it = cls(world, timeline, reader, them[:stars], them[stars:])
        for author in them:
            await it.crowd.as_(reader).follow(reader, author)
        for star in it.stars:
            await it.crowd.as_(fan).follow(fan, star)
        await timeline.settled()
        return it

    async def home(self, limit: int = 20) -> Any:
        return await self.crowd.as_(self.reader).home(self.reader, Page(limit=limit))

    async def kept(self) -> list[str]:
        """Have the reader look until a page is kept; return what is on it."""
        found = None
        for _ in range(3):  # the first one makes the feed, the second one the page
            found = await self.home()
            await self.timeline._outbox.settled()
            await self.world.stores.chores.settled()
        assert found is not None
        return bodies(found)

    async def arrived(self) -> None:
        """Wait until posts are delivered, without waiting for what is kept to be shown no more."""
        await self.timeline._outbox.settled()
        await self.world.stores.chores.settled()


def bodies(piece: Any) -> list[str]:
    return [post.body for post in piece.posts]


@pytest.mark.feature("TL-10")
async def test_a_page_is_shown_again_for_its_time_and_no_longer(world: World):
    async with world.open("hybrid", KEPT) as timeline:
        stage = await Stage.set(world, timeline)
        await timeline.post(stage.stars[0], "before")
        await timeline.settled()
        assert await stage.kept() == ["before"]
        await timeline.post(stage.stars[0], "by a star")
        await timeline.post(stage.others[0], "by another")
        await stage.arrived()
        assert bodies(await stage.home()) == ["before"], "late, as was said"
        generation = world.choices.fanout.generation
        key = world.stores.merged._key(generation, stage.reader)
        assert 0 < await world.stores.cache.client("PTTL", key) <= 60_000, "and no later than was said"
        await world.stores.cache.client("PEXPIRE", key, 1)  # its time is over
        await until(lambda: seen(stage, ["by another", "by a star", "before"]))


async def seen(stage: Stage, wanted: list[str]) -> bool:
    return bodies(await stage.home()) == wanted


@pytest.mark.feature("TL-10")
async def test_after_its_seconds_others_posts_are_there_without_anybody_doing_anything(world: World):
    async with world.open("hybrid", {"fame": 2, "kept_s": 0.3}) as timeline:
        stage = await Stage.set(world, timeline)
        await timeline.settled()
        await stage.kept()
        await timeline.post(stage.stars[0], "by a star")
        await stage.arrived()
        await until(lambda: seen(stage, ["by a star"]))


@pytest.mark.feature("TL-10")
@pytest.mark.parametrize("what", ["post", "delete own", "follow", "unfollow", "block", "be blocked", "mute", "unmute"])
async def test_what_the_reader_does_is_seen_at_once(world: World, what: str):
    async with world.open("hybrid", KEPT) as timeline:
        stage = await Stage.set(world, timeline)
        reader, star, other = stage.reader, stage.stars[0], stage.others[0]
        if what in ("follow", "unmute"):
            undo = stage.crowd.as_(reader)
            await (undo.unfollow(reader, star) if what == "follow" else undo.mute(reader, star))
        own = await stage.crowd.as_(reader).post(reader, "my own")
        for author, body in ((star, "by a star"), (other, "by another")):
            await stage.crowd.as_(author).post(author, body)
        await timeline.settled()
        before = await stage.kept()
        assert ("by a star" in before) == (what not in ("follow", "unmute"))
        here = stage.crowd.as_(reader)
        match what:
            case "post":
                await here.post(reader, "just now")
            case "delete own":
                await here.delete(reader, own.id)
            case "follow" | "unfollow" | "block" | "mute" | "unmute":
                await getattr(here, what)(reader, star)
            case _:
                await stage.crowd.as_(star).block(star, reader)
        after = bodies(await stage.home())
        expected = {
            "post": ["just now", *before],
            "delete own": ["by another", "by a star"],
            "follow": ["by another", "by a star", "my own"],
            "unmute": ["by another", "by a star", "my own"],
        }.get(what, ["by another", "my own"])
        assert after == expected
        stage.crowd.check()


@pytest.mark.feature("TL-10")
async def test_what_somebody_else_deleted_is_not_on_a_page_that_is_kept(world: World):
    async with world.open("hybrid", KEPT) as timeline:
        stage = await Stage.set(world, timeline)
        posts = [await stage.crowd.as_(a).post(a, f"by {a}") for a in (stage.stars[0], stage.others[0])]
        await timeline.settled()
        await stage.kept()
        for post in posts:
            await stage.crowd.as_(post.author).delete(post.author, post.id)
            assert post.id not in [it.id for it in (await stage.home()).posts]
        stage.crowd.check()


@pytest.mark.feature("TL-10")
async def test_a_page_that_was_put_together_before_a_block_is_not_shown_when_it_is_kept_after_it(world: World):
    async with world.open("hybrid", KEPT) as timeline:
        stage = await Stage.set(world, timeline)
        star = stage.stars[0]
        await stage.crowd.as_(star).post(star, "by a star")
        await timeline.settled()
        await stage.home()
        await stage.arrived()
        keep, late = world.stores.merged.keep, []

        async def hold(*page: Any) -> None:
            late.append(page)

        world.stores.merged.keep = hold
        assert bodies(await stage.home()) == ["by a star"]
        world.stores.merged.keep = keep
        await stage.crowd.as_(stage.reader).block(stage.reader, star)
        assert late
        for page in late:
            await keep(*page)  # the slow one writes now
        assert bodies(await stage.home()) == []
        stage.crowd.check()


async def test_without_numbers_of_changes_the_same_story_shows_the_blocked_and_the_law_sees_it(world: World):
    async with world.open("hybrid", KEPT) as timeline:
        world.stores.merged.changes.mark = lambda key: None  # the mistake
        stage = await Stage.set(world, timeline)
        star = stage.stars[0]
        await stage.crowd.as_(star).post(star, "by a star")
        await timeline.settled()
        await stage.kept()
        await stage.crowd.as_(stage.reader).block(stage.reader, star)
        await stage.home()
        assert "nothing_from_the_blocked" in {broken.law for broken in stage.crowd.broken()}


async def test_what_another_service_kept_is_not_shown(world: World):
    async with world.open("hybrid", KEPT) as timeline:
        stage = await Stage.set(world, timeline)
        await timeline.settled()
        await stage.kept()
    async with world.open("hybrid", {**KEPT, "kept_s": 0.0}) as timeline:
        await timeline.unfollow(stage.reader, stage.stars[0])
    async with world.open("hybrid", KEPT) as timeline:
        await timeline.post(stage.stars[0], "to nobody")
        await timeline.settled()
        assert bodies(await timeline.home(stage.reader, Page())) == []


@pytest.mark.parametrize("seed", [21, 22])
async def test_whoever_waits_until_all_has_taken_effect_is_answered_as_by_the_model(world: World, seed: int):
    knobs = {**SMALL["hybrid"], "kept_s": 60.0}
    async with world.open("hybrid", knobs, clock=world.clock, mint=world.clock.mint()) as timeline:
        them: Twins = await twins(world, timeline, seed)
        for _ in range(300):
            await them.step()
        await them.at_last()


@pytest.mark.feature("TL-10")
async def test_every_law_holds_while_pages_are_kept_and_everybody_acts(world: World):
    knobs = {**SMALL["hybrid"], "kept_s": 60.0}
    async with world.open("hybrid", knobs) as timeline:
        people = await world.town(timeline, *(f"user{n}" for n in range(8)))
        crowd = Crowd(timeline, people, people, seed=5)
        dice = random.Random(5)
        for one in people:
            for other in dice.sample(people, 4):
                if one != other:
                    await crowd.as_(one).follow(one, other)
        rates = {"home": 120, "post": 40, "delete": 10, "follow": 10, "unfollow": 10, "block": 4, "unblock": 4}
        await crowd.live(2.0, {**rates, "page": 20, "like": 20})
        await crowd.look_around(people)
        assert crowd.sources["feed"] > 100
        crowd.check()


@pytest.mark.feature("TL-10")
@pytest.mark.parametrize("stars", [0, 1, 5])
async def test_a_kept_page_spares_the_feed_and_a_command_for_each_star(world: World, stars: int):
    costs: dict[str, tuple[int, int]] = {}
    async with world.open("hybrid", {"fame": 2}) as timeline:
        stage = await Stage.set(world, timeline, stars, others=1)
        for n in range(30):
            await timeline.post(random.Random(n).choice([*stage.stars, *stage.others]), f"post {n}")
        await timeline.settled()
    for kept_s in (0.0, 60.0):
        async with world.open("hybrid", {"fame": 2, "kept_s": kept_s}) as timeline:
            for _ in range(2):
                await timeline.home(stage.reader, Page())
                await timeline.settled()
            for which in ("miss", "hit") if kept_s else ("off",):
                async with counted(world, "home") as spent:
                    assert len((await timeline.home(stage.reader, Page())).posts) == 20
                costs[which] = spent.ours["commands"], spent.ours.get("statements", 0)
    print(stars, costs)
    assert costs == {"off": (2 + stars, 0), "miss": (4 + stars, 0), "hit": (2, 0)}
