"""However likes are counted, none is lost or counted twice: at once, while ways take over, and when engines go."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from fathom.design import Choice
from fathom.engines.engine import EngineError
from fathom.errors import FathomError, Refusal
from fathom.systems.timeline import laws
from fathom.systems.timeline.api import Manner, Page
from fathom.systems.timeline.decisions.counters import asynchronous
from fathom.systems.timeline.decisions.counters.sharded import SHARDS_MAX
from fathom.systems.timeline.service import now_ms
from fathom.web.served import Served

from .crowd import Crowd, until
from .test_cost import counted
from .test_outages import without
from .world import COUNTERS, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

EXACT = ("row-lock", "sharded", "on-read")
RIGHT = COUNTERS[:-1]


class Hot:
    """One post, its author, a fan whose home it is in, and many who like it: all they see is written down."""

    def __init__(self, world: World, timeline: Any, author: int, fan: int, people: list[int], post: Any) -> None:
        self.world, self.timeline, self.author, self.fan, self.people = world, timeline, author, fan, people
        self.post = post
        self.crowd = Crowd(timeline, people, people, seed=1)
        self.crowd.posts[author] = [post.id]
        self.liking: set[int] = set()

    @classmethod
    async def made(cls, world: World, timeline: Any, people: int = 40) -> Hot:
        author, fan, *others = await world.stores.accounts.bulk(["author", "fan", *(f"user{n}" for n in range(people))])
        crowd = Crowd(timeline, others, others, seed=1)
        await crowd.as_(fan).follow(fan, author)
        await timeline.home(fan, Page())
        post = await crowd.as_(author).post(author, "everybody likes this")
        await timeline.settled()
        it = cls(world, timeline, author, fan, list(others), post)
        it.crowd.recorder = crowd.recorder
        return it

    async def all_like(self, people: list[int] | None = None) -> None:
        await asyncio.gather(*(self.turn(user, on=True) for user in people or self.people))

    async def turn(self, user: int, *, on: bool) -> None:
        as_user = self.crowd.as_(user)
        await (as_user.like if on else as_user.unlike)(user, self.post.id)
        (self.liking.add if on else self.liking.discard)(user)

    async def live(self, lasts_s: float, dice: random.Random) -> None:
        """Have everybody like it and take it back, each at their own pace, and look at it in between."""
        until_s = asyncio.get_running_loop().time() + lasts_s

        async def one(user: int) -> None:
            while asyncio.get_running_loop().time() < until_s:
                try:
                    await self.turn(user, on=dice.random() < 0.6)
                    if dice.random() < 0.3:
                        await self.crowd.as_(self.fan).home(self.fan, Page())
                except (Refusal, TimeoutError, EngineError):
                    await asyncio.sleep(0.01)  # who is turned away comes again a little later

        await asyncio.gather(*map(one, self.people))

    def shown(self, page: Any) -> int:
        """Return the post's number of likes on a page."""
        return next(post.likes for post in page.posts if post.id == self.post.id)

    async def look(self, *, final: bool = True) -> dict[str, int]:
        """Return how many like it when all has settled, as all those say who know."""
        async with asyncio.timeout(30):
            await self.timeline.settled()
        author, post = self.author, self.post.id
        by_author, by_fan = (self.crowd.as_(user, final=final) for user in (author, self.fan))
        return {
            "read": (await by_author.read(author, post)).likes,
            "posts": self.shown(await by_author.posts(author, author, Page())),
            "home": self.shown(await by_fan.home(self.fan, Page())),
            "likers": len(await by_author.likers(author, post)),
        }


def the_same(shown: dict[str, int]) -> int:
    assert len(set(shown.values())) == 1, shown
    return shown["likers"]


@pytest.mark.parametrize("counters", COUNTERS)
async def test_an_author_hears_of_a_like_once_however_likes_are_counted(world: World, counters: str):
    async with world.open("on-write", counters=counters) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        post = await timeline.post(ann, "like me")
        for ask in (timeline.like, timeline.like, timeline.unlike, timeline.like):
            await ask(bob, post.id)
        await timeline.like(ann, post.id)  # nobody is told of what they do themselves
        told = (await timeline.notices(ann, Page())).notices
        assert [(it.kind, it.who, it.post) for it in told] == [("like", bob, post.id)]
        await timeline.unlike(bob, post.id)
        assert (await timeline.notices(ann, Page())).notices == []


