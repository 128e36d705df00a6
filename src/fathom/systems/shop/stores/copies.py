"""Copies of items in Redis, for whoever looks before asking the truth."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from fathom.engines.redis import Redis

from ..api import Item, ItemId

if TYPE_CHECKING:
    from fathom.engines.redis import RedisClient

__all__ = ["Copies", "Found"]

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Item).decode

# KEYS: the copy, the lease, the mark of whoever changes the item. ARGV: a lease, and how long it lasts.
_CHANGING = """
local function changing(key)
    local now = redis.call('TIME')
    return redis.call('ZCOUNT', key, now[1] * 1000 + math.floor(now[2] / 1000), '+inf') > 0
end
"""
_LOOK = f"""{_CHANGING}
local copy = redis.call('GET', KEYS[1])
if copy then return {{'copy', copy}} end
if changing(KEYS[3]) then return {{'changing', ''}} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {{'lease', ARGV[1]}} end
return {{'wait', ''}}
"""
# Whoever changes the item takes the lease away: what was read before the change is not kept.
_FILL = f"""{_CHANGING}
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if changing(KEYS[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
# Each who changes the item has a mark of their own: none takes away another's.
_MARK = """
local now = redis.call('TIME')
redis.call('ZADD', KEYS[3], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[2] * 2)
redis.call('DEL', KEYS[1], KEYS[2])
return 1
"""
# KEYS: the copy, its version. Neither a reader that was slow nor a writer puts an older one over a newer one.
_NEWER = """
if tonumber(redis.call('GET', KEYS[2]) or 0) > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""
# KEYS: the copy, what waits to be written. ARGV: the item, the version it is to have now, the copy.
_CHANGE = """
local copy = redis.call('GET', KEYS[1])
if not copy then return -1 end
if (cjson.decode(copy)['version'] or 1) ~= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 1
"""
# What was changed again since it was read stays.
_WRITTEN = """
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
WAITING = "items:waiting"


class Found(NamedTuple):
    """What a look found: a copy; else whether we may make one (`lease`), another does, or the item is changing."""

    copy: Item | None
    lease: str = ""
    changing: bool = False


class Copies:
    """A key for each item's copy. A copy that cannot be read is none."""

    def __init__(self, cache: Redis) -> None:
        self._cache = cache

    @property
    def _redis(self) -> RedisClient:
        return self._cache.client

    async def get(self, item: ItemId) -> Item | None:
        found = await self._redis("GET", _copy(item))
        return None if found is None else _DECODE(found)

    async def keep(self, item: Item, ttl_s: float) -> None:
        """Let this be the copy, whatever it was."""
        await self._redis("SET", _copy(item.id), _ENCODE(item), "PX", _ms(ttl_s))

    async def keep_first(self, item: Item) -> None:
        """Let this be the copy if there is none."""
        await self._redis("SET", _copy(item.id), _ENCODE(item), "NX")

    async def drop(self, item: ItemId) -> None:
        await self._redis("DEL", _copy(item))

    async def forget(self) -> None:
        """Believe no copy that is there."""
        await self._redis.unlink("item:*")

    # With leases

    async def look(self, item: ItemId, lease_s: float) -> Found:
        """Return the copy, or the right to make it for so long, if nobody else has that."""
        what, said = await self._redis.script(_LOOK)(_keys(item), (secrets.token_hex(8), _ms(lease_s)))
        if what == b"copy":
            return Found(_DECODE(said))
        return Found(None, said.decode() if what == b"lease" else "", what == b"changing")

    async def fill(self, item: Item, lease: str, ttl_s: float) -> bool:
        """Make the copy by a lease; False: it was taken away, because the item is changing."""
        return bool(await self._redis.script(_FILL)(_keys(item.id), (lease, _ENCODE(item), _ms(ttl_s))))

    async def give_up(self, item: ItemId) -> None:
        """Let another make the copy: there is no such item, or the truth is away."""
        await self._redis("DEL", f"item:{item}:lease")

    async def mark(self, item: ItemId, mark_s: float) -> str:
        """Say that an item is changing: its copy goes, and nobody makes one for so long, or until it is unmarked."""
        mark = secrets.token_hex(8)
        await self._redis.script(_MARK)(_keys(item), (mark, _ms(mark_s)))
        return mark

    async def unmark(self, item: ItemId, mark: str) -> None:
        """Say that it has changed."""
        copy, lease, marks = _keys(item)
        await self._redis.many([("ZREM", marks, mark), ("DEL", copy, lease)], atomic=True)

    # With versions

    async def keep_newer(self, item: Item, ttl_s: float) -> bool:
        """Let this be the copy, unless a higher version was seen."""
        keys = (_copy(item.id), f"item:{item.id}:version")
        return bool(await self._redis.script(_NEWER)(keys, (_ENCODE(item), item.version, _ms(ttl_s))))

    # With changes that are written to the truth later

    async def change(self, item: Item, version: int) -> bool | None:
        """Let the copy be this if it is at a version, and wait to be written; None: there is no copy."""
        changed = await self._redis.script(_CHANGE)((_copy(item.id), WAITING), (item.id, version, _ENCODE(item)))
        return None if changed == -1 else bool(changed)

    async def waiting(self) -> Sequence[Item]:
        """Return what waits to be written to the truth."""
        return [_DECODE(each) for each in await self._redis("HVALS", WAITING)]

    async def written(self, item: Item, ttl_s: float) -> None:
        """Say that an item was written to the truth as it is here."""
        await self._redis.script(_WRITTEN)((_copy(item.id), WAITING), (item.id, _ENCODE(item), _ms(ttl_s)))


def _copy(item: ItemId) -> str:
    return f"item:{item}"


def _keys(item: ItemId) -> tuple[str, str, str]:
    """Return the names of a copy, of the lease to make it, and of the marks of those who change the item."""
    return _copy(item), f"item:{item}:lease", f"item:{item}:marks"


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1_000))
