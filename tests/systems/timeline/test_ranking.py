"""A home in another order has the same posts, each once however far one goes down, and nothing that it may not have."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fathom.blocks.spots import Spot
from fathom.design import Choice
from fathom.errors import FathomError, Refusal
from fathom.systems.timeline.api import Manner, Page, Post, Slice
from fathom.systems.timeline.model import TimelineModel
from fathom.systems.timeline.stores.orders import ORDERS_MAX, REACTIONS_MAX, Orders

from .crowd import Crowd, until
from .test_cost import counted, star
from .world import APPROACHES, RANKINGS, SMALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

RANKED = RANKINGS[1:]
SMALL_WINDOW: dict[str, Any] = {"window": 12, "order_s": 600.0}
HOUR_MS = 3_600_000


async def down(body: Any, reader: int, limit: int = 5, most: int = 200) -> list[Slice]:
    """Go down a home to its end."""
    pages = [await body.home(reader, Page(limit=limit))]
    while (older := pages[-1].older) is not None:
        pages.append(await body.home(reader, Page(limit=limit, max_id=older)))
        assert len(pages) < most, "a walk down never ends"
    return pages


def ids(pages: list[Slice]) -> list[int]:
    return [post.id for page in pages for post in page.posts]


def bodies(piece: Slice) -> list[str]:
    return [post.body for post in piece.posts]


async def liked(timeline: Any, post: Post, by: list[int]) -> None:
    for user in by:
        await timeline.like(user, post.id)


async def followed(world: World, timeline: Any, *authors: str) -> tuple[int, list[int]]:
    """Return a reader with a feed who follows these authors."""
    _, reader, them = await watched(world, timeline, *authors)
    return reader, them


async def watched(world: World, timeline: Any, *authors: str) -> tuple[Crowd, int, list[int]]:
    """The same, with all that they did written down."""
    reader, *them = await world.town(timeline, "reader", *authors)
    crowd = Crowd(timeline, [reader], them, seed=1)
    for author in them:
        await crowd.as_(reader).follow(reader, author)
    await timeline.home(reader, Page())
    await timeline.settled()
    return crowd, reader, them


# What an order is


@pytest.mark.feature("SOCIAL-24")
async def test_by_time_the_newest_is_first_and_no_page_says_that_it_is_ranked(world: World):
    async with world.open() as timeline:
        reader, (ann,) = await followed(world, timeline, "ann")
        posts = [await timeline.post(ann, f"post {n}") for n in range(6)]
        await liked(timeline, posts[0], [reader])
        await timeline.settled()
        pages = await down(timeline, reader, 4)
        assert ids(pages) == [post.id for post in reversed(posts)]
        assert not any(page.ranked for page in pages)


@pytest.mark.feature("SOCIAL-24")
async def test_by_engagement_what_most_did_something_with_is_first_and_hours_count_against_it(world: World):
    async with world.open(ranking="engagement", clock=world.clock) as timeline:
        reader, (ann, bob, cid) = await followed(world, timeline, "ann", "bob", "cid")
        old = await timeline.post(ann, "old, and liked by two")
        await liked(timeline, old, [bob, cid])
        world.clock.now_ms += 24 * HOUR_MS  # four half-lives
        dull = await timeline.post(ann, "new, and nobody cares")
        answered = await timeline.post(bob, "new, and answered")
        await timeline.post(cid, "an answer", None, Manner(reply_to=answered.id))
        world.clock.now_ms += 1
        newest = await timeline.post(cid, "newest")
        await timeline.settled()
        found = await timeline.home(reader, Page())
        assert found.ranked
        assert bodies(found) == ["new, and answered", "newest", "an answer", "new, and nobody cares", old.body]
        await liked(timeline, dull, [ann, bob, cid])
        await liked(timeline, newest, [ann, bob, cid, reader])
        await timeline.settled()
        assert bodies(await timeline.home(reader, Page()))[0] == "newest", "of four likes, and of one answer"


@pytest.mark.feature("SOCIAL-24")
async def test_whom_a_reader_likes_and_answers_lately_is_first_for_this_reader_alone(world: World):
    how = {"ranking": "personal", "turned": {"half_life_h": 10_000.0}, "clock": world.clock}
    async with world.open(**how) as timeline:
        reader, (ann, bob) = await followed(world, timeline, "ann", "bob")
        other = (await timeline.join("other", "a password")).id
        for author in (ann, bob):
            await timeline.follow(other, author)
        before = [await timeline.post(bob, f"earlier {n}") for n in range(3)]
        for post in before:
            await timeline.like(reader, post.id)
        await timeline.post(reader, "I agree", None, Manner(reply_to=before[0].id))
        world.clock.now_ms += 1
        by_bob = await timeline.post(bob, "by bob")
        by_ann = await timeline.post(ann, "by ann, a moment later")
        await timeline.settled()
        for who, first in ((reader, by_bob), (other, by_ann)):
            order = ids([await timeline.home(who, Page(limit=40))])
            two = [id for id in order if id in (by_bob.id, by_ann.id)]
            assert two[0] == first.id, who
        world.clock.now_ms += 40 * 24 * HOUR_MS  # what was liked forty days ago says nothing any more
        order = ids([await timeline.home(reader, Page(limit=40))])
        assert order.index(by_ann.id) < order.index(by_bob.id)


@pytest.mark.feature("SOCIAL-24")
async def test_in_bands_the_best_lead_and_each_band_lies_as_it_was_written(world: World):
    how = {"ranking": "hybrid", "turned": {"bands": 2, "half_life_h": 10_000.0}}
    async with world.open(**how) as timeline:
        reader, (ann, bob, cid) = await followed(world, timeline, "ann", "bob", "cid")
        posts = [await timeline.post(ann, f"post {n}") for n in range(6)]
        await liked(timeline, posts[0], [bob, cid, ann])
        await liked(timeline, posts[2], [bob])
        await liked(timeline, posts[3], [bob, cid])
        await timeline.settled()
        found = await timeline.home(reader, Page())
        assert bodies(found) == [f"post {n}" for n in (3, 2, 0, 5, 4, 1)]


# The same posts


@pytest.mark.feature("SOCIAL-24")
@pytest.mark.parametrize("ranking", RANKED)
@pytest.mark.parametrize("approach", APPROACHES)
async def test_a_ranked_home_has_the_posts_of_the_model_in_another_order_and_each_once(
    world: World, approach: str, ranking: str
):
    """The newest twelve are permuted, and below them the home goes on as it was written."""
    how = {"ranking": ranking, "turned": SMALL_WINDOW, "clock": world.clock, "mint": world.clock.mint()}
    async with world.open(approach, SMALL[approach], **how) as timeline:
        model = TimelineModel(world.clock, world.clock.mint())
        dice = random.Random(f"{approach} {ranking}")
        users: list[int] = []

        async def both(verb: str, *args: Any) -> Any:
            world.clock.now_ms += 60_000
            answers: list[Any] = []
            for body in (model, timeline):
                try:
                    answers.append(await getattr(body, verb)(*args))
                except Refusal as refusal:
                    answers.append(refusal.code)
            assert (answers[0] == answers[1]) or verb == "home"
            return answers[1]

        for n in range(6):
            users.append((await both("join", f"user{n}", "a password")).id)
        posts: list[int] = []
        moved = 0
        for turn in range(128):
            one, other = dice.sample(users, 2)
            known = dice.choice(posts[-20:]) if posts else 7
            verb = dice.choices(
                ["post", "follow", "like", "boost", "delete", "block", "unblock", "mute", "unfollow"],
                [40, 22, 30, 8, 4, 2, 3, 2, 4],
            )[0]
            if verb == "post":
                posts.append((await both("post", one, f"post {turn}")).id)
            elif verb in ("like", "boost", "delete"):
                found = await both(verb, one, known)
                posts += [found.id] if isinstance(found, Post) and found.id not in posts else []
            else:
                await both(verb, one, other)
            if turn % 8 == 7:
                await timeline.settled()
                reader = dice.choice(users)
                theirs = ids(await down(model, reader, dice.randint(1, 6)))
                ours = ids(await down(timeline, reader, dice.randint(1, 6)))
                assert sorted(ours[:12]) == sorted(theirs[:12])
                assert ours[12:] == theirs[12:]
                moved += ours != theirs
        assert moved > 3, "an order that is never another shows nothing"


@pytest.mark.feature("SOCIAL-24")
@pytest.mark.parametrize("ranking", RANKED)
async def test_whoever_goes_down_meets_each_post_once_although_likes_change_all_scores_meanwhile(
    world: World, ranking: str
):
    async with world.open(ranking=ranking, turned=SMALL_WINDOW) as timeline:
        crowd, reader, authors = await watched(world, timeline, "ann", "bob", "cid")
        posts = [await crowd.as_(who).post(who, f"post {n}") for n, who in enumerate(7 * authors)]
        await timeline.settled()
        page = Page(limit=3)
        seen: list[int] = []
        for turn in range(100):
            found = await crowd.as_(reader).home(reader, page)
            seen += [post.id for post in found.posts]
            if found.older is None:
                break
            page = Page(limit=3, max_id=found.older)
            for post in random.Random(turn).sample(posts, 6):  # whoever is below may be above now
                who = random.Random(turn).choice(authors)
                await crowd.as_(who).like(who, post.id)
            await crowd.as_(authors[0]).post(authors[0], f"written meanwhile {turn}")
        await timeline.settled()
        assert len(seen) == len(set(seen)) == 21
        crowd.check()


@pytest.mark.feature("SOCIAL-24")
@pytest.mark.parametrize("ranking", RANKED)
async def test_nothing_of_the_blocked_the_muted_the_unfollowed_or_the_deleted_is_on_the_pages_below(
    world: World, ranking: str
):
    async with world.open(ranking=ranking, turned={"window": 60}) as timeline:
        names = ("ann", "bob", "cid", "dan", "eve")
        crowd, reader, them = await watched(world, timeline, *names)
        ann, bob, cid, dan, eve = them
        posts = [await crowd.as_(who).post(who, f"post {n}") for n in range(8) for who in them]
        await timeline.settled()
        first = await crowd.as_(reader).home(reader, Page(limit=2))
        shown = {post.id for post in first.posts}
        await crowd.as_(reader).block(reader, ann)
        await crowd.as_(bob).block(bob, reader)
        await crowd.as_(reader).mute(reader, cid)
        await crowd.as_(reader).unfollow(reader, dan)
        gone = next(post for post in posts if post.author == eve and post.id not in shown)
        await crowd.as_(eve).delete(eve, gone.id)
        page = Page(limit=2, max_id=first.older)
        rest: list[Post] = []
        while page.max_id is not None:
            found = await crowd.as_(reader).home(reader, page)
            rest += found.posts
            page = Page(limit=2, max_id=found.older)
        assert {post.author for post in rest} == {eve}
        assert {post.id for post in rest} == {post.id for post in posts if post.author == eve} - shown - {gone.id}
        crowd.check()


# What is kept of it


async def test_an_order_is_kept_so_long_and_whoever_comes_later_is_told_to_begin_again(world: World):
    how = {"ranking": "engagement", "turned": {"order_s": 60.0}, "clock": world.clock}
    async with world.open(**how) as timeline:
        reader, (ann,) = await followed(world, timeline, "ann")
        for n in range(9):
            await timeline.post(ann, f"post {n}")
        await timeline.settled()
        first = await timeline.home(reader, Page(limit=3))
        world.clock.now_ms += 59_999
        assert len((await timeline.home(reader, Page(limit=3, max_id=first.older))).posts) == 3
        world.clock.now_ms += 1
        with pytest.raises(Refusal, match="begin again at the top") as refused:
            await timeline.home(reader, Page(limit=3, max_id=first.older))
        assert refused.value.code == "not-found"
        left_ms = await world.stores.cache.client("PTTL", Orders._key(reader))
        assert 0 < left_ms <= 60_000, "Redis forgets it as well"


async def test_of_one_reader_few_orders_are_kept_and_nobody_goes_on_in_another_readers(world: World):
    async with world.open(ranking="engagement") as timeline:
        reader, (ann,) = await followed(world, timeline, "ann")
        for n in range(9):
            await timeline.post(ann, f"post {n}")
        await timeline.settled()
        walks = [await timeline.home(reader, Page(limit=3)) for _ in range(ORDERS_MAX + 2)]
        assert await world.stores.cache.client("LLEN", Orders._key(reader)) == ORDERS_MAX
        for walk in walks[-ORDERS_MAX:]:
            assert len((await timeline.home(reader, Page(limit=3, max_id=walk.older))).posts) == 3
        for who, walk in ((reader, walks[0]), (ann, walks[-1])):
            with pytest.raises(Refusal, match="begin again"):
                await timeline.home(who, Page(limit=3, max_id=walk.older))


async def test_what_is_newer_is_asked_for_by_time_and_is_all_that_came_after_the_order(world: World):
    async with world.open(ranking="engagement") as timeline:
        reader, (ann,) = await followed(world, timeline, "ann")
        posts = [await timeline.post(ann, f"post {n}") for n in range(5)]
        await liked(timeline, posts[1], [ann])
        await timeline.settled()
        first = await timeline.home(reader, Page(limit=3))
        assert first.newer == posts[-1].id and first.posts[0].id == posts[1].id
        came = await timeline.post(ann, "came later")
        await timeline.settled()
        above = await timeline.home(reader, Page(limit=3, min_id=first.newer))
        assert [post.id for post in above.posts] == [came.id] and not above.ranked


async def test_without_redis_a_home_is_as_it_was_written_and_an_order_waits_for_it(world: World):
    async with world.open(ranking="engagement") as timeline:
        reader, (ann,) = await followed(world, timeline, "ann")
        posts = [await timeline.post(ann, f"post {n}") for n in range(8)]
        await liked(timeline, posts[0], [ann])
        await timeline.settled()
        first = await timeline.home(reader, Page(limit=3))
        await world.engines.cache.pause()
        try:
            for _ in range(2):  # who notices, and who is told
                found = await timeline.home(reader, Page(limit=3))
                assert not found.ranked and ids([found]) == [post.id for post in posts[:-4:-1]]
                with pytest.raises(Refusal) as refused:
                    await timeline.home(reader, Page(limit=3, max_id=first.older))
                assert refused.value.code == "unavailable"
        finally:
            await world.engines.cache.resume()
        await until(lambda: world.stores.memory.readable)
        assert len((await timeline.home(reader, Page(limit=3, max_id=first.older))).posts) == 3


async def test_another_order_takes_over_and_who_is_going_down_goes_on_in_theirs(world: World):
    async with world.open(ranking="engagement") as timeline:
        reader, (ann,) = await followed(world, timeline, "ann")
        posts = [await timeline.post(ann, f"post {n}") for n in range(9)]
        await liked(timeline, posts[4], [ann])
        await timeline.settled()
        for ranking in ("personal", "hybrid", "chronological", "engagement"):
            before = await timeline.home(reader, Page(limit=4))
            seen = ids([before])
            await world.switch(ranking, decision="ranking")
            while before.older is not None:
                before = await timeline.home(reader, Page(limit=4, max_id=before.older))
                seen += ids([before])
            assert sorted(seen) == sorted(post.id for post in posts), ranking
        assert Spot.read((await timeline.home(reader, Page(limit=4))).older or 0) is not None


async def test_what_cannot_be_an_order_is_refused_when_it_is_chosen(world: World):
    for approach, knobs in (("engagement", {"window": 5_000}), ("hybrid", {"bands": 0}), ("personal", {"order_s": 0})):
        async with world.open():
            with pytest.raises(FathomError, match="cannot be ranked"):
                await world.choices.switch("ranking", Choice(approach, knobs))


# What it costs


@pytest.mark.feature("SOCIAL-24")
@pytest.mark.parametrize(
    ("ranking", "first", "below"),
    [
        ("chronological", (2, 0), (5, 0)),  # below: marks and ids of one moment, and the copies
        ("engagement", (2 + 5, 0), (2, 1)),
        ("personal", (2 + 5, 1), (2, 1)),
        ("hybrid", (2 + 5, 1), (2, 1)),
    ],
)
async def test_what_an_order_costs_beside_a_home_as_it_was_written_is_known_to_the_last_command(
    world: World, ranking: str, first: tuple[int, int], below: tuple[int, int]
):
    """First page: the same two looks, and three commands in a transaction to keep it; below: the order and the copies,
    and the truth says what is still to be shown."""
    async with world.open("on-write", ranking=ranking) as timeline:
        author, followers = await star(world, 10, 10)
        for n in range(60):
            await timeline.post(author, f"post {n}")
        await timeline.settled()
        for _ in range(2):
            await timeline.home(followers[0], Page())
            await timeline.settled()
        older: set[int] = set()
        async with counted(world, "home") as spent:
            for _ in range(3):
                page = await timeline.home(followers[0], Page())
                assert len(page.posts) == 20 and page.older is not None
                older.add(page.older)
        assert (spent.ours["commands"], spent.ours.get("statements", 0)) == (3 * first[0], 3 * first[1])
        async with counted(world, "home") as spent:
            for id in older:
                assert len((await timeline.home(followers[0], Page(max_id=id))).posts) == 20
        assert (spent.ours["commands"], spent.ours.get("statements", 0)) == (
            len(older) * below[0],
            len(older) * below[1],
        )


@pytest.mark.feature("SOCIAL-24")
async def test_whom_a_reader_reads_is_learnt_from_their_newest_however_much_they_ever_did(world: World):
    stores = world.stores
    reader, author = await stores.accounts.bulk(["reader", "author"])
    written = [(author, "by the author"), (reader, "by the reader")] * 3_000
    posts = await stores.posts.bulk(written, from_ms=1_790_000_000_000, until_ms=1_790_086_400_000)
    await stores.likes.bulk([(post, reader) for post in posts[::2]])
    truth = stores.truth
    first, before = await truth.counters(), await truth.counters()
    asking = before["tup_returned"] - first["tup_returned"]
    assert await stores.orders.nearness(reader, 0) == {author: REACTIONS_MAX}
    after = await truth.counters()
    assert after["tup_returned"] - before["tup_returned"] - asking < 10 * REACTIONS_MAX