@pytest.mark.feature("SOCIAL-03")
@pytest.mark.parametrize("counters", RIGHT)
async def test_forty_who_like_a_post_at_once_are_forty(world: World, counters: str):
    async with world.open(counters=counters) as timeline:
        hot = await Hot.made(world, timeline)
        await hot.all_like()
        await hot.all_like(hot.people[:10])  # an impatient finger
        assert the_same(await hot.look(final=False)) == 40
        await asyncio.gather(*(hot.turn(user, on=False) for user in hot.people[:15] * 2))
        assert the_same(await hot.look()) == 25
        hot.crowd.check()


async def test_who_reads_the_number_and_writes_it_back_loses_likes_and_the_law_sees_it(world: World):
    async with world.open(counters="read-then-write") as timeline:
        hot = await Hot.made(world, timeline)
        await hot.all_like()
        await hot.look()
        breaks = world.system.decision("counters").approach("read-then-write").breaks  # pyright: ignore[reportAttributeAccessIssue]
        assert breaks is laws.likes_equal_the_likers
        assert list(breaks(hot.crowd.history()))


@pytest.mark.parametrize("counters", EXACT)
async def test_a_like_that_was_acknowledged_is_in_every_number_at_once(world: World, counters: str):
    async with world.open(counters=counters) as timeline:
        hot = await Hot.made(world, timeline, people=12)
        await hot.live(1.0, random.Random(2))
        await hot.look()
        hot.crowd.given = {"counted_within_s": world.choices.counters.late_s}
        history = hot.crowd.history()
        assert world.choices.counters.late_s == 0
        assert len(history.of("home")) > 3, "it was worth looking"
        hot.crowd.check()


@pytest.mark.quiet
async def test_numbers_that_are_added_up_are_as_late_as_was_promised_and_no_later(world: World):
    async with world.open(counters="asynchronous", turned={"within_s": 0.4}) as timeline:
        hot = await Hot.made(world, timeline, people=12)
        await hot.live(1.2, random.Random(3))
        await hot.look()
        hot.crowd.given = {"counted_within_s": world.choices.counters.late_s}
        hot.crowd.check()


async def test_who_is_promised_numbers_at_once_sees_that_those_that_are_added_up_are_late(world: World):
    async with world.open(counters="asynchronous", turned={"within_s": 60.0}) as timeline:
        hot = await Hot.made(world, timeline, people=1)
        await hot.all_like()
        assert (await hot.crowd.as_(hot.fan).home(hot.fan, Page())).posts[0].likes == 0
        hot.crowd.given = {"counted_within_s": world.choices.counters.late_s}
        hot.crowd.check()
        hot.crowd.given = {"counted_within_s": 0.0}
        assert {broken.law for broken in hot.crowd.broken()} == {"likes_are_counted_in_time"}


@pytest.mark.feature("SOCIAL-12")
async def test_many_likes_are_added_up_together_and_redis_hears_of_them_once(world: World):
    async with world.open(counters="asynchronous", turned={"within_s": 60.0}) as timeline:
        hot = await Hot.made(world, timeline)
        async with counted(world, "like") as spent:
            await hot.all_like()
            likes = await world.stores.truth.client.fetchval("SELECT count(*) FROM like_changes")
            await timeline.settled()
        assert likes == 40, "none was added up, and Redis not told, until it was time"
        assert spent.ours["statements"] == 40 + 1 + 2  # we looked; one adds up, one reads the post for its copy
        assert spent.ours["commands"] == 3  # a script that looks at the copy and replaces it
        assert the_same(await hot.look()) == 40


async def test_a_like_that_is_asked_for_again_because_its_answer_was_lost_is_counted_in_time(world: World):
    async with world.open(counters="asynchronous", turned={"within_s": 0.4}) as timeline:
        hot = await Hot.made(world, timeline, people=1)
        await timeline.settled()
        (liker,) = hot.people
        await world.stores.likes.change(liker, hot.post.id, now_ms(), "later", take_back=False)  # and nobody knows
        await timeline.like(liker, hot.post.id)

        async def shown() -> bool:
            return (await timeline.read(hot.author, hot.post.id)).likes == 1

        await until(shown)


async def test_what_was_liked_behind_a_lost_answer_is_counted_when_all_has_settled(world: World):
    async with world.open(counters="asynchronous", turned={"within_s": 60.0}) as timeline:
        hot = await Hot.made(world, timeline, people=1)
        await timeline.settled()
        await world.stores.likes.change(hot.people[0], hot.post.id, now_ms(), "later", take_back=False)
        assert the_same(await hot.look(final=False)) == 1


