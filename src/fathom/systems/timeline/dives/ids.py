"""What does a client lose that asks again and again for all posts above the last number it saw?

Eight write at a time, on a real database, and somebody walks up. A post is numbered, then something holds it up (a
lock, a full disk, a pause of the process), then it is committed: mostly within a millisecond, now and then in twenty.
The clocks of the eight are slow by up to `skew_ms`, and half-way each steps back by that much. All is drawn from the
seed and happens one after the other, so what is lost is counted and not sampled.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from statistics import fmean
from typing import Any

from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep

from ..api import Post, UserId
from ..decisions.ids import Numbering
from ..stores.posts import Draft

WRITERS = 8
LASTS_MS = 400
STARTS = 0.3  # the share of idle writers that begin to write in a millisecond
HELD_MS = (0, 0, 0, 0, 1, 1, 2, 20)  # how long a write is held up between its number and its commit: one is drawn
BEGAN_MS = 1_800_000_000_000
LIMIT = 40

Number = Callable[[int], Awaitable[int]]


class Ids(Dive[Any]):
    """Three ways to number posts, under clocks that agree, that nearly do, and that do not."""

    decision = Numbering
    skew_ms: int = sweep(0, 20, 5_000)
    counts = "posts", "lost", "waits_ms_mean", "waits_ms_most"

    async def prepare(self, stores: Any, approach: Numbering, skew_ms: Any) -> None:
        self.people = await stores.accounts.bulk([f"writer_{n}" for n in range(WRITERS)])

    async def trial(self, approach: Numbering, turn) -> Any:
        await approach.begin()
        evening = Evening(approach, self.people, turn.dice, turn.skew_ms)
        await evening.passes()
        lost = evening.lost()
        waits = evening.waits_ms()
        numbers = {"posts": len(evening.written), "lost": lost}
        return {**numbers, "waits_ms_mean": fmean(waits), "waits_ms_most": max(waits)}, History(evening.ops)

    def predict(self, found):
        for skew_ms in (0, 20, 5_000):
            clock, sequence = found("snowflake", skew_ms=skew_ms), found("sequence", skew_ms=skew_ms)
            yield f"a sequence loses over one post in twenty at {skew_ms} ms", sequence.lost > sequence.posts / 20
            yield f"held back by the oldest write, a clock's numbers lose none at {skew_ms} ms", clock.lost.equals(0)
        yield (
            "by time and dice nothing is lost while the clock goes forward",
            found("time-random", skew_ms=0).lost.equals(0),
        )
        yield "and much when it steps back by five seconds", found("time-random", skew_ms=5_000).lost > 20
        clock, sequence = found("snowflake", skew_ms=0), found("sequence", skew_ms=0)
        yield "to lose none costs whoever walks up some milliseconds", clock.waits_ms_mean > sequence.waits_ms_mean
        yield "and never more than the longest write", clock.waits_ms_most <= max(HELD_MS) + 1


class Write:
    """A post that has its number, and is committed when it is let go on."""

    def __init__(self, writer: int, at_ms: int, until_ms: int) -> None:
        self.writer, self.at_ms, self.until_ms = writer, at_ms, until_ms
        self.numbered, self.go_on = asyncio.Event(), asyncio.Event()
        self.task: asyncio.Task[Post]


class Evening:
    """Eight writers and one who walks up, a millisecond at a time."""

    def __init__(self, approach: Numbering, people: list[UserId], dice: random.Random, skew_ms: int) -> None:
        self.approach, self.people, self.dice, self.skew_ms = approach, people, dice, skew_ms
        self.now_ms = 0
        self.skews = [dice.randint(0, skew_ms) for _ in people]
        self.written: dict[int, int] = {}  # post → when it was committed
        self.shown: dict[int, int] = {}  # post → when it was shown
        self.stands = 0
        self.ops: list[Op] = []
        self._under_way: dict[int, Write] = {}
        self._write_at_once = approach.posts.write
        approach.posts.write = self._held_up  # type: ignore[method-assign]

    async def passes(self) -> None:
        for self.now_ms in range(LASTS_MS):
            for write in [w for w in self._under_way.values() if w.until_ms <= self.now_ms]:
                await self._commit(write)
            for writer in range(len(self.people)):
                if writer not in self._under_way and self.dice.random() < STARTS:
                    await self._begin(writer)
            await self._walk_up()
        for write in list(self._under_way.values()):
            await self._commit(write)
        self.now_ms += 1
        await self._walk_up()

    def lost(self) -> int:
        """Return how many posts lie below where somebody stands who was not shown them."""
        return sum(post < self.stands and post not in self.shown for post in self.written)

    def waits_ms(self) -> list[int]:
        """Return how long each post that was shown had been committed by then."""
        return [at_ms - self.written[post] for post, at_ms in self.shown.items()]

    def _clock(self, writer: int) -> int:
        back_ms = self.skew_ms if self.now_ms > LASTS_MS // 2 else 0
        return BEGAN_MS + self.now_ms - self.skews[writer] - back_ms

    async def _begin(self, writer: int) -> None:
        write = Write(writer, self.now_ms, self.now_ms + self.dice.choice(HELD_MS))
        self._under_way[writer] = write
        write.task = asyncio.create_task(self._write(writer, f"post of {self.now_ms} ms"))
        await write.numbered.wait()
        if write.until_ms <= self.now_ms:
            await self._commit(write)

    async def _write(self, writer: int, body: str) -> Post:
        return (await self.approach.write(self.people[writer], Draft(body), self._clock(writer))).post

    async def _held_up(self, author: UserId, draft: Draft, now_ms: int, number: Number, key: str | None) -> Any:
        """Write a post, and wait between its number and its commit."""
        write = self._under_way[self.people.index(author)]

        async def and_waits(above: int) -> int:
            taken = await number(above)
            write.numbered.set()
            await write.go_on.wait()
            return taken

        return await self._write_at_once(author, draft, now_ms, and_waits, key)

    async def _commit(self, write: Write) -> None:
        write.go_on.set()
        post = await write.task
        self.written[post.id] = self.now_ms
        del self._under_way[write.writer]
        answer = {"id": post.id, "author": post.author, "at_ms": post.at_ms}
        self._tell(f"writer {write.writer}", "post", [post.author, post.body], answer, write.at_ms)

    async def _walk_up(self) -> None:
        while True:
            reader = self.people[0]
            found = await self.approach.above(reader, self.stands, LIMIT, BEGAN_MS + self.now_ms)
            answer = [{"id": post.id, "author": post.author, "at_ms": post.at_ms} for post in found]
            self._tell("reader", "newer", [reader, self.stands, LIMIT], answer, self.now_ms)
            for post in found:
                self.shown[post.id] = self.now_ms
                self.stands = post.id
            if len(found) < LIMIT:
                return

    def _tell(self, caller: str, call: str, asked: list[Any], answer: Any, began_ms: int) -> None:
        index = len(self.ops)
        start_s, end_s = began_ms / 1_000, self.now_ms / 1_000 + 0.0005
        self.ops.append(
            Op(index=index, caller=caller, call=call, asked=asked, answer=answer, start_s=start_s, end_s=end_s)
        )
