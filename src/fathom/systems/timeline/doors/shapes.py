"""What goes over the wire: ids as text, authors and engagement inside each post, and where the next page begins."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..api import BODY_CHARS_MAX, Post, Slice, Source, User

__all__ = [
    "ID",
    "LIMIT",
    "NAME",
    "Account",
    "Author",
    "Credentials",
    "Draft",
    "Engagement",
    "Latest",
    "Likers",
    "Likes",
    "Listing",
    "Pagination",
    "Published",
    "Rest",
    "Session",
    "Shown",
    "Trends",
    "Way",
    "account",
    "listing",
    "published",
]

# An id is a number below 2**53, but JSON readers in the wild make doubles or 32-bit integers of numbers: text is safe.
ID = "^([0-9]{1,15}|[0-8][0-9]{15})$"  # the clock in them reaches the rest of 2**53 in the year 2095
NAME = "^[a-z0-9_]{1,30}$"
LIMIT = 20
PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX = 8, 256

Name = Annotated[str, Meta(pattern=NAME, description="1 to 30 of a-z, 0-9 and _", examples=["ann"])]
Password = Annotated[str, Meta(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX)]
Id = Annotated[str, Meta(pattern=ID, description="a number, as text", examples=["241894771200000"])]


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who somebody is to be, or says to be."""

    name: Name
    password: Password


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A post that is to be written."""

    # Something to see in it, and no character 0, which PostgreSQL cannot keep.
    body: Annotated[str, Meta(min_length=1, max_length=BODY_CHARS_MAX, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A token: send it as `Authorization: Bearer TOKEN`. It is shown this once."""

    token: str
    token_type: str = "Bearer"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as others see it."""

    id: Id
    name: str
    followers: int
    following: int
    posts: int


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a post, or likes it."""

    id: Id
    name: str


class Engagement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What others did with a post; what nobody did is left out, except for likes."""

    likes: int
    boosts: int = 0
    replies: int = 0


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A post that another one shows."""

    id: Id
    author: Author
    body: str
    at_ms: int
    engagement: Engagement
    warning: str | None = None
    reply_to: Id | None = None


class Published(Shown, frozen=True, kw_only=True, omit_defaults=True):
    """A post. `at_ms` is Unix time in milliseconds. A boost has no body; `boosted` is what it shows.

    `warning` is for readers before they see the body, `reply_to` the post that it answers; left out if there is none.
    """

    boosted: Shown | None = None


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """Where the neighbouring pages begin: `older` is a max_id, `newer` a min_id; null where there is no more.

    A page may be shorter than its limit and yet have an `older`: only null ends a walk. Posts are delivered moments
    after they are written, not always in the order of their ids: a late one may lie below a `newer` taken before.
    """

    limit: int
    older: Id | None
    newer: Id | None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A page of posts, newest first. `source` says whether it was pushed, pulled, or a store was down."""

    posts: list[Published]
    pagination: Pagination
    source: Source


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """Where the page below begins: a cursor that only this list can read; null where there is no more."""

    limit: int
    next: str | None


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """A page of everybody's posts, newest first."""

    posts: list[Published]
    pagination: Rest


class Likes(msgspec.Struct, frozen=True, kw_only=True):
    """How many like a post now."""

    likes: int


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How far a post has come to its author's followers, and who was served while it waited: see `Reach` in api.py."""

    told: bool
    pieces: int
    behind: int
    beside: int


class Likers(msgspec.Struct, frozen=True, kw_only=True):
    """Who likes a post, newest first, at most 1,000."""

    likers: list[Author]


class Trends(msgspec.Struct, frozen=True, kw_only=True):
    """The most liked posts of some hours, as that was at `made_ms` (Unix time): less than `fresh_s` seconds ago."""

    posts: list[Published]
    made_ms: int
    fresh_s: float


def account(user: User) -> Account:
    return Account(
        id=str(user.id), name=user.name, followers=user.followers, following=user.following, posts=user.posts
    )


def published(post: Post) -> Published:
    return Published(**_fields(post), boosted=None if post.boosted is None else Shown(**_fields(post.boosted)))


def _fields(post: Post) -> dict[str, Any]:
    return {
        "id": str(post.id),
        "author": Author(id=str(post.author), name=post.name),
        "body": post.body,
        "at_ms": post.at_ms,
        "engagement": Engagement(likes=post.likes, boosts=post.boosts, replies=post.replies),
        "warning": post.warning or None,
        "reply_to": None if post.reply_to is None else str(post.reply_to),
    }


def listing(piece: Slice, limit: int) -> Listing:
    return Listing(
        posts=[published(post) for post in piece.posts],
        pagination=Pagination(
            limit=limit,
            older=None if piece.older is None else str(piece.older),
            newer=None if piece.newer is None else str(piece.newer),
        ),
        source=piece.source,
    )