async def test_adding_up_goes_on_after_what_nobody_expected(world: World):
    async with world.open(counters="asynchronous", turned={"within_s": 0.1}) as timeline:
        hot = await Hot.made(world, timeline, people=1)
        await timeline.settled()
        add_up, failed = world.stores.likes.add_up, asyncio.Event()

        async def broken(*asked: Any) -> Any:
            world.stores.likes.add_up = add_up
            failed.set()
            raise ValueError("for the test")

        world.stores.likes.add_up = broken
        await hot.all_like()
        await failed.wait()

        async def shown() -> bool:
            return (await timeline.read(hot.author, hot.post.id)).likes == 1

        await until(shown)


@pytest.mark.parametrize("counters", ["asynchronous", "sharded"])
async def test_adding_up_and_deleting_answers_never_wait_for_each_other(world: World, counters: str):
    """Many answers to one post are liked, added up and deleted at once: the answer is locked, and what it answers."""
    async with world.open(counters=counters, turned={"within_s": 60.0}) as timeline:
        hot = await Hot.made(world, timeline, people=2)
        likes, posts = world.stores.likes, world.stores.posts
        for _ in range(6):
            answers = [
                await timeline.post(hot.author, "an answer", None, Manner(reply_to=hot.post.id)) for _ in range(20)
            ]
            for answer in answers:
                await timeline.like(hot.people[0], answer.id)
            await hot.turn(hot.people[1], on=True)

            async def added() -> None:
                for _ in range(4):
                    await (likes.add_up(now_ms(), 1_000) if counters == "asynchronous" else likes.fold())

            await asyncio.gather(
                added(), *(posts.delete(hot.author, answer.id, now_ms()) for answer in reversed(answers))
            )
            await hot.turn(hot.people[1], on=False)
        await timeline.settled()
        after = await timeline.read(hot.author, hot.post.id)
        assert (after.likes, after.replies) == (0, 0), "each saw what the others had just changed"


async def test_a_switch_that_comes_while_numbers_are_moved_is_settled_as_well(world: World):
    async with world.open(counters="sharded") as timeline:
        hot = await Hot.made(world, timeline, people=3)
        await hot.all_like()
        fold = world.stores.likes.fold

        async def switched_meanwhile() -> bool:
            world.stores.likes.fold = fold
            await world.switch("on-read", decision="counters")
            await world.switch("row-lock", decision="counters")
            return await fold()

        world.stores.likes.fold = switched_meanwhile
        await world.switch("row-lock", decision="counters")
        await timeline._counting.settled()
        assert world.stores.likes.reading == "kept"


@pytest.mark.parametrize("shards", [-1, 0, SHARDS_MAX + 1])
async def test_rows_that_there_are_no_numbers_for_are_refused(world: World, shards: int):
    with pytest.raises(FathomError, match="cannot be spread"):
        async with world.open(counters="sharded", turned={"shards": shards}):
            pass


async def test_there_are_as_many_shards_as_there_are_numbers_for(world: World):
    async with world.open(counters="sharded", turned={"shards": SHARDS_MAX}) as timeline:
        hot = await Hot.made(world, timeline, people=20)
        await hot.all_like()
        assert the_same(await hot.look()) == 20


async def test_more_likes_than_can_be_counted_are_refused(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asynchronous, "LEFT_MAX", 3)
    async with world.open(counters="asynchronous", turned={"within_s": 60.0}) as timeline:
        hot = await Hot.made(world, timeline)
        await hot.all_like(hot.people[:3])
        with pytest.raises(Refusal, match="can be counted"):
            await timeline.like(hot.people[3], hot.post.id)
        await timeline.settled()
        await hot.turn(hot.people[3], on=True)
        assert the_same(await hot.look()) == 4


@pytest.mark.parametrize(
    ("counters", "statements", "commands"), [("row-lock", 2, 3), ("sharded", 2, 3), ("on-read", 1, 0)]
)
async def test_what_a_like_costs_is_known(world: World, counters: str, statements: int, commands: int):
    async with world.open(counters=counters) as timeline:
        hot = await Hot.made(world, timeline, people=6)
        await hot.turn(hot.people[5], on=True)
        async with counted(world, "like") as spent:
            for user in hot.people[:5]:
                await timeline.like(user, hot.post.id)
            await timeline.settled()
        assert (spent.ours["statements"], spent.ours.get("commands", 0)) == (5 * statements, 5 * commands)


