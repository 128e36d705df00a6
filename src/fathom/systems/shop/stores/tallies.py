"""How many are left of each item, counted down in Redis: a copy that can be made anew, and is when it is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis

from ..api import ItemId, OrderId, Wanted

__all__ = ["Tallies"]

# An order that was counted before is not counted again: its own key remembers it for as long as it holds anything.
_TAKE = """
    if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
    for at = 2, #KEYS do
        local left = redis.call('GET', KEYS[at])
        if not left then return -at end
        if tonumber(left) < tonumber(ARGV[at]) then return at end
    end
    for at = 2, #KEYS do redis.call('DECRBY', KEYS[at], ARGV[at]) end
    redis.call('SET', KEYS[1], 1, 'EX', ARGV[1])
    return 0
"""
# A counter that is missing is made anew from reservations, which know of what is given back.
_GIVE_BACK = """
    for at = 1, #KEYS do
        if redis.call('EXISTS', KEYS[at]) == 1 then redis.call('INCRBY', KEYS[at], ARGV[at]) end
    end
"""
_ADD = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('INCRBY', KEYS[1], ARGV[1]) end"
_LEFT = """
    SELECT s.received - coalesce(sum(r.quantity), 0)::bigint FROM stock s
    LEFT JOIN reservations r ON r.item = s.item AND r.state <> 'released' WHERE s.item = $1 GROUP BY s.item
"""
REMEMBERED_S = 3_600  # beyond the hold: a sold order may be cancelled, and is counted back by its row


class Tallies:
    """A key for each item with what is left, and one for each order that was counted."""

    def __init__(self, cache: Redis, truth: Postgres) -> None:
        self._cache, self._truth = cache, truth

    async def take(self, order: OrderId, wanted: Sequence[Wanted], hold_s: float) -> ItemId | None:
        """Count down what an order wants, all of it or nothing; return what there is not enough of."""
        keys = [_order(order), *(_item(want.item) for want in wanted)]
        for _ in range(len(wanted) + 1):
            args = [math.ceil(hold_s) + REMEMBERED_S, *(want.quantity for want in wanted)]
            said = int(await self._cache.client.script(_TAKE)(keys, args))
            if said >= 0:
                return None if said == 0 else wanted[said - 2].item
            await self._make_anew(wanted[-said - 2].item)
        return wanted[0].item

    async def give_back(self, wanted: Sequence[Wanted]) -> None:
        """Count back what an order wanted."""
        keys = [_item(want.item) for want in wanted]
        await self._cache.client.script(_GIVE_BACK)(keys, [want.quantity for want in wanted])

    async def add(self, item: ItemId, quantity: int) -> None:
        """Count what has come."""
        await self._cache.client.script(_ADD)([_item(item)], [quantity])

    async def forget(self) -> None:
        """Let every counter be made anew: those of a process before may be behind the reservations."""
        await self._cache.client.unlink("shop:left:*")

    async def _make_anew(self, item: ItemId) -> None:
        left = await self._truth.client.fetchval(_LEFT, item)
        await self._cache.client("SET", _item(item), max(0, left or 0), "NX")


def _item(item: int) -> str:
    return f"shop:left:{item}"


def _order(order: int) -> str:
    return f"shop:counted:{order}"
