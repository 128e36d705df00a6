"""Push the many, pull the famous: cheap both ways, and one threshold to get wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fathom.design import knob

from ...api import Page, PostId, UserId
from ...stores.feeds import Feed
from ...stores.merged import MergedPages
from . import Scan
from .on_write import OnWrite

TOLD_AT_ONCE = 50  # feeds whose readers cannot change them meanwhile
FALLS_BELOW = 0.8  # of `fame`: who rises and sinks by a few followers does not change sides each time


class Hybrid(OnWrite):
    """Ordinary authors' posts are pushed; a star's go to one list, which each follower's read merges in.

    To cross over takes time, because every follower's feed has to be told. Meanwhile the author is *rising* or
    *falling*: posts are pushed and go to the list, so a reader finds them whether its feed was told already or not.
    The mode lies in the truth and is read there by everyone who acts on it, each time *after* what it acts for was
    committed: a delivery after its post, a change of a feed after its edge. So whoever reads the old mode was in time
    to be found by the crossing, which reads followers and posts after it has set the new one.

    With `kept_s` a merged first page is kept: it spares the reader the feed and a command for each star, and shows what
    others write so many seconds later. What the reader writes, whom they follow, mute and block, and what was deleted
    is as of now: such a page is not shown once its reader has changed anything, and it has only the posts' numbers.
    """

    fame: int = knob(10_000, "followers from which an author's posts are pulled, not pushed")
    kept_s: float = knob(
        0.0, "seconds for which a merged first page is shown again, late by as much; 0: it is not kept"
    )

    merged: MergedPages

    # Writing

    async def deliver(self, author: UserId, post: PostId, after: UserId) -> UserId | None:
        generation = self.generation
        fans, mode = await self.graph.fans_and_mode(author, after, self.chunk + 1, generation)
        if mode is not None and not after:
            for key in await self.feeds.add(self.feeds.author_key(generation, author), post, self._slack):
                self._trim(key)
        return await self._push(generation, fans, post)

    async def written(self, author: UserId, post: PostId) -> None:
        try:
            await super().written(author, post)
        finally:
            self.merged.changes.mark(author)

    # Reading

    async def home(self, reader: UserId, page: Page) -> Scan | None:
        if self.kept_s <= 0 or page.max_id is not None or page.since_id is not None or page.min_id is not None:
            return await self._put_together(reader, page)
        generation, stamp = self.generation, self.merged.changes.now
        kept = await self.merged.kept(generation, reader, page.limit)
        if kept is not None:
            self.feeds.came(generation, reader)
            return Scan(kept.ids[: page.limit], kept.hidden)
        scan = await self._put_together(reader, page)
        if scan is not None:
            await self.merged.keep(generation, reader, stamp, page.limit, scan.ids, scan.hidden, self.kept_s)
        return scan

    def settled(self) -> None:
        self.merged.changes.mark_all()

    async def _put_together(self, reader: UserId, page: Page) -> Scan | None:
        generation = self.generation
        feed = await self.feeds.read(self.feeds.key(generation, reader), page)
        if feed is None:
            self._rebuild(reader)
            return None
        self.feeds.came(generation, reader)
        ids, marks = feed.ids, feed.marks
        floor = marks.floor
        if marks.stars:
            lists = await self.feeds.lists(generation, marks.stars, page)
            if None in lists:
                self._mend(reader, [star for star, list in zip(marks.stars, lists, strict=True) if list is None])
                return None
            ids, floor = _merged([feed, *(list for list in lists if list is not None)], page)
        if floor:
            ids = await self._go_on(reader, page, ids, floor)
        return Scan(ids, marks.hidden)

    def _mend(self, reader: UserId, stars: Sequence[UserId]) -> None:
        for star in stars:
            self.chores.once(("list", self.generation, star, reader), lambda star=star: self._look_after(reader, star))

    async def _look_after(self, reader: UserId, author: UserId) -> None:
        """See to it that a star has a list, and that nobody looks for the list of one who is no star."""
        generation = self.generation
        if await self.generations.mode(generation, author) is None:
            await self.feeds.drop(self.feeds.key(generation, reader))
        else:
            await self._make_list(generation, author)

    async def _make_list(self, generation: int, author: UserId, *, anew: bool = False) -> None:
        """Make the list of a star's posts. The author has a mode, so every post that comes later is added to it."""
        key = self.feeds.author_key(generation, author)
        async with self._turns.of(key):
            if anew or await self.feeds.marks(key) is None:
                await self.feeds.drop(key)
                ids = await self.graph.newest(author, self.depth)
                await self.feeds.make(key, ids, ids[-1] - 1 if len(ids) == self.depth else 0)

    # Crossing over

    async def changed(self, reader: UserId, author: UserId) -> None:
        try:
            await self._change(reader, author)
        finally:
            self.merged.changes.mark(reader)

    async def _change(self, reader: UserId, author: UserId) -> None:
        generation = self.generation
        while True:
            edge = await self._agree(generation, reader, author)
            mode = await self.generations.mode(generation, author)
            if mode == edge.mode:
                break  # else the crossing may have told this feed before we did, and we have just undone it
        if mode is None and edge.followers >= self.fame:
            self._cross(self._rise, generation, author)
        elif mode == "star" and edge.followers < FALLS_BELOW * self.fame:
            self._cross(self._fall, generation, author)

    def _cross(self, over: Callable[[int, UserId], Awaitable[None]], generation: int, author: UserId) -> None:
        self.chores.once(("cross", generation, author), lambda: over(generation, author), again=True)

    async def _rise(self, generation: int, author: UserId) -> None:
        """Let an author's posts be pulled from now on."""
        async with self._turns.of(("cross", author)):
            if await self.generations.mode(generation, author) not in (None, "rising"):
                return
            await self.generations.set_mode(generation, author, "rising")
            # A list that is there may be left from a fall that was cut short: it lacks what was written since.
            await self._make_list(generation, author, anew=True)
            await self._tell_fans(generation, author, lambda fans: self.feeds.mark_star(generation, fans, author))
            await self.generations.set_mode(generation, author, "star")

    async def _fall(self, generation: int, author: UserId) -> None:
        """Let an author's posts be pushed from now on."""
        async with self._turns.of(("cross", author)):
            if await self.generations.mode(generation, author) not in ("star", "falling"):
                return
            await self.generations.set_mode(generation, author, "falling")
            # Every post that is not among these is delivered later, and pushed.
            ids = await self.graph.newest(author, self.depth)
            floor = ids[-1] - 1 if len(ids) == self.depth else 0
            await self._tell_fans(
                generation, author, lambda fans: self.feeds.merge_star(generation, fans, author, ids, floor)
            )
            await self.generations.set_mode(generation, author, None)
            await self.feeds.drop(self.feeds.author_key(generation, author))

    async def _tell_fans(
        self, generation: int, author: UserId, tell: Callable[[Sequence[UserId]], Awaitable[None]]
    ) -> None:
        """Have the feeds of an author's followers told, each in its reader's turn and only if they still follow.

        Who is not live now makes a feed later, and finds the mode then.
        """
        after = UserId(0)
        while fans := await self.graph.fans(author, after, self.chunk):
            live = await self.feeds.live(generation, fans)
            for first in range(0, len(live), TOLD_AT_ONCE):
                some = live[first : first + TOLD_AT_ONCE]
                async with self._turns.of_all(some):  # whoever stops following from here on waits until we are done
                    await tell(await self.graph.who_follows(author, some))
            after = fans[-1]

    # Beginning

    async def begin(self) -> None:
        await super().begin()
        generation = self.generation
        for author, mode in (await self.generations.stars(generation)).items():
            if mode == "rising":
                self._cross(self._rise, generation, author)
            elif mode == "falling":
                self._cross(self._fall, generation, author)
        for author in await self.generations.famous(self.fame, generation):
            self._cross(self._rise, generation, author)

    async def afresh(self) -> None:
        generation = await self.generations.next(self)
        # There is no feed yet that would have to be told: who is famous now is a star at once.
        await self.generations.classify(generation, self.fame)
        self.generation = generation

    async def warm(self, readers: Sequence[UserId]) -> None:
        if not self.generation:
            await self.begin()
        async with self.feeds.aside():
            for author in await self.generations.famous(self.fame, self.generation):
                await self._rise(self.generation, author)
        await super().warm(readers)


def _merged(feeds: Sequence[Feed], page: Page) -> tuple[list[PostId], int]:
    """Return the page of several feeds together, each post once, and the id above which it is complete."""
    floor = max(feed.marks.floor for feed in feeds)
    ids = sorted({id for feed in feeds for id in feed.ids if id > floor}, reverse=True)
    return (ids[: page.limit] if page.min_id is None else ids[-page.limit :]), floor
