"""People on a timeline, all at once: they come at drawn times, whatever the answers are, and all they saw is kept."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fathom.history import Broken, History, Outcome, laws_of
from fathom.lab.body import Recorder
from fathom.systems.timeline import laws
from fathom.systems.timeline.api import Page, PostId, Timeline

__all__ = ["Crowd", "until"]


class Crowd:
    """Readers who only read, and actors who also write, follow, block, like and delete."""

    def __init__(
        self, timeline: Any, readers: Sequence[int], actors: Sequence[int], *, seed: int, given: Any = None
    ) -> None:
        self.recorder = Recorder(Timeline)
        self.timeline, self.readers, self.actors, self.given = timeline, list(readers), list(actors), given
        self.dice = random.Random(seed)
        self.posts: dict[int, list[int]] = {actor: [] for actor in actors}
        self.sources: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def as_(self, user: int, *, final: bool = False) -> Any:
        return self.recorder.beside(self.timeline, str(user), final=final)

    async def live(self, lasts_s: float, rates: Mapping[str, float]) -> None:
        """Let so many calls of each kind be made per second, at times that do not depend on the answers."""
        loop = asyncio.get_running_loop()
        times = sorted(
            (self.dice.random() * lasts_s, what) for what, rate in rates.items() for _ in range(int(rate * lasts_s))
        )
        began = loop.time()
        for at_s, what in times:
            if (pause_s := began + at_s - loop.time()) > 0:
                await asyncio.sleep(pause_s)  # the times are the experiment
            task = asyncio.create_task(self._one(what))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _one(self, what: str) -> None:
        dice = self.dice
        one, other = dice.sample(self.actors, 2)
        try:
            match what:
                case "home":
                    reader = dice.choice(self.readers)
                    found = await self.as_(reader).home(reader, Page())
                    self.sources[found.source] += 1
                case "page":
                    found = await self.as_(one).home(one, Page(limit=3))
                    if found.older is not None:
                        await self.as_(one).home(one, Page(limit=3, max_id=found.older))
                case "post":
                    post = await self.as_(one).post(one, f"{what} {dice.random()}")
                    self.posts[one].append(post.id)
                case "delete" if self.posts[one]:
                    await self.as_(one).delete(one, self.posts[one].pop(dice.randrange(len(self.posts[one]))))
                case "like" | "unlike":
                    if mine := self.posts[other][-5:]:
                        await getattr(self.as_(one), what)(one, dice.choice(mine))
                case "follow" | "unfollow" | "block" | "unblock":
                    await getattr(self.as_(one), what)(one, other)
                case _:
                    pass
        except Exception as failure:
            self.failed[f"{what}: {failure!r}"[:200]] += 1

    def count(self, *calls: str, outcome: Outcome) -> int:
        return sum(call.verb in calls and call.outcome is outcome for call in self.recorder.calls)

    async def look_around(self, everybody: Sequence[int]) -> None:
        """Wait until all has taken effect, and read everything once more."""
        async with asyncio.timeout(60):
            await self.timeline.settled()
        for user in everybody:
            page = Page(limit=40)
            for _ in range(100):
                found = await self.as_(user, final=True).home(user, page)
                if found.older is None:
                    break
                page = Page(limit=40, max_id=found.older)
            above = PostId(0)
            for _ in range(100):  # and once more from the oldest up
                found = await self.as_(user, final=True).home(user, Page(limit=40, min_id=above))
                if not found.posts:
                    break
                assert found.newer is not None
                above = found.newer
        for actor in self.actors:
            for post in self.posts[actor][-3:]:
                await self.as_(actor, final=True).likers(actor, post)

    def history(self) -> History:
        return self.recorder.history(self.given, self.recorder.calls)

    def broken(self) -> list[Broken]:
        history = self.history()
        return [broken for law in laws_of(laws).values() for broken in law(history)]

    def check(self) -> None:
        """Assert that every law was kept."""
        broken = self.broken()
        assert not broken, "\n".join(f"{it.law}: {it.says} {it.ops}" for it in broken[:10])


async def until(true: Callable[[], Awaitable[Any] | Any], within_s: float = 20.0) -> None:
    """Wait until something holds that gives no sign when it does."""
    async with asyncio.timeout(within_s):
        while True:
            found = true()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.01)
