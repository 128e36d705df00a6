"""Bugs that timelines really had: each is put into the service, told its story, and seen to break a law."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from ..crowd import Crowd
from ..world import World

__all__ = ["Seed", "Town", "people"]

Seed = Callable[[Any, Any], object]


class Town:
    """A timeline with few people on it, and everything they see written down."""

    def __init__(self, world: World, timeline: Any, users: list[int]) -> None:
        self.world, self.timeline, self.users = world, timeline, users
        self.crowd = Crowd(timeline, users, users, seed=0)

    @property
    def stores(self) -> Any:
        return self.world.stores

    @property
    def fanout(self) -> Any:
        return self.world.choices.fanout

    def as_(self, user: int, *, final: bool = False) -> Any:
        return self.crowd.as_(user, final=final)

    async def reads(self, *users: int) -> None:
        """Have people read, so that they have a feed."""
        from fathom.systems.timeline.api import Page

        for user in users:
            await self.as_(user).home(user, Page(limit=40))
        await self.timeline.settled()


@asynccontextmanager
async def people(
    world: World,
    *names: str,
    approach: str = "on-write",
    seed: Seed,
    counters: str = "row-lock",
    stampede: str = "lease",
    **knobs: Any,
) -> AsyncIterator[Town]:
    """Open a timeline with a bug in it, and people."""
    async with world.open(approach, knobs, seed=seed, counters=counters, stampede=stampede) as timeline:
        yield Town(world, timeline, await world.town(timeline, *names))


Story = Callable[[World, Seed], Awaitable[Crowd]]
