"""Who numbers the posts, so that who asks for all above the last number they saw misses none?"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fathom.design import Decision
from fathom.engines.engine import EngineUnknown

from ...api import Post, PostId, UserId
from ...stores.boosts import Boosted, Boosts
from ...stores.latest import Latest
from ...stores.numbers import Numbers
from ...stores.outbox import STRAY_S
from ...stores.posts import Draft, Posts, Wrote
from ...stores.rows import TOP

__all__ = ["Numbering"]


class Numbering(Decision):
    """Where a post's number comes from, and up to which number somebody who walks up is shown posts.

    A number is taken before its post is committed, and writes end in another order than they began. So a post may come
    in below one that somebody was shown already, and who goes on from there never sees it.
    """

    default = "snowflake"

    numbers: Numbers
    posts: Posts
    boosts: Boosts
    latest: Latest

    @abstractmethod
    async def mint(self, now_ms: int, above: int) -> int:
        """Return a number for a post that is written now, above one that its author has."""

    def horizon(self, now_ms: int) -> int:
        """Return the number from which on nobody is shown posts yet: another may come in below them."""
        return TOP

    async def begin(self) -> None:
        """Learn which numbers there are."""
        await self.numbers.begin()

    async def adopt(self, previous: Any) -> None:
        """Take over: number what is written from now on, above all that was numbered."""
        await self.begin()

    async def write(
        self,
        author: UserId,
        draft: Draft,
        now_ms: int,
        key: str | None = None,
        *,
        mint: Callable[[], int] | None = None,
    ) -> Wrote:
        """Write a post under a number (`mint`'s, where it is given), known as under way until its commit is over."""
        with self._numbering(now_ms, mint) as number:
            return await self.posts.write(author, draft, now_ms, number, key)

    async def boost(self, user: UserId, post: PostId, now_ms: int, *, mint: Callable[[], int] | None = None) -> Boosted:
        """Boost a post, likewise: a boost is a post of its own, and its author's numbers rise."""
        with self._numbering(now_ms, mint) as number:
            return await self.boosts.boost(user, post, now_ms, number)

    @contextmanager
    def _numbering(self, now_ms: int, mint: Callable[[], int] | None) -> Iterator[Callable[[int], Awaitable[int]]]:
        """Give numbers for one write, the last of which is under way until the block ends."""
        tried: list[int] = []

        async def number(above: int) -> int:
            self._over(tried)  # the one before was not to be had
            tried.append(await self.mint(now_ms, above) if mint is None else mint())
            self.numbers.taken(tried[-1])
            return tried[-1]

        try:
            yield number
        except (EngineUnknown, asyncio.CancelledError):
            asyncio.get_running_loop().call_later(STRAY_S, self._over, tried)
            raise
        except BaseException:
            self._over(tried)
            raise
        self._over(tried)

    def _over(self, numbers: list[int]) -> None:
        while numbers:
            self.numbers.over(numbers.pop())

    async def above(self, viewer: UserId, than: int, limit: int, now_ms: int) -> list[Post]:
        """Return everybody's oldest posts above a number, oldest first, below the horizon."""
        # The horizon first: what is taken after it is seen by nobody who asks now, or lies above.
        horizon = self.horizon(now_ms)
        return await self.latest.above(viewer, than, horizon, limit)
