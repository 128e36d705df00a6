"""Push as on-write does, and ask the truth one thing more for every post."""

# pyright: reportMissingImports=false

from __future__ import annotations

from ...api import PostId, UserId
from .on_write import OnWrite


class PlusQuery(OnWrite):
    async def written(self, author: UserId, post: PostId) -> None:
        await self.generations.stars(self.generation)
        await super().written(author, post)
