"""The request path: a call comes in, the truth is changed or read, Redis is told, an answer goes out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging
from fathom.errors import Refusal
from fathom.web.auth import Passwords

from ..api import (
    PAGE_POSTS_MAX,
    PLAIN,
    TRENDING_HOURS_MAX,
    TRENDING_POSTS,
    Manner,
    Page,
    Piece,
    Post,
    PostId,
    Reach,
    Slice,
    Source,
    Trending,
    User,
    UserId,
)
from ..decisions.fanout import Fanout
from ..decisions.ids import Numbering
from ..decisions.paging import Paging
from ..decisions.profiles import Profiles
from ..decisions.ranking import Ranking
from ..decisions.stampede import Stampede
from ..model.checks import (
    checked_body,
    checked_cursor,
    checked_display,
    checked_hours,
    checked_id,
    checked_key,
    checked_limit,
    checked_manner,
    checked_name,
    checked_note,
    checked_number,
    checked_page,
    checked_password,
    ends,
    named_in,
    pieced,
    sliced,
    tags_in,
)
from ..model.media import Rules
from ..stores import Stores
from ..stores.memory import MemoryShut
from ..stores.posts import Draft, posts_of
from .access import Access
from .housekeeping import unavailable
from .media import Pictures
from .ranked import Ranked
from .social import Social, unfolded
from .workshop import Workshop

__all__ = ["Copies", "Service", "open"]

log = logging.getLogger("fathom.timeline")

TRUTH_WAITING_MAX = 2_000
TRUTH_S = 2.0  # who would wait longer is asked to come again
STANDBY_S = 0.1  # for the newest posts to be read, which takes a fifth of that
REFILLS_MAX = 8  # looks for more posts when some of a page were not to be shown
OPENING_S = 2.0  # a Redis that takes longer is not waited for: reads go to the truth


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def open(
    stores: Stores,
    choices: Any,
    *,
    clock: Callable[[], int] = now_ms,
    mint: Callable[[], int] | None = None,
    passwords: Passwords | None = None,
    rules: Rules | None = None,
) -> AsyncIterator[Service]:
    """Serve the timeline for the length of a block. `choices` has what serves each decision, asked at each call.

    `clock` (Unix milliseconds) and `mint` (ids that rise) can be given, so that the model mints the same. `rules` say
    how long pictures are kept that nobody shows, and how much of them is one account's.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stores.alone())
        keep = passwords or Passwords()
        stack.callback(keep.close)
        workshop = stack.enter_context(Workshop())
        service = Service(stores, choices, clock, mint, keep, rules or Rules(), workshop)
        await stack.enter_async_context(service._working())
        yield service


class Copies(msgspec.Struct, frozen=True, gc=False):
    """A page of posts, newest first, each as the JSON of a `Post`; the rest as in a `Slice`."""

    json: list[bytes]
    older: PostId | None
    newer: PostId | None
    source: Source


class _Seen(NamedTuple):
    """What was found for a page: the ids that were scanned, and those of their posts that are there."""

    ids: list[PostId]
    posts: list[Post]


