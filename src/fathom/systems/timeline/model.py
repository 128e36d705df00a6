"""The timeline if computers were infinitely fast and never failed: lists, dicts, sets, and one look at them all."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fathom.blocks.places import Place
from fathom.errors import Refusal

from .api import (
    BODY_CHARS_MAX,
    PAGE_POSTS_MAX,
    TRENDING_HOURS_MAX,
    TRENDING_POSTS,
    Page,
    Piece,
    Post,
    PostId,
    Reach,
    Slice,
    Source,
    Timeline,
    Trending,
    User,
    UserId,
)

__all__ = [
    "TimelineModel",
    "checked_body",
    "checked_cursor",
    "checked_hours",
    "checked_id",
    "checked_key",
    "checked_limit",
    "checked_name",
    "checked_number",
    "checked_page",
    "checked_password",
    "pieced",
    "sliced",
]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TOKEN_MS = 30 * DAY_MS


@dataclass
class _Account:
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
    likers: list[UserId] = field(default_factory=list)
    deleted: bool = False


class TimelineModel:
    """Everything happens at once and for good: nothing is delivered, because everybody looks at the same list."""

    def __init__(
        self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000, mint: Callable[[], int] | None = None
    ) -> None:
        self._clock, self._mint = clock, mint or itertools.count(1).__next__
        self._accounts: dict[UserId, _Account] = {}
        self._written: dict[PostId, _Written] = {}
        self._keys: dict[tuple[UserId, str], tuple[PostId, str, int]] = {}
        self._tokens: dict[str, tuple[UserId, int]] = {}

    # Accounts

    async def join(self, name: str, password: str) -> User:
        checked_name(name)
        checked_password(password)
        if any(account.name == name for account in self._accounts.values()):
            raise Refusal("conflict", f"the name {name} is taken")
        id = UserId(self._mint())
        self._accounts[id] = _Account(name, password)
        return self._user(id)

    async def login(self, name: str, password: str) -> str:
        for id, account in self._accounts.items():
            if (account.name, account.password) == (name, password):
                token = f"token-{len(self._tokens) + 1}"
                self._tokens[token] = (id, self._clock() + TOKEN_MS)
                return token
        raise Refusal("unauthorised", "no account has this name and password")

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

    async def users(self, viewer: UserId, ids: list[UserId]) -> list[User]:
        if len(ids) > 1_000:
            raise Refusal("invalid", "at most 1,000 accounts can be asked for at once")
        known = [checked_id(id) for id in ids if id in self._accounts]
        return [self._user(id) for id in known if viewer not in self._accounts[id].blocks]

    # Posts

    async def post(self, author: UserId, body: str, key: str | None = None) -> Post:
        checked_body(body)
        checked_key(key)
        self._known(author)
        now_ms = self._clock()
        if key is not None and (author, key) in self._keys:
            id, first_body, at_ms = self._keys[author, key]
            if now_ms - at_ms < DAY_MS:
                if body != first_body:
                    raise Refusal("invalid", "this key was used for another post")
                return self._post(self._written[id], body)
        post = _Written(PostId(self._mint()), author, body, now_ms)
        self._written[post.id] = post
        if key is not None:
            self._keys[author, key] = (post.id, body, now_ms)
        return self._post(post)

    async def delete(self, author: UserId, post: PostId) -> None:
        found = self._written.get(checked_id(post))
        if found is None or self._apart(author, found.author) or (found.deleted and found.author != author):
            raise Refusal("not-found", "there is no such post")
        if found.author != author:
            raise Refusal("forbidden", "only its author can delete a post")
        found.deleted = True

    async def read(self, viewer: UserId, post: PostId) -> Post:
        return self._post(self._visible(viewer, post))

    async def reach(self, author: UserId, post: PostId) -> Reach:
        if self._visible(author, post).author != author:
            raise Refusal("forbidden", "only its author is told how far a post has come")
        return Reach(told=True)

    async def like(self, user: UserId, post: PostId) -> int:
        found = self._visible(user, post)
        self._known(user)
        if user not in found.likers:
            found.likers.append(user)
        return len(found.likers)

    async def unlike(self, user: UserId, post: PostId) -> int:
        found = self._visible(user, post)
        self._known(user)
        if user in found.likers:
            found.likers.remove(user)
        return len(found.likers)

    async def likers(self, viewer: UserId, post: PostId) -> list[UserId]:
        return self._visible(viewer, post).likers[::-1][:1_000]

    # Edges

    async def follow(self, follower: UserId, followee: UserId) -> None:
        if follower == followee:
            raise Refusal("invalid", "nobody can follow themselves")
        one, other = self._known(follower), self._known(followee)
        if follower in other.blocks:
            raise Refusal("not-found", "there is no such account")
        if followee in one.blocks:
            raise Refusal("forbidden", "you block this account: unblock it first")
        one.follows.add(followee)

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
        return self._page({author}, page)

    async def home(self, reader: UserId, page: Page) -> Slice:
        checked_page(page)
        follows = self._accounts[reader].follows if reader in self._accounts else set()
        return self._page({reader, *follows}, page)

    async def latest(self, viewer: UserId, cursor: str | None = None, limit: int = 20) -> Piece:
        place = checked_cursor(cursor)
        newest_first = sorted(self._written.values(), key=lambda post: (post.at_ms, post.id), reverse=True)
        found = [
            self._post(post)
            for post in newest_first
            if not post.deleted
            and not self._apart(viewer, post.author)
            and (place is None or (post.at_ms, post.id) < (place.at_ms, place.id))
        ]
        return pieced(found[: checked_limit(limit)], place, limit)

    async def newer(self, viewer: UserId, than: PostId, limit: int = 20) -> list[Post]:
        checked_number("than", than)
        found = [
            self._post(post)
            for id, post in sorted(self._written.items())
            if id > than and not post.deleted and not self._apart(viewer, post.author)
        ]
        return found[: checked_limit(limit)]

    async def trending(self, viewer: UserId, hours: int = TRENDING_HOURS_MAX) -> Trending:
        checked_hours(hours)
        now_ms = self._clock()
        written = [
            post
            for post in self._written.values()
            if now_ms - hours * HOUR_MS < post.at_ms <= now_ms
            and not post.deleted
            and not self._apart(viewer, post.author)
        ]
        most_liked = sorted(written, key=lambda post: (len(post.likers), post.id), reverse=True)[:TRENDING_POSTS]
        posts = [self._post(post) for post in most_liked]
        return Trending(posts=posts, made_ms=now_ms, took_ms=0.0, fresh_s=0.0, anew=True)

    async def settled(self) -> None:
        pass

    # What is known

    def _known(self, user: UserId) -> _Account:
        if user not in self._accounts:
            raise Refusal("not-found", "there is no such account")
        return self._accounts[user]

    def _apart(self, one: UserId, other: UserId) -> bool:
        """Whether either of two users blocks the other."""
        return any(a in self._accounts and b in self._accounts[a].blocks for a, b in ((one, other), (other, one)))

    def _visible(self, viewer: UserId, post: PostId) -> _Written:
        found = self._written.get(checked_id(post))
        if found is None or found.deleted or self._apart(viewer, found.author):
            raise Refusal("not-found", "there is no such post")
        return found

    def _user(self, id: UserId) -> User:
        account = self._accounts[id]
        return User(
            id=id,
            name=account.name,
            followers=sum(id in other.follows for other in self._accounts.values()),
            following=len(account.follows),
            posts=sum(post.author == id and not post.deleted for post in self._written.values()),
        )

    def _post(self, post: _Written, body: str | None = None) -> Post:
        return Post(
            id=post.id,
            author=post.author,
            name=self._accounts[post.author].name,
            body=post.body if body is None else body,
            at_ms=post.at_ms,
            likes=len(post.likers),
        )

    def _page(self, authors: set[UserId], page: Page) -> Slice:
        newest_first = sorted(self._written, reverse=True)
        above = max(page.since_id or 0, page.min_id or 0)
        found = [
            self._post(self._written[id])
            for id in newest_first
            if self._written[id].author in authors
            and not self._written[id].deleted
            and id > above
            and (page.max_id is None or id < page.max_id)
        ]
        found = found[: page.limit] if page.min_id is None else found[-page.limit :]
        return sliced(found, page, "pull")


def sliced(found: list[Post], page: Page, source: Source) -> Slice:
    """Return a page of these posts, newest first."""
    older, newer = ends([post.id for post in found], page)
    return Slice(posts=found, older=older, newer=newer, source=source)


def ends(found: list[PostId], page: Page) -> tuple[PostId | None, PostId | None]:
    """Return where the neighbouring pages begin: a full one has an older one below it (which may be empty), and each
    has a newer one."""
    if not found:
        return None, page.min_id or page.since_id
    return (found[-1] if len(found) >= page.limit or page.min_id is not None else None), found[0]


def pieced(found: list[Post], place: Place | None, limit: int) -> Piece:
    """Return a piece of everybody's posts that begins below a place: a full one has another below it, maybe empty."""
    if len(found) < limit:
        return Piece(posts=found)
    seen = len(found) if place is None else place.seen + len(found)
    return Piece(posts=found, next=Place(found[-1].at_ms, found[-1].id, seen).word())


