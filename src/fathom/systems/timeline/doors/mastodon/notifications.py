"""Notifications: what others did that concerns one."""

from __future__ import annotations

from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Reply

from ...api import NoticeId, NoticeKind, Page, PostId, Timeline
from .asked import Asked, number
from .entities import KINDS, links, notifications
from .routes import Route

__all__ = ["Notifications"]


class Notifications:
    """Handlers about notifications."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def routes(self) -> list[Route]:
        at, read, write = "/api/v1/notifications", "read:notifications", "write:notifications"
        return [
            Route("GET", at, read, self.several),
            Route("GET", f"{at}/unread_count", read, self.count),
            Route("GET", f"{at}/:id", read, self.one),
            Route("POST", f"{at}/clear", write, self.clear),
            Route("POST", f"{at}/dismiss", write, self.dismiss_said),
            Route("POST", f"{at}/:id/dismiss", write, self.dismiss),
        ]

    async def several(self, asked: Asked) -> Any:
        page = asked.page(40)
        found = await self._timeline.notices(asked.viewer, page, _kinds(asked))
        shown = await notifications(self._timeline, asked, found.notices)
        fields = links(asked, page, found.older, found.newer if found.notices else None)
        return Reply(200, msgspec.json.encode(shown), fields)

    async def count(self, asked: Asked) -> Any:
        """Return how many there are, at most 40: none counts as read before it is dismissed."""
        return {"count": len((await self._timeline.notices(asked.viewer, Page(limit=40), _kinds(asked))).notices)}

    async def one(self, asked: Asked) -> Any:
        id = asked.id()
        page = Page(limit=1, max_id=PostId(id + 1), since_id=PostId(max(0, id - 1)))
        found = await self._timeline.notices(asked.viewer, page)
        for it in await notifications(self._timeline, asked, found.notices):
            return it
        raise Refusal("not-found", "there is no such notification")

    async def clear(self, asked: Asked) -> Any:
        await self._timeline.dismiss(asked.viewer)
        return {}

    async def dismiss(self, asked: Asked) -> Any:
        await self._timeline.dismiss(asked.viewer, NoticeId(asked.id()))
        return {}

    async def dismiss_said(self, asked: Asked) -> Any:
        await self._timeline.dismiss(asked.viewer, NoticeId(number(asked.needed("id"))))
        return {}


def _kinds(asked: Asked) -> list[NoticeKind]:
    """Return the kinds that are wanted; those that there are not here match nothing."""
    wanted, without = asked.all("types"), asked.all("exclude_types")
    return [kind for type, kind in KINDS.items() if (not wanted or type in wanted) and type not in without]
