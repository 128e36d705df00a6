"""What a hybrid home costs is foretold from its parts, to the last command."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from fathom.blocks.stages import Demand, Stage, foretold
from fathom.systems.timeline.api import Page
from fathom.systems.timeline.stores.feeds import MARKS_AT_ONCE

from .test_cost import LOOK, counted
from .world import World

LIMIT, POSTS = 20, 40

# As guides have it: the feed, the posts of five stars, and the rest, in milliseconds.
GUIDE = {"lookup": Demand(0.010), "list": Demand(0.010), "merge": Demand(0.005), "copy": Demand(0.0)}


def stages(
    stars: int,
    limit: int,
    *,
    pushed: int | None = None,
    marks: int | None = None,
    kept: Literal["off", "miss", "hit"] = "off",
) -> list[Stage]:
    """Return what a full first page is made of, all of it above the floors of the feed and of the stars' lists.

    `pushed`: posts in the feed itself, a page or more unless said. `marks`: what the feed says of itself, one for each
    star and one that it is whole, unless more is said. The kinds of the stages are "lookup" (commands), "list" (the
    head of a star's list), "merge" (an id) and "copy" (a post).
    """
    marks = 1 + stars if marks is None else marks
    pushed = limit if pushed is None else pushed
    # More marks than were expected, and so too few posts: both are asked for again, of one moment.
    again = marks > MARKS_AT_ONCE and marks + pushed >= limit + MARKS_AT_ONCE
    together = [
        Stage("feed", "lookup", 1, "commands"),
        Stage("feed again", "lookup", 4 if again else 0, "commands"),
        Stage("stars", "list", stars, "commands"),
        Stage("merge", "merge", (1 + stars) * limit if stars else 0),
        Stage("keep", "lookup", kept == "miss", "commands"),
    ]
    return [
        Stage("kept", "lookup", kept != "off", "commands"),
        *(together if kept != "hit" else []),
        Stage("posts", "lookup", 1, "commands"),
        Stage("copies", "copy", limit),
    ]


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


@pytest.mark.slow
@pytest.mark.feature("TL-12")
@pytest.mark.asyncio(loop_scope="session")
async def test_what_a_hybrid_home_costs_is_foretold_to_the_last_command_and_statement(
    world: World,
):
    for stars, more in ((0, 0), (1, 0), (5, 0), (9, 0), (9, 40)):
        for kept_s in (0.0, 60.0):
            reader, pushed = await town(world, stars, more, f"of_{stars}_{more}_{int(kept_s)}")
            async with world.open("hybrid", {"fame": 2, "kept_s": kept_s}) as timeline:
                await world.choices.fanout.warm([reader])
                await timeline.home(reader, Page(limit=LIMIT))
                await timeline.settled()
                world.choices.fanout.settled()
                which: tuple[Literal["off", "miss", "hit"], ...] = ("miss", "hit") if kept_s else ("off",)
                for kept in which:
                    home = foretold(stages(stars, LIMIT, pushed=pushed, kept=kept), GUIDE)
                    async with counted(world, "home") as spent:
                        assert len((await timeline.home(reader, Page(limit=LIMIT))).posts) == LIMIT
                    ours = {name: n for name, n in spent.ours.items() if name in ("commands", "statements") and n}
                    assert ours == home.counts, f"{stars} stars, {pushed} posts in the feed, {kept}"
                    theirs = sum(n for name, n in spent.redis.items() if name not in LOOK)
                    assert theirs == home.counts["commands"], "and Redis counts the same"


async def town(world: World, stars: int, more: int, named: str) -> tuple[Any, int]:
    """Let a reader follow so many stars, and one who is none; return how many posts that one wrote of the last."""
    stores = world.stores
    names = [f"{who}_{named}" for who in ("reader", "fan", *(f"star{n}" for n in range(stars)), "other")]
    reader, fan, *authors = await stores.accounts.bulk(names)
    await stores.graph.bulk([(reader, author) for author in authors] + [(fan, star) for star in authors[:-1]])
    written = [(authors[n % len(authors)], f"post {n}") for n in range(POSTS)] + [(authors[-1], "more")] * more
    from_ms = 1_790_000_000_000 + reader % 1_000_000_007  # other numbers than those of another town
    await stores.posts.bulk(written, from_ms=from_ms, until_ms=from_ms + 400_000)
    return reader, sum(author == authors[-1] for author, _ in written)
