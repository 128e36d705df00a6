"""The timeline if computers were infinitely fast and never failed: lists, dicts, sets, and one look at them all."""

from __future__ import annotations

from fathom.errors import Refusal

from ..api import PLAIN, Manner, Page, Post, PostId, Reach, Slice, Timeline, User, UserId
from .access import Access
from .base import DAY_MS, Account, Written
from .checks import (
    checked_body,
    checked_display,
    checked_id,
    checked_key,
    checked_manner,
    checked_name,
    checked_note,
    checked_page,
    checked_password,
    named_in,
)
from .everybody import Everybody
from .social import Social

__all__ = ["TimelineModel"]

TOKEN_MS = 30 * DAY_MS


class TimelineModel(Social, Everybody, Access):
    """Everything happens at once and for good: nothing is delivered, because everybody looks at the same list."""

    # Accounts

    async def join(self, name: str, password: str) -> User:
        checked_name(name)
        checked_password(password)
        if any(account.name == name for account in self._accounts.values()):
            raise Refusal("conflict", f"the name {name} is taken")
        id = UserId(self._mint())
        self._accounts[id] = Account(name, password, self._clock())
        return self._user(id)

    async def identify(self, name: str, password: str) -> UserId:
        for id, account in self._accounts.items():
            if (account.name, account.password) == (name, password):
                return id
        raise Refusal("unauthorised", "no account has this name and password")

    async def login(self, name: str, password: str) -> str:
        user = await self.identify(name, password)
        token = f"token-{len(self._tokens) + 1}"
        self._tokens[token] = (user, self._clock() + TOKEN_MS)
        return token

    async def logout(self, token: str) -> None:
        self._tokens.pop(token, None)

    async def whoami(self, token: str) -> UserId:
        user, expires_ms = self._tokens.get(token, (UserId(0), 0))
        if expires_ms <= self._clock():
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return user

    async def profile(self, viewer: UserId, name: str) -> User:
        for id, account in self._accounts.items():
            if account.name == name and viewer not in account.blocks:
                return self._user(id)
        raise Refusal("not-found", "there is no such account")

    async def describe(self, user: UserId, display: str | None = None, note: str | None = None) -> User:
        account = self._known(user)
        account.display = account.display if display is None else checked_display(display)
        account.note = account.note if note is None else checked_note(note)
        return self._user(user)

    async def users(self, viewer: UserId, ids: list[UserId]) -> list[User]:
        if len(ids) > 1_000:
            raise Refusal("invalid", "at most 1,000 accounts can be asked for at once")
        known = [checked_id(id) for id in ids if id in self._accounts]
        return [self._user(id) for id in known if viewer not in self._accounts[id].blocks]

    # Posts

    async def post(self, author: UserId, body: str, key: str | None = None, manner: Manner = PLAIN) -> Post:
        checked_body(body, manner)
        checked_key(key)
        checked_manner(manner)
        self._known(author)
        now_ms = self._clock()
        if key is not None and (author, key) in self._keys:
            id, first, at_ms = self._keys[author, key]
            if now_ms - at_ms < DAY_MS:
                if (body, manner) != first:
                    raise Refusal("invalid", "this key was used for another post")
                return self._post(self._written[id], body)
        if manner.reply_to is not None:
            self._original(author, manner.reply_to)
        shown = self._to_show(author, manner)
        post = Written(PostId(self._mint()), author, body, now_ms, manner)
        self._written[post.id] = post
        self._show(post.id, shown, sensitive=manner.sensitive)
        names = named_in(body)
        post.names = [id for id, account in self._accounts.items() if account.name in names]
        for named in post.names:
            self._notice(named, "mention", author, post.id, post.id)
        if key is not None:
            self._keys[author, key] = (post.id, (body, manner), now_ms)
        return self._post(post)

    async def delete(self, author: UserId, post: PostId) -> None:
        found = self._written.get(checked_id(post))
        if found is None or self._apart(author, found.author) or (found.deleted and found.author != author):
            raise Refusal("not-found", "there is no such post")
        if found.author != author:
            raise Refusal("forbidden", "only its author can delete a post")
        if found.boost_of is not None and not found.deleted:
            self._original(author, found.boost_of)  # a boost is taken back for as long as what it shows is there
        if not found.deleted:
            self._let_go(post)
        found.deleted = True

    async def read(self, viewer: UserId, post: PostId) -> Post:
        return self._post(self._visible(viewer, post))

    async def reach(self, author: UserId, post: PostId) -> Reach:
        if self._visible(author, post).author != author:
            raise Refusal("forbidden", "only its author is told how far a post has come")
        return Reach(told=True)

    async def like(self, user: UserId, post: PostId) -> int:
        found = self._original(user, post)
        self._known(user)
        if user not in found.likers:
            found.likers.append(user)
            self._notice(found.author, "like", user, post)
        return len(found.likers)

    async def unlike(self, user: UserId, post: PostId) -> int:
        found = self._original(user, post)
        self._known(user)
        if user in found.likers:
            found.likers.remove(user)
        return len(found.likers)

    async def likers(self, viewer: UserId, post: PostId) -> list[UserId]:
        return self._original(viewer, post).likers[::-1][:1_000]

    # Edges

    async def follow(self, follower: UserId, followee: UserId) -> None:
        if follower == followee:
            raise Refusal("invalid", "nobody can follow themselves")
        one, other = self._known(follower), self._known(followee)
        if follower in other.blocks:
            raise Refusal("not-found", "there is no such account")
        if followee in one.blocks:
            raise Refusal("forbidden", "you block this account: unblock it first")
        if followee not in one.follows:
            one.follows.add(followee)
            self._notice(followee, "follow", follower)

    async def unfollow(self, follower: UserId, followee: UserId) -> None:
        if follower == followee:
            raise Refusal("invalid", "nobody can follow themselves")
        one, _ = self._known(follower), self._known(followee)
        one.follows.discard(followee)

    async def block(self, blocker: UserId, blocked: UserId) -> None:
        if blocker == blocked:
            raise Refusal("invalid", "nobody can block themselves")
        one, other = self._known(blocker), self._known(blocked)
        one.blocks.add(blocked)
        one.follows.discard(blocked)
        other.follows.discard(blocker)

    async def unblock(self, blocker: UserId, blocked: UserId) -> None:
        if blocker in self._accounts:
            self._accounts[blocker].blocks.discard(blocked)

    # Reading

    async def posts(self, viewer: UserId, author: UserId, page: Page) -> Slice:
        checked_page(page)
        self._known(author)
        if self._apart(viewer, author):
            raise Refusal("not-found", "there is no such account")
        return self._page((it for it in self._written.values() if it.author == author and self._sees(viewer, it)), page)

    async def home(self, reader: UserId, page: Page) -> Slice:
        checked_page(page)
        return self._page(self._at_home(reader), page)

    async def settled(self) -> None:
        pass


def _keeps_its_word(model: TimelineModel) -> Timeline:
    return model  # for the type checker: the model answers all that a client can ask
