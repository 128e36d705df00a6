"""A social timeline: posts, follows, and a home that shows each follower each post once, newest first."""

from __future__ import annotations

from typing import Literal, NewType, Protocol

import msgspec

__all__ = [
    "BODY_CHARS_MAX",
    "PAGE_POSTS_MAX",
    "TRENDING_HOURS_MAX",
    "TRENDING_POSTS",
    "Page",
    "Piece",
    "Post",
    "PostId",
    "Reach",
    "Slice",
    "Source",
    "Timeline",
    "Trending",
    "User",
    "UserId",
]

UserId = NewType("UserId", int)
PostId = NewType("PostId", int)  # ordered by time, unique, below 2**53 so that a double holds it exactly

BODY_CHARS_MAX = 500
PAGE_POSTS_MAX = 40
TRENDING_POSTS = 20
TRENDING_HOURS_MAX = 24


class User(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An account as others see it."""

    id: UserId
    name: str
    followers: int = 0
    following: int = 0
    posts: int = 0


class Post(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A post. `at_ms` is Unix time in milliseconds; `name` is its author's, which never changes."""

    id: PostId
    author: UserId
    name: str
    body: str
    at_ms: int
    likes: int = 0


class Page(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which posts of a list: at most `limit`, newest first.

    `max_id`: only older ones. `since_id`: only newer ones, the newest of them. `min_id`: only newer ones, the
    *oldest* of them, so that walking up with it closes a gap of any length (a `since_id` walk does not).
    """

    limit: int = 20
    max_id: PostId | None = None
    since_id: PostId | None = None
    min_id: PostId | None = None


Source = Literal["feed", "pull", "fallback"]  # from the pushed feed; put together by design; because a store is down


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A page of posts, newest first, and where it came from.

    `older` is the max_id of the page below and `newer` the min_id of the page above. Both come from the position
    that was scanned, not from what is visible: a page may be short and yet have an `older`. None: there is no more.
    """

    posts: list[Post]
    older: PostId | None = None
    newer: PostId | None = None
    source: Source = "pull"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a list that grows at its head, newest first.

    `next` is the cursor of the piece below: a word that says nothing to whoever brings it back. None: there is no more.
    """

    posts: list[Post]
    next: str | None = None


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far a post has come to its author's followers, of posts written lately; of others only whether it has.

    Followers are told in pieces of work of bounded size. `behind` and `beside` say who was served while this post
    waited for its first piece: pieces of others that had had one already, and first pieces of others.
    """

    told: bool
    pieces: int = 0
    behind: int = 0
    beside: int = 0


class Trending(msgspec.Struct, frozen=True, kw_only=True):
    """The posts of some hours that are liked most, most liked first, as that was at `made_ms` (Unix time).

    It is given to nobody `fresh_s` seconds later or more. Making it took `took_ms`; `anew` says that it was made for
    this very call. What a post says of itself, and whether it may be seen, is as of now.
    """

    posts: list[Post]
    made_ms: int
    took_ms: float
    fresh_s: float
    anew: bool


class Timeline(Protocol):
    """What a client can ask. Every verb may raise Refusal; none has half happened when it does."""

    async def join(self, name: str, password: str) -> User:
        """Open an account. Names are 1 to 30 of a-z, 0-9 and _, unique; passwords have at least 8 characters."""
        ...

    async def login(self, name: str, password: str) -> str:
        """Return a fresh bearer token, valid for 30 days."""
        ...

    async def logout(self, token: str) -> None:
        """Make a token worthless."""
        ...

    async def whoami(self, token: str) -> UserId:
        """Return whose token this is; refuse with `unauthorised`."""
        ...

    async def post(self, author: UserId, body: str, key: str | None = None) -> Post:
        """Write a post, durable when this returns. The same `key` within a day gives the same post."""
        ...

    async def delete(self, author: UserId, post: PostId) -> None:
        """Delete one's own post: nobody sees it from now on. Deleting it again is fine."""
        ...

    async def read(self, viewer: UserId, post: PostId) -> Post:
        """Return one post."""
        ...

    async def reach(self, author: UserId, post: PostId) -> Reach:
        """Return how far one's own post has come to one's followers."""
        ...

    async def follow(self, follower: UserId, followee: UserId) -> None:
        """From now on the follower's home has all of the followee's posts, old ones too."""
        ...

    async def unfollow(self, follower: UserId, followee: UserId) -> None:
        """From now on the follower's home has none of them."""
        ...

    async def block(self, blocker: UserId, blocked: UserId) -> None:
        """Neither follows the other any more nor can; neither sees the other's posts."""
        ...

    async def unblock(self, blocker: UserId, blocked: UserId) -> None:
        """Lift a block. Follows do not come back by themselves."""
        ...

    async def like(self, user: UserId, post: PostId) -> int:
        """Like a post, once; return how many do, as far as they are counted."""
        ...

    async def unlike(self, user: UserId, post: PostId) -> int:
        """Take a like back; return how many are left, as far as they are counted."""
        ...

    async def profile(self, viewer: UserId, name: str) -> User:
        """Return an account by name, with its counts."""
        ...

    async def users(self, viewer: UserId, ids: list[UserId]) -> list[User]:
        """Return these accounts, at most 1,000, in this order; leave out those unknown or hidden from the viewer."""
        ...

    async def posts(self, viewer: UserId, author: UserId, page: Page) -> Slice:
        """Return an author's own posts."""
        ...

    async def home(self, reader: UserId, page: Page) -> Slice:
        """Return the posts of those the reader follows, and the reader's own."""
        ...

    async def latest(self, viewer: UserId, cursor: str | None = None, limit: int = 20) -> Piece:
        """Return everybody's posts, newest first, without those of whom a block parts from the viewer.

        `cursor` is the `next` of the piece above; nothing else is one.
        """
        ...

    async def newer(self, viewer: UserId, than: PostId, limit: int = 20) -> list[Post]:
        """Return the oldest of everybody's posts above this one, oldest first, without those of the blocked.

        Who asks again and again from the last one they were given sees every post, each after a moment.
        """
        ...

    async def trending(self, viewer: UserId, hours: int = TRENDING_HOURS_MAX) -> Trending:
        """Return the 20 posts that are liked most, of those written in the last 1 to 24 hours; as of `made_ms`."""
        ...

    async def likers(self, viewer: UserId, post: PostId) -> list[UserId]:
        """Return who likes a post, at most the 1,000 newest, newest first."""
        ...

    async def settled(self) -> None:
        """Return when everything accepted before this call has taken effect everywhere."""
        ...
