"""What the model keeps, and how its parts look at it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fathom.errors import Refusal

from ..api import PLAIN, App, Grant, Manner, MediaId, NoticeId, NoticeKind, Page, Post, PostId, Slice, User, UserId
from .checks import checked_id, sliced

if TYPE_CHECKING:
    from .media import Upload

__all__ = ["DAY_MS", "HOUR_MS", "Account", "Base", "Code", "Noticed", "Written"]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass
class Account:
    """Somebody, and whom they follow, block and mute."""

    name: str
    password: str
    joined_ms: int
    display: str = ""
    note: str = ""
    follows: set[UserId] = field(default_factory=set)
    blocks: set[UserId] = field(default_factory=set)
    mutes: dict[UserId, int | None] = field(default_factory=dict)  # until when; None: until it is lifted


@dataclass
class Written:
    """A post, or the boost of one."""

    id: PostId
    author: UserId
    body: str
    at_ms: int
    manner: Manner = PLAIN
    boost_of: PostId | None = None
    names: list[UserId] = field(default_factory=list)
    likers: list[UserId] = field(default_factory=list)
    deleted: bool = False


@dataclass
class Noticed:
    """A notice as it was given; whether it still holds is looked at when it is read."""

    id: NoticeId
    kind: NoticeKind
    who: UserId
    post: PostId | None
    at_ms: int
    dismissed: bool = False


@dataclass
class Code:
    """What a code stands for until it is redeemed."""

    app: str
    grant: Grant
    redirect: str
    challenge: str | None
    expires_ms: int


class Base:
    """The state, and questions about it that several parts ask."""

    def __init__(
        self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000, mint: Callable[[], int] | None = None
    ) -> None:
        self._clock, self._mint = clock, mint or itertools.count(1_000).__next__
        self._accounts: dict[UserId, Account] = {}
        self._written: dict[PostId, Written] = {}
        self._keys: dict[tuple[UserId, str], tuple[PostId, tuple[str, Manner], int]] = {}
        self._tokens: dict[str, tuple[UserId, int]] = {}
        self._noticed: dict[UserId, list[Noticed]] = {}
        self._apps: dict[str, App] = {}
        self._codes: dict[str, Code] = {}
        self._grants: dict[str, Grant] = {}
        self._uploads: dict[MediaId, Upload] = {}
        self._discarded: list[tuple[UserId, int, int]] = []  # by whom, bytes, when: they lie there for the grace

    def _known(self, user: UserId) -> Account:
        if user not in self._accounts:
            raise Refusal("not-found", "there is no such account")
        return self._accounts[user]

    def _apart(self, one: UserId, other: UserId) -> bool:
        """Whether either of two users blocks the other."""
        return any(a in self._accounts and b in self._accounts[a].blocks for a, b in ((one, other), (other, one)))

    def _mutes(self, one: UserId, other: UserId) -> bool:
        return one in self._accounts and other in self._muted_by(self._accounts[one])

    def _muted_by(self, account: Account) -> set[UserId]:
        """Return whom somebody mutes now."""
        now_ms = self._clock()
        return {muted for muted, until_ms in account.mutes.items() if until_ms is None or until_ms > now_ms}

    def _sees(self, viewer: UserId, post: Written) -> bool:
        """Whether a post is there for somebody; a boost is there as long as what it shows."""
        if post.deleted or self._apart(viewer, post.author):
            return False
        return post.boost_of is None or self._sees(viewer, self._written[post.boost_of])

    def _visible(self, viewer: UserId, post: PostId) -> Written:
        found = self._written.get(checked_id(post))
        if found is None or not self._sees(viewer, found):
            raise Refusal("not-found", "there is no such post")
        return found

    def _original(self, viewer: UserId, post: PostId) -> Written:
        """Return a post that can be liked, boosted and answered: a boost cannot, what it shows can."""
        found = self._visible(viewer, post)
        if found.boost_of is not None:
            raise Refusal("not-found", "there is no such post")
        return found

    def _boost(self, user: UserId, post: PostId) -> Written | None:
        return next(
            (it for it in self._written.values() if (it.boost_of, it.author) == (post, user) and not it.deleted), None
        )

    def _user(self, id: UserId) -> User:
        account = self._accounts[id]
        written = self._written.values()
        return User(
            id=id,
            name=account.name,
            followers=sum(id in other.follows for other in self._accounts.values()),
            following=len(account.follows),
            posts=sum(post.author == id and not post.deleted and post.boost_of is None for post in written),
            display=account.display,
            note=account.note,
            joined_ms=account.joined_ms,
        )

    def _post(self, post: Written, body: str | None = None) -> Post:
        others = [it for it in self._written.values() if not it.deleted]
        return Post(
            id=post.id,
            author=post.author,
            name=self._accounts[post.author].name,
            body=post.body if body is None else body,
            at_ms=post.at_ms,
            likes=len(post.likers),
            boosts=sum(it.boost_of == post.id for it in others),
            replies=sum(it.manner.reply_to == post.id for it in others),
            reply_to=post.manner.reply_to,
            warning=post.manner.warning,
            listed=post.manner.listed,
            boost_of=post.boost_of,
            boosted=None if post.boost_of is None else self._post(self._written[post.boost_of]),
        )

    def _page(self, posts: Iterable[Written], page: Page) -> Slice:
        """Return a page of these posts."""
        return sliced(
            [self._post(self._written[PostId(id)]) for id in cut((post.id for post in posts), page)], page, "pull"
        )


def cut(ids: Iterable[int], page: Page) -> list[int]:
    """Return the ids of a page, the highest first."""
    above = max(page.since_id or 0, page.min_id or 0)
    found = sorted((id for id in ids if id > above and (page.max_id is None or id < page.max_id)), reverse=True)
    return found[: page.limit] if page.min_id is None else found[-page.limit :]
