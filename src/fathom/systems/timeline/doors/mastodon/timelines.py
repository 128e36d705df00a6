"""Timelines, and the search for people."""

from __future__ import annotations

import re
from typing import Any

from ...api import Timeline
from .accounts import found
from .asked import Asked
from .entities import account, statuses, there
from .pages import of_posts
from .routes import ANYBODY, Route

__all__ = ["Timelines"]

_STATUS = re.compile(r"/@[a-z0-9_]{1,30}/([0-9]{1,16})")


class Timelines:
    """Handlers about lists of statuses, and the search."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/api/v1/timelines/home", "read:statuses", self.home),
            Route("GET", "/api/v1/timelines/public", ANYBODY, self.public),
            Route("GET", "/api/v1/timelines/tag/:tag", ANYBODY, self.tag),
            Route("GET", "/api/v1/trends/statuses", ANYBODY, self.trending),
            Route("GET", "/api/v2/search", "read:search", self.search),
            Route("GET", "/api/v1/search", "read:search", self.search),
        ]

    async def home(self, asked: Asked) -> Any:
        page = asked.page()
        return await of_posts(self._timeline, asked, page, await self._timeline.home(asked.viewer, page))

    async def public(self, asked: Asked) -> Any:
        """Return everybody's posts: all of them are local, and none has a picture."""
        page = asked.page()
        if (asked.flag("remote") and not asked.flag("local")) or asked.flag("only_media"):
            return []
        return await of_posts(self._timeline, asked, page, await self._timeline.public(asked.viewer, page))

    async def tag(self, asked: Asked) -> Any:
        page = asked.page()
        if (asked.flag("remote") and not asked.flag("local")) or asked.flag("only_media"):
            return []
        found = await self._timeline.tagged(asked.viewer, asked.path[0], page)
        return await of_posts(self._timeline, asked, page, found)

    async def trending(self, asked: Asked) -> Any:
        """Return what is liked most of late: all of it there is in at most two pages."""
        skip = asked.number("offset", 0)
        found = (await self._timeline.trending(asked.viewer)).posts
        return await statuses(self._timeline, asked, found[skip : skip + asked.limit()])

    async def search(self, asked: Asked) -> Any:
        """Find accounts by the beginning of their names, and a status by its address."""
        wanted, kind = asked.needed("q"), asked.text("type")
        people = await found(self._timeline, asked) if kind in (None, "accounts") and "://" not in wanted else []
        address = _STATUS.fullmatch(wanted.strip().removeprefix(asked.base)) if kind in (None, "statuses") else None
        posts = await there(self._timeline, asked.viewer, [address[1]] if address else [])
        return {
            "accounts": [account(user, asked.base) for user in people],
            "statuses": await statuses(self._timeline, asked, posts),
            "hashtags": [],
        }
