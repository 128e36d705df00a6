"""The timeline if computers were infinitely fast and never failed: lists, dictionaries, and one look at all of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fathom.errors import Refusal

from .api import BODY_CHARS_MAX, PAGE_POSTS_MAX, Page, Post, PostId, Slice, Timeline, User, UserId

__all__ = ["TimelineModel"]


@dataclass
class _Account:
    id: UserId
    name: str
    password: str
    follows: set[UserId] = field(default_factory=set)
    blocks: set[UserId] = field(default_factory=set)


@dataclass
class _Written:
    id: PostId
    author: UserId
    body: str
    at_ms: int
    likers: list[UserId] = field(default_factory=list)  # in the order of their likes


class TimelineModel:
    """Answers as the service does. `now_ms` and `mint` are given, so that both can have the same times and ids."""

    def __init__(
        self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000, mint: Callable[[], int] | None = None
    ) -> None:
        self._now_ms = now_ms
        self._mint = mint or self._count
        self._accounts: dict[UserId, _Account] = {}
        self._posts: dict[PostId, _Written] = {}
        self._gone: dict[PostId, UserId] = {}
        self._keys: dict[tuple[UserId, str], tuple[int, str, Post]] = {}
        self._tokens: dict[str, UserId] = {}
        self._minted = 0

    async def join(self, name: str, password: str) -> User:
        if not re.fullmatch(r"[a-z0-9_]{1,30}", name):
            raise Refusal("invalid", "a name has 1 to 30 of a-z, 0-9 and _")
        if not 8 <= len(password) <= 1_000:
            raise Refusal("invalid", "a password has at least 8 characters")
        if self._named(name) is not None:
            raise Refusal("conflict", f"the name {name} is taken")
        user = UserId(len(self._accounts) + 1)
        self._accounts[user] = _Account(user, name, password)
        return self._seen(self._accounts[user])

    async def login(self, name: str, password: str) -> str:
        account = self._named(name)
        if account is None or account.password != password:
            raise Refusal("unauthorised", "the name or the password is wrong")
        token = f"token-{len(self._tokens) + 1}"
        self._tokens[token] = account.id
        return token

    async def logout(self, token: str) -> None:
        self._tokens.pop(token, None)

    async def whoami(self, token: str) -> UserId:
        if token not in self._tokens:
            raise Refusal("unauthorised", "this token is not valid, log in again")
        return self._tokens[token]

    async def post(self, author: UserId, body: str, key: str | None = None) -> Post:
        self._account(author)
        if not 1 <= len(body) <= BODY_CHARS_MAX or not body.strip():
            raise Refusal("invalid", f"a post has 1 to {BODY_CHARS_MAX} characters")
        now_ms = self._now_ms()
        if key is not None and (author, key) in self._keys:
            at_ms, first, post = self._keys[author, key]
            if at_ms > now_ms - 86_400_000:
                if first != body:
                    raise Refusal("conflict", "this key was used for another post")
                likes = len(self._posts[post.id].likers) if post.id in self._posts else post.likes
                return Post(id=post.id, author=author, name=post.name, body=body, at_ms=post.at_ms, likes=likes)
        written = _Written(PostId(self._mint()), author, body, now_ms)
        self._posts[written.id] = written
        if key is not None:
            self._keys[author, key] = now_ms, body, self._shown(written)
        return self._shown(written)

    async def delete(self, author: UserId, post: PostId) -> None:
        written = self._posts.get(post)
        if self._gone.get(post) == author:
            return
        if written is None or self._apart(author, written.author):
            raise Refusal("not-found", "there is no such post")
        if written.author != author:
            raise Refusal("forbidden", "only its author can delete a post")
        self._gone[post] = author
        del self._posts[post]

    async def read(self, viewer: UserId, post: PostId) -> Post:
        return self._shown(self._visible(viewer, post))

    async def follow(self, follower: UserId, followee: UserId) -> None:
        one, other = self._both(follower, followee)
        if one.id in other.blocks:
            raise Refusal("not-found", "there is no such account")
        if other.id in one.blocks:
            raise Refusal("forbidden", "you block this account: unblock it first")
        one.follows.add(other.id)

    async def unfollow(self, follower: UserId, followee: UserId) -> None:
        one, other = self._both(follower, followee)
        one.follows.discard(other.id)

    async def block(self, blocker: UserId, blocked: UserId) -> None:
        one, other = self._both(blocker, blocked)
        one.blocks.add(other.id)
        one.follows.discard(other.id)
        other.follows.discard(one.id)

    async def unblock(self, blocker: UserId, blocked: UserId) -> None:
        one, other = self._both(blocker, blocked)
        one.blocks.discard(other.id)

    async def like(self, user: UserId, post: PostId) -> int:
        likers = self._visible(user, post).likers
        if user not in likers:
            likers.append(user)
        return len(likers)

    async def unlike(self, user: UserId, post: PostId) -> int:
        likers = self._visible(user, post).likers
        if user in likers:
            likers.remove(user)
        return len(likers)

    async def profile(self, viewer: UserId, name: str) -> User:
        account = self._named(name)
        if account is None or viewer in account.blocks:
            raise Refusal("not-found", "there is no such account")
        return self._seen(account)

    async def users(self, viewer: UserId, ids: list[UserId]) -> list[User]:
        known = [self._accounts[user] for user in ids[:1_000] if user in self._accounts]
        return [self._seen(account) for account in known if viewer not in account.blocks]

    async def posts(self, viewer: UserId, author: UserId, page: Page) -> Slice:
        if author not in self._accounts or self._apart(viewer, author):
            raise Refusal("not-found", "there is no such account")
        return self._slice({author}, page)

    async def home(self, reader: UserId, page: Page) -> Slice:
        account = self._account(reader)
        return self._slice(account.follows | {reader}, page)

    async def likers(self, viewer: UserId, post: PostId) -> list[UserId]:
        return self._visible(viewer, post).likers[::-1][:1_000]

    async def settled(self) -> None:
        """Nothing is ever under way here."""

    def _count(self) -> int:
        self._minted += 1
        return self._minted

    def _account(self, user: UserId) -> _Account:
        if user not in self._accounts:
            raise Refusal("not-found", "there is no such account")
        return self._accounts[user]

    def _both(self, one: UserId, other: UserId) -> tuple[_Account, _Account]:
        if one == other:
            raise Refusal("invalid", "nobody follows or blocks themselves")
        return self._account(one), self._account(other)

    def _named(self, name: str) -> _Account | None:
        return next((account for account in self._accounts.values() if account.name == name), None)

    def _apart(self, one: UserId, other: UserId) -> bool:
        return any(b in self._accounts[a].blocks for a, b in ((one, other), (other, one)) if a in self._accounts)

    def _visible(self, viewer: UserId, post: PostId) -> _Written:
        written = self._posts.get(post)
        self._account(viewer)
        if written is None or self._apart(viewer, written.author):
            raise Refusal("not-found", "there is no such post")
        return written

    def _seen(self, account: _Account) -> User:
        return User(
            id=account.id,
            name=account.name,
            followers=sum(account.id in other.follows for other in self._accounts.values()),
            following=len(account.follows),
            posts=sum(post.author == account.id for post in self._posts.values()),
        )

    def _shown(self, written: _Written) -> Post:
        return Post(
            id=written.id,
            author=written.author,
            name=self._accounts[written.author].name,
            body=written.body,
            at_ms=written.at_ms,
            likes=len(written.likers),
        )

    def _slice(self, authors: set[UserId], page: Page) -> Slice:
        if not 1 <= page.limit <= PAGE_POSTS_MAX:
            raise Refusal("invalid", f"a page has 1 to {PAGE_POSTS_MAX} posts")
        everything = sorted(post.id for post in self._posts.values() if post.author in authors)
        above = max(page.since_id or 0, page.min_id or 0)
        between = [id for id in everything if above < id and (page.max_id is None or id < page.max_id)]
        ids = between[: page.limit] if page.min_id is not None else between[-page.limit :]
        more = bool(ids) and any(id < ids[0] for id in between)
        posts = [self._shown(self._posts[id]) for id in reversed(ids)]
        return Slice(posts=posts, older=ids[0] if more else None, newer=ids[-1] if ids else None)


def _keeps_its_word(model: TimelineModel) -> Timeline:
    return model  # for the type checker: the model answers all that a client can ask
