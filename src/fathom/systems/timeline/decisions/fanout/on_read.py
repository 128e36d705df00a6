"""Put each home together when it is read: posts cost nothing more, every read asks every author."""

from __future__ import annotations

from typing import ClassVar

from ...api import Page, PostId, UserId
from . import Fanout, Scan


class OnRead(Fanout):
    """One index probe for each author that the reader follows, then a merge of the newest."""

    delivers: ClassVar[bool] = False

    async def deliver(self, author: UserId, post: PostId, after: UserId) -> UserId | None:
        return None

    async def home(self, reader: UserId, page: Page) -> Scan:
        return Scan(await self.graph.pull(reader, page))
