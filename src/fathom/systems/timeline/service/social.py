"""What people do with each other's posts and with each other: boosts, threads, mutes, lists, notices."""

from __future__ import annotations

from msgspec.structs import replace

from fathom.errors import Refusal

from ..api import (
    NOTICE_KINDS,
    Mark,
    NoticeId,
    NoticeKind,
    Notices,
    Page,
    People,
    Post,
    PostId,
    Relation,
    Slice,
    Thread,
    User,
    UserId,
)
from ..decisions.ids import Numbering
from ..model.checks import checked_id, checked_lasting, checked_page, checked_search, ends, peopled, sliced
from ..stores.people import Side
from .base import Base

__all__ = ["Social"]

MANY_MAX = 1_000  # that can be asked for at once
TAG_CHARS_MAX = 200  # longer than any that there is


class Social(Base):
    """Most of it is asked of the truth alone: only posts and homes are read so often that they need copies."""

    # Boosts

    async def boost(self, user: UserId, post: PostId) -> Post:
        async with self._house:
            ids: Numbering = self._choices.ids
            found = await ids.boost(user, checked_id(post), self._clock(), mint=self._mint)
            again = found.entry is None
            entry, tally = found.entry, found.tally
            if again:  # the answer to the first may have been lost, and nobody here knows of it
                entry = await self._outbox.standing("post", user, found.id)
                tally = await self._outbox.standing("tally", user, post)
        await self._deliver(entry, found.post, again=again)
        await self._show([tally])
        if found.post is not None:
            self._herald.wrote(found.post)
            self._herald.noticed(found.noticed, found.id)
        return await self._whole(user, found.id)

    async def unboost(self, user: UserId, post: PostId) -> None:
        async with self._house:
            entries = await self._stores.boosts.unboost(user, checked_id(post), self._clock())
            tally = None if entries else await self._outbox.standing("tally", user, post)
        for entry in entries:
            if entry.kind == "delete":
                await self._gone(PostId(entry.what), [entry])
        await self._show([entry for entry in entries if entry.kind != "delete"] or [tally])

    async def boosters(self, viewer: UserId, post: PostId) -> list[UserId]:
        with self._house:
            return await self._stores.boosts.boosters(viewer, checked_id(post))

    async def _whole(self, viewer: UserId, post: PostId) -> Post:
        """Return a post that the viewer may see; of a boost also what it shows."""
        with self._house:
            found = await self._posts.read(viewer, checked_id(post))
        for whole in await self._unfolded(viewer, [found]):
            return whole
        raise Refusal("not-found", "there is no such post")

    async def _unfolded(self, viewer: UserId, posts: list[Post]) -> list[Post]:
        """Return these posts with what the boosts among them show, without those whose post the viewer may not see."""
        boosts = [post.id for post in posts if post.boost_of is not None]
        if not boosts:
            return posts
        with self._house:
            return unfolded(posts, await self._stores.boosts.shown(viewer, boosts))

    # Posts as they hang together

    async def thread(self, viewer: UserId, post: PostId) -> Thread:
        with self._house:
            return await self._stores.threads.thread(viewer, checked_id(post))

    async def marks(self, viewer: UserId, posts: list[PostId]) -> list[Mark]:
        if len(posts) > MANY_MAX:
            raise Refusal("invalid", "at most 1,000 posts can be asked for at once")
        with self._house:
            return await self._stores.threads.marks(viewer, [checked_id(id) for id in posts])

    async def public(self, viewer: UserId, page: Page) -> Slice:
        checked_page(page)
        with self._house:
            return sliced(await self._stores.threads.public(viewer, page), page, "pull")

    async def tagged(self, viewer: UserId, tag: str, page: Page) -> Slice:
        checked_page(page)
        with self._house:
            return sliced(await self._stores.threads.tagged(viewer, tag.lower()[:TAG_CHARS_MAX], page), page, "pull")

    async def liked(self, user: UserId, page: Page) -> Slice:
        checked_page(page)
        with self._house:
            return sliced(await self._stores.threads.liked(user, page), page, "pull")

    # People

    async def mute(self, muter: UserId, muted: UserId, lasts_s: int = 0) -> None:
        checked_lasting(lasts_s)
        _not_oneself(muter, muted)
        async with self._house:
            now_ms = self._clock()
            until_ms = now_ms + 1_000 * lasts_s if lasts_s else None
            try:
                entry = await self._graph.mute(checked_id(muter), checked_id(muted), now_ms, until_ms)
            finally:  # it may be committed behind an answer that was lost
                if until_ms is not None:
                    self._house.mute_ends(until_ms)
        await self._edge(muter, muted, entry)

    async def unmute(self, muter: UserId, muted: UserId) -> None:
        _not_oneself(muter, muted)
        async with self._house:
            entry = await self._graph.unmute(checked_id(muter), checked_id(muted), self._clock())
        await self._edge(muter, muted, entry)

    async def followers(self, viewer: UserId, user: UserId, page: Page) -> People:
        return await self._people("followers", viewer, user, page)

    async def following(self, viewer: UserId, user: UserId, page: Page) -> People:
        return await self._people("following", viewer, user, page)

    async def muted(self, user: UserId, page: Page) -> People:
        return await self._people("muted", user, user, page)

    async def blocked(self, user: UserId, page: Page) -> People:
        return await self._people("blocked", user, user, page)

    async def _people(self, side: Side, viewer: UserId, user: UserId, page: Page) -> People:
        checked_page(page)
        with self._house:
            return peopled(await self._stores.people.page(side, viewer, checked_id(user), page), page)

    async def relations(self, viewer: UserId, users: list[UserId]) -> list[Relation]:
        if len(users) > MANY_MAX:
            raise Refusal("invalid", "at most 1,000 accounts can be asked for at once")
        with self._house:
            return await self._stores.people.relations(viewer, [checked_id(id) for id in users], self._clock())

    async def search(self, viewer: UserId, text: str, limit: int = 20, followed: bool = False) -> list[User]:
        wanted = checked_search(text, limit)
        with self._house:
            return await self._stores.people.search(viewer, wanted, limit, followed)

    # Notices

    async def notices(self, reader: UserId, page: Page, kinds: list[NoticeKind] | None = None) -> Notices:
        checked_page(page)
        with self._house:
            found = await self._stores.notices.page(reader, page, NOTICE_KINDS if kinds is None else kinds)
        older, newer = ends([notice.id for notice in found], page)
        return Notices(notices=found, older=older, newer=newer)

    async def dismiss(self, reader: UserId, notice: NoticeId | None = None) -> None:
        async with self._house:
            await self._stores.notices.dismiss(reader, None if notice is None else checked_id(notice))


def _not_oneself(muter: UserId, muted: UserId) -> None:
    if muter == muted:
        raise Refusal("invalid", "nobody can mute themselves")


def unfolded(posts: list[Post], shown: dict[PostId, Post]) -> list[Post]:
    """Return posts with what the boosts among them show, without those that are not to be shown."""
    return [
        post if post.boost_of is None else replace(post, boosted=shown[post.id])
        for post in posts
        if post.boost_of is None or post.id in shown
    ]
