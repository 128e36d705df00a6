"""Locks on seats that lie in Redis: each lapses by itself, and whose it is says the number of a hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from fathom.engines.redis import Redis

from ..api import ConcertId, Hold, HoldId, Token, UserId

if TYPE_CHECKING:
    from fathom.engines.redis import RedisClient

__all__ = ["SeatLocks", "new_hold"]

_JSON = msgspec.json.Encoder()

# KEYS: the hold, the counter, the seats. ARGV: the hold, its length, the floor of tokens, the hold as JSON up to
# its token. Tokens never fall behind those that the seats have seen, also if the counter was wiped.
_HOLD = """
for at = 3, #KEYS do
    if redis.call('EXISTS', KEYS[at]) == 1 then return false end
end
local now = redis.call('TIME')
local until_ms = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2]
if tonumber(redis.call('GET', KEYS[2]) or 0) < tonumber(ARGV[3]) then redis.call('SET', KEYS[2], ARGV[3]) end
local token = redis.call('INCR', KEYS[2])
for at = 3, #KEYS do redis.call('SET', KEYS[at], ARGV[1], 'PX', ARGV[2]) end
redis.call('HSET', KEYS[1], 'hold', ARGV[4], 'token', token, 'until_ms', string.format('%d', until_ms))
redis.call('PEXPIRE', KEYS[1], ARGV[2] + 86400000)
return {token, string.format('%d', until_ms)}
"""
# KEYS: the hold, the seats. ARGV: the hold, its length. A lock that lasts longer as it is keeps its time.
_RENEW = """
for at = 2, #KEYS do
    if redis.call('GET', KEYS[at]) ~= ARGV[1] then return false end
end
local left_ms = tonumber(ARGV[2])
for at = 2, #KEYS do left_ms = math.max(left_ms, redis.call('PTTL', KEYS[at])) end
local now = redis.call('TIME')
local until_ms = string.format('%d', now[1] * 1000 + math.floor(now[2] / 1000) + left_ms)
for at = 2, #KEYS do redis.call('PEXPIRE', KEYS[at], left_ms) end
redis.call('HSET', KEYS[1], 'until_ms', until_ms)
redis.call('PEXPIRE', KEYS[1], left_ms + 86400000)
return until_ms
"""
# Whoever deletes a lock without looking whose it is deletes another's.
_FREE = """
for at = 1, #KEYS do
    if redis.call('GET', KEYS[at]) == ARGV[1] then redis.call('DEL', KEYS[at]) end
end
return 1
"""


class SeatLocks:
    """A key for each locked seat, a hash for each hold, and one counter of tokens."""

    def __init__(self, cache: Redis) -> None:
        self._cache = cache

    @property
    def _redis(self) -> RedisClient:
        return self._cache.client

    async def hold(self, hold: Hold, floor: int, hold_s: float) -> Hold | None:
        """Lock all seats of a hold for so long, with a token above the floor; None: one of them is locked."""
        keys = [_hold(hold.id), "seats:tokens", *_seats(hold.concert, hold.seats)]
        answer = await self._redis.script(_HOLD)(keys, (hold.id, _ms(hold_s), floor, _JSON.encode(hold)))
        if answer is None:
            return None
        return msgspec.structs.replace(hold, token=Token(int(answer[0])), until_ms=int(answer[1]))

    async def held(self, id: HoldId) -> Hold | None:
        """Return a hold, whether it lasts or not; None: it is not known any more."""
        said, token, until_ms = await self._redis("HMGET", _hold(id), "hold", "token", "until_ms")
        if said is None:
            return None
        hold = msgspec.json.decode(said, type=Hold)
        return msgspec.structs.replace(hold, token=Token(int(token)), until_ms=int(until_ms))

    async def renew(self, hold: Hold, hold_s: float) -> Hold | None:
        """Keep the seats locked for at least so long; None: one of them is not locked by this hold any more."""
        keys = [_hold(hold.id), *_seats(hold.concert, hold.seats)]
        until_ms = await self._redis.script(_RENEW)(keys, (hold.id, _ms(hold_s)))
        return None if until_ms is None else msgspec.structs.replace(hold, until_ms=int(until_ms))

    async def mine(self, hold: Hold) -> bool:
        """Whether all seats are locked by this hold, at this moment."""
        found = await self._redis("MGET", *_seats(hold.concert, hold.seats))
        return all(by is not None and int(by) == hold.id for by in found)

    async def free(self, hold: Hold) -> None:
        """Unlock those seats that this hold has locked."""
        await self._redis.script(_FREE)(_seats(hold.concert, hold.seats), (hold.id,))

    async def locked(self, concert: ConcertId, seats: Sequence[str]) -> set[str]:
        """Return which of these seats are locked."""
        if not seats:
            return set()
        found = await self._redis("MGET", *_seats(concert, seats))
        return {seat for seat, by in zip(seats, found, strict=True) if by is not None}


def new_hold(id: HoldId, user: UserId, concert: ConcertId, seats: Sequence[str]) -> Hold:
    """Return a hold that has no token yet."""
    return Hold(id=id, user=user, concert=concert, seats=list(seats), token=Token(0), until_ms=0)


def _hold(id: HoldId) -> str:
    return f"seats:hold:{id}"


def _seats(concert: ConcertId, seats: Sequence[str]) -> list[str]:
    return [f"seats:{concert}:{seat}" for seat in seats]


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1_000))
