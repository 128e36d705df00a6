"""Keys and answers in Redis, for as long as it remembers them."""

from __future__ import annotations

import math

from fathom.engines.redis import Redis

from .keys import KEPT_S, Place, other_body, under_way

__all__ = ["Remembered"]

DIGEST_BYTES = 32


class Remembered:
    """A key of Redis for each key that was used: the digest of what was asked, and the answer once there is one."""

    def __init__(self, cache: Redis) -> None:
        self._cache = cache

    async def find(self, place: Place, asked: bytes) -> bytes | None:
        """Return the answer that was kept; refuse if something else was asked, or if it is still under way."""
        known = await self._cache.client("GET", _key(place))
        if known is None:
            return None
        if known[:DIGEST_BYTES] != asked:
            raise other_body()
        if len(known) == DIGEST_BYTES:
            raise under_way()
        return known[DIGEST_BYTES:]

    async def claim(self, place: Place, asked: bytes, claim_s: float) -> bool:
        """Take a key for so long; say whether it was free."""
        return await self._cache.client("SET", _key(place), asked, "NX", "PX", math.ceil(claim_s * 1_000)) is not None

    async def keep(self, place: Place, asked: bytes, answer: bytes) -> None:
        """Keep the answer of a key."""
        await self._cache.client("SET", _key(place), asked + answer, "EX", math.ceil(KEPT_S))

    async def drop(self, place: Place) -> None:
        """Forget a key: nothing was done under it."""
        await self._cache.client("DEL", _key(place))


def _key(place: Place) -> str:
    user, verb, key = place
    return f"shop:key:{user}:{verb}:{key}"
