"""Where is a home timeline put together: when a post is written, or when it is read?"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from fathom.design import Decision

from ...api import PAGE_POSTS_MAX, Page, PostId, Source, UserId
from ...stores.chores import Chores
from ...stores.feeds import Feeds
from ...stores.generations import Generations
from ...stores.graph import Graph
from ...stores.posts import Posts
from ...stores.progress import Progress

__all__ = ["Fanout", "Scan"]

NO_ONE: frozenset[UserId] = frozenset()
WARM_READERS = 250  # read and written together


class Scan(msgspec.Struct, frozen=True, gc=False):
    """The ids that were found for a page, newest first, and the authors whose posts among them are not to be shown."""

    ids: list[PostId]
    hidden: frozenset[UserId] = NO_ONE


class Fanout(Decision):
    """How a post finds its readers. An approach needs two methods; the rest has defaults that are right for pulling."""

    default = "hybrid"
    source: ClassVar[Source] = "pull"  # what a reader is told about where the page came from
    delivers: ClassVar[bool] = True  # whether `deliver` has anything to do

    posts: Posts
    graph: Graph
    feeds: Feeds
    generations: Generations
    chores: Chores
    progress: Progress

    def __post_init__(self) -> None:
        self.generation = 0  # of the feeds that are this approach's own; 0: not yet begun

    @abstractmethod
    async def deliver(self, author: UserId, post: PostId, after: UserId) -> UserId | None:
        """Make a stored post findable by its author's followers with ids above `after`, in a bounded piece of work.

        Return the id to go on after, or None when all have it. It may be called again with the same arguments.
        """

    @abstractmethod
    async def home(self, reader: UserId, page: Page) -> Scan | None:
        """Return the newest posts by those the reader follows, and by the reader: `page.limit`, if there are so many.

        With `min_id` those nearest to it. Fewer than `page.limit` mean that there are no more. None: nothing is ready
        for this reader, and the truth is to be asked.
        """

    async def written(self, author: UserId, post: PostId) -> None:
        """Let an author find their own new post. Called before it is acknowledged, and again after an outage."""

    async def changed(self, reader: UserId, author: UserId) -> None:
        """Make a reader's home agree with whether the reader follows the author *now*.

        Called before a follow, unfollow or block is acknowledged, and again after an outage.
        """

    def settled(self) -> None:
        """Show nobody any more what was kept of a home before now: whoever asks waits until all has taken effect."""

    async def begin(self) -> None:
        """Get ready to serve, or go on where this approach left off."""
        self.generation = await self.generations.of(self)

    async def afresh(self) -> None:
        """Believe no feed any more: go on with a generation that has none."""
        self.generation = await self.generations.next(self)

    async def warm(self, readers: Sequence[UserId]) -> None:
        """Prepare the homes of many readers at once, as if each had just been read. For dives, beside the service."""
        first_pages: set[PostId] = set()
        for first in range(0, len(readers), WARM_READERS):
            some = readers[first : first + WARM_READERS]
            for found in await self.graph.snapshots(some, PAGE_POSTS_MAX, 0):
                first_pages.update(found.ids)
        await self.posts.warm(sorted(first_pages))

    async def adopt(self, previous: Any) -> None:
        """Take over from another approach under load.

        Feeds begin anew, so nothing is moved: from here on both are told of every change, and the first read of each
        reader after the switch finds no feed and makes one from the truth. The service ends the old one later.
        """
        await self.afresh()
        self.generations.targets.append(self)
