"""Numbers for what is new, which sort by time; an order's says in which shard its buyer's orders lie."""

from __future__ import annotations

from collections.abc import Callable

from fathom.blocks.ids import Ids

from ..api import OrderId, UserId

__all__ = ["SHARDS", "Numbers", "shard_of_user"]

SHARDS = 16


def shard_of_user(user: int) -> int:
    """Return the shard of somebody's orders; ids that were minted one after the other come to different ones.

    >>> len({shard_of_user(id << 12) for id in range(64)}) > 12
    True
    """
    return (user * 0x9E37_79B9_7F4A_7C15 & 0xFFFF_FFFF_FFFF_FFFF) >> 60


class Numbers:
    """Mints ids from a clock in Unix milliseconds: orders by shard, all else in one line."""

    def __init__(self, clock: Callable[[], int], *, after: int = 0, after_orders: int = 0) -> None:
        self._clock = clock
        self._all = Ids(worker=1, after=after)
        self._orders = [Ids(worker=shard, after=after_orders) for shard in range(SHARDS)]

    def next(self) -> int:
        """Return a number for anything but an order."""
        return self._all.mint(self._clock())

    def order(self, user: UserId) -> OrderId:
        """Return a number for an order of this user."""
        return OrderId(self._orders[shard_of_user(user)].mint(self._clock()))
