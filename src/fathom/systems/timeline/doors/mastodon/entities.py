"""What Mastodon's clients are shown: accounts, statuses, relationships and notifications, in its words."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from fathom.errors import Refusal

from ...api import Mark, Notice, NoticeKind, Page, Post, PostId, Relation, Timeline, User, UserId
from ...model.checks import NAMED, tags_in
from .asked import Asked, number

__all__ = ["KINDS", "account", "date", "links", "notifications", "own_account", "relationship", "statuses", "there"]

KINDS: dict[str, NoticeKind] = {"follow": "follow", "favourite": "like", "reblog": "boost", "mention": "mention"}
_TYPES = {kind: type for type, kind in KINDS.items()}


def date(at_ms: int) -> str:
    """Return a time as Mastodon writes it.

    >>> date(1795203449467)
    '2026-11-20T17:37:29.467Z'
    """
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def account(user: User, base: str) -> dict[str, Any]:
    """Return an account."""
    return {
        "id": str(user.id),
        "username": user.name,
        "acct": user.name,
        "display_name": user.display,
        "locked": False,
        "bot": False,
        "discoverable": True,
        "group": False,
        "noindex": False,
        "created_at": date(user.joined_ms),
        "note": paragraphs(html.escape(user.note)),
        "url": f"{base}/@{user.name}",
        "uri": f"{base}/users/{user.name}",
        "avatar": f"{base}/avatars/{user.id}.svg",
        "avatar_static": f"{base}/avatars/{user.id}.svg",
        "header": f"{base}/headers/plain.svg",
        "header_static": f"{base}/headers/plain.svg",
        "followers_count": user.followers,
        "following_count": user.following,
        "statuses_count": user.posts,
        "last_status_at": None,
        "emojis": [],
        "fields": [],
        "roles": [],
    }


def own_account(user: User, base: str) -> dict[str, Any]:
    """Return an account as its owner sees it."""
    source = {
        "privacy": "public",
        "sensitive": False,
        "language": None,
        "note": user.note,
        "fields": [],
        "follow_requests_count": 0,
    }
    return {**account(user, base), "source": source}


def relationship(it: Relation) -> dict[str, Any]:
    """Return what is between the viewer and an account. Whoever blocks the viewer is not there for them."""
    return {
        "id": str(it.id),
        "following": it.following,
        "showing_reblogs": it.following,
        "notifying": False,
        "languages": None,
        "followed_by": it.followed_by,
        "blocking": it.blocking,
        "blocked_by": False,
        "muting": it.muting,
        "muting_notifications": it.muting,
        "requested": False,
        "requested_by": False,
        "domain_blocking": False,
        "endorsed": False,
        "note": "",
    }


async def statuses(timeline: Timeline, asked: Asked, posts: Sequence[Post]) -> list[dict[str, Any]]:
    """Return posts as statuses: their authors and what the viewer did with them are asked for once for all."""
    whole = [*posts, *(post.boosted for post in posts if post.boosted is not None)]
    if not whole:
        return []
    authors = await timeline.users(asked.viewer, list({post.author: None for post in whole}))
    marks = await timeline.marks(asked.viewer, list({post.id: None for post in whole}))
    page = _Statuses(asked.base, {user.id: user for user in authors}, {mark.post: mark for mark in marks})
    return [page.status(post) for post in posts if page.knows(post)]


class _Statuses:
    """Writes the statuses of one answer."""

    def __init__(self, base: str, users: dict[UserId, User], marks: dict[PostId, Mark]) -> None:
        self._base, self._users, self._marks = base, users, marks

    def knows(self, post: Post) -> bool:
        """Whether all of it was still there when it was asked for."""
        there = post.author in self._users and post.id in self._marks
        return there and (post.boosted is None or self.knows(post.boosted))

    def status(self, post: Post) -> dict[str, Any]:
        shown, mark = post.boosted or post, self._marks[post.id if post.boosted is None else post.boosted.id]
        url = f"{self._base}/@{post.name}/{post.id}"
        mentions = [
            {"id": str(it.id), "username": it.name, "acct": it.name, "url": f"{self._base}/@{it.name}"}
            for it in mark.mentions
        ]
        return {
            "id": str(post.id),
            "created_at": date(post.at_ms),
            "edited_at": None,
            "in_reply_to_id": None if shown.reply_to is None else str(shown.reply_to),
            "in_reply_to_account_id": None if mark.answers is None else str(mark.answers),
            "sensitive": bool(shown.warning),
            "spoiler_text": shown.warning,
            "visibility": "public" if shown.listed else "unlisted",
            "language": None,
            "uri": f"{self._base}/users/{post.name}/statuses/{post.id}",
            "url": url,
            "replies_count": shown.replies,
            "reblogs_count": shown.boosts,
            "favourites_count": shown.likes,
            "favourited": mark.liked,
            "reblogged": mark.boosted,
            "muted": False,
            "bookmarked": False,
            "pinned": False,
            "content": self._content(shown.body, {it.name for it in mark.mentions}),
            "filtered": [],
            "reblog": None if post.boosted is None else self.status(post.boosted),
            "application": None,
            "account": account(self._users[post.author], self._base),
            "media_attachments": [],
            "mentions": mentions,
            "tags": [{"name": tag, "url": f"{self._base}/tags/{tag}"} for tag in tags_in(shown.body)],
            "emojis": [],
            "card": None,
            "poll": None,
        }

    def _content(self, body: str, named: set[str]) -> str:
        """Return a text as HTML, in which nothing is markup but what we put there."""

        def link(found: re.Match[str]) -> str:
            name = found[1].lower()
            if name not in named:
                return found[0]
            at = f"{html.escape(self._base)}/@{name}"
            return f'<span class="h-card"><a href="{at}" class="u-url mention">@<span>{found[1]}</span></a></span>'

        return paragraphs(NAMED.sub(link, html.escape(body)))


def paragraphs(escaped: str) -> str:
    """Return text that is already escaped as paragraphs.

    >>> paragraphs("one\\ntwo\\n\\nthree")
    '<p>one<br />two</p><p>three</p>'
    """
    if not escaped:
        return ""
    parts = re.split(r"\n{2,}", escaped.replace("\r\n", "\n"))
    return "".join(f"<p>{part}</p>" for part in parts).replace("\n", "<br />")


async def notifications(timeline: Timeline, asked: Asked, notices: Sequence[Notice]) -> list[dict[str, Any]]:
    """Return notices as notifications, with who caused them and the status that they are about."""
    if not notices:
        return []
    users = {it.id: it for it in await timeline.users(asked.viewer, list({it.who: None for it in notices}))}
    posts = await there(timeline, asked.viewer, (str(it.post) for it in notices if it.post is not None))
    shown = {it["id"]: it for it in await statuses(timeline, asked, posts)}
    return [
        {
            "id": str(it.id),
            "type": _TYPES[it.kind],
            "created_at": date(it.at_ms),
            "group_key": f"ungrouped-{it.id}",
            "account": account(users[it.who], asked.base),
            **({} if it.post is None else {"status": shown[str(it.post)]}),
        }
        for it in notices
        if it.who in users and (it.post is None or str(it.post) in shown)
    ]


async def there(timeline: Timeline, viewer: UserId, ids: Iterable[str]) -> list[Post]:
    """Return posts by their ids as they were said, without those that are not, or no longer, there."""
    posts: list[Post] = []
    for id in dict.fromkeys(ids):
        try:
            posts.append(await timeline.read(viewer, number(id)))
        except Refusal as refusal:
            if refusal.code != "not-found":
                raise
    return posts


def links(asked: Asked, page: Page, older: int | None, newer: int | None) -> list[tuple[bytes, bytes]]:
    """Return the Link header of a page: `next` is the page below, `prev` the one above."""
    also = [(name, text) for name, texts in asked.said.items() if name not in _CURSOR for text in texts]
    many = {name for name, texts in asked.said.items() if len(texts) > 1}
    kept = urlencode([(f"{name}[]" if name in many else name, text) for name, text in also] + [("limit", page.limit)])
    found = [
        f'<{asked.base}{quote(asked.at)}?{kept}&{name}={id}>; rel="{rel}"'
        for rel, name, id in (("next", "max_id", older), ("prev", "min_id", newer))
        if id is not None
    ]
    return [(b"link", ", ".join(found).encode("latin-1", "replace"))] if found else []


_CURSOR = ("limit", "max_id", "since_id", "min_id")
