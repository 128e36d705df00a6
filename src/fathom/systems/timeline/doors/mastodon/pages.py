"""A page as Mastodon sends it: a bare list, with its neighbours in the Link header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fathom.web.app import Reply

from ...api import Page, People, Post, Slice, Timeline
from .asked import Asked
from .entities import account, links, statuses

__all__ = ["of_people", "of_posts", "wanted_statuses"]

_encode = msgspec.json.Encoder().encode


async def of_posts(
    timeline: Timeline, asked: Asked, page: Page, piece: Slice, wanted: Callable[[Post], bool] = lambda post: True
) -> Reply:
    """Return a page of statuses; what is not wanted is left out, and the neighbours are where they were scanned."""
    shown = await wanted_statuses(timeline, asked, [post for post in piece.posts if wanted(post)])
    fields = links(asked, page, piece.older, piece.newer if piece.posts else None)
    return Reply(200, _encode(shown), [*fields, (b"fathom-source", piece.source.encode())])


async def wanted_statuses(timeline: Timeline, asked: Asked, posts: Sequence[Post]) -> list[dict[str, Any]]:
    """Return posts as statuses. `only_media`, where it is said, leaves out those without pictures, and boosts."""
    shown = await statuses(timeline, asked, posts)
    return [it for it in shown if it["media_attachments"]] if asked.flag("only_media") else shown


def of_people(asked: Asked, page: Page, piece: People) -> Reply:
    """Return a page of accounts."""
    shown: list[Any] = [account(user, asked.base) for user in piece.users]
    return Reply(200, _encode(shown), links(asked, page, piece.older, piece.newer if piece.users else None))
