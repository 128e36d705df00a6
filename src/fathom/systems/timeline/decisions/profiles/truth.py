"""Ask the truth each time: everybody sees every change at once, and a page of posts costs a statement for its authors.

Its bet is that a statement for all accounts of a page is cheap. Its price is that statement, however seldom people
change anything about themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...api import User, UserId
from . import Profiles


class Truth(Profiles):
    """No copies."""

    async def users(self, viewer: UserId, ids: Sequence[UserId], now_ms: int) -> list[User]:
        return await self.accounts.users(viewer, ids)

    async def profile(self, viewer: UserId, name: str, now_ms: int) -> User:
        return await self.accounts.profile(viewer, name)
