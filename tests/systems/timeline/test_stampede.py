"""When what everybody reads goes out of date it is made anew by few, and nobody is given what is too old."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from fathom.design import Choice
from fathom.errors import FathomError, Refusal
from fathom.systems.timeline import laws
from fathom.systems.timeline.decisions import stampede as way
from fathom.systems.timeline.service import now_ms

from .crowd import Crowd
from .test_cost import counted
from .test_outages import without
from .world import STAMPEDE, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

RIGHT = STAMPEDE[1:]
READERS = 40


class Square:
    """Somebody wrote, many look at what trends, and all they see is written down."""

    def __init__(self, world: World, timeline: Any, users: list[int], posts: list[Any]) -> None:
        self.world, self.timeline, self.users, self.posts = world, timeline, users, posts
        self.crowd = Crowd(timeline, users, users, seed=1)

    @classmethod
    async def made(cls, world: World, timeline: Any, posts: int = 5) -> Square:
        users = list(await world.stores.accounts.bulk([f"user{n}" for n in range(READERS)]))
        it = cls(world, timeline, users, [])
        for n in range(posts):
            it.posts.append(await it.crowd.as_(users[n]).post(users[n], f"post {n}"))
            for user in users[:n]:
                await it.crowd.as_(user).like(user, it.posts[n].id)
        await timeline.settled()
        return it

    async def look(self, user: int) -> Any:
        return await self.crowd.as_(user).trending(user)

    async def all_look(self) -> list[Any]:
        return await asyncio.gather(*map(self.look, self.users))

    async def keep_looking(self, lasts_s: float) -> list[Any]:
        """Have everybody look again and again; return what they saw."""
        until_s = asyncio.get_running_loop().time() + lasts_s

        async def one(user: int) -> list[Any]:
            seen = []
            while asyncio.get_running_loop().time() < until_s:
                seen.append(await self.look(user))
                await asyncio.sleep(0.01)  # a reader, not a loop
            return seen

        return [answer for seen in await asyncio.gather(*map(one, self.users)) for answer in seen]


class Held:
    """A making that waits until it is let go on."""

    def __init__(self, trends: Any) -> None:
        self.begun, self.go_on, self.times = asyncio.Event(), asyncio.Event(), 0
        self._make, self._trends = trends.make, trends

    async def __call__(self, hours: int, clock: Any) -> Any:
        self.times += 1
        self.begun.set()
        made_ms = clock()
        await self.go_on.wait()
        return await self._make(hours, lambda: made_ms)


@asynccontextmanager
async def held(trends: Any) -> AsyncIterator[Held]:
    it = Held(trends)
    make, trends.make = trends.make, it
    try:
        yield it
    finally:
        it.go_on.set()
        trends.make = make


@pytest.mark.parametrize("stampede", RIGHT)
async def test_what_trends_is_what_most_people_like(world: World, stampede: str):
    async with world.open(stampede=stampede) as timeline:
        square = await Square.made(world, timeline)
        found = await square.look(square.users[0])
        assert [(post.body, post.likes) for post in found.posts] == [(f"post {n}", n) for n in (4, 3, 2, 1, 0)]
        assert found.anew and found.fresh_s == 60.0
        again = await square.look(square.users[1])
        assert not again.anew and again.made_ms == found.made_ms


@pytest.mark.parametrize("stampede", RIGHT)
async def test_of_forty_who_find_nothing_kept_few_make_it(world: World, stampede: str):
    async with world.open(stampede=stampede) as timeline:
        square = await Square.made(world, timeline)
        async with counted(world, "trending") as spent:
            answers = await square.all_look()
        makers = sum(answer.anew for answer in answers)
        assert 1 <= makers <= laws.MAKERS_MAX
        assert spent.ours["statements"] == READERS + makers
        if stampede in ("lease", "single-flight"):
            assert makers == 1
        square.crowd.check()


async def test_without_protection_a_crowd_makes_it_at_once_and_the_law_sees_it(world: World):
    async with world.open(stampede="none") as timeline:
        square = await Square.made(world, timeline)
        answers = await square.all_look()
        assert sum(answer.anew for answer in answers) > READERS // 4
        breaks = world.system.decision("stampede").approach("none").breaks  # pyright: ignore[reportAttributeAccessIssue]
        assert breaks is laws.what_trends_is_made_by_few_at_once
        assert list(breaks(square.crowd.history()))


@pytest.mark.quiet
@pytest.mark.parametrize("stampede", RIGHT)
async def test_nobody_is_given_what_is_older_than_was_promised(world: World, stampede: str):
    async with world.open(stampede=stampede, turned={"fresh_s": 0.2}) as timeline:
        square = await Square.made(world, timeline)
        answers = await square.keep_looking(1.2)
        made = {answer.made_ms for answer in answers}
        assert len(made) >= 4, "it went out of date again and again"
        assert len(made) <= 40 < len(answers) / 4, "and was made by few of very many"
        square.crowd.check()


@pytest.mark.quiet
async def test_who_looks_early_makes_it_before_anybody_has_to_wait(world: World):
    """Making takes a tenth of its life here: then nearly always somebody has begun in time."""
    async with world.open(stampede="early-refresh", turned={"fresh_s": 0.5, "beta": 2.0}) as timeline:
        square = await Square.made(world, timeline)
        trends, make = world.stores.trends, world.stores.trends.make

        async def slow(hours: int, clock: Any) -> Any:
            made_ms = clock()
            await asyncio.sleep(0.05)  # a query that is dear: its time is the experiment
            made = await make(hours, clock)
            return type(made)(made_ms, made.took_ms + 50, made.ids)

        trends.make = slow
        await square.look(square.users[0])
        answers = await square.keep_looking(1.5)
        made_ms = sorted({answer.made_ms for answer in answers})
        lives_s = [(after - before) / 1000 for before, after in itertools.pairwise(made_ms)]
        assert lives_s and max(lives_s) < 0.5, "it was made anew before it had expired"
        square.crowd.check()


async def test_while_one_makes_it_under_a_lease_the_others_are_shown_the_old_one(world: World):
    async with world.open(stampede="lease", turned={"fresh_s": 60.0, "renew_at": 0.0}) as timeline:
        square = await Square.made(world, timeline)
        first = await square.look(square.users[0])
        async with held(world.stores.trends) as making:
            maker = asyncio.create_task(square.look(square.users[1]))
            await making.begun.wait()
            for answer in await square.all_look():
                assert (answer.made_ms, answer.anew) == (first.made_ms, False)
            making.go_on.set()
            assert (await maker).anew
        assert making.times == 1
        square.crowd.check()


async def test_a_lease_lapses_and_who_held_it_may_not_write_any_more(world: World):
    async with world.open(stampede="lease", turned={"lease_s": 0.2}) as timeline:
        square = await Square.made(world, timeline)
        world.stores.trends.holding = lambda *_: nullcontext()  # as in a process that stands still
        async with held(world.stores.trends) as making:
            stuck = asyncio.create_task(square.look(square.users[0]))
            await making.begun.wait()
            world.stores.trends.make = making._make
            other = await square.look(square.users[1])  # waits for the lease to lapse
            assert other.anew
            making.go_on.set()
            late = await stuck
            assert late.anew and late.made_ms < other.made_ms
        assert (await square.look(square.users[2])).made_ms == other.made_ms


async def test_nobody_renews_a_lease_any_more_when_the_making_has_ended(world: World):
    async with world.open(stampede="lease"):
        trends = world.stores.trends
        lease = await trends.lease(1, 60.0)
        assert lease is not None
        async with trends.holding(1, lease, 60.0):
            (holder,) = [task for task in asyncio.all_tasks() if task.get_name() == "lease"]
            await asyncio.sleep(0)
        assert holder.done()


async def test_a_lease_of_no_time_is_refused(world: World):
    with pytest.raises(FathomError, match="nothing can be lent"):
        async with world.open(stampede="lease", turned={"lease_s": 0.0}):
            pass


async def test_a_lease_lasts_as_long_as_the_making(world: World):
    async with world.open(stampede="lease", turned={"lease_s": 0.2}) as timeline:
        square = await Square.made(world, timeline)
        async with held(world.stores.trends) as making:
            maker = asyncio.create_task(square.look(square.users[0]))
            await making.begun.wait()
            others = [asyncio.create_task(square.look(user)) for user in square.users[1:5]]
            await asyncio.sleep(0.5)  # longer than the lease would have lasted
            making.go_on.set()
            made, *answers = await asyncio.gather(maker, *others)
        assert making.times == 1
        assert made.anew and {(it.made_ms, it.anew) for it in answers} == {(made.made_ms, False)}


async def test_a_lease_does_not_lapse_while_its_holder_waits_for_a_turn(world: World):
    async with world.open(stampede="lease", turned={"lease_s": 0.2}) as timeline:
        square = await Square.made(world, timeline)
        turns = world.stores.trends.turns
        for _ in range(laws.MAKERS_MAX):
            await turns.acquire()
        waiting = asyncio.create_task(square.look(square.users[0]))
        await asyncio.sleep(0.5)  # longer than a lease lasts
        for _ in range(laws.MAKERS_MAX):
            turns.release()
        made = await waiting
        assert made.anew
        other = await square.look(square.users[1])
        assert (other.made_ms, other.anew) == (made.made_ms, False), "what was made was kept"


async def test_who_gets_the_lease_just_after_another_made_it_does_not_make_it_again(world: World):
    async with world.open(stampede="lease") as timeline:
        square = await Square.made(world, timeline)
        trends, lease = world.stores.trends, world.stores.trends.lease

        async def made_just_before(hours: int, lease_s: float) -> str | None:
            trends.lease = lease
            await world.choices.stampede.make(hours, now_ms)
            return await lease(hours, lease_s)

        trends.lease = made_just_before
        assert not (await square.look(square.users[0])).anew
        assert await lease(24, 1.0) is not None, "and gave it back"


async def test_a_maker_who_fails_gives_the_lease_back(world: World):
    async with world.open(stampede="lease", turned={"lease_s": 60.0}) as timeline:
        square = await Square.made(world, timeline)
        trends, make = world.stores.trends, world.stores.trends.make

        async def broken(hours: int, clock: Any) -> Any:
            trends.make = make
            raise Refusal("unavailable", "for the test")

        trends.make = broken
        with pytest.raises(Refusal):
            await timeline.trending(square.users[0])
        assert (await timeline.trending(square.users[1])).anew


@pytest.mark.parametrize(("stampede", "makers"), [("lease", 1), ("single-flight", 2)])
async def test_a_lease_is_one_for_all_processes_and_a_flight_is_each_ones_own(world: World, stampede: str, makers: int):
    """Two sets of stores on the same engines, as two processes would have."""
    question = world.system.decision("stampede")
    async with world.open(stampede=stampede) as timeline:
        await Square.made(world, timeline)
        stores = world.stores
        other = replace(stores)
        other.memory.reopen()  # only the service tells when Redis may be believed, and it is up
        both = [world.choices.stampede, question.build(Choice(stampede), other)]
        async with held(stores.trends) as one, held(other.trends) as two:
            asked = [asyncio.create_task(each.trend(24, now_ms)) for each in both * 5]
            await one.begun.wait()
            if makers == 2:
                await two.begun.wait()
            one.go_on.set()
            two.go_on.set()
            answers = await asyncio.gather(*asked)
        assert one.times + two.times == makers
        assert sum(anew for _, anew in answers) == makers


@pytest.mark.quiet
@pytest.mark.parametrize("stampede", RIGHT)
async def test_without_redis_it_comes_from_the_truth_and_few_ask_for_it_at_once(world: World, stampede: str):
    async with world.open(stampede=stampede, turned={"fresh_s": 0.2}) as timeline:
        square = await Square.made(world, timeline)
        async with without(world.engines.cache, wiped=True):
            answers = await square.keep_looking(0.6)
            assert len({answer.made_ms for answer in answers}) >= 2
        answers += await square.keep_looking(0.3)
        square.crowd.check()


async def test_who_would_wait_too_long_for_it_is_asked_to_come_again(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(way, "WAIT_S", 0.1)
    async with world.open(stampede="jitter") as timeline:
        square = await Square.made(world, timeline)
        async with held(world.stores.trends) as making:
            first = [asyncio.create_task(square.look(user)) for user in square.users[: laws.MAKERS_MAX]]
            await making.begun.wait()
            with pytest.raises(Refusal, match="takes long"):
                await timeline.trending(square.users[5])
            monkeypatch.setattr(way, "WAITING_MAX", 0)
            with pytest.raises(Refusal, match="too many"):
                await timeline.trending(square.users[5])
            making.go_on.set()
            await asyncio.gather(*first)


async def test_a_reader_who_gives_up_does_not_end_the_flight_of_the_others(world: World):
    async with world.open(stampede="single-flight") as timeline:
        square = await Square.made(world, timeline)
        async with held(world.stores.trends) as making:
            first = asyncio.create_task(timeline.trending(square.users[0]))
            await making.begun.wait()
            others = [asyncio.create_task(square.look(user)) for user in square.users[1:5]]
            await asyncio.sleep(0)  # they are on board
            first.cancel()
            making.go_on.set()
            answers = await asyncio.gather(*others)
        assert making.times == 1
        assert {len(answer.posts) for answer in answers} == {5}


@pytest.mark.quiet
@pytest.mark.parametrize("stampede", RIGHT)
async def test_who_waited_for_what_took_too_long_to_make_is_not_given_that(world: World, stampede: str):
    async with world.open(stampede=stampede, turned={"fresh_s": 0.2}) as timeline:
        square = await Square.made(world, timeline)
        trends, kept, looked = world.stores.trends, world.stores.trends.kept, asyncio.Event()

        async def and_tells(hours: int) -> Any:
            found = await kept(hours)
            looked.set()
            return found

        async with held(trends) as making:
            first = asyncio.create_task(square.look(square.users[0]))
            await making.begun.wait()
            await asyncio.sleep(0.3)  # longer than it stays fresh
            trends.kept = and_tells
            second = asyncio.create_task(square.look(square.users[1]))
            await looked.wait()  # there is nothing: now it waits for the first, if it is going to
            making.go_on.set()
            old, new = await asyncio.gather(first, second)
        assert old.anew and new.made_ms > old.made_ms
        square.crowd.check()


async def test_what_is_deleted_or_blocked_trends_for_nobody_it_should_not(world: World):
    async with world.open() as timeline:
        square = await Square.made(world, timeline)
        users, reader = square.users, square.crowd.as_(square.users[9])
        await square.look(users[9])
        await square.crowd.as_(users[4]).delete(users[4], square.posts[4].id)
        await reader.block(users[9], users[3])
        await square.crowd.as_(users[2]).block(users[2], users[9])
        found = await square.look(users[9])
        assert not found.anew, "it was kept from before"
        assert [post.body for post in found.posts] == ["post 1", "post 0"]
        assert [post.body for post in (await square.look(users[8])).posts] == [f"post {n}" for n in (3, 2, 1, 0)]
        square.crowd.check()


@pytest.mark.quiet
async def test_ways_to_make_it_take_over_from_each_other_under_readers(world: World):
    async with world.open(turned={"fresh_s": 0.2}) as timeline:
        square = await Square.made(world, timeline)
        going_on = asyncio.create_task(square.keep_looking(2.4))
        for stampede in (*RIGHT, *RIGHT[::-1]):
            await asyncio.sleep(0.28)  # readers in between
            await world.switch(stampede, {"fresh_s": 0.2}, decision="stampede")
        assert len(await going_on) > 500
        square.crowd.check()