# What may be asked. Model and service refuse the same.

_NAME = re.compile(r"[a-z0-9_]{1,30}")
_ID_MAX = 1 << 53
Id = TypeVar("Id", bound=int)


def checked_name(name: str) -> str:
    """Return a name that an account can have, or refuse."""
    if _NAME.fullmatch(name) is None:
        raise Refusal("invalid", "a name is 1 to 30 of a-z, 0-9 and _")
    return name


def checked_password(password: str) -> str:
    """Return a password that is worth keeping, or refuse."""
    if not 8 <= len(password) <= 256 or not _writable(password):
        raise Refusal("invalid", "a password has 8 to 256 characters")
    return password


def checked_body(body: str) -> str:
    """Return a text that can be posted, or refuse."""
    if not body.strip() or len(body) > BODY_CHARS_MAX or "\0" in body or not _writable(body):
        raise Refusal("invalid", f"a post has 1 to {BODY_CHARS_MAX} characters, and not only spaces")
    return body


def checked_key(key: str | None) -> str | None:
    """Return an idempotency key, or refuse."""
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Refusal("invalid", "a key has 1 to 255 printable ASCII characters")
    return key


def checked_id(id: Id) -> Id:
    """Return a number that can be an id, or say that there is no such thing."""
    if not 0 <= id < _ID_MAX:
        raise Refusal("not-found", "there is nothing with this number")
    return id