async def test_counting_on_read_costs_every_home_a_statement(world: World):
    async with world.open(counters="on-read") as timeline:
        hot = await Hot.made(world, timeline, people=3)
        await timeline.home(hot.fan, Page())
        await timeline.settled()
        async with counted(world, "home") as spent:
            await timeline.home(hot.fan, Page())
        assert (spent.ours["statements"], spent.ours["commands"]) == (1, 2)


# One takes over from another


@pytest.mark.parametrize("seed", [1, 2])
async def test_while_ways_to_count_take_over_from_each_other_no_like_is_lost(world: World, seed: int):
    dice = random.Random(seed)
    async with world.open() as timeline:
        hot = await Hot.made(world, timeline, people=16)
        going_on = asyncio.create_task(hot.live(2.4, dice))
        for counters in dice.sample([*RIGHT, *RIGHT], 8):
            await asyncio.sleep(0.2)  # load in between
            await world.switch(counters, decision="counters")
        await going_on
        assert the_same(await hot.look()) == len(hot.liking)
        hot.crowd.check()
        for counters in ("on-read", "row-lock"):
            await world.switch(counters, decision="counters")
            assert the_same(await hot.look(final=False)) == len(hot.liking)
        assert world.stores.likes.reading == "kept"
        left = [
            await world.stores.truth.client.fetchval(f"SELECT count(*) FROM {table}")
            for table in ("like_shards", "like_changes")
        ]
        assert left == [0, 0]


