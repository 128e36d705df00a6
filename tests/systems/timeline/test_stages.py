"""What a hybrid home costs is foretold from its parts: its counts to the last command, its time as it comes out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest

from fathom.blocks.stages import Demand, Foretold, foretold
from fathom.systems.timeline.api import Page, PostId
from fathom.systems.timeline.decisions.fanout.hybrid import _merged, stages
from fathom.systems.timeline.stores.feeds import NO_ONE, Feed, Marks
from fathom.systems.timeline.stores.posts import posts_of

from .test_cost import LOOK, counted
from .world import World

LIMIT, POSTS = 20, 40
TIMES = 30

# As guides have it: the feed, the posts of five stars, and the rest, in milliseconds.
GUIDE = {"lookup": Demand(0.010), "list": Demand(0.010), "merge": Demand(0.005), "copy": Demand(0.0)}


@pytest.mark.feature("TL-12")
def test_with_the_guides_own_numbers_it_foretells_a_lookup_the_stars_and_the_merge():
    """10 + 10 + 5 ms, and once more 10 for the posts themselves, which the guide forgets: its feed has only numbers."""
    home = foretold(stages(5, LIMIT), GUIDE)
    assert {name: round(1000 * takes_s) for name, takes_s in home.stages_s.items()} == {
        "feed": 10,
        "stars": 10,
        "merge": 5,
        "posts": 10,
        "copies": 0,
    }
    assert home.counts == {"commands": 7}
    ordinary = foretold(stages(0, LIMIT), GUIDE)
    assert round(1000 * ordinary.takes_s) == 20 and ordinary.counts == {"commands": 2}
    kept = foretold(stages(5, LIMIT, kept="hit"), GUIDE)
    assert round(1000 * kept.takes_s) == 20 and kept.counts == {"commands": 2}


async def median_s(times: int, work: Callable[[], Awaitable[object]]) -> float:
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def demands(world: World, keys: list[bytes], ids: list[PostId]) -> dict[str, Demand]:
    """Measure what the parts take, each by itself: once for going there, and more for each piece."""
    memory, posts = world.stores.memory, world.stores.posts

    async def heads(many: int) -> None:
        await memory.look([("ZREVRANGEBYSCORE", key, "inf", "-inf", "LIMIT", 0, LIMIT + 2) for key in keys[:many]])

    async def copies(many: int) -> None:
        posts_of((await posts.json(ids[:many])).json)

    async def merge(many: int) -> None:
        marks = Marks(0, NO_ONE, ())
        _merged([Feed(list(ids[:LIMIT]), marks) for _ in range(many)], Page(limit=LIMIT))

    async def each(work: Callable[[int], Awaitable[None]], many: int) -> tuple[float, float]:
        one, all = await median_s(TIMES, lambda: work(1)), await median_s(TIMES, lambda: work(many))
        more = max(0.0, (all - one) / (many - 1))
        return max(0.0, one - more), more

    once, list_s = await each(heads, len(keys))
    _, copy_s = await each(copies, LIMIT)
    _, feed_s = await each(merge, 8)
    return {
        "lookup": Demand(once, list_s),
        "list": Demand(once, list_s),
        "merge": Demand(0.0, feed_s / LIMIT),
        "copy": Demand(0.0, copy_s),
    }


def told(stars: int, kept: str, home: Foretold, took_s: float) -> str:
    parts = ", ".join(f"{name} {1e6 * takes_s:.0f}" for name, takes_s in home.stages_s.items())
    return f"{stars} stars, {kept}: foretold {1e6 * home.takes_s:.0f} us ({parts}), measured {1e6 * took_s:.0f} us"


@pytest.mark.slow
@pytest.mark.feature("TL-12")
@pytest.mark.asyncio(loop_scope="session")
async def test_what_a_hybrid_home_costs_is_foretold_to_the_last_command_and_statement(
    world: World,
):
    said: list[str] = []
    for stars, more in ((0, 0), (1, 0), (5, 0), (9, 0), (9, 40)):
        for kept_s in (0.0, 60.0):
            reader, authors, pushed = await town(world, stars, more, f"of_{stars}_{more}_{int(kept_s)}")
            async with world.open("hybrid", {"fame": 2, "kept_s": kept_s}) as timeline:
                await world.choices.fanout.warm([reader])
                await timeline.home(reader, Page(limit=LIMIT))
                await timeline.settled()
                fanout, feeds = world.choices.fanout, world.stores.feeds
                keys = [feeds.author_key(fanout.generation, star) for star in authors[:stars]]
                keys += [feeds.key(fanout.generation, reader)] * 8
                first = [post.id for post in (await timeline.home(reader, Page(limit=40))).posts]
                fanout.settled()
                parts = await demands(world, keys, first)
                which: tuple[Literal["off", "miss", "hit"], ...] = ("miss", "hit") if kept_s else ("off",)
                for kept in which:
                    home = foretold(stages(stars, LIMIT, pushed=pushed, kept=kept), parts)
                    async with counted(world, "home") as spent:
                        assert len((await timeline.home(reader, Page(limit=LIMIT))).posts) == LIMIT
                    ours = {name: n for name, n in spent.ours.items() if name in ("commands", "statements") and n}
                    assert ours == home.counts, f"{stars} stars, {pushed} posts in the feed, {kept}"
                    theirs = sum(n for name, n in spent.redis.items() if name not in LOOK)
                    assert theirs == home.counts["commands"], "and Redis counts the same"
                    if kept != "miss":  # which is no miss any more the second time
                        took_s = await median_s(
                            TIMES, lambda ask=timeline.home, who=reader: ask(who, Page(limit=LIMIT))
                        )
                        said.append(told(stars, kept, home, took_s))
    print("", *said, sep="\n")  # the time is told and not judged: it is this machine's


async def town(world: World, stars: int, more: int, named: str) -> tuple[Any, list[Any], int]:
    """Let a reader follow so many stars, and one who is none; return how many posts that one wrote of the last."""
    stores = world.stores
    names = [f"{who}_{named}" for who in ("reader", "fan", *(f"star{n}" for n in range(stars)), "other")]
    reader, fan, *authors = await stores.accounts.bulk(names)
    await stores.graph.bulk([(reader, author) for author in authors] + [(fan, star) for star in authors[:-1]])
    written = [(authors[n % len(authors)], f"post {n}") for n in range(POSTS)] + [(authors[-1], "more")] * more
    from_ms = 1_790_000_000_000 + reader % 1_000_000_007  # other numbers than those of another town
    await stores.posts.bulk(written, from_ms=from_ms, until_ms=from_ms + 400_000)
    return reader, authors, sum(author == authors[-1] for author, _ in written)