def checked_cursor(cursor: str | None) -> Place | None:
    """Return the place where somebody wants to go on, or refuse; None: at the top."""
    place = None if cursor is None else Place.read(cursor)
    if cursor is not None and place is None:
        raise Refusal("invalid", "this is no cursor: send back the `next` of the piece above, or none for the newest")
    return place


def checked_limit(limit: int) -> int:
    """Return how many posts can be asked for, or refuse."""
    if not 1 <= limit <= PAGE_POSTS_MAX:
        raise Refusal("invalid", f"a page has 1 to {PAGE_POSTS_MAX} posts, not {limit}")
    return limit


def checked_hours(hours: int) -> int:
    """Return how far back to look for what trends, or refuse."""
    if not 1 <= hours <= TRENDING_HOURS_MAX:
        raise Refusal("invalid", f"hours is a whole number from 1 to {TRENDING_HOURS_MAX}, not {hours}")
    return hours


def checked_page(page: Page) -> Page:
    """Return a page that can be asked for, or refuse."""
    if 1 <= page.limit <= PAGE_POSTS_MAX and page.max_id is None and page.since_id is None and page.min_id is None:
        return page  # nearly all of them
    checked_limit(page.limit)
    for name in ("max_id", "since_id", "min_id"):
        id = getattr(page, name)
        if id is not None:
            checked_number(name, id)
    return page


def checked_number(name: str, id: int) -> int:
    """Return a number that posts can be compared with, or refuse."""
    if not 0 <= id < 1 << 63:
        raise Refusal("invalid", f"{name} is not the id of a post")
    return id


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _keeps_its_word(model: TimelineModel) -> Timeline:
    return model  # for the type checker: the model answers all that a client can ask