@pytest.mark.feature("SOCIAL-12")
async def test_a_number_that_drifted_is_noticed_and_counted_anew(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fathom.systems.timeline.stores.likes.RECOUNT_POSTS", 2)
    async with world.open() as timeline:
        hot = await Hot.made(world, timeline, people=3)
        for n in range(3):
            await timeline.post(hot.author, f"and another {n}")
        await hot.all_like()
        await timeline.settled()
        await world.stores.truth.client.execute("UPDATE posts SET likes = 7, version = version + 1")
        for _ in range(2):  # two posts at a time
            await timeline._counting.tidy()
        assert the_same(await hot.look()) == 3
        assert [post.likes for post in (await timeline.home(hot.fan, Page())).posts] == [0, 0, 0, 3]


async def test_who_gave_up_may_still_be_counted_the_old_way_so_nothing_is_moved_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fathom.systems.timeline.service.counting.STRAY_S", 0.3)
    async with world.open(counters="on-read") as timeline:
        hot = await Hot.made(world, timeline, people=2)
        change, go_on = world.stores.likes.change, asyncio.Event()

        async def lost(*asked: Any, **more: Any) -> Any:
            asyncio.get_running_loop().call_later(
                0.1, lambda: late.append(asyncio.ensure_future(change(*asked, **more)))
            )
            await go_on.wait()

        late: list[Any] = []
        world.stores.likes.change = lost
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await hot.turn(hot.people[0], on=True)
        world.stores.likes.change = change
        await world.switch("row-lock", decision="counters")
        assert the_same(await hot.look()) == 1, "it was committed after another way had taken over"
        hot.crowd.check()


@pytest.mark.feature("SOCIAL-12")
@pytest.mark.parametrize("counters", ["row-lock", "sharded"])
async def test_what_waits_to_be_added_up_is_shown_where_another_way_to_count_takes_over(world: World, counters: str):
    async with world.open(counters="asynchronous", turned={"within_s": 60.0}) as timeline:
        hot = await Hot.made(world, timeline, people=2)
        await hot.all_like()
        go_on, add_up = asyncio.Event(), world.stores.likes.add_up

        async def held(*asked: Any) -> Any:
            await go_on.wait()
            return await add_up(*asked)

        world.stores.likes.add_up = held  # type: ignore[method-assign]
        await world.switch(counters, decision="counters")
        assert await timeline.unlike(hot.people[0], hot.post.id) == 1, "no number has heard of the two"
        assert (await timeline.read(hot.author, hot.post.id)).likes == 1
        assert hot.shown(await timeline.home(hot.fan, Page())) == 1
        go_on.set()
        hot.liking.remove(hot.people[0])
        assert the_same(await hot.look()) == 1
        assert world.stores.likes.reading == ("kept" if counters == "row-lock" else "summed")


async def test_what_was_counted_on_read_is_counted_anew_in_pieces_and_shown_right_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("fathom.systems.timeline.stores.likes.RECOUNT_POSTS", 2)
    async with world.open(counters="on-read") as timeline:
        hot = await Hot.made(world, timeline, people=5)
        for n in range(6):
            await timeline.post(hot.author, f"and another {n}")
        await hot.all_like()
        go_on, kept = asyncio.Event(), world.stores.likes.kept
        world.stores.likes.kept = lambda: held()  # type: ignore[method-assign]

        async def held() -> bool:
            await go_on.wait()
            return await kept()

        await world.switch("row-lock", decision="counters")
        moving = asyncio.create_task(timeline.settled())
        assert (await timeline.read(hot.author, hot.post.id)).likes == 5
        assert await timeline.unlike(hot.people[0], hot.post.id) == 4  # the row has never heard of the five
        assert await timeline.unlike(hot.people[1], hot.post.id) == 3
        assert hot.shown(await timeline.home(hot.fan, Page())) == 3
        go_on.set()
        await moving
        assert world.stores.likes.reading == "kept"
        hot.liking -= set(hot.people[:2])
        assert (await timeline.read(hot.author, hot.post.id)).likes == 3
        assert hot.shown(await timeline.home(hot.fan, Page())) == 3


@pytest.mark.parametrize("after", RIGHT)
@pytest.mark.parametrize("before", RIGHT)
async def test_a_service_that_is_opened_with_another_way_to_count_finds_all_likes(
    world: World, before: str, after: str
):
    async with world.open(counters=before, turned={"within_s": 60.0} if before == "asynchronous" else {}) as timeline:
        hot = await Hot.made(world, timeline, people=9)
        await hot.all_like()
        await hot.turn(hot.people[0], on=False)
    async with world.open(counters=after) as timeline:
        hot.timeline = hot.crowd.timeline = timeline
        assert the_same(await hot.look(final=False)) == 8
        await hot.turn(hot.people[1], on=False)
        assert the_same(await hot.look()) == 7
        hot.crowd.check()


# Engines come and go, and the service


@pytest.mark.parametrize("counters", RIGHT)
async def test_a_service_that_is_killed_under_likes_loses_none(world: World, counters: str):
    choices = {"counters": Choice(counters)}
    async with (
        Served.start(world.engines.keeper, world.system, engines=world.urls(), choices=choices) as process,
        process.client() as timeline,
    ):
        hot = await Hot.made(world, timeline, people=12)
        going_on = asyncio.create_task(hot.live(1.4, random.Random(7)))
        for _ in range(2):
            await asyncio.sleep(0.3)  # load in between
            await process.kill()
            await process.restart()
        await going_on
        await process.settled()
        the_same(await hot.look())
        hot.crowd.check()


@pytest.mark.quiet
@pytest.mark.parametrize("counters", RIGHT)
async def test_no_like_is_lost_or_late_while_redis_is_gone_and_wiped(world: World, counters: str):
    async with world.open(counters=counters) as timeline:
        hot = await Hot.made(world, timeline, people=8)
        going_on = asyncio.create_task(hot.live(1.2, random.Random(5)))
        await asyncio.sleep(0.3)  # load before and after
        async with without(world.engines.cache, wiped=True):
            await asyncio.sleep(0.3)
        await going_on
        await until(lambda: world.stores.memory.open)
        assert the_same(await hot.look()) == len(hot.liking)
        hot.crowd.given = {"counted_within_s": world.choices.counters.late_s}
        hot.crowd.check()


@pytest.mark.parametrize("counters", RIGHT)
async def test_the_numbers_agree_with_the_likers_after_the_truth_was_gone(world: World, counters: str):
    async with world.open(counters=counters) as timeline:
        hot = await Hot.made(world, timeline, people=8)
        going_on = asyncio.create_task(hot.live(1.4, random.Random(6)))
        await asyncio.sleep(0.4)  # load before and after
        async with without(world.engines.truth):
            await asyncio.sleep(0.3)
        await going_on
        the_same(await hot.look())
        hot.crowd.check()


async def test_a_switch_to_what_cannot_be_is_refused_and_changes_nothing(world: World):
    async with world.open() as timeline:
        hot = await Hot.made(world, timeline, people=3)
        async with without(world.engines.truth):
            with pytest.raises(Exception, match=r"PostgreSQL"):
                await world.choices.switch("counters", Choice("on-read"))
        await hot.all_like()
        assert the_same(await hot.look()) == 3
