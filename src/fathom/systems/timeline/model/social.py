"""What people do with each other's posts and with each other, in the model."""

from __future__ import annotations

from collections.abc import Iterable

from fathom.errors import Refusal

from ..api import Mark, Mention, Page, People, Post, PostId, Relation, Slice, Thread, User, UserId
from .base import Account, Written, cut
from .checks import checked_id, checked_lasting, checked_page, checked_search, peopled, tags_in
from .notices import Noticing

__all__ = ["Social"]

ABOVE_MAX, BELOW_MAX = 40, 400


class Social(Noticing):
    """Boosts, threads, mutes, lists of people, everybody's posts."""

    # Homes

    def _at_home(self, reader: UserId) -> Iterable[Written]:
        account = self._accounts.get(reader)
        authors = {reader, *(account.follows - self._muted_by(account) if account else ())}
        posts = [it for it in self._written.values() if it.author in authors and self._sees(reader, it)]
        first: dict[PostId, Written] = {}
        for it in sorted(posts, key=lambda it: it.id):
            if it.boost_of is None:
                yield it
                continue
            boosted = self._written[it.boost_of]
            if first.setdefault(boosted.id, it) is not it or boosted.author in authors:
                continue  # it is there already
            if not self._mutes(reader, boosted.author):
                yield it

    async def public(self, viewer: UserId, page: Page) -> Slice:
        checked_page(page)
        return self._page(
            (
                it
                for it in self._written.values()
                if it.boost_of is None
                and it.manner.reply_to is None
                and it.manner.listed
                and self._sees(viewer, it)
                and not self._mutes(viewer, it.author)
            ),
            page,
        )

    async def tagged(self, viewer: UserId, tag: str, page: Page) -> Slice:
        checked_page(page)
        return self._page(
            (
                it
                for it in self._written.values()
                if tag.lower() in tags_in(it.body)
                and it.manner.listed
                and self._sees(viewer, it)
                and not self._mutes(viewer, it.author)
            ),
            page,
        )

    async def liked(self, user: UserId, page: Page) -> Slice:
        checked_page(page)
        return self._page((it for it in self._written.values() if user in it.likers and self._sees(user, it)), page)

    # Boosts and threads

    async def boost(self, user: UserId, post: PostId) -> Post:
        found = self._original(user, post)
        self._known(user)
        boost = self._boost(user, post)
        if boost is None:
            boost = Written(PostId(self._mint()), user, "", self._clock(), boost_of=post)
            self._written[boost.id] = boost
            self._notice(found.author, "boost", user, post, boost.id)
        return self._post(boost)

    async def unboost(self, user: UserId, post: PostId) -> None:
        self._original(user, post)
        boost = self._boost(user, post)
        if boost is not None:
            boost.deleted = True

    async def boosters(self, viewer: UserId, post: PostId) -> list[UserId]:
        self._original(viewer, post)
        boosts = sorted((it.id, it.author) for it in self._written.values() if it.boost_of == post and not it.deleted)
        return [author for _, author in boosts[::-1]][:1_000]

    async def thread(self, viewer: UserId, post: PostId) -> Thread:
        at = self._original(viewer, post)
        above: list[Written] = []
        while at.manner.reply_to is not None and len(above) < ABOVE_MAX:
            at = self._written[at.manner.reply_to]
            if at.deleted:
                break
            above.append(at)
        below, level = list[Written](), {post}
        while level and len(below) < BELOW_MAX:
            answers = [it for it in self._written.values() if it.manner.reply_to in level and not it.deleted]
            below += answers
            level = {it.id for it in answers}
        del below[BELOW_MAX:]  # the nearest levels first
        return Thread(
            above=[self._post(it) for it in reversed(above) if self._sees(viewer, it)],
            below=[self._post(it) for it in sorted(below, key=lambda it: it.id) if self._sees(viewer, it)],
        )

    async def marks(self, viewer: UserId, posts: list[PostId]) -> list[Mark]:
        if len(posts) > 1_000:
            raise Refusal("invalid", "at most 1,000 posts can be asked for at once")
        return [self._mark(viewer, self._written[id]) for id in posts if id in self._written]

    def _mark(self, viewer: UserId, post: Written) -> Mark:
        answered = self._written.get(post.manner.reply_to or PostId(0))
        return Mark(
            post=post.id,
            liked=viewer in post.likers,
            boosted=self._boost(viewer, post.id) is not None,
            mentions=[Mention(id=id, name=self._accounts[id].name) for id in sorted(post.names)],
            answers=None if answered is None else answered.author,
        )

    # People

    async def mute(self, muter: UserId, muted: UserId, lasts_s: int = 0) -> None:
        checked_lasting(lasts_s)
        if muter == muted:
            raise Refusal("invalid", "nobody can mute themselves")
        one, _ = self._known(muter), self._known(muted)
        one.mutes[muted] = self._clock() + 1_000 * lasts_s if lasts_s else None

    async def unmute(self, muter: UserId, muted: UserId) -> None:
        if muter == muted:
            raise Refusal("invalid", "nobody can mute themselves")
        one, _ = self._known(muter), self._known(muted)
        one.mutes.pop(muted, None)

    async def followers(self, viewer: UserId, user: UserId, page: Page) -> People:
        checked_page(page)
        self._seen(viewer, user)
        return self._people(viewer, (id for id, account in self._accounts.items() if user in account.follows), page)

    async def following(self, viewer: UserId, user: UserId, page: Page) -> People:
        checked_page(page)
        return self._people(viewer, self._seen(viewer, user).follows, page)

    async def muted(self, user: UserId, page: Page) -> People:
        checked_page(page)
        return self._people(user, self._muted_by(self._known(user)), page)

    async def blocked(self, user: UserId, page: Page) -> People:
        checked_page(page)
        return self._people(user, self._known(user).blocks, page)

    def _seen(self, viewer: UserId, user: UserId) -> Account:
        account = self._known(checked_id(user))
        if viewer in account.blocks:
            raise Refusal("not-found", "there is no such account")
        return account

    def _people(self, viewer: UserId, ids: Iterable[UserId], page: Page) -> People:
        shown = (id for id in ids if viewer not in self._accounts[id].blocks)
        return peopled([self._user(UserId(id)) for id in cut(shown, page)], page)

    async def relations(self, viewer: UserId, users: list[UserId]) -> list[Relation]:
        if len(users) > 1_000:
            raise Refusal("invalid", "at most 1,000 accounts can be asked for at once")
        me = self._known(viewer)
        return [
            Relation(
                id=id,
                following=id in me.follows,
                followed_by=viewer in self._accounts[id].follows,
                blocking=id in me.blocks,
                muting=self._mutes(viewer, id),
            )
            for id in users
            if id in self._accounts and viewer not in self._accounts[id].blocks
        ]

    async def search(self, viewer: UserId, text: str, limit: int = 20, followed: bool = False) -> list[User]:
        wanted = checked_search(text, limit)
        mine = self._accounts[viewer].follows if viewer in self._accounts else set()
        found = [
            self._user(id)
            for id, account in self._accounts.items()
            if (account.name.startswith(wanted) or account.display.lower().startswith(wanted))
            and viewer not in account.blocks
            and (not followed or id in mine)
        ]
        return sorted(found, key=lambda user: (user.name != wanted, -user.followers, user.name))[:limit]