class Service(Social, Ranked, Pictures, Access):
    """The timeline on its engines."""

    # Accounts

    async def join(self, name: str, password: str) -> User:
        checked_name(name)
        checked_password(password)
        kept = await self._passwords.hash(password)
        async with self._house:
            return await self._accounts.join(self._next, name, kept, self._clock())

    async def identify(self, name: str, password: str) -> UserId:
        guessed = name[:100].casefold()
        if not (guess := self._guesses.take(guessed, time.monotonic())).ok:
            says = "too many wrong passwords were given for this name: wait before you try another"
            raise Refusal("too-many", says, retry_s=guess.retry_s)
        wrong = False
        try:
            with self._house:
                known = await self._accounts.login(name) if len(name) <= 100 else None
                wrong = not await self._passwords.verify(known and known.password, password)
            if known is None or wrong:
                raise Refusal("unauthorised", "no account has this name and password")
            return known.user
        finally:
            if not wrong:
                self._guesses.back(guessed)

    async def login(self, name: str, password: str) -> str:
        user = await self.identify(name, password)
        with self._house:
            return await self._accounts.token(user, self._clock())

    async def describe(self, user: UserId, display: str | None = None, note: str | None = None) -> User:
        display = None if display is None else checked_display(display)
        note = None if note is None else checked_note(note)
        async with self._house:
            try:
                await self._accounts.describe(checked_id(user), display, note)
            finally:  # it may be committed behind an answer that was lost
                self._profiles.described(user, self._clock())
        with self._house.afterwards():
            return (await self._accounts.users(user, [user]))[0]

    @property
    def _profiles(self) -> Profiles:
        return self._choices.profiles

    async def logout(self, token: str) -> None:
        async with self._house:
            await self._accounts.forget(token)

    async def whoami(self, token: str) -> UserId:
        with self._house:
            user = await self._accounts.whose(token, self._clock())
        if user is None:
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return user

    async def profile(self, viewer: UserId, name: str) -> User:
        with self._house:
            return await self._profiles.profile(viewer, name, self._clock())

    async def users(self, viewer: UserId, ids: list[UserId]) -> list[User]:
        if len(ids) > 1_000:
            raise Refusal("invalid", "at most 1,000 accounts can be asked for at once")
        with self._house:
            return await self._profiles.users(viewer, [checked_id(id) for id in ids], self._clock())

    # Posts

    async def post(self, author: UserId, body: str, key: str | None = None, manner: Manner = PLAIN) -> Post:
        checked_body(body, manner)
        checked_key(key)
        draft = Draft(body, checked_manner(manner), named_in(body), tags_in(body), self._rules.unused_ms)
        async with self._house:
            ids: Numbering = self._choices.ids
            wrote = await ids.write(checked_id(author), draft, self._clock(), key, mint=self._mint)
            post, entry, tally, noticed = wrote
            again = entry is None and key is not None
            if again:
                entry = await self._outbox.standing("post", author, post.id)
                if post.reply_to is not None:
                    tally = await self._outbox.standing("tally", author, post.reply_to)
        await self._deliver(entry, None if again else post, again=again)  # it may have been deleted since
        await self._show([tally])
        if not again:
            self._herald.wrote(post)
            for user in noticed:
                self._herald.noticed(user, post.id)
        return post

    async def delete(self, author: UserId, post: PostId) -> None:
        async with self._house:
            entries, boost_of, counted_by = await self._posts.delete(author, checked_id(post), self._clock())
            if not entries and boost_of is None:  # the answer to the first may have been lost
                standing = [await self._outbox.standing("delete", author, post)]
                if counted_by is not None:
                    standing.append(await self._outbox.standing("tally", author, counted_by))
                entries = [entry for entry in standing if entry is not None]
        if boost_of is not None:
            await self.unboost(author, boost_of)
            return
        await self._gone(post, entries)

    async def read(self, viewer: UserId, post: PostId) -> Post:
        return await self._whole(viewer, post)

    async def reach(self, author: UserId, post: PostId) -> Reach:
        found = await self._whole(author, post)
        if found.author != author:
            raise Refusal("forbidden", "only its author is told how far a post has come")
        return self._stores.progress.of(post)

    async def like(self, user: UserId, post: PostId) -> int:
        return await self._like(user, post, take_back=False)

    async def unlike(self, user: UserId, post: PostId) -> int:
        return await self._like(user, post, take_back=True)

    async def _like(self, user: UserId, post: PostId, *, take_back: bool) -> int:
        async with self._house:
            with self._counting.call() as counters:
                liked = await counters.like(user, checked_id(post), self._clock(), take_back=take_back)
        await self._show([liked.entry])
        if liked.noticed is not None:
            self._herald.noticed(*liked.noticed)
        return liked.likes

    async def likers(self, viewer: UserId, post: PostId) -> list[UserId]:
        with self._house:
            return await self._posts.likers(viewer, checked_id(post))

    # Edges

    async def follow(self, follower: UserId, followee: UserId) -> None:
        if follower == followee:
            raise Refusal("invalid", "nobody can follow themselves")
        async with self._house:
            entry, notice = await self._graph.follow(checked_id(follower), checked_id(followee), self._clock())
        await self._edge(follower, followee, entry)
        if notice is not None:
            self._herald.noticed(followee, notice)

    async def unfollow(self, follower: UserId, followee: UserId) -> None:
        if follower == followee:
            raise Refusal("invalid", "nobody can follow themselves")
        async with self._house:
            entry = await self._graph.unfollow(checked_id(follower), checked_id(followee), self._clock())
        await self._edge(follower, followee, entry)

    async def block(self, blocker: UserId, blocked: UserId) -> None:
        if blocker == blocked:
            raise Refusal("invalid", "nobody can block themselves")
        async with self._house, self._parting(blocked):
            ended = await self._graph.block(checked_id(blocker), checked_id(blocked), self._clock())
        self._outbox.took(ended)
        await self._show(ended)
        for entry in ended:
            self._herald.changed(UserId(entry.who))

    async def unblock(self, blocker: UserId, blocked: UserId) -> None:
        async with self._house, self._parting(blocked):
            await self._graph.unblock(checked_id(blocker), checked_id(blocked))

    @asynccontextmanager
    async def _parting(self, blocked: UserId) -> AsyncIterator[None]:
        """Tell who keeps accounts that another sees one of them, or no longer; also if nobody knows whether."""
        sure = False
        try:
            yield
            sure = True
        except Refusal:  # nothing was done
            sure = True
            raise
        finally:
            self._profiles.parted(blocked, self._clock(), sure=sure)

    # Reading

    async def trending(self, viewer: UserId, hours: int = TRENDING_HOURS_MAX) -> Trending:
        checked_hours(hours)
        stampede: Stampede = self._choices.stampede
        with self._house:
            trend, anew = await stampede.trend(hours, self._clock)
            posts = await self._posts.visible(viewer, trend.ids, TRENDING_POSTS)
        return Trending(posts=posts, made_ms=trend.made_ms, took_ms=trend.took_ms, fresh_s=stampede.fresh_s, anew=anew)

    async def posts(self, viewer: UserId, author: UserId, page: Page) -> Slice:
        checked_page(page)
        with self._house:
            found = await self._posts.by(viewer, checked_id(author), page)
        return sliced(await self._unfolded(viewer, found), page, "pull")

    async def latest(self, viewer: UserId, cursor: str | None = None, limit: int = 20) -> Piece:
        place = checked_cursor(cursor)
        checked_limit(limit)
        paging: Paging = self._choices.paging
        with self._house:
            return pieced(await paging.page(viewer, place, limit), place, limit)

    async def newer(self, viewer: UserId, than: PostId, limit: int = 20) -> list[Post]:
        checked_number("than", than)
        checked_limit(limit)
        ids: Numbering = self._choices.ids
        with self._house:
            return await ids.above(viewer, than, limit, self._clock())

    async def home(self, reader: UserId, page: Page) -> Slice:
        return _read(await self.home_copies(reader, page))

    async def home_copies(self, reader: UserId, page: Page) -> Copies | Slice:
        """Return a home, as a rule without having read its posts: for a door that only passes them on."""
        checked_page(page)
        ranking: Ranking = self._choices.ranking
        if ranking.depth or page.max_id is not None:
            ranked = await self._ranked(ranking, reader, page)
            if ranked is not None:
                return ranked
        return await self._by_time(reader, page)

    async def _home_by_time(self, reader: UserId, page: Page) -> Slice:
        return _read(await self._by_time(reader, page))

    async def _by_time(self, reader: UserId, page: Page) -> Copies | Slice:
        """Return a home as it was written."""
        if self._memory.readable:
            fanout: Fanout = self._choices.fanout
            try:
                scan = await fanout.home(reader, page)
                if scan is None:
                    return await self._from_truth(reader, page, "pull")
                known = await self._posts.json(scan.ids)
                if known.gone is None and not scan.hidden and not known.boosts:
                    return Copies(known.json, *ends(scan.ids, page), fanout.source)
                return await self._sifted(fanout, reader, page, scan, known)
            except MemoryShut:
                pass
            except EngineError as failure:
                raise unavailable(failure) from failure
        if not self._standby.on:
            self._standby.begin()
        return await self._from_truth(reader, page, "fallback")

    async def _sifted(self, fanout: Fanout, reader: UserId, page: Page, scan: Any, known: Any) -> Slice:
        """Return a page some of whose posts are not to be shown, or are boosts."""

        async def look(asked_for: Page) -> _Seen | None:
            nonlocal scan, known
            if scan is None:
                scan = await fanout.home(reader, asked_for)
                if scan is None:  # the feed was lost in between
                    return None
                known = await self._posts.json(scan.ids)
            seen = _Seen(scan.ids, [post for post in posts_of(known.json) if post.author not in scan.hidden])
            scan = None
            return seen

        return await self._filled(reader, page, look, fanout.source) or await self._from_truth(reader, page, "pull")

    async def _filled(
        self, reader: UserId, page: Page, look: Callable[[Page], Awaitable[_Seen | None]], source: Source
    ) -> Slice | None:
        """Look on until a page is full of what is to be shown, or all was seen; None: nothing can be seen any more."""
        found: list[Post] = []
        up = page.min_id is not None
        asked_for = page
        for _ in range(REFILLS_MAX):
            seen = await look(asked_for)
            if seen is None:
                return None
            visible = await self._at_home(reader, seen.posts)
            found = visible + found if up else found + visible
            if len(found) >= page.limit or len(seen.ids) < asked_for.limit:
                found = found[-page.limit :] if up else found[: page.limit]
                return sliced(found, page, source)
            asked_for = (
                Page(limit=PAGE_POSTS_MAX, min_id=seen.ids[0], max_id=page.max_id)
                if up
                else Page(limit=PAGE_POSTS_MAX, max_id=seen.ids[-1], since_id=page.since_id)
            )
        # A short page, and more beyond: the next one goes on from where this one stopped looking.
        older = found[-1].id if up and found else asked_for.max_id
        newer = asked_for.min_id if up else found[0].id if found else None
        return Slice(posts=found, older=older, newer=newer, source=source)

    async def _at_home(self, reader: UserId, posts: list[Post]) -> list[Post]:
        """Return those of these posts that are to be shown in a home, with what the boosts among them show."""
        boosts = [post.id for post in posts if post.boost_of is not None]
        if not boosts:
            return posts
        with self._house:
            return unfolded(posts, await self._stores.boosts.at_home(reader, boosts))

    async def _from_truth(self, reader: UserId, page: Page, source: Source) -> Slice:
        """Read without any feed."""
        found = await self._true_page(reader, page)
        if all(post.boost_of is None for post in found):
            return sliced(found, page, source)
        first: list[Post] | None = found

        async def look(asked_for: Page) -> _Seen:
            nonlocal first
            posts, first = await self._true_page(reader, asked_for) if first is None else first, None
            return _Seen([post.id for post in posts], posts)

        filled = await self._filled(reader, page, look, source)
        assert filled is not None
        return filled

    async def _true_page(self, reader: UserId, page: Page) -> list[Post]:
        """Return a page as it lies: from what stands by, else from the truth, but only so many at once."""
        with self._house:
            found = await self._standing_by(reader, page, wait_s=STANDBY_S)
        if found is not None:
            return found
        if self._truth_readers.locked() and not self._standby.on:
            # Very many readers without a feed, as after a switch: Redis is there, and the truth is what needs sparing.
            self._standby.begin()
            if self._memory.readable:
                self._standby.linger()
        if self._truth_waiting >= TRUTH_WAITING_MAX:
            raise Refusal("unavailable", "too many read at once while a store recovers, try again", retry_s=1.0)
        self._truth_waiting += 1
        try:
            async with asyncio.timeout(TRUTH_S):
                await self._truth_readers.acquire()
        except TimeoutError:
            raise Refusal("unavailable", "a store is down and the other is busy, try again", retry_s=1.0) from None
        finally:
            self._truth_waiting -= 1
        try:
            with self._house:
                # While we waited the posts that stand by may have been read: then the whole queue is served by them.
                found = await self._standing_by(reader, page)
                return await self._graph.pull_posts(reader, page, TRUTH_S) if found is None else found
        finally:
            self._truth_readers.release()

    async def _standing_by(self, reader: UserId, page: Page, *, wait_s: float = 0.0) -> list[Post] | None:
        likes = self._stores.likes
        beside = likes.beside_copies
        found = await self._standby.home(reader, page, wait_s=wait_s)
        return await self._posts.counted(found) if found and (beside or likes.beside_copies) else found

    async def settled(self) -> None:
        await self._counting.settled()
        await self._outbox.settled()
        await self._stores.chores.settled()
        for target in self._stores.generations.targets:
            target.settled()
        self._profiles.settled()

    # What runs beside the requests

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        stores = self._stores
        fanout: Fanout = self._choices.fanout
        async with AsyncExitStack() as stack:
            with charging(RESIDUAL):
                await stack.enter_async_context(stores.chores.open())
                await fanout.begin()
                await self._choices.ids.begin()
                await self._choices.counters.begin()
                stores.generations.targets = [fanout]
                while left := await self._outbox.load():
                    self._outbox.took(left)
                self._courier.resume()
                self._ids.pass_over(await self._accounts.last_id())
                await stack.enter_async_context(self._mender.working())
                await stack.enter_async_context(self._courier.working())
                await stack.enter_async_context(self._counting.working())
                await stack.enter_async_context(self._house.working())
                try:
                    async with asyncio.timeout(OPENING_S):
                        await self._memory.opened()
                except TimeoutError:
                    log.warning("Redis is not ready: %s", self._memory.why)
            yield


def _read(found: Copies | Slice) -> Slice:
    """Return a page with its posts read."""
    if isinstance(found, Slice):
        return found
    return Slice(posts=posts_of(found.json), older=found.older, newer=found.newer, source=found.source)
