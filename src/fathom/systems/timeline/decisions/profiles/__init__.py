"""Who is shown at once what somebody changed about themselves, and for how long may others see it as it was?

The default asks the truth each time: one statement for all accounts of a page, and nobody ever sees anything old. A
copy spares that statement. What it may not do is show people their own change late, or anybody the account of one who
blocks them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from fathom.design import Decision

from ...api import User, UserId
from ...stores.accounts import Accounts

__all__ = ["Profiles"]


class Profiles(Decision):
    """How accounts are read: what people say of themselves, and their counts."""

    default = "truth"

    accounts: Accounts

    @abstractmethod
    async def users(self, viewer: UserId, ids: Sequence[UserId], now_ms: int) -> list[User]:
        """Return these accounts in this order, without those that are unknown or block the viewer."""

    @abstractmethod
    async def profile(self, viewer: UserId, name: str, now_ms: int) -> User:
        """Return an account by name, unless it blocks the viewer."""

    def described(self, user: UserId, now_ms: int) -> None:
        """Hear that somebody changed how they are shown, after it is committed and before it is acknowledged."""

    def parted(self, blocked: UserId, now_ms: int, *, sure: bool) -> None:
        """Hear that somebody blocks or unblocks another, when it is committed; `sure`: it is known whether it is."""

    def settled(self) -> None:
        """Show nobody any more what was read before now: whoever asks waits until all has taken effect."""

    async def adopt(self, previous: Any) -> None:
        """Take over from another approach under load: copies of another are never shown, so there is nothing to do."""
